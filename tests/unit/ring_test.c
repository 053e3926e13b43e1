/* SPDX-License-Identifier: MIT */
/*
 * ring: order, limits, growth, and exactly what was lost.
 *
 * The stories come first; then the ring is driven by random calls beside a model, an array that is too simple to be
 * wrong, and compared with it after every call.
 */
#include "pool.h"
#include "ring.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_ring_t *ring;
} fixture_t;

static fluxbp_policy_t policy_of(uint32_t slots, uint64_t max_bytes) {
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.slots = slots;
  policy.max_bytes = max_bytes;
  return policy;
}

static void open_ring_in(fixture_t *f, uint64_t budget, const fluxbp_policy_t *policy) {
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = budget;
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  assert_int_equal(fluxbp_ring_create(f->pool, policy, &f->ring), 0);
}

static void open_ring(fixture_t *f, uint32_t slots, uint64_t max_bytes) {
  fluxbp_policy_t policy = policy_of(slots, max_bytes);
  open_ring_in(f, 64 << 20, &policy);
}

/* The pool refuses to go while a frame, a message or the ring is left. */
static void close_ring(fixture_t *f) {
  fluxbp_ring_destroy(f->ring);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static uint64_t used_bytes(const fixture_t *f) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(f->pool, &stats);
  return stats.used_bytes;
}

static fluxbp_frame_t *frame_of(fixture_t *f, uint64_t id, size_t len) {
  static const char text[64 * 1024];
  fluxbp_msg_t *msg;
  fluxbp_frame_t *frame;
  assert_true(len <= sizeof text);
  assert_int_equal(fluxbp_msg_create(f->pool, text, len, &msg), 0);
  assert_int_equal(fluxbp_frame_create(f->pool, msg, NULL, NULL, id, &frame), 0);
  fluxbp_msg_unref(msg);
  return frame;
}

/* Push a message of `len` bytes; the ring has the only reference afterwards. */
static int push_bytes(fixture_t *f, uint64_t id, size_t len) {
  fluxbp_frame_t *frame = frame_of(f, id, len);
  int result = fluxbp_ring_push(f->ring, frame);
  fluxbp_frame_unref(frame);
  return result;
}

static int push(fixture_t *f, uint64_t id) {
  return push_bytes(f, id, 1);
}

static int push_or_drop_bytes(fixture_t *f, uint64_t id, size_t len, fluxbp_overflow_t rule) {
  fluxbp_frame_t *frame = frame_of(f, id, len);
  int result = fluxbp_ring_push_or_drop(f->ring, frame, rule);
  fluxbp_frame_unref(frame);
  return result;
}

static int push_or_drop(fixture_t *f, uint64_t id, fluxbp_overflow_t rule) {
  return push_or_drop_bytes(f, id, 1, rule);
}

static void fill(fixture_t *f, uint64_t first_id, uint64_t last_id) {
  for (uint64_t id = first_id; id <= last_id; id++) assert_int_equal(push(f, id), 0);
}

static void assert_pops(fixture_t *f, uint64_t id) {
  fluxbp_frame_t *head = fluxbp_ring_head(f->ring);
  fluxbp_frame_t *frame = fluxbp_ring_pop(f->ring);
  assert_non_null(frame);
  assert_ptr_equal(frame, head);
  assert_false(fluxbp_frame_gap(frame, NULL));
  assert_int_equal(fluxbp_frame_id(frame), id);
  assert_int_equal(frame->refs, 1); /* it is ours now, and nobody else's */
  fluxbp_frame_unref(frame);
}

static void assert_pops_gap(fixture_t *f, uint64_t first_id, uint64_t last_id, uint64_t count) {
  fluxbp_frame_t *frame = fluxbp_ring_pop(f->ring);
  assert_non_null(frame);
  fluxbp_gap_t gap;
  assert_true(fluxbp_frame_gap(frame, &gap));
  assert_int_equal(gap.first_id, first_id);
  assert_int_equal(gap.last_id, last_id);
  assert_int_equal(gap.count, count);
  fluxbp_frame_unref(frame);
}

static void assert_is_empty(fixture_t *f) {
  assert_null(fluxbp_ring_head(f->ring));
  assert_null(fluxbp_ring_pop(f->ring));
  assert_int_equal(fluxbp_ring_count(f->ring), 0);
  assert_int_equal(fluxbp_ring_bytes(f->ring), 0);
  assert_int_equal(fluxbp_ring_fill_percent(f->ring), 0);
}

/* ---- order and memory ---- */

