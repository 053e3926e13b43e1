/* SPDX-License-Identifier: MIT */
/*
 * history: the last messages of a hub's log topics, as references, within limits of each topic, of all, and the pool's
 * budget.
 *
 * Design notes
 *
 * It is a ring of entries in the order of their ids, which doubles until it is long enough. The entries of one topic
 * are linked. A topic that is over a limit of its own loses its oldest one; when all together are over theirs, the
 * oldest of all goes. So a topic that is busy pays for itself, and a quiet one keeps what it has, as long as the busy
 * ones don't fill the whole.
 *
 * - An entry that goes from the middle leaves its place behind: numbers stay good. When the ring is full and half of
 *   the places are such, they are closed up instead of growing. That visits every place, and frees at least half of
 *   them: a few for each publication, and no memory. The publications move towards the end.
 * - Each topic knows up to which id something of it is lost. A topic that is removed leaves that to the history, which
 *   has one such id for all topics that it doesn't know: memory is bounded, and an answer never says too much.
 *
 * - Origins stand in an array of their own, beside the entries. It is there from the first publication on that has an
 *   origin, so a program that doesn't use them pays nothing.
 *
 * Knows nothing of connections: replay.c tells them of a loss beforehand.
 */
#include "history.h"

#include "pool.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

enum { CAPACITY_MIN = 64, FETCHED_AHEAD = 8, CACHE_LINE = 64 };

_Static_assert(sizeof(void *) != 8 || sizeof(fluxbp__past_t) <= 136, "the gateway's options count with that");

void fluxbp__history_init(fluxbp__history_t *history, fluxbp_pool_t *pool, const fluxbp__history_limits_t *limits) {
  *history = (fluxbp__history_t){.pool = pool, .limits = *limits};
}

static void free_entries(fluxbp__history_t *history) {
  fluxbp__pool_free(history->pool, FLUXBP__PAYLOAD, history->entries, history->capacity * sizeof *history->entries);
  if (history->origins != NULL)
    fluxbp__pool_free(history->pool, FLUXBP__PAYLOAD, history->origins, history->capacity * sizeof *history->origins);
}

/* Allocate origins for so many entries, which have none. NULL: no memory. */
static uint64_t *allocate_origins(const fluxbp__history_t *history, uint64_t capacity) {
  void *memory;
  size_t size = capacity * sizeof *history->origins;
  return fluxbp__pool_alloc(history->pool, FLUXBP__PAYLOAD, size, &memory) == 0 ? memset(memory, 0, size) : NULL;
}

bool fluxbp__history_grow(fluxbp__history_t *history) {
  uint64_t capacity = history->capacity ? history->capacity * 2 : CAPACITY_MIN;
  void *memory;
  if (fluxbp__pool_alloc(history->pool, FLUXBP__PAYLOAD, capacity * sizeof *history->entries, &memory) != 0)
    return false;
  fluxbp__past_t *entries = memory;
  uint64_t *origins = NULL;
  if (history->origins != NULL && (origins = allocate_origins(history, capacity)) == NULL) {
    fluxbp__pool_free(history->pool, FLUXBP__PAYLOAD, entries, capacity * sizeof *entries);
    return false;
  }
  for (uint64_t number = history->first; number < history->end; number++) {
    entries[number & (capacity - 1)] = *fluxbp__history_at(history, number);
    if (origins != NULL) origins[number & (capacity - 1)] = fluxbp__history_origin(history, number);
  }
  free_entries(history);
  history->entries = entries;
  history->origins = origins;
  history->capacity = capacity;
  return true;
}

/* Link a publication, which goes to `number`, with the topic's next one. */
static void join(const fluxbp__history_t *history, uint64_t number, uint64_t next, fluxbp__past_t *past) {
  uint32_t distance = (uint32_t) (next - number);
  past->link ^= distance;
  fluxbp__history_at(history, next)->link ^= distance;
}

static void set_origin(const fluxbp__history_t *history, uint64_t number, uint64_t origin) {
  history->origins[number & (history->capacity - 1)] = origin;
}

bool fluxbp__history_note_origin(fluxbp__history_t *history, uint64_t origin) {
  if (history->origins == NULL && origin != 0) history->origins = allocate_origins(history, history->capacity);
  if (history->origins == NULL) return origin == 0;
  set_origin(history, history->end, origin);
  return true;
}

void fluxbp__history_plan(fluxbp__history_t *history) {
  uint64_t to = history->end;
  for (uint64_t number = history->end; number-- > history->first;) {
    fluxbp__past_t *past = fluxbp__history_at(history, number);
    if (past->msg != NULL) to--;
    past->link = (uint32_t) (to - number);
  }
}

