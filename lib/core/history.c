/* SPDX-License-Identifier: MIT */
/*
 * history: the last messages of a hub's log topics, as references, within limits of its own and the pool's budget.
 *
 * It is a ring of entries that doubles until it is as long as its limit. What doesn't fit is the oldest. Knows nothing
 * of connections; who has to be told of a loss is told by whoever calls remove.
 */
#include "history.h"

#include "pool.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

enum { CAPACITY_MIN = 64 };

void fluxbp__history_init(fluxbp__history_t *history, fluxbp_pool_t *pool, uint64_t max_messages, uint64_t max_bytes,
                          uint64_t last_id) {
  *history =
      (fluxbp__history_t){.pool = pool, .max_messages = max_messages, .max_bytes = max_bytes, .lost_id = last_id};
}

static void free_entries(fluxbp__history_t *history) {
  fluxbp__pool_free(history->pool, FLUXBP__PAYLOAD, history->entries, history->capacity * sizeof *history->entries);
}

static bool grow(fluxbp__history_t *history) {
  uint64_t capacity = history->capacity ? history->capacity * 2 : CAPACITY_MIN;
  void *memory;
  if (fluxbp__pool_alloc(history->pool, FLUXBP__PAYLOAD, capacity * sizeof *history->entries, &memory) != 0)
    return false;
  fluxbp__past_t *entries = memory;
  for (uint64_t number = history->first; number < history->end; number++)
    entries[number & (capacity - 1)] = *fluxbp__history_at(history, number);
  free_entries(history);
  history->entries = entries;
  history->capacity = capacity;
  return true;
}

bool fluxbp__history_add(fluxbp__history_t *history, fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id) {
  uint64_t count = history->end - history->first;
  if (count >= history->max_messages || history->bytes + fluxbp_msg_len(msg) > history->max_bytes) return false;
  if (count == history->capacity && !grow(history)) return false;
  *fluxbp__history_at(history, history->end) = (fluxbp__past_t){.msg = fluxbp_msg_ref(msg), .topic = topic, .id = id};
  history->end++;
  history->bytes += fluxbp_msg_len(msg);
  return true;
}

fluxbp_topic_t *fluxbp__history_remove(fluxbp__history_t *history) {
  assert(!fluxbp__history_is_empty(history));
  fluxbp__past_t *past = fluxbp__history_at(history, history->first);
  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++) fluxbp_frame_unref(past->frames[i]);
  history->bytes -= fluxbp_msg_len(past->msg);
  history->lost_id = past->id;
  history->first++;
  fluxbp_msg_unref(past->msg);
  return past->topic;
}

uint64_t fluxbp__history_after(const fluxbp__history_t *history, uint64_t id) {
  uint64_t low = history->first;
  uint64_t high = history->end;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (fluxbp__history_at(history, middle)->id > id)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

void fluxbp__history_destroy(fluxbp__history_t *history) {
  assert(fluxbp__history_is_empty(history));
  free_entries(history);
  history->entries = NULL;
  history->capacity = 0;
}