static void ring_hands_out_what_it_got_in_order(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 1000);
  assert_is_empty(&f);
  for (uint64_t round = 0; round < 100; round++) { /* many times around */
    fill(&f, round * 10 + 1, round * 10 + 5);
    for (uint64_t id = round * 10 + 1; id <= round * 10 + 5; id++) assert_pops(&f, id);
  }
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_takes_a_reference_and_gives_it_back(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 1000);
  fluxbp_frame_t *frame = frame_of(&f, 1, 10);

  assert_int_equal(fluxbp_ring_push(f.ring, frame), 0);
  assert_int_equal(fluxbp_ring_push(f.ring, frame), 0);
  assert_int_equal(frame->refs, 3);
  assert_ptr_equal(fluxbp_ring_head(f.ring), frame);
  assert_int_equal(frame->refs, 3);
  assert_ptr_equal(fluxbp_ring_pop(f.ring), frame);
  assert_int_equal(frame->refs, 3); /* the ring's has become ours */
  fluxbp_frame_unref(frame);
  fluxbp_ring_destroy(f.ring);
  assert_int_equal(frame->refs, 1);

  fluxbp_frame_unref(frame);
  f.ring = NULL;
  close_ring(&f);
}

static void ring_needs_nothing_from_the_pool_for_sixteen_slots(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 256, 1000);
  fluxbp_frame_t *frame = frame_of(&f, 1, 1);
  uint64_t before = used_bytes(&f);

  for (int i = 0; i < 16; i++) assert_int_equal(fluxbp_ring_push(f.ring, frame), 0);
  assert_int_equal(used_bytes(&f), before);
  assert_int_equal(fluxbp_ring_push(f.ring, frame), 0);
  assert_int_equal(used_bytes(&f), before + 32 * sizeof(void *));

  fluxbp_frame_unref(frame);
  close_ring(&f);
}

static void ring_doubles_up_to_its_slots_and_gives_them_back_when_it_is_drained(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 100, 1000);
  fluxbp_frame_t *frame = frame_of(&f, 1, 1);
  uint64_t before = used_bytes(&f);

  for (uint32_t i = 1; i <= 100; i++) {
    assert_int_equal(fluxbp_ring_push(f.ring, frame), 0);
    uint32_t slots = i <= 16 ? 0 : i <= 32 ? 32 : i <= 64 ? 64 : 100;
    uint64_t block = slots ? fluxbp__pool_block_size(slots * sizeof(void *)) : 0;
    assert_int_equal(used_bytes(&f), before + block);
  }
  assert_int_equal(fluxbp_ring_push(f.ring, frame), UV_ENOBUFS);

  while (fluxbp_ring_count(f.ring) > 0) {
    assert_true(used_bytes(&f) > before); /* not sooner */
    fluxbp_frame_unref(fluxbp_ring_pop(f.ring));
  }
  assert_int_equal(used_bytes(&f), before);
  assert_int_equal(frame->refs, 1);

  fluxbp_frame_unref(frame);
  close_ring(&f);
}

static void ring_grows_in_the_middle_of_a_wrap_without_losing_order(void **state) {
  (void) state;
  fixture_t f;
  for (uint64_t offset = 0; offset <= 16; offset++) {
    open_ring(&f, 64, 1000);
    fill(&f, 1, 16);
    for (uint64_t id = 1; id <= offset; id++) assert_pops(&f, id);
    fill(&f, 17, 16 + offset); /* full again, and wrapped */
    fill(&f, 17 + offset, 48 + offset);
    for (uint64_t id = offset + 1; id <= 48 + offset; id++) assert_pops(&f, id);
    assert_is_empty(&f);
    close_ring(&f);
  }
}

static void ring_that_cannot_grow_counts_as_full(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 64, 1000);
  fill(&f, 1, 16);
  fluxbp_frame_t *frame = frame_of(&f, 17, 1);

  alloc_hook_fail_from(&f.hook, 1);
  assert_int_equal(fluxbp_ring_push(f.ring, frame), UV_ENOBUFS);
  assert_int_equal(fluxbp_ring_push_or_drop(f.ring, frame, FLUXBP_OVERFLOW_EVICT), UV_ENOBUFS);
  assert_int_equal(frame->refs, 1);
  assert_int_equal(fluxbp_ring_count(f.ring), 16);
  alloc_hook_heal(&f.hook);
  assert_int_equal(fluxbp_ring_push(f.ring, frame), 0);

  fluxbp_frame_unref(frame);
  for (uint64_t id = 1; id <= 17; id++) assert_pops(&f, id);
  close_ring(&f);
}