void fluxbp__history_close_up(fluxbp__history_t *history) {
  uint64_t to = history->end;
  /* a topic's newest first, so that its `first` is always the one behind */
  for (uint64_t number = history->end; number-- > history->first;) {
    fluxbp__past_t *past = fluxbp__history_at(history, number);
    fluxbp__topic_past_t *of = past->of;
    if (past->msg == NULL) continue;
    to--;
    past->link = 0;
    if (number == of->last)
      of->last = to;
    else
      join(history, to, of->first, past);
    of->first = to;
    if (to == number) continue;
    *fluxbp__history_at(history, to) = *past;
    if (history->origins != NULL) set_origin(history, to, fluxbp__history_origin(history, number));
  }
  history->first = to;
}

bool fluxbp__history_may_keep(const fluxbp__history_t *history, size_t bytes) {
  const fluxbp__history_limits_t *limits = &history->limits;
  return limits->messages > 0 && bytes <= limits->bytes && bytes <= limits->topic_bytes;
}

fluxbp__topic_past_t *fluxbp__history_over(const fluxbp__history_t *history, fluxbp__topic_past_t *of, size_t bytes) {
  const fluxbp__history_limits_t *limits = &history->limits;
  if (of->count > 0 && fluxbp__history_is_topic_over(history, of, bytes)) return of;
  if (history->count == 0) return NULL;
  bool is_over = history->count >= limits->messages || history->bytes + bytes > limits->bytes;
  return is_over ? fluxbp__history_at(history, history->first)->of : NULL;
}

void fluxbp__history_add(fluxbp__history_t *history, fluxbp__topic_past_t *of, fluxbp_msg_t *msg, uint64_t id,
                         uint64_t time_ms) {
  assert(!fluxbp__history_is_full(history));
  *fluxbp__history_at(history, history->end) =
      (fluxbp__past_t){.msg = fluxbp_msg_ref(msg), .of = of, .id = id, .time_ms = (uint32_t) time_ms};
  if (of->count++ == 0)
    of->first = history->end;
  else
    join(history, of->last, history->end, fluxbp__history_at(history, of->last));
  of->last = history->end++;
  history->count++;
  of->bytes += fluxbp_msg_length(msg);
  history->bytes += fluxbp_msg_length(msg);
}

static void note_lost(fluxbp__history_t *history, fluxbp__topic_past_t *of, uint64_t id) {
  of->lost_id = id;
  if (id > history->lost_id) history->lost_id = id;
}

/* A message that was published so long ago has left the caches of the processor, and its block is the next to be used:
 * have it brought back meanwhile. Inlined in any case: gcc 12 takes a function that only does this for one that does
 * nothing. */
static inline __attribute__((always_inline)) void fetch_ahead(const fluxbp__history_t *history, uint64_t number) {
  __builtin_prefetch(fluxbp__history_at(history, number + 2 * FETCHED_AHEAD));
  const char *msg = (const char *) fluxbp__history_at(history, number + FETCHED_AHEAD)->msg;
  for (size_t line = 0; msg != NULL && line < 3; line++) __builtin_prefetch(msg + line * CACHE_LINE, 1);
}

void fluxbp__history_forget(fluxbp__history_t *history, fluxbp__topic_past_t *of) {
  assert(of->count > 0);
  fluxbp__past_t *past = fluxbp__history_at(history, of->first);
  fetch_ahead(history, of->first);
  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++) fluxbp_frame_unref(past->frames[i]);
  note_lost(history, of, past->id);
  of->bytes -= fluxbp_msg_length(past->msg);
  history->bytes -= fluxbp_msg_length(past->msg);
  uint64_t next = of->first + past->link;
  if (--of->count > 0) join(history, of->first, next, past); /* the second time it parts them */
  of->first = next;
  history->count--;
  fluxbp_msg_unref(past->msg);
  past->msg = NULL;
  while (history->first < history->end && fluxbp__history_at(history, history->first)->msg == NULL) history->first++;
}

void fluxbp__history_pass_over(fluxbp__history_t *history, fluxbp__topic_past_t *of, uint64_t id) {
  while (of->count > 0) fluxbp__history_forget(history, of);
  note_lost(history, of, id);
}

void fluxbp__history_lose_unknown(fluxbp__history_t *history, uint64_t id) {
  if (id > history->unknown_lost_id) history->unknown_lost_id = id;
  if (id > history->lost_id) history->lost_id = id;
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
  history->origins = NULL;
  history->capacity = 0;
}
