/* SPDX-License-Identifier: MIT */
/*
 * The ring: order and memory, limits, evict and discard.
 */
#include "support/ring_fixture.h"

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

static void ring_needs_nothing_of_the_budget_for_sixteen_slots(void **state) {
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

/* So large that it wouldn't be made in a test: the ring looks at the length alone. */
static fluxbp_frame_t *huge_frame_of(fixture_t *f, uint64_t id, size_t len) {
  fluxbp_frame_t *frame = frame_of(f, id, 1);
  frame->len = (uint32_t) len;
  return frame;
}

static void ring_counts_the_most_bytes_that_may_come_together(void **state) {
  (void) state;
  fixture_t f;
  const size_t half = FLUXBP_RING_BYTES_MAX / 2;
  open_ring(&f, 8, FLUXBP_RING_BYTES_MAX);
  fluxbp_frame_t *halves = huge_frame_of(&f, 1, half);
  fluxbp_frame_t *largest = huge_frame_of(&f, 2, FLUXBP_MSG_MAX_BYTES + 64);
  assert_int_equal(fluxbp_ring_push(f.ring, halves), 0);
  assert_int_equal(fluxbp_ring_push(f.ring, largest), UV_ENOBUFS);
  assert_int_equal(fluxbp_ring_push(f.ring, halves), 0);
  assert_int_equal(fluxbp_ring_push(f.ring, halves), UV_ENOBUFS);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 2 * half);
  assert_int_equal(fluxbp_ring_fill_percent(f.ring), 100);
  assert_int_equal(fluxbp_ring_discard(f.ring), 2);
  assert_int_equal(fluxbp_ring_bytes(f.ring), 0);

  /* a notice and two messages, each as large as can be */
  const fluxbp__limits_t no_limits = {.slots = UINT32_MAX, .max_bytes = UINT32_MAX};
  fluxbp__ring_memory_t memory = {.pool = f.pool};
  fluxbp__ring_t *inner = (fluxbp__ring_t *) f.ring; /* which comes first in it */
  for (uint64_t i = 1; i <= 3; i++) {
    assert_int_equal(fluxbp__ring_push(inner, &memory, &no_limits, largest), 0);
    assert_int_equal(fluxbp_ring_bytes(f.ring), i * (FLUXBP_MSG_MAX_BYTES + 64));
  }
  assert_int_equal(fluxbp_ring_push(f.ring, halves), UV_ENOBUFS);
  assert_int_equal(fluxbp_ring_discard(f.ring), 3);
  fluxbp__ring_memory_clear(&memory);
  fluxbp_frame_unref(halves);
  fluxbp_frame_unref(largest);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ring_hands_out_what_it_got_in_order),
      cmocka_unit_test(ring_takes_a_reference_and_gives_it_back),
      cmocka_unit_test(ring_needs_nothing_of_the_budget_for_sixteen_slots),
      cmocka_unit_test(ring_doubles_up_to_its_slots_and_gives_them_back_when_it_is_drained),
      cmocka_unit_test(ring_grows_in_the_middle_of_a_wrap_without_losing_order),
      cmocka_unit_test(ring_that_cannot_grow_counts_as_full),
      cmocka_unit_test(ring_drops_by_its_rule_when_the_budget_has_no_slots_for_it),
      cmocka_unit_test(ring_without_memory_for_the_record_loses_nothing_unrecorded),
      cmocka_unit_test(ring_is_full_at_its_slots),
      cmocka_unit_test(ring_may_have_as_many_slots_as_the_policy_allows),
      cmocka_unit_test(ring_is_full_at_its_bytes),
      cmocka_unit_test(ring_fill_is_that_of_slots_or_bytes_whichever_is_more),
      cmocka_unit_test(ring_counts_the_most_bytes_that_may_come_together),
      cmocka_unit_test(ring_takes_one_oversize_message_when_it_is_empty),
      cmocka_unit_test(ring_creation_refuses_a_wrong_policy),
      cmocka_unit_test(ring_with_the_rule_evict_changes_nothing_when_it_is_full),
      cmocka_unit_test(ring_discard_keeps_a_pinned_head_and_counts_messages_alone),
      cmocka_unit_test(ring_leaves_a_pinned_marker_as_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