static void ring_drops_by_its_rule_when_the_budget_has_no_slots_for_it(void **state) {
  (void) state;
  fixture_t f;
  fluxbp_policy_t policy = policy_of(64, 1000);
  open_ring_in(&f, 16 * 1024, &policy);
  fill(&f, 1, 16);
  fluxbp_frame_t *frame = frame_of(&f, 17, 1);

  enum { OTHERS_MAX = 256, OTHER = 64 };
  void *others[OTHERS_MAX];
  int count = 0;
  while (fluxbp__pool_alloc(f.pool, FLUXBP__CONTROL, OTHER, &others[count]) == 0) count++;
  for (int i = 0; i < 3; i++) fluxbp__pool_free(f.pool, FLUXBP__CONTROL, others[--count], OTHER);

  /* 192 bytes are left: too little for 32 slots, enough for the marker */
  assert_int_equal(fluxbp_ring_push_or_drop(f.ring, frame, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  fluxbp_frame_unref(frame);
  while (count > 0) fluxbp__pool_free(f.pool, FLUXBP__CONTROL, others[--count], OTHER);

  assert_pops_gap(&f, 1, 2, 2);
  for (uint64_t id = 3; id <= 17; id++) assert_pops(&f, id);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_without_memory_for_the_record_loses_nothing_unrecorded(void **state) {
  (void) state;
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_DROP_OLDEST; rule++) {
    fixture_t f;
    open_ring(&f, 4, 1000);
    fill(&f, 1, 4);
    fluxbp_frame_t *frame = frame_of(&f, 5, 1);
    fluxbp_pool_trim(f.pool);

    alloc_hook_fail_from(&f.hook, 1);
    assert_int_equal(fluxbp_ring_push_or_drop(f.ring, frame, (fluxbp_overflow_t) rule), UV_ENOBUFS);
    alloc_hook_heal(&f.hook);
    assert_int_equal(frame->refs, 1);
    fluxbp_frame_unref(frame);

    for (uint64_t id = 1; id <= 4; id++) assert_pops(&f, id);
    assert_is_empty(&f);
    close_ring(&f);
  }
}

/* ---- limits ---- */

static void ring_is_full_at_its_slots(void **state) {
  (void) state;
  const uint32_t slots[] = {2, 3, 16, 17, 255};
  for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
    fixture_t f;
    open_ring(&f, slots[i], 1000);
    fill(&f, 1, slots[i]);
    assert_int_equal(fluxbp_ring_fill_percent(f.ring), 100);
    assert_int_equal(push(&f, 1000), UV_ENOBUFS);
    assert_int_equal(fluxbp_ring_count(f.ring), slots[i]);
    assert_pops(&f, 1);
    assert_int_equal(push(&f, slots[i] + 1), 0); /* a plain push starts no dropping */
    close_ring(&f);
  }
}

static void ring_may_have_as_many_slots_as_the_policy_allows(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, FLUXBP_SLOTS_MAX, 1 << 20);
  fluxbp_frame_t *frame = frame_of(&f, 1, 1);
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < FLUXBP_SLOTS_MAX; i++) assert_int_equal(fluxbp_ring_push(f.ring, frame), 0);
    assert_int_equal(fluxbp_ring_push(f.ring, frame), UV_ENOBUFS);
    assert_int_equal(frame->refs, FLUXBP_SLOTS_MAX + 1);
    assert_int_equal(fluxbp_ring_fill_percent(f.ring), 100);
    for (int i = 0; i < FLUXBP_SLOTS_MAX; i++) fluxbp_frame_unref(fluxbp_ring_pop(f.ring));
    assert_is_empty(&f);
  }
  fluxbp_frame_unref(frame);
  close_ring(&f);
}

static void ring_is_full_at_its_bytes(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 100);
  assert_int_equal(push_bytes(&f, 1, 60), 0);
  assert_int_equal(push_bytes(&f, 2, 41), UV_ENOBUFS);
  assert_int_equal(push_bytes(&f, 3, 39), 0);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 99);
  assert_int_equal(push_bytes(&f, 4, 1), 0);
  assert_int_equal(push_bytes(&f, 5, 1), UV_ENOBUFS);
  assert_int_equal(fluxbp_ring_fill_percent(f.ring), 100);
  assert_pops(&f, 1);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 40);
  close_ring(&f);
}

static void ring_fill_is_that_of_slots_or_bytes_whichever_is_more(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 10, 1000);
  assert_int_equal(push_bytes(&f, 1, 1), 0);
  assert_int_equal(fluxbp_ring_fill_percent(f.ring), 10);
  assert_int_equal(push_bytes(&f, 2, 499), 0);
  assert_int_equal(fluxbp_ring_fill_percent(f.ring), 50);
  close_ring(&f);
}

