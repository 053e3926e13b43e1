/* SPDX-License-Identifier: MIT */
/*
 * The ring when it is full: dropping the newest and the oldest, and the markers that tell of it.
 */
#include "support/ring_fixture.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
