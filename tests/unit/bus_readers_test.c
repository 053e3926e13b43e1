/* SPDX-License-Identifier: MIT */
/*
 * bus: readers that join, leave, sleep and are woken, and the end of a bus.
 */
#include "support/bus_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- joining and leaving ---- */

static void bus_reader_that_joins_late_sees_what_comes_after(void **state) {
  (void) state;
  fixture_t f;
  listener_t early, late;
  open_bus(&f, SLOTS, 1);
  join(&f, &early);
  publish_all(&f, 1, 3);
  join(&f, &late);
  assert_has_read_all(&late);
  publish_all(&f, 4, 5);

  assert_reads(&f, &late, 4, 5); /* it never has to pass 1 to 3 */
  assert_reads(&f, &early, 1, 5);
  assert_int_equal(used_bytes(&f), 0);
  leave(&early);
  leave(&late);
  close_bus(&f);
}

static void bus_reader_that_leaves_holds_nothing_up(void **state) {
  (void) state;
  fixture_t f;
  listener_t stays, leaves;
  open_bus(&f, SLOTS, 1);
  join(&f, &stays);
  join(&f, &leaves);
  publish_all(&f, 1, SLOTS);
  assert_reads(&f, &leaves, 1, 2);
  assert_reads(&f, &stays, 1, 5);
  uint64_t used = used_bytes(&f);

  leave(&leaves);
  assert_null(leaves.reader.bus);
  assert_int_equal(used_bytes(&f), used / (SLOTS - 2) * 3); /* 6, 7 and 8 are unread */
  publish_all(&f, SLOTS + 1, SLOTS + 5);
  assert_int_equal(publish(&f, 0, NULL), UV_EAGAIN);
  assert_reads(&f, &stays, 6, SLOTS + 5);
  leave(&stays);
  close_bus(&f);
}

static void bus_reader_that_leaves_last_holds_nothing(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  publish_all(&f, 1, SLOTS);
  leave(&listener);
  assert_int_equal(used_bytes(&f), 0);
  leave(&listener); /* again: nothing to leave */

  join(&f, &listener);
  publish_all(&f, SLOTS + 1, 2 * SLOTS);
  assert_reads(&f, &listener, SLOTS + 1, 2 * SLOTS);
  leave(&listener);
  close_bus(&f);
}

static void bus_has_seats_for_a_fixed_number_of_readers(void **state) {
  (void) state;
  fixture_t f;
  static listener_t listeners[FLUXBP_BUS_READERS_MAX];
  listener_t extra = {.wakes = 0};
  open_bus(&f, SLOTS, 1);
  for (size_t i = 0; i < FLUXBP_BUS_READERS_MAX; i++) join(&f, &listeners[i]);
  assert_int_equal(fluxbp__bus_join(f.bus, &extra.reader, on_wake, &extra, NULL), UV_ENOSPC);
  assert_null(extra.reader.bus);

  publish_all(&f, 1, 3);
  for (size_t i = 0; i < FLUXBP_BUS_READERS_MAX; i++) {
    assert_int_equal(listeners[i].wakes, 1);
    assert_reads(&f, &listeners[i], 1, 3);
  }
  assert_int_equal(used_bytes(&f), 0);
  leave(&listeners[5]);
  join(&f, &extra);
  for (size_t i = 0; i < FLUXBP_BUS_READERS_MAX; i++) leave(&listeners[i]);
  leave(&extra);
  close_bus(&f);
}

/* ---- waking ---- */

static void bus_wakes_a_reader_once_each_time_it_sleeps(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  assert_int_equal(listener.wakes, 0);
  publish_all(&f, 1, 3);
  assert_int_equal(listener.wakes, 1);

  fluxbp__bus_begin(&listener.reader);
  assert_reads(&f, &listener, 1, 3);
  assert_has_read_all(&listener);
  assert_int_equal(listener.wakes, 1);
  publish_all(&f, 4, 5);
  assert_int_equal(listener.wakes, 2);
  leave(&listener);
  close_bus(&f);
}

static void bus_wakes_a_reader_for_what_comes_while_it_reads(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  publish_all(&f, 1, 2);
  fluxbp__bus_begin(&listener.reader);
  assert_reads(&f, &listener, 1, 1);
  publish_all(&f, 3, 4); /* it may have looked at their slots already, for all that the publisher knows */
  assert_int_equal(listener.wakes, 2);
  assert_reads(&f, &listener, 2, 4);
  leave(&listener);
  close_bus(&f);
}

static void bus_wakes_each_reader_by_itself(void **state) {
  (void) state;
  fixture_t f;
  listener_t awake, asleep;
  open_bus(&f, SLOTS, 1);
  join(&f, &awake);
  join(&f, &asleep);
  publish_all(&f, 1, 1);
  fluxbp__bus_begin(&awake.reader);
  publish_all(&f, 2, 2);
  assert_int_equal(awake.wakes, 2);
  assert_int_equal(asleep.wakes, 1); /* it was called already, and hasn't come yet */
  leave(&awake);
  leave(&asleep);
  close_bus(&f);
}

