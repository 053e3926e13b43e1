/* SPDX-License-Identifier: MIT */
/*
 * state: the newest message of each key of a state topic, with its frames, so that a new subscriber costs no encoding.
 *
 * Values stand in an array in which they keep their places; a table with linear probing finds the place of a key. All
 * of it counts against the budget. Knows nothing of connections.
 */
#include "state.h"

#include "hash.h"
#include "pool.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

enum { CAPACITY_MIN = 16, RECORD_MAX = 65536 };

void fluxbp__state_init(fluxbp__state_t *state, fluxbp_pool_t *pool, uint64_t number, uint32_t max_count) {
  *state = (fluxbp__state_t){.pool = pool, .number = number, .max_count = max_count};
}

static bool is_removal(const fluxbp_msg_t *msg) {
  return msg != NULL && fluxbp_msg_is_removal(msg);
}

static size_t table_size(uint32_t capacity) {
  return (size_t) capacity * 2 * sizeof(uint32_t);
}

/* As many changes are recorded as there are places, up to a limit: with more places a walk over all of them costs more
 * than the changes that come meanwhile. */
static uint32_t record_capacity_for(uint32_t capacity) {
  return capacity < RECORD_MAX ? capacity : RECORD_MAX;
}

static void free_arrays(fluxbp__state_t *state) {
  if (state->capacity == 0) return;
  fluxbp__pool_free(state->pool, FLUXBP__PAYLOAD, state->record, state->record_capacity * sizeof *state->record);
  fluxbp__pool_free(state->pool, FLUXBP__PAYLOAD, state->values, state->capacity * sizeof *state->values);
  fluxbp__pool_free(state->pool, FLUXBP__PAYLOAD, state->table, table_size(state->capacity));
}

/* The entry of that key, or the empty one where it would be. */
static uint32_t *entry_of(const fluxbp__state_t *state, uint64_t key) {
  uint32_t mask = state->capacity * 2 - 1;
  uint32_t i = (uint32_t) fluxbp__hash_key(key ^ state->number) & mask;
  while (state->table[i] != 0 && state->values[state->table[i] - 1].key != key) i = (i + 1) & mask;
  return &state->table[i];
}

/* Copy what is recorded into a longer record. */
static void copy_record(fluxbp__state_t *state, uint32_t *record, uint32_t capacity) {
  uint64_t since = state->recorded_since;
  if (state->last_change - since > state->record_capacity) since = state->last_change - state->record_capacity;
  for (uint64_t change = since + 1; change <= state->last_change; change++)
    record[change & (capacity - 1)] = state->record[change & (state->record_capacity - 1)];
  state->recorded_since = since;
}

static int grow(fluxbp__state_t *state) {
  uint32_t capacity = state->capacity ? state->capacity * 2 : CAPACITY_MIN;
  uint32_t record_capacity = record_capacity_for(capacity);
  size_t sizes[] = {capacity * sizeof *state->values, table_size(capacity), record_capacity * sizeof *state->record};
  void *arrays[3];
  for (int i = 0; i < 3; i++) {
    int err = fluxbp__pool_alloc(state->pool, FLUXBP__PAYLOAD, sizes[i], &arrays[i]);
    if (!err) continue;
    while (i-- > 0) fluxbp__pool_free(state->pool, FLUXBP__PAYLOAD, arrays[i], sizes[i]);
    return err;
  }
  if (state->end > 0) memcpy(arrays[0], state->values, state->end * sizeof *state->values);
  copy_record(state, arrays[2], record_capacity);
  free_arrays(state);
  state->values = arrays[0];
  state->table = memset(arrays[1], 0, sizes[1]);
  state->record = arrays[2];
  state->capacity = capacity;
  state->record_capacity = record_capacity;
  for (uint32_t place = 0; place < state->end; place++) *entry_of(state, state->values[place].key) = place + 1;
  return 0;
}

static uint32_t find_free_place(fluxbp__state_t *state) {
  if (state->count == state->end) return state->end++;
  while (state->values[state->free_place].msg != NULL) state->free_place = (state->free_place + 1) % state->end;
  return state->free_place;
}

int64_t fluxbp__state_find(const fluxbp__state_t *state, uint64_t key) {
  if (state->capacity == 0) return UV_ENOENT;
  uint32_t entry = *entry_of(state, key);
  return entry != 0 ? (int64_t) entry - 1 : UV_ENOENT;
}