static void ring_takes_one_oversize_message_when_it_is_empty(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 100);
  assert_int_equal(push_bytes(&f, 1, 5000), 0);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 5000);
  assert_int_equal(fluxbp_ring_fill_percent(f.ring), 100);
  assert_int_equal(push_bytes(&f, 2, 1), UV_ENOBUFS);
  assert_pops(&f, 1);
  assert_int_equal(push_bytes(&f, 3, 1), 0);
  assert_int_equal(push_bytes(&f, 4, 5000), UV_ENOBUFS);
  assert_pops(&f, 3);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_creation_refuses_a_wrong_policy(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 100);
  fluxbp_ring_t *ring;
  fluxbp_policy_t policy = policy_of(1, 100);
  assert_int_equal(fluxbp_ring_create(f.pool, &policy, &ring), UV_EINVAL);
  assert_int_equal(fluxbp_ring_create(NULL, NULL, &ring), UV_EINVAL);
  assert_int_equal(fluxbp_ring_create(f.pool, NULL, NULL), UV_EINVAL);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(fluxbp_ring_create(f.pool, NULL, &ring), UV_ENOMEM);
  fluxbp_ring_destroy(NULL);
  close_ring(&f);
}

/* ---- drop newest ---- */

static void ring_drop_newest_makes_one_gap_that_lasts_until_the_low_watermark(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 1000); /* low watermark: 2 */
  fill(&f, 1, 8);
  for (uint64_t id = 9; id <= 11; id++) assert_int_equal(push_or_drop(&f, id, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  assert_int_equal(fluxbp_ring_count(f.ring), 8);

  for (uint64_t id = 1; id <= 5; id++) {
    assert_pops(&f, id);
    assert_int_equal(push(&f, 100), UV_ENOBUFS);
    assert_int_equal(push_or_drop(&f, 11 + id, FLUXBP_OVERFLOW_DROP_NEWEST), 1); /* there is room, but no end yet */
  }
  assert_pops(&f, 6);
  assert_int_equal(push_or_drop(&f, 17, FLUXBP_OVERFLOW_DROP_NEWEST), 0);
  assert_int_equal(fluxbp_ring_count(f.ring), 3); /* the marker isn't a message */

  assert_pops(&f, 7);
  assert_pops(&f, 8);
  assert_pops_gap(&f, 9, 16, 8);
  assert_pops(&f, 17);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_drop_newest_makes_a_second_gap_after_messages_in_between(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000); /* low watermark: 1 */
  fill(&f, 1, 4);
  assert_int_equal(push_or_drop(&f, 5, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  for (uint64_t id = 1; id <= 3; id++) assert_pops(&f, id);
  fill(&f, 6, 7); /* 4, gap, 6, 7: full */
  assert_int_equal(push_or_drop(&f, 8, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  assert_int_equal(push_or_drop(&f, 9, FLUXBP_OVERFLOW_DROP_NEWEST), 1);

  assert_pops(&f, 4);
  assert_pops_gap(&f, 5, 5, 1);
  assert_pops(&f, 6);
  assert_pops(&f, 7);
  assert_pops_gap(&f, 8, 9, 2);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_drop_newest_waits_for_the_low_watermark_of_bytes_too(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 100); /* low watermarks: 2 and 25 bytes */
  assert_int_equal(push_bytes(&f, 1, 50), 0);
  assert_int_equal(push_bytes(&f, 2, 30), 0);
  assert_int_equal(push_bytes(&f, 3, 20), 0);
  assert_int_equal(push_or_drop(&f, 4, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  assert_pops(&f, 1);
  assert_int_equal(push(&f, 100), UV_ENOBUFS); /* two messages, but 50 bytes */
  assert_pops(&f, 2);
  assert_int_equal(push(&f, 5), 0);
  assert_pops(&f, 3);
  assert_pops_gap(&f, 4, 4, 1);
  assert_pops(&f, 5);
  close_ring(&f);
}

static void ring_discard_ends_the_dropping(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000);
  fill(&f, 1, 4);
  assert_int_equal(push_or_drop(&f, 5, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  assert_int_equal(fluxbp_ring_discard(f.ring), 4);
  assert_is_empty(&f);
  fill(&f, 6, 9);
  for (uint64_t id = 6; id <= 9; id++) assert_pops(&f, id);
  close_ring(&f);
}

/* ---- drop oldest ---- */

static void ring_drop_oldest_loses_two_at_first_and_then_one_each(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000);
  fill(&f, 1, 4);
  assert_int_equal(push_or_drop(&f, 5, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  assert_int_equal(push_or_drop(&f, 6, FLUXBP_OVERFLOW_DROP_OLDEST), 1);
  assert_int_equal(push_or_drop(&f, 7, FLUXBP_OVERFLOW_DROP_OLDEST), 1);
  assert_int_equal(fluxbp_ring_count(f.ring), 3);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 3);

  assert_pops_gap(&f, 1, 4, 4);
  for (uint64_t id = 5; id <= 7; id++) assert_pops(&f, id);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_drop_oldest_keeps_a_pinned_head(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000);
  fill(&f, 1, 4);
  fluxbp_ring_pin_head(f.ring);
  fluxbp_frame_t *head = fluxbp_ring_head(f.ring);
  assert_int_equal(push_or_drop(&f, 5, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  for (uint64_t id = 6; id <= 30; id++) assert_int_equal(push_or_drop(&f, id, FLUXBP_OVERFLOW_DROP_OLDEST), 1);
  assert_ptr_equal(fluxbp_ring_head(f.ring), head);

  assert_pops(&f, 1);
  assert_pops_gap(&f, 2, 28, 27);
  assert_pops(&f, 29);
  assert_pops(&f, 30);
  close_ring(&f);
}

static void ring_pop_takes_the_pin_away(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000);
  fill(&f, 1, 4);
  fluxbp_ring_pin_head(f.ring);
  assert_pops(&f, 1);
  fill(&f, 5, 5);
  assert_int_equal(push_or_drop(&f, 6, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  assert_pops_gap(&f, 2, 3, 2);
  close_ring(&f);
}

static void ring_pin_of_an_empty_ring_pins_nothing(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000);
  fluxbp_ring_pin_head(f.ring);
  fill(&f, 1, 4);
  assert_int_equal(push_or_drop(&f, 5, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  assert_pops_gap(&f, 1, 2, 2);
  close_ring(&f);
}

static void ring_of_two_slots_with_a_pinned_head_loses_the_newest(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 2, 1000);
  fill(&f, 1, 2);
  fluxbp_ring_pin_head(f.ring);
  assert_int_equal(push_or_drop(&f, 3, FLUXBP_OVERFLOW_DROP_OLDEST), 1); /* no slot for a marker between the two */
  assert_pops(&f, 1);
  assert_pops(&f, 2);
  assert_pops_gap(&f, 3, 3, 1);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_of_two_slots_drops_the_oldest(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 2, 1000);
  fill(&f, 1, 2);
  assert_int_equal(push_or_drop(&f, 3, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  assert_int_equal(push_or_drop(&f, 4, FLUXBP_OVERFLOW_DROP_OLDEST), 1);
  assert_pops_gap(&f, 1, 3, 3);
  assert_pops(&f, 4);
  close_ring(&f);
}

static void ring_drop_oldest_drops_as_many_as_the_bytes_take(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 100);
  for (uint64_t id = 1; id <= 5; id++) assert_int_equal(push_bytes(&f, id, 20), 0);
  assert_int_equal(push_or_drop_bytes(&f, 6, 70, FLUXBP_OVERFLOW_DROP_OLDEST), 4);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 90);
  assert_pops_gap(&f, 1, 4, 4);
  assert_pops(&f, 5);
  assert_pops(&f, 6);
  close_ring(&f);
}

static void ring_drop_oldest_makes_room_for_one_oversize_message(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 8, 100);
  fill(&f, 1, 8);
  /* "one message always fits": a lone marker is no message, and dropping all for nothing helps nobody */
  assert_int_equal(push_or_drop_bytes(&f, 9, 500, FLUXBP_OVERFLOW_DROP_OLDEST), 8);
  assert_pops_gap(&f, 1, 8, 8);
  assert_pops(&f, 9);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_gap_has_the_exact_ids_even_where_they_have_holes(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000);
  const uint64_t ids[] = {10, 0, 30, 40, 55, 0, 70};
  for (int i = 0; i < 4; i++) assert_int_equal(push(&f, ids[i]), 0);
  for (int i = 4; i < 7; i++) assert_true(push_or_drop(&f, ids[i], FLUXBP_OVERFLOW_DROP_OLDEST) > 0);
  assert_pops_gap(&f, 10, 40, 4);
  for (int i = 4; i < 7; i++) assert_pops(&f, ids[i]);
  close_ring(&f);
}

/* ---- evict, and discard ---- */

static void ring_with_the_rule_evict_changes_nothing_when_it_is_full(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 1000);
  for (uint64_t id = 1; id <= 4; id++) assert_int_equal(push_or_drop(&f, id, FLUXBP_OVERFLOW_EVICT), 0);
  assert_int_equal(push_or_drop(&f, 5, FLUXBP_OVERFLOW_EVICT), UV_ENOBUFS);
  for (uint64_t id = 1; id <= 4; id++) assert_pops(&f, id);
  assert_is_empty(&f);
  close_ring(&f);
}

static void ring_discard_keeps_a_pinned_head_and_counts_messages_alone(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 64, 1000);
  fill(&f, 1, 64);
  assert_int_equal(push_or_drop(&f, 65, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  assert_pops_gap(&f, 1, 2, 2);
  fill(&f, 66, 66);
  fluxbp_ring_pin_head(f.ring);
  assert_int_equal(push_or_drop(&f, 67, FLUXBP_OVERFLOW_DROP_OLDEST), 2); /* a marker stands behind the head */

  assert_int_equal(fluxbp_ring_discard(f.ring), 62);
  assert_int_equal(fluxbp_ring_count(f.ring), 1);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 1);
  assert_int_equal(fluxbp_ring_discard(f.ring), 0);
  assert_pops(&f, 3);
  assert_is_empty(&f);
  close_ring(&f);
}

/* A marker that is being written was announced with its numbers: what is lost afterwards is another gap. */
static void ring_leaves_a_pinned_marker_as_it_is(void **state) {
  (void) state;
  fixture_t f;
  open_ring(&f, 4, 100);
  fill(&f, 1, 4);
  assert_int_equal(push_or_drop(&f, 5, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  fluxbp_ring_pin_head(f.ring);
  assert_int_equal(push_or_drop(&f, 6, FLUXBP_OVERFLOW_DROP_OLDEST), 2);
  assert_pops_gap(&f, 1, 2, 2);
  assert_pops_gap(&f, 3, 4, 2);
  assert_pops(&f, 5);
  assert_pops(&f, 6);
  assert_is_empty(&f);
  close_ring(&f);
}

/* ---- beside a model ---- */

enum { MODEL_MAX = 64 };

typedef struct entry {
  fluxbp_gap_t gap; /* count > 0: a marker */
  uint64_t id;
  size_t len;
} entry_t;

/* The ring as its header describes it: entries[0] is the head. */
typedef struct model {
  fluxbp_policy_t policy;
  entry_t entries[MODEL_MAX];
  size_t count;
  entry_t tail_gap;
  int is_dropping;
  int is_pinned;
  uint64_t lost; /* messages, ever */
} model_t;

static int is_gap(const entry_t *entry) {
  return entry->gap.count > 0;
}

static size_t model_bytes(const model_t *m) {
  size_t bytes = 0;
  for (size_t i = 0; i < m->count; i++) bytes += m->entries[i].len;
  return bytes;
}

static size_t model_messages(const model_t *m) {
  size_t messages = 0;
  for (size_t i = 0; i < m->count; i++) messages += !is_gap(&m->entries[i]);
  return messages;
}

static void model_remove(model_t *m, size_t at) {
  m->count--;
  memmove(&m->entries[at], &m->entries[at + 1], (m->count - at) * sizeof(entry_t));
}

static void add_to_gap(entry_t *gap, const entry_t *lost) {
  fluxbp_gap_t more = is_gap(lost) ? lost->gap : (fluxbp_gap_t){lost->id, lost->id, 1};
  if (gap->gap.count == 0)
    gap->gap = more;
  else
    gap->gap = (fluxbp_gap_t){gap->gap.first_id, more.last_id, gap->gap.count + more.count};
  gap->len = 0;
}

static int model_fits(const model_t *m, size_t len) {
  if (m->is_dropping || m->count >= m->policy.slots) return 0;
  return model_bytes(m) + len <= m->policy.max_bytes || m->count == 0;
}

static int model_push(model_t *m, const entry_t *entry) {
  if (!model_fits(m, entry->len)) return UV_ENOBUFS;
  m->entries[m->count++] = *entry;
  return 0;
}

static int model_drop_newest(model_t *m, const entry_t *entry) {
  entry_t *last = m->count > 0 ? &m->entries[m->count - 1] : NULL;
  int extends = m->tail_gap.gap.count == 0 && last != NULL && is_gap(last);
  add_to_gap(extends ? last : &m->tail_gap, entry);
  m->is_dropping = 1;
  m->lost++;
  return 1;
}

static int model_drop_oldest(model_t *m, const entry_t *entry) {
  uint64_t lost_before = m->lost;
  size_t at = m->is_pinned ? 1 : 0;
  while (!model_fits(m, entry->len)) {
    if (m->count < at + 2) {
      (void) model_drop_newest(m, entry);
      return (int) (m->lost - lost_before);
    }
    entry_t gap = {0};
    for (int i = 0; i < 2; i++) {
      m->lost += !is_gap(&m->entries[at]);
      add_to_gap(&gap, &m->entries[at]);
      if (i == 0) model_remove(m, at);
    }
    m->entries[at] = gap;
  }
  m->entries[m->count++] = *entry;
  return (int) (m->lost - lost_before);
}

static int model_push_or_drop(model_t *m, const entry_t *entry, fluxbp_overflow_t rule) {
  if (model_push(m, entry) == 0) return 0;
  if (rule == FLUXBP_OVERFLOW_EVICT) return UV_ENOBUFS;
  return rule == FLUXBP_OVERFLOW_DROP_NEWEST || m->is_dropping ? model_drop_newest(m, entry)
                                                               : model_drop_oldest(m, entry);
}

static void model_settle(model_t *m) {
  int is_low = m->count <= m->policy.slots * m->policy.low_percent / 100 &&
               model_bytes(m) <= m->policy.max_bytes * m->policy.low_percent / 100;
  if (!m->is_dropping || !is_low) return;
  m->is_dropping = 0;
  if (m->tail_gap.gap.count > 0) m->entries[m->count++] = m->tail_gap;
  m->tail_gap = (entry_t){0};
}

static size_t model_discard(model_t *m) {
  size_t before = model_messages(m);
  m->count = m->is_pinned ? 1 : 0;
  m->tail_gap = (entry_t){0};
  m->is_dropping = 0;
  return before - model_messages(m);
}

static void assert_same_entry(const fluxbp_frame_t *frame, const entry_t *entry) {
  fluxbp_gap_t gap = {0};
  assert_int_equal(fluxbp_frame_gap(frame, &gap), is_gap(entry));
  assert_int_equal(gap.first_id, entry->gap.first_id);
  assert_int_equal(gap.last_id, entry->gap.last_id);
  assert_int_equal(gap.count, entry->gap.count);
  assert_int_equal(fluxbp_frame_id(frame), entry->id);
  assert_int_equal(fluxbp_frame_len(frame), entry->len);
}

static void assert_same(const fluxbp__ring_t *ring, const model_t *m) {
  assert_int_equal(ring->count, m->count);
  assert_int_equal(fluxbp__ring_messages(ring), model_messages(m));
  assert_int_equal(ring->bytes, model_bytes(m));
  assert_int_equal(ring->is_dropping, m->is_dropping);
  for (uint32_t i = 0; i < ring->count; i++) {
    assert_same_entry(fluxbp__ring_at(ring, i), &m->entries[i]);
    assert_int_equal(fluxbp__ring_at(ring, i)->refs, 1);
  }
}

static uint32_t next_random(uint32_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed >> 3;
}

/* All that can happen to a connection's ring, in random order, on a ring with random limits. -1: a rule for each push. */
static void drive(uint32_t seed, int rule_or_all) {
  uint32_t random = seed * 2654435761u | 1;
  fluxbp_policy_t set = policy_of(2 + next_random(&random) % 60, 20 + next_random(&random) % 400);
  set.low_percent = next_random(&random) % 60;
  set.high_percent = 60;
  fixture_t f;
  open_ring_in(&f, 1 << 20, &set);
  fluxbp__policy_t policy;
  assert_int_equal(fluxbp__policy_prepare(&set, &policy), 0);
  fluxbp__ring_t ring;
  fluxbp__ring_init(&ring);
  model_t m = {.policy = set};
  uint64_t pushed = 0;
  uint64_t popped = 0;
  uint64_t discarded = 0;

  for (int turn = 0; turn < 3000; turn++) {
    int pushes = turn / 200 % 2 ? 40 : 70; /* it fills and it drains */
    int what = (int) (next_random(&random) % 100);
    fluxbp_overflow_t rule = (fluxbp_overflow_t) (rule_or_all < 0 ? (int) (next_random(&random) % 3) : rule_or_all);
    if (what < pushes) {
      entry_t entry = {.id = pushed + 1, .len = 1 + next_random(&random) % (next_random(&random) % 8 ? 8 : 20)};
      fluxbp_frame_t *frame = frame_of(&f, entry.id, entry.len);
      int is_plain = what % 8 == 0;
      int result = is_plain ? fluxbp__ring_push(&ring, f.pool, &policy.limits, frame)
                            : fluxbp__ring_push_or_drop(&ring, f.pool, &policy.limits, frame, rule);
      int expected = is_plain ? model_push(&m, &entry) : model_push_or_drop(&m, &entry, rule);
      fluxbp_frame_unref(frame);
      assert_int_equal(result, expected);
      pushed += result >= 0;
    } else if (what < 96) {
      fluxbp_frame_t *frame = fluxbp__ring_pop(&ring);
      fluxbp__ring_settle(&ring, f.pool, &policy.limits);
      assert_int_equal(frame != NULL, m.count > 0);
      if (frame != NULL) {
        assert_same_entry(frame, &m.entries[0]);
        popped += !is_gap(&m.entries[0]);
        fluxbp_frame_unref(frame);
        model_remove(&m, 0);
        m.is_pinned = 0;
      }
      model_settle(&m);
    } else if (what < 99) {
      ring.is_head_pinned = ring.count > 0;
      m.is_pinned = m.count > 0;
    } else if (next_random(&random) % 8 == 0) {
      size_t result = fluxbp__ring_discard(&ring);
      fluxbp__ring_settle(&ring, f.pool, &policy.limits);
      assert_int_equal(result, model_discard(&m));
      discarded += result;
    }
    assert_same(&ring, &m);
    assert_int_equal(pushed, popped + discarded + m.lost + model_messages(&m)); /* nothing silent */
    assert_true(ring.capacity <= FLUXBP__INLINE_SLOTS || ring.capacity <= set.slots);
  }
  (void) fluxbp__ring_clear(&ring, f.pool);
  assert_int_equal(used_bytes(&f), 0); /* no frame leaked, and the slots are back */
  close_ring(&f);
}

static void drive_many(int rule) {
  for (uint32_t seed = 1; seed <= 40; seed++) {
    print_message("seed %u, rule %d\r", seed, rule); /* what to repeat after a failure */
    drive(seed, rule);
  }
}

static void ring_is_as_its_model_when_it_drops_the_newest(void **state) {
  (void) state;
  drive_many(FLUXBP_OVERFLOW_DROP_NEWEST);
}

static void ring_is_as_its_model_when_it_drops_the_oldest(void **state) {
  (void) state;
  drive_many(FLUXBP_OVERFLOW_DROP_OLDEST);
}

static void ring_is_as_its_model_when_it_evicts(void **state) {
  (void) state;
  drive_many(FLUXBP_OVERFLOW_EVICT);
}

static void ring_is_as_its_model_when_the_rule_changes(void **state) {
  (void) state;
  drive_many(-1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ring_hands_out_what_it_got_in_order),
      cmocka_unit_test(ring_takes_a_reference_and_gives_it_back),
      cmocka_unit_test(ring_needs_nothing_from_the_pool_for_sixteen_slots),
      cmocka_unit_test(ring_doubles_up_to_its_slots_and_gives_them_back_when_it_is_drained),
      cmocka_unit_test(ring_grows_in_the_middle_of_a_wrap_without_losing_order),
      cmocka_unit_test(ring_that_cannot_grow_counts_as_full),
      cmocka_unit_test(ring_drops_by_its_rule_when_the_budget_has_no_slots_for_it),
      cmocka_unit_test(ring_without_memory_for_the_record_loses_nothing_unrecorded),
      cmocka_unit_test(ring_is_full_at_its_slots),
      cmocka_unit_test(ring_may_have_as_many_slots_as_the_policy_allows),
      cmocka_unit_test(ring_is_full_at_its_bytes),
      cmocka_unit_test(ring_fill_is_that_of_slots_or_bytes_whichever_is_more),
      cmocka_unit_test(ring_takes_one_oversize_message_when_it_is_empty),
      cmocka_unit_test(ring_creation_refuses_a_wrong_policy),
      cmocka_unit_test(ring_drop_newest_makes_one_gap_that_lasts_until_the_low_watermark),
      cmocka_unit_test(ring_drop_newest_makes_a_second_gap_after_messages_in_between),
      cmocka_unit_test(ring_drop_newest_waits_for_the_low_watermark_of_bytes_too),
      cmocka_unit_test(ring_discard_ends_the_dropping),
      cmocka_unit_test(ring_drop_oldest_loses_two_at_first_and_then_one_each),
      cmocka_unit_test(ring_drop_oldest_keeps_a_pinned_head),
      cmocka_unit_test(ring_pop_takes_the_pin_away),
      cmocka_unit_test(ring_pin_of_an_empty_ring_pins_nothing),
      cmocka_unit_test(ring_of_two_slots_with_a_pinned_head_loses_the_newest),
      cmocka_unit_test(ring_of_two_slots_drops_the_oldest),
      cmocka_unit_test(ring_drop_oldest_drops_as_many_as_the_bytes_take),
      cmocka_unit_test(ring_drop_oldest_makes_room_for_one_oversize_message),
      cmocka_unit_test(ring_gap_has_the_exact_ids_even_where_they_have_holes),
      cmocka_unit_test(ring_with_the_rule_evict_changes_nothing_when_it_is_full),
      cmocka_unit_test(ring_discard_keeps_a_pinned_head_and_counts_messages_alone),
      cmocka_unit_test(ring_leaves_a_pinned_marker_as_it_is),
      cmocka_unit_test(ring_is_as_its_model_when_it_drops_the_newest),
      cmocka_unit_test(ring_is_as_its_model_when_it_drops_the_oldest),
      cmocka_unit_test(ring_is_as_its_model_when_it_evicts),
      cmocka_unit_test(ring_is_as_its_model_when_the_rule_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