static void bus_wakes_nobody_who_has_left(void **state) {
  (void) state;
  fixture_t f;
  listener_t stays, leaves;
  open_bus(&f, SLOTS, 1);
  join(&f, &leaves);
  join(&f, &stays);
  publish_all(&f, 1, 1);
  fluxbp__bus_begin(&leaves.reader);
  leave(&leaves);
  publish_all(&f, 2, 2);
  assert_int_equal(leaves.wakes, 1);

  join(&f, &leaves); /* it gets the same seat */
  publish_all(&f, 3, 3);
  assert_int_equal(leaves.wakes, 1);
  leave(&leaves);
  leave(&stays);
  close_bus(&f);
}

/* ---- closing ---- */

static void bus_that_is_closed_takes_nothing_and_is_read_to_its_end(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  publish_all(&f, 1, 3);
  uint64_t used = used_bytes(&f), id = 99;
  fluxbp_bus_close(f.bus);
  fluxbp_bus_close(f.bus);

  assert_int_equal(publish(&f, 4, &id), UV_ECANCELED);
  assert_int_equal(id, 99);
  assert_int_equal(used_bytes(&f), used);
  assert_int_equal(stats_of(&f).published, 3);
  assert_int_equal(stats_of(&f).refused, 0);
  assert_reads(&f, &listener, 1, 3);
  assert_has_read_all(&listener);
  leave(&listener);
  close_bus(&f);
}

static void bus_that_is_closed_says_so_even_if_it_is_full(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, 2, 1);
  join(&f, &listener);
  publish_all(&f, 1, 2);
  fluxbp_bus_close(f.bus);
  assert_int_equal(publish(&f, 3, NULL), UV_ECANCELED);
  leave(&listener);
  close_bus(&f);
}

static void bus_that_is_closed_stays_closed_when_readers_come_and_go(void **state) {
  (void) state;
  fixture_t f;
  listener_t early, late;
  open_bus(&f, SLOTS, 1);
  join(&f, &early);
  publish_all(&f, 1, 2);
  fluxbp_bus_close(f.bus);
  join(&f, &late);
  assert_int_equal(publish(&f, 3, NULL), UV_ECANCELED);
  assert_has_read_all(&late);
  leave(&early);
  assert_int_equal(publish(&f, 3, NULL), UV_ECANCELED);
  leave(&late);
  assert_int_equal(publish(&f, 3, NULL), UV_ECANCELED);
  close_bus(&f);
}

static void bus_is_not_destroyed_while_a_reader_is_joined(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  fluxbp_bus_close(f.bus);
  assert_int_equal(fluxbp_bus_destroy(f.bus), UV_EBUSY);
  assert_int_equal(fluxbp_pool_destroy(f.pool), UV_EBUSY);
  leave(&listener);
  close_bus(&f);
}

/* ---- misuse: in a process of its own, which has to abort ---- */

static void join_twice(listener_t *listener) {
  (void) fluxbp__bus_join(listener->reader.bus, &listener->reader, on_wake, listener, NULL);
}

static void advance_past_the_end(listener_t *listener) {
  fluxbp__bus_advance(&listener->reader);
}

static void assert_aborts(void (*misuse)(listener_t *listener), listener_t *listener) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void) signal(SIGABRT, SIG_DFL); /* cmocka's own handler would report a failed test */
    (void) setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    (void) close(STDERR_FILENO);
    misuse(listener);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void bus_misuse_aborts(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  assert_aborts(join_twice, &listener);
  assert_aborts(advance_past_the_end, &listener);
  leave(&listener);
  close_bus(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bus_reader_that_joins_late_sees_what_comes_after),
      cmocka_unit_test(bus_reader_that_leaves_holds_nothing_up),
      cmocka_unit_test(bus_reader_that_leaves_last_holds_nothing),
      cmocka_unit_test(bus_has_seats_for_a_fixed_number_of_readers),
      cmocka_unit_test(bus_wakes_a_reader_once_each_time_it_sleeps),
      cmocka_unit_test(bus_wakes_a_reader_for_what_comes_while_it_reads),
      cmocka_unit_test(bus_wakes_each_reader_by_itself),
      cmocka_unit_test(bus_wakes_nobody_who_has_left),
      cmocka_unit_test(bus_that_is_closed_takes_nothing_and_is_read_to_its_end),
      cmocka_unit_test(bus_that_is_closed_says_so_even_if_it_is_full),
      cmocka_unit_test(bus_that_is_closed_stays_closed_when_readers_come_and_go),
      cmocka_unit_test(bus_is_not_destroyed_while_a_reader_is_joined),
      cmocka_unit_test(bus_misuse_aborts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
