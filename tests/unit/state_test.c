/* SPDX-License-Identifier: MIT */
/*
 * state: the newest message of each key keeps its place, whatever comes and goes around it.
 */
#include "state.h"

#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__state_t state;
} fixture_t;

static void open_state(fixture_t *f, uint64_t budget, uint32_t max_count) {
  fluxbp_pool_options_t options;
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_init(&options);
  options.max_bytes = budget;
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__state_init(&f->state, f->pool, 77, max_count);
}

static void close_state(fixture_t *f) {
  fluxbp__state_clear(&f->state);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

/* Let `value` be the newest of `key`; returns its place, or an error. */
static int64_t set(fixture_t *f, uint64_t key, uint64_t value) {
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX] = {0};
  fluxbp_msg_t *msg;
  int64_t place = fluxbp__state_reserve(&f->state, key);
  if (place < 0) return place;
  assert_int_equal(fluxbp_msg_create_keyed(f->pool, key, &value, sizeof value, &msg), 0);
  fluxbp__state_set(&f->state, (uint32_t) place, 0, msg, frames);
  fluxbp_msg_unref(msg);
  return place;
}

/* The value of `key`, or 0. */
static uint64_t get(const fixture_t *f, uint64_t key) {
  uint64_t value = 0;
  for (uint32_t place = 0; place < f->state.end; place++) {
    const fluxbp__state_value_t *stands = &f->state.values[place];
    if (stands->msg == NULL || stands->key != key) continue;
    assert_int_equal(value, 0); /* a key stands in one place */
    memcpy(&value, fluxbp_msg_data(stands->msg), sizeof value);
  }
  return value;
}

static void state_keeps_the_newest_of_each_key_in_its_place(void **state) {
  fixture_t f;
  (void) state;
  open_state(&f, 1 << 20, 100);
  assert_int_equal(set(&f, 7, 1), 0);
  assert_int_equal(set(&f, UINT64_MAX, 2), 1);
  assert_int_equal(set(&f, 0, 3), 2);
  assert_int_equal(set(&f, 7, 4), 0);
  assert_int_equal(get(&f, 7), 4);
  assert_int_equal(get(&f, UINT64_MAX), 2);
  assert_int_equal(get(&f, 0), 3);
  assert_int_equal(f.state.count, 3);
  assert_int_equal(fluxbp__state_find(&f.state, UINT64_MAX), 1);
  assert_int_equal(fluxbp__state_find(&f.state, 1), UV_ENOENT);
  assert_int_equal(f.state.values[0].change, 4);
  close_state(&f);
}

static void state_gives_a_free_place_to_the_next_new_key(void **state) {
  fixture_t f;
  (void) state;
  open_state(&f, 1 << 20, 100);
  for (uint64_t key = 1; key <= 10; key++) assert_int_equal(set(&f, key, key), key - 1);
  assert_true(fluxbp__state_forget(&f.state, 4));
  assert_false(fluxbp__state_forget(&f.state, 4));
  assert_true(fluxbp__state_forget(&f.state, 9));
  assert_int_equal(get(&f, 4), 0);
  assert_int_equal(f.state.count, 8);
  int64_t first = set(&f, 100, 100);
  int64_t second = set(&f, 101, 101);
  assert_true((first == 3 && second == 8) || (first == 8 && second == 3));
  assert_int_equal(set(&f, 102, 102), 10);
  close_state(&f);
}

static void state_refuses_one_key_too_many_and_takes_it_after_a_forget(void **state) {
  fixture_t f;
  (void) state;
  open_state(&f, 1 << 20, 2);
  assert_false(fluxbp__state_forget(&f.state, 1));
  assert_int_equal(set(&f, 1, 1), 0);
  assert_int_equal(set(&f, 2, 2), 1);
  assert_int_equal(set(&f, 3, 3), UV_ENOSPC);
  assert_int_equal(set(&f, 2, 4), 1);
  assert_true(fluxbp__state_forget(&f.state, 1));
  assert_int_equal(set(&f, 3, 3), 0);
  close_state(&f);
}

static int64_t remove_key(fixture_t *f, uint64_t key) {
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX] = {0};
  fluxbp_msg_t *msg;
  int64_t place = fluxbp__state_find(&f->state, key);
  assert_true(place >= 0);
  assert_int_equal(fluxbp_msg_create_removal(f->pool, key, NULL, "", 1, &msg), 0);
  fluxbp__state_set(&f->state, (uint32_t) place, 0, msg, frames);
  fluxbp_msg_unref(msg);
  return place;
}

static void state_counts_a_removal_as_no_value(void **state) {
  fixture_t f;
  (void) state;
  open_state(&f, 1 << 20, 2);
  assert_int_equal(set(&f, 1, 1), 0);
  assert_int_equal(set(&f, 2, 2), 1);
  assert_int_equal(remove_key(&f, 1), 0);
  assert_true(fluxbp__state_is_removed(&f.state, 0));
  assert_int_equal(fluxbp__state_live(&f.state), 1);
  assert_int_equal(set(&f, 3, 3), 2); /* the removal keeps its place */
  assert_int_equal(set(&f, 1, 4), UV_ENOSPC);
  assert_int_equal(set(&f, 4, 4), UV_ENOSPC);
  assert_int_equal(remove_key(&f, 2), 1);
  assert_int_equal(set(&f, 1, 4), 0); /* a value in the place of its removal */
  assert_false(fluxbp__state_is_removed(&f.state, 0));
  assert_int_equal(f.state.removed, 1);
  assert_true(fluxbp__state_forget(&f.state, 2));
  assert_int_equal(f.state.removed, 0);
  assert_int_equal(fluxbp__state_live(&f.state), 2);
  close_state(&f);
}

