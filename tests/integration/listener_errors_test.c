/* SPDX-License-Identifier: MIT */
/*
 * listener: what it does when accepting fails. By the shim, and once with a real limit of descriptors.
 */
#include "support/listener_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static fixture_t f;

static bool has_failed(fixture_t *fixture, size_t errors) {
  return (size_t) fixture->errors >= errors;
}

static void set_descriptor_limit(rlim_t limit) {
  struct rlimit limits;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limits), 0);
  limits.rlim_cur = limit;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limits), 0);
}

/* It waits 100 ms, however long the socket stays readable, and is as before when the error is gone. */
static void error_makes_it_wait(int error, size_t counter_offset) {
  fixture_init(&f);
  fixture_open(&f);
  shim_fail(SHIM_ACCEPT4, error, 2);
  (void) fixture_connect(&f);
  for (size_t errors = 1; errors <= 2; errors++) {
    fixture_run_until(&f, has_failed, errors);
    fixture_stays_paused(&f, FLUXBP_PAUSED_BY_ERROR);
    assert_int_equal(shim_calls(SHIM_ACCEPT4), errors);
    assert_int_equal(f.error, -error);
    fluxbp_listener_stats_t stats = fixture_stats(&f);
    assert_int_equal(*(const uint64_t *) (const void *) ((const char *) &stats + counter_offset), errors);
    assert_int_equal(stats.last_error, -error);
    fixture_advance(&f, 99);
    fixture_stays_paused(&f, FLUXBP_PAUSED_BY_ERROR);
    fixture_advance(&f, 1);
  }
  fixture_accepts(&f, 1);
  assert_int_equal(f.errors, 2);
  assert_int_equal(fixture_stats(&f).paused, 0);
  fixture_close(&f);
}

/* It goes on with the next, in the same batch. */
static void error_is_passed_over(int error, size_t counter_offset) {
  enum { ERRORS = 5 };
  fixture_init(&f);
  fixture_open(&f);
  shim_fail(SHIM_ACCEPT4, error, ERRORS);
  (void) fixture_connect(&f);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 2);
  fluxbp_listener_stats_t stats = fixture_stats(&f);
  assert_int_equal(*(const uint64_t *) (const void *) ((const char *) &stats + counter_offset), ERRORS);
  assert_int_equal(stats.last_error, -error);
  assert_int_equal(stats.paused, 0);
  assert_int_equal(f.errors, 0);
  assert_in_range(shim_calls(SHIM_ACCEPT4), ERRORS + 2, ERRORS + 4); /* the last ones: nobody else waits */
  fixture_close(&f);
}

#define COUNTER(member) offsetof(fluxbp_listener_stats_t, member)

static void without_descriptors_or_memory_it_waits(void **state) {
  (void) state;
  error_makes_it_wait(EMFILE, COUNTER(error_descriptors));
  error_makes_it_wait(ENFILE, COUNTER(error_descriptors));
  error_makes_it_wait(ENOBUFS, COUNTER(error_memory));
  error_makes_it_wait(ENOMEM, COUNTER(error_memory));
}

static void after_an_error_that_it_does_not_know_it_waits(void **state) {
  (void) state;
  error_makes_it_wait(EINVAL, COUNTER(error_other));
  error_makes_it_wait(EOPNOTSUPP, COUNTER(error_other));
}

static void after_an_error_of_one_connection_it_goes_on_with_the_next(void **state) {
  (void) state;
  error_is_passed_over(ECONNABORTED, COUNTER(error_aborted));
  error_is_passed_over(EPROTO, COUNTER(error_aborted));
  error_is_passed_over(ENETUNREACH, COUNTER(error_aborted));
  error_is_passed_over(EINTR, COUNTER(error_interrupted));
  error_is_passed_over(EPERM, COUNTER(error_forbidden));
}

