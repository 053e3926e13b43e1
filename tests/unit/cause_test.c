/* SPDX-License-Identifier: MIT */
/*
 * The cause of slowness, from two samples of what the kernel says: the signatures, each with the one next to it.
 */
#include "probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const fluxbp__sample_t before = {.is_known = true,
                                        .window = 65536,
                                        .unacked_packets = 3,
                                        .acked_bytes = 1000,
                                        .busy_us = 500,
                                        .window_limited_us = 100};

static fluxbp_cause_t cause_after(uint32_t window, uint32_t unacked_packets, uint64_t acked_bytes,
                                  uint64_t window_limited_us) {
  fluxbp__sample_t now = {.is_known = true,
                          .window = window,
                          .unacked_packets = unacked_packets,
                          .acked_bytes = before.acked_bytes + acked_bytes,
                          .busy_us = before.busy_us + 5000000,
                          .window_limited_us = before.window_limited_us + window_limited_us};
  return fluxbp__sample_cause(&before, &now, true);
}

static void closed_window_and_nothing_acknowledged_is_not_reading(void **state) {
  (void) state;
  assert_int_equal(cause_after(0, 0, 0, 5000000), FLUXBP_CAUSE_NOT_READING);
  assert_int_equal(cause_after(0, 0, 0, 0), FLUXBP_CAUSE_NOT_READING);
}

static void limiting_window_that_moves_is_reading_slowly(void **state) {
  (void) state;
  assert_int_equal(cause_after(0, 0, 20000, 4900000), FLUXBP_CAUSE_READS_SLOWLY);
  assert_int_equal(cause_after(1200, 1, 20000, 2600000), FLUXBP_CAUSE_READS_SLOWLY);
}

static void open_window_with_packets_on_their_way_is_the_network(void **state) {
  (void) state;
  assert_int_equal(cause_after(65536, 10, 20000, 0), FLUXBP_CAUSE_NETWORK);
  assert_int_equal(cause_after(65536, 10, 20000, 2400000), FLUXBP_CAUSE_NETWORK);
}

static void retransmissions_without_an_answer_are_unreachable(void **state) {
  (void) state;
  fluxbp__sample_t now = before;
  now.retransmits = 1;
  assert_int_equal(fluxbp__sample_cause(&before, &now, true), FLUXBP_CAUSE_NETWORK);
  now.retransmits = 2;
  assert_int_equal(fluxbp__sample_cause(&before, &now, true), FLUXBP_CAUSE_UNREACHABLE);
}

static void one_retransmission_is_unreachable_where_nothing_has_moved(void **state) {
  (void) state;
  fluxbp__sample_t now = before;
  assert_int_equal(fluxbp__sample_cause(&before, &now, false), FLUXBP_CAUSE_NETWORK);
  now.retransmits = 1;
  assert_int_equal(fluxbp__sample_cause(&before, &now, false), FLUXBP_CAUSE_UNREACHABLE);
  now.unacked_packets = 0; /* probes of a closed window are answered */
  now.window = 0;
  assert_int_equal(fluxbp__sample_cause(&before, &now, false), FLUXBP_CAUSE_NOT_READING);
}

static void nothing_known_is_unknown(void **state) {
  (void) state;
  fluxbp__sample_t nothing = {0};
  assert_int_equal(fluxbp__sample_cause(&nothing, &before, true), FLUXBP_CAUSE_UNKNOWN);
  assert_int_equal(fluxbp__sample_cause(&before, &nothing, true), FLUXBP_CAUSE_UNKNOWN);
  assert_int_equal(cause_after(65536, 0, 20000, 0), FLUXBP_CAUSE_UNKNOWN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(closed_window_and_nothing_acknowledged_is_not_reading),
      cmocka_unit_test(limiting_window_that_moves_is_reading_slowly),
      cmocka_unit_test(open_window_with_packets_on_their_way_is_the_network),
      cmocka_unit_test(retransmissions_without_an_answer_are_unreachable),
      cmocka_unit_test(one_retransmission_is_unreachable_where_nothing_has_moved),
      cmocka_unit_test(nothing_known_is_unknown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