static void state_counts_the_bytes_of_frames(void **state) {
  fixture_t f;
  (void) state;
  open_state(&f, 1 << 20, 100);
  assert_int_equal(fluxbp__state_bytes(&f.state), 0);
  for (uint64_t key = 0; key < 3; key++) (void) set(&f, key, key + 1);
  size_t arrays = fluxbp__state_bytes(&f.state);
  assert_in_range(arrays, 16 * sizeof(fluxbp__state_value_t), 4096);
  assert_int_equal(fluxbp__state_encode(&f.state, 1, &fluxbp_codec_length32, "topic"), 0);
  size_t frame = (fluxbp__state_bytes(&f.state) - arrays) / 3;
  assert_in_range(frame, sizeof(fluxbp_frame_t) + 12, sizeof(fluxbp_frame_t) + 200);
  (void) set(&f, 1, 9); /* without a frame */
  assert_int_equal(fluxbp__state_bytes(&f.state), arrays + 2 * frame);
  assert_true(fluxbp__state_forget(&f.state, 0));
  assert_int_equal(fluxbp__state_bytes(&f.state), arrays + frame);
  fluxbp__state_clear(&f.state);
  assert_int_equal(fluxbp__state_bytes(&f.state), 0);
  close_state(&f);
}

static void state_stops_growing_at_the_budget_and_stays_whole(void **state) {
  fixture_t f;
  (void) state;
  open_state(&f, 64 * 1024, 100000);
  uint64_t key = 0;
  int64_t place;
  do place = fluxbp__state_reserve(&f.state, ++key);
  while (place >= 0 && set(&f, key, key) == place);
  assert_int_equal(place, UV_ENOBUFS);
  for (uint64_t k = 1; k < key; k++) assert_int_equal(get(&f, k), k);
  assert_int_equal(get(&f, key), 0);
  assert_int_equal(f.state.count, key - 1);
  close_state(&f);
}

static ptrdiff_t encode_or_refuse(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                  size_t capacity) {
  uint64_t *encoded = codec->arg;
  if (publication->key == 13) return UV_EINVAL;
  assert_string_equal(publication->topic, "prices");
  assert_int_equal(publication->id, 0);
  if (capacity >= publication->length) memcpy(out, publication->data, publication->length);
  ++*encoded;
  return (ptrdiff_t) publication->length;
}

static void state_encodes_once_for_each_codec(void **state) {
  fixture_t f;
  uint64_t encoded = 0;
  fluxbp_codec_t codec = {.size = sizeof codec, .name = "counting", .encode = encode_or_refuse, .arg = &encoded};
  (void) state;
  open_state(&f, 1 << 20, 100);
  for (uint64_t key = 1; key <= 3; key++) (void) set(&f, key, key);
  assert_int_equal(fluxbp__state_encode(&f.state, 2, &codec, "prices"), 0);
  assert_int_equal(encoded, 3);
  const fluxbp_frame_t *frame = f.state.values[1].frames[2];
  assert_true(fluxbp__frame_is_state(frame));
  assert_int_equal(frame->state.key, 2);
  assert_int_equal(frame->state.topic, 77);
  assert_int_equal(fluxbp__state_encode(&f.state, 2, &codec, "prices"), 0);
  assert_int_equal(encoded, 3);
  (void) set(&f, 2, 20); /* without a frame: it was encoded for nobody */
  assert_int_equal(fluxbp__state_encode(&f.state, 2, &codec, "prices"), 0);
  assert_int_equal(encoded, 4);
  (void) set(&f, 13, 13);
  assert_int_equal(fluxbp__state_encode(&f.state, 2, &codec, "prices"), UV_EINVAL);
  close_state(&f);
}

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* Against an array: keys that hash to the same places come and go in every order. */
static void state_is_what_the_model_says(void **state) {
  enum { KEYS = 300, STEPS = 30000 };
  fixture_t f;
  uint64_t model[KEYS] = {0};
  uint32_t seed = 11;
  size_t count = 0;
  (void) state;
  open_state(&f, 1 << 20, KEYS);
  for (uint64_t step = 1; step <= STEPS; step++) {
    uint64_t key = next_random(&seed) % KEYS;
    if (next_random(&seed) % 100 < 55) {
      count += model[key] == 0;
      assert_true(set(&f, key << 32, step) >= 0);
      model[key] = step;
    } else {
      assert_int_equal(fluxbp__state_forget(&f.state, key << 32), model[key] != 0);
      count -= model[key] != 0;
      model[key] = 0;
    }
    assert_int_equal(f.state.count, count);
    if (step % 1000 == 0)
      for (uint64_t k = 0; k < KEYS; k++) assert_int_equal(get(&f, k << 32), model[k]);
  }
  close_state(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(state_keeps_the_newest_of_each_key_in_its_place),
      cmocka_unit_test(state_gives_a_free_place_to_the_next_new_key),
      cmocka_unit_test(state_refuses_one_key_too_many_and_takes_it_after_a_forget),
      cmocka_unit_test(state_counts_a_removal_as_no_value),
      cmocka_unit_test(state_counts_the_bytes_of_frames),
      cmocka_unit_test(state_stops_growing_at_the_budget_and_stays_whole),
      cmocka_unit_test(state_encodes_once_for_each_codec),
      cmocka_unit_test(state_is_what_the_model_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
