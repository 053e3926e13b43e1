/* SPDX-License-Identifier: MIT */
/*
 * pong: from when on the time to answer a ping runs, and when it is over.
 */
#include "server/session/pong.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The ping was sent at 1000 ms, and the clock says 21000 now. */
enum { SENT_MS = 1000, NOW_MS = 21000 };

struct pong_case {
  const char *what;
  fluxbp_liveness_t liveness;
  uint32_t from_ms;
};

static const struct pong_case cases[] = {
    {"nothing is acknowledged", {5000, 0, 20000, 1}, NOW_MS},
    {"what was before the ping isn't acknowledged", {5000, 4000, 20000, 1}, NOW_MS},
    {"half of the ping isn't acknowledged", {5000, 4999, 20000, 1}, NOW_MS},
    {"a message behind the ping isn't acknowledged", {5000, 4998, 20000, 1}, NOW_MS},
    {"something isn't acknowledged, and the peer is heard", {5000, 4999, 0, 1}, NOW_MS},
    {"the ping was acknowledged at once, and nothing since", {5000, 5000, 20000, 1}, SENT_MS},
    {"the ping was acknowledged within 80 ms, and nothing since", {5000, 5000, 19920, 1}, SENT_MS + 80},
    {"the ping was acknowledged late", {5000, 5000, 7000, 1}, NOW_MS - 7000},
    {"the window opened", {5000, 5000, 150, 1}, NOW_MS - 150},
    {"it is heard right now", {5000, 5000, 0, 1}, NOW_MS},
    {"the kernel's silence is from before the ping", {5000, 5000, 90000, 1}, SENT_MS},
    {"the kernel's silence has no end", {5000, 5000, UINT64_MAX, 1}, SENT_MS},
    {"nobody knows, and all was handed to our kernel", {5000, 5000, 0, 0}, SENT_MS},
    {"nobody knows, and our kernel refuses", {5000, 4000, 0, 0}, NOW_MS},
    {"nothing was ever sent", {0, 0, 20000, 1}, SENT_MS},
};

static void the_time_runs_from_the_last_acknowledgement_once_everything_is_acknowledged(void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t from_ms = pong_from_ms(&cases[i].liveness, SENT_MS, NOW_MS);
    if (from_ms != cases[i].from_ms) print_error("%s\n", cases[i].what);
    assert_int_equal(from_ms, cases[i].from_ms);
  }
}

static void the_clock_may_begin_anew(void **state) {
  static const fluxbp_liveness_t silent = {5000, 5000, 20000, 1}, heard = {5000, 5000, 3000, 1};
  (void) state;
  assert_int_equal(pong_from_ms(&silent, UINT32_MAX - 499, 500), UINT32_MAX - 499);
  assert_int_equal(pong_from_ms(&heard, UINT32_MAX - 4499, 500), UINT32_MAX - 2499);
  assert_false(pong_is_overdue(UINT32_MAX - 499, 1001, 500));
  assert_true(pong_is_overdue(UINT32_MAX - 499, 1000, 500));
}

/* The gateway's clock stands still while it is away, the kernel's doesn't. */
static void the_absence_of_the_gateway_does_not_count(void **state) {
  static const fluxbp_liveness_t after_an_hour = {5000, 5000, 3600000, 1};
  (void) state;
  assert_int_equal(pong_from_ms(&after_an_hour, 4000, 4200), 4000);
  assert_false(pong_is_overdue(4000, 1000, 4200));
}

/* After 60 s of silence each time. */
static void the_answers_to_keepalive_do_not_count(void **state) {
  fluxbp_liveness_t liveness = {5000, 5000, 0, 1};
  uint32_t from_ms = SENT_MS;
  (void) state;
  for (uint32_t silent_ms = 0; silent_ms < 180000; silent_ms += 30000) {
    liveness.since_heard_ms = silent_ms % 60000;
    from_ms = pong_from_ms(&liveness, from_ms, SENT_MS + silent_ms);
  }
  assert_int_equal(from_ms, SENT_MS);
  assert_true(pong_is_overdue(from_ms, 180000, SENT_MS + 180000));
}

/* 6 KB/s, 440 KB before the ping, the window opens by 4 KB each time; then the peer never answers. */
static void a_slow_reader_has_its_time_when_it_has_everything(void **state) {
  fluxbp_liveness_t liveness = {.accepted_bytes = 440002, .is_known = 1};
  uint32_t from_ms = 0, wait_ms = 1000, now_ms = 0;
  (void) state;
  for (; liveness.acked_bytes < liveness.accepted_bytes; now_ms += 250) {
    liveness.acked_bytes = now_ms * 6 / 4096 * 4096;
    if (liveness.acked_bytes > liveness.accepted_bytes) liveness.acked_bytes = liveness.accepted_bytes;
    liveness.since_heard_ms = now_ms % (4096 / 6);
    from_ms = pong_from_ms(&liveness, from_ms, now_ms);
    assert_false(pong_is_overdue(from_ms, wait_ms, now_ms));
  }
  uint32_t arrived_ms = now_ms;
  for (; !pong_is_overdue(from_ms, wait_ms, now_ms); now_ms += 250) {
    liveness.since_heard_ms = now_ms - arrived_ms;
    from_ms = pong_from_ms(&liveness, from_ms, now_ms);
  }
  assert_true(arrived_ms > 70000);
  assert_in_range(now_ms - arrived_ms, wait_ms, wait_ms + 250);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_time_runs_from_the_last_acknowledgement_once_everything_is_acknowledged),
      cmocka_unit_test(the_clock_may_begin_anew),
      cmocka_unit_test(the_absence_of_the_gateway_does_not_count),
      cmocka_unit_test(the_answers_to_keepalive_do_not_count),
      cmocka_unit_test(a_slow_reader_has_its_time_when_it_has_everything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