static void errors_that_do_not_pass_are_not_asked_for_without_end(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  shim_fail(SHIM_ACCEPT4, EPERM, SHIM_ALWAYS);
  (void) fixture_connect(&f);
  fixture_run_until(&f, has_failed, 1);
  assert_int_equal(shim_calls(SHIM_ACCEPT4), FLUXBP__ACCEPTS_PER_WAKEUP);
  assert_int_equal(f.error, UV_EPERM);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_ERROR);
  shim_fail(SHIM_ACCEPT4, 0, 0);
  fixture_advance(&f, FLUXBP__ACCEPT_RETRY_MS);
  fixture_accepts(&f, 1);
  fixture_close(&f);
}

static void when_descriptors_run_out_the_peers_wait_and_get_in_later(void **state) {
  enum { CLIENTS = 10, ROOM = 4 };
  struct rlimit before;
  (void) state;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  fixture_init(&f);
  f.options.clock_ms = NULL; /* the loop's: it has to recover by its own timer */
  fixture_open(&f);
  for (int i = 0; i < CLIENTS; i++) (void) fixture_connect(&f);
  int lowest_free = dup(f.clients[0]);
  assert_int_equal(close(lowest_free), 0);

  set_descriptor_limit((rlim_t) lowest_free + ROOM);
  fixture_run_until(&f, has_failed, 2);
  set_descriptor_limit(before.rlim_cur);
  assert_int_equal(f.error, UV_EMFILE);
  assert_int_equal(f.total, ROOM);
  assert_int_equal(shim_calls(SHIM_ACCEPT4), ROOM + 2); /* one a retry */
  fixture_accepts(&f, CLIENTS);
  assert_int_equal(fixture_stats(&f).error_descriptors, 2);
  assert_int_equal(fixture_stats(&f).paused, 0);
  fixture_close(&f);
}

static void a_socket_that_was_shut_down_by_somebody_else_does_not_keep_the_loop_busy(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  assert_int_equal(shutdown(f.listener->socket.fd, SHUT_RDWR), 0);
  fixture_run_until(&f, has_failed, 1);
  assert_int_equal(f.error, UV_EINVAL);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_ERROR);
  fixture_advance(&f, FLUXBP__ACCEPT_RETRY_MS);
  fixture_run_until(&f, has_failed, 2);
  assert_int_equal(shim_calls(SHIM_ACCEPT4), 2);
  fixture_close(&f);
}

static void a_poll_that_fails_is_begun_again(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  (void) fixture_connect(&f);
  assert_int_equal(uv_poll_stop(&f.listener->poll), 0); /* as libuv has when it says so */
  fluxbp__listener_on_readable(&f.listener->poll, UV_EBADF, 0);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_ERROR);
  assert_int_equal(f.error, UV_EBADF);
  assert_int_equal(fixture_stats(&f).error_other, 1);
  assert_int_equal(f.total, 0);
  fixture_advance(&f, FLUXBP__ACCEPT_RETRY_MS);
  fixture_accepts(&f, 1);
  fixture_close(&f);
}

static void close_on_error(fluxbp_listener_t *listener, int err) {
  fixture_t *fixture = fluxbp_listener_user(listener);
  fixture->errors++;
  fixture->error = err;
  fluxbp_listener_close(listener, NULL);
}

static void it_may_be_closed_when_it_fails(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.on_error = close_on_error;
  fixture_open(&f);
  shim_fail(SHIM_ACCEPT4, EMFILE, 1);
  (void) fixture_connect(&f);
  fixture_run_until(&f, has_failed, 1);
  f.listener = NULL;
  fixture_close(&f);
  assert_int_equal(f.total, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_descriptors_or_memory_it_waits),
      cmocka_unit_test(after_an_error_that_it_does_not_know_it_waits),
      cmocka_unit_test(after_an_error_of_one_connection_it_goes_on_with_the_next),
      cmocka_unit_test(errors_that_do_not_pass_are_not_asked_for_without_end),
      cmocka_unit_test(when_descriptors_run_out_the_peers_wait_and_get_in_later),
      cmocka_unit_test(a_socket_that_was_shut_down_by_somebody_else_does_not_keep_the_loop_busy),
      cmocka_unit_test(a_poll_that_fails_is_begun_again),
      cmocka_unit_test(it_may_be_closed_when_it_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