int64_t fluxbp__state_reserve(fluxbp__state_t *state, uint64_t key) {
  int64_t known = fluxbp__state_find(state, key);
  if (known >= 0 && !is_removal(state->values[known].msg)) return known;
  if (fluxbp__state_live(state) >= state->max_count) return UV_ENOSPC;
  if (known >= 0) return known;
  if (state->count == state->capacity) {
    int err = grow(state);
    if (err) return err;
  }
  uint32_t place = find_free_place(state);
  state->values[place] = (fluxbp__state_value_t){.key = key};
  *entry_of(state, key) = place + 1;
  state->count++;
  return place;
}

static size_t block_of(const fluxbp_frame_t *frame) {
  return frame != NULL ? sizeof *frame + frame->capacity : 0;
}

static void release_value(fluxbp__state_t *state, fluxbp__state_value_t *value) {
  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++) {
    if (value->frames[i] == NULL) continue;
    state->frame_bytes -= block_of(value->frames[i]);
    value->frames[i]->is_outdated = true;
    fluxbp_frame_unref(value->frames[i]);
    value->frames[i] = NULL;
  }
  fluxbp_msg_unref(value->msg);
  value->msg = NULL;
}

static void record_change(fluxbp__state_t *state, uint32_t place) {
  state->values[place].change = ++state->last_change;
  state->record[state->last_change & (state->record_capacity - 1)] = place;
}

const fluxbp__state_value_t *fluxbp__state_changed(const fluxbp__state_t *state, uint64_t change) {
  const fluxbp__state_value_t *value = &state->values[state->record[change & (state->record_capacity - 1)]];
  return value->msg != NULL && value->change == change ? value : NULL;
}

void fluxbp__state_set(fluxbp__state_t *state, uint32_t place, uint64_t origin, fluxbp_msg_t *msg,
                       fluxbp_frame_t *const *frames) {
  fluxbp__state_value_t *value = &state->values[place];
  fluxbp_msg_ref(msg); /* before the older one goes: it may be the same */
  if (is_removal(value->msg)) state->removed--;
  if (is_removal(msg)) state->removed++;
  release_value(state, value);
  value->msg = msg;
  value->origin = origin;
  record_change(state, place);
  for (size_t i = 0; i < FLUXBP_CODECS_MAX; i++) {
    if (frames[i] != NULL) value->frames[i] = fluxbp_frame_ref(frames[i]);
    state->frame_bytes += block_of(frames[i]);
  }
}

size_t fluxbp__state_bytes(const fluxbp__state_t *state) {
  size_t arrays = state->capacity * sizeof *state->values + table_size(state->capacity) +
                  state->record_capacity * sizeof *state->record;
  return state->frame_bytes + arrays;
}

/* Close the hole in the run of entries behind `hole`, so that every key is still found from where it hashes to. */
static void remove_entry(fluxbp__state_t *state, uint32_t hole) {
  uint32_t mask = state->capacity * 2 - 1;
  for (uint32_t i = (hole + 1) & mask; state->table[i] != 0; i = (i + 1) & mask) {
    uint32_t home = (uint32_t) fluxbp__hash_key(state->values[state->table[i] - 1].key ^ state->number) & mask;
    if (((i - home) & mask) < ((i - hole) & mask)) continue; /* it would come to stand before its home */
    state->table[hole] = state->table[i];
    hole = i;
  }
  state->table[hole] = 0;
}

bool fluxbp__state_forget(fluxbp__state_t *state, uint64_t key) {
  if (state->capacity == 0) return false;
  const uint32_t *entry = entry_of(state, key);
  if (*entry == 0) return false;
  uint32_t place = *entry - 1;
  remove_entry(state, (uint32_t) (entry - state->table));
  if (is_removal(state->values[place].msg)) state->removed--;
  release_value(state, &state->values[place]);
  state->free_place = place;
  state->count--;
  return true;
}

int fluxbp__state_encode(fluxbp__state_t *state, uint32_t codec_index, const fluxbp_codec_t *codec, const char *topic) {
  for (uint32_t place = 0; place < state->end; place++) {
    fluxbp__state_value_t *value = &state->values[place];
    fluxbp_frame_t **frame = &value->frames[codec_index];
    if (value->msg == NULL || *frame != NULL) continue;
    int err = fluxbp__frame_create(state->pool, value->msg, codec, topic, 0, frame);
    if (err) {
      *frame = NULL;
      return err;
    }
    state->frame_bytes += block_of(*frame);
    fluxbp__state_mark(state, value->key, *frame);
  }
  return 0;
}

void fluxbp__state_clear(fluxbp__state_t *state) {
  for (uint32_t place = 0; place < state->end; place++) release_value(state, &state->values[place]);
  free_arrays(state);
  fluxbp__state_init(state, state->pool, state->number, state->max_count);
}
