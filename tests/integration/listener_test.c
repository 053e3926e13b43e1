/* SPDX-License-Identifier: MIT */
/*
 * listener: what it hands over, how it comes and goes, and what it takes of memory.
 */
#include "support/listener_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static fixture_t f;

static void set_address(struct sockaddr_in *address) {
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void a_connection_is_handed_over_with_its_address(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  int client = fixture_connect_from(&f, "127.0.0.5");
  fixture_accepts(&f, 1);

  struct sockaddr_in own;
  socklen_t length = sizeof own;
  assert_int_equal(getsockname(client, (struct sockaddr *) &own, &length), 0);
  const struct sockaddr_in *peer = (const struct sockaddr_in *) &f.peer;
  assert_int_equal(peer->sin_family, AF_INET);
  assert_int_equal(peer->sin_addr.s_addr, own.sin_addr.s_addr);
  assert_int_equal(peer->sin_port, own.sin_port);

  int fd = f.accepted[0].fd;
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  assert_int_equal(write(fd, "hello", 5), 5);
  assert_int_equal(client_reads(client), 5);
  assert_int_equal(fixture_stats(&f).accepted, 1);
  assert_int_equal(fixture_stats(&f).connections, 1);
  fixture_close(&f);
}

static void count_fire(uv_timer_t *timer) {
  (*(int *) timer->data)++;
}

/* Called after the poll, before any timer can end a rest: libuv calls timers before the poll up to 1.44, and after it
 * since. */
static void expect_a_rest(uv_check_t *check) {
  size_t *total = check->data;
  if (f.total == *total) return;
  assert_int_equal(f.total, *total + FLUXBP__ACCEPTS_PER_WAKEUP);
  assert_true(uv_is_active((const uv_handle_t *) &f.listener->rest));
  assert_false(uv_is_active((const uv_handle_t *) &f.listener->poll));
  *total = f.total;
}

static bool has_rested_or_accepted(fixture_t *fixture, size_t total) {
  return fixture->total > total || !uv_is_active((const uv_handle_t *) &fixture->listener->rest);
}

static void a_storm_is_accepted_in_batches_and_the_loop_goes_on_between_them(void **state) {
  enum { BATCHES = 50, STORM = BATCHES * FLUXBP__ACCEPTS_PER_WAKEUP + 1 };
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  for (int i = 0; i < STORM; i++) (void) fixture_connect(&f);

  uv_timer_t timer;
  uv_check_t check;
  int fires = 0;
  size_t total = 0;
  assert_int_equal(uv_timer_init(&f.loop, &timer), 0);
  assert_int_equal(uv_check_init(&f.loop, &check), 0);
  assert_int_equal(uv_check_start(&check, expect_a_rest), 0);
  timer.data = &fires;
  check.data = &total;
  for (int iterations = 1; f.total < STORM - 1; iterations++) {
    bool rests = uv_is_active((const uv_handle_t *) &f.listener->rest);
    size_t before = f.total;
    assert_int_equal(uv_timer_start(&timer, count_fire, 0, 0), 0);
    fixture_turns(&f, 1);
    assert_int_equal(fires, iterations);
    if (f.total > before) continue;
    assert_true(rests);
    fixture_run_until(&f, has_rested_or_accepted, before);
  }
  uv_close((uv_handle_t *) &check, NULL);
  fixture_rest(&f);
  fixture_accepts(&f, STORM);
  assert_true(uv_is_active((const uv_handle_t *) &f.listener->poll)); /* one isn't a storm */
  assert_int_equal(fixture_stats(&f).paused, 0);
  assert_int_equal(fixture_stats(&f).error_other, 0);
  uv_close((uv_handle_t *) &timer, NULL);
  fixture_close(&f);
}

static void pause_during_a_rest(uv_check_t *check) {
  assert_true(uv_is_active((const uv_handle_t *) &f.listener->rest));
  fluxbp_listener_pause(f.listener);
  fluxbp_listener_resume(f.listener);
  assert_false(uv_is_active((const uv_handle_t *) &f.listener->poll));
  fluxbp_listener_pause(f.listener);
  uv_close((uv_handle_t *) check, NULL);
}

static void a_rest_is_not_cut_short_by_its_host(void **state) {
  uv_check_t check;
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  for (int i = 0; i < FLUXBP__ACCEPTS_PER_WAKEUP; i++) (void) fixture_connect(&f);
  assert_int_equal(uv_check_init(&f.loop, &check), 0);
  assert_int_equal(uv_check_start(&check, pause_during_a_rest), 0);
  fixture_turns(&f, 1);
  fixture_rest(&f);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_HOST);
  fluxbp_listener_resume(f.listener);
  (void) fixture_connect(&f);
  fixture_accepts(&f, FLUXBP__ACCEPTS_PER_WAKEUP + 1);
  fixture_close(&f);
}

static void closing_frees_the_port_and_resets_who_waits(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  struct sockaddr_in address;
  int length = sizeof address;
  assert_int_equal(fluxbp_listener_address(f.listener, (struct sockaddr *) &address, &length), 0);
  int client = fixture_connect(&f);

  fluxbp_listener_t *listener = f.listener;
  fluxbp_listener_close(listener, NULL);
  assert_int_equal(client_reads(client), -ECONNRESET);
  assert_int_equal(fluxbp_listener_address(listener, (struct sockaddr *) &address, &length), UV_EBADF);
  fluxbp_listener_close(listener, NULL);
  fluxbp_listener_pause(listener);
  fluxbp_listener_resume(listener);
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, (struct sockaddr *) &address, &f.options, &f.listener), 0);
  fixture_turns(&f, 3);
  assert_int_equal(f.total, 0);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  fixture_close(&f);
}

static void forget(fluxbp_listener_t *listener) {
  ((fixture_t *) fluxbp_listener_user(listener))->listener = NULL;
}

static void close_here(fixture_t *fixture) {
  fluxbp_listener_close(fixture->listener, forget);
}

static void it_may_be_closed_in_its_own_callback(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  f.on_accept = close_here;
  for (int i = 0; i < 5; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  assert_null(f.listener);
  fixture_close(&f);
}

static void it_may_be_closed_while_it_refuses(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_connections = 1;
  fixture_open(&f);
  f.on_refused = close_here;
  for (int i = 0; i < 5; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  assert_int_equal(f.refused, 1);
  assert_null(f.listener);
  fixture_close(&f);
}

static void connections_are_released_after_it_and_its_loop_are_gone(void **state) {
  enum { PEERS = 10 };
  (void) state;
  fixture_init(&f);
  f.options.max_per_address = PEERS;
  f.options.max_connections = PEERS;
  f.options.at_limit = FLUXBP_AT_LIMIT_PAUSE; /* so that a release would wake it, if it could */
  fixture_open(&f);
  for (int i = 0; i < PEERS + 1; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, PEERS);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_LIMIT);
  fluxbp_listener_t *listener = f.listener;

  fluxbp_listener_close(listener, NULL);
  uv_close((uv_handle_t *) &f.tick, NULL);
  fixture_turns(&f, 3);
  assert_int_equal(uv_loop_close(&f.loop), 0);
  assert_int_equal(fluxbp_pool_destroy(f.pool), UV_EBUSY);
  while (f.count > 1) fixture_drop(&f);
  assert_int_equal(fixture_stats(&f).connections, 1);
  assert_int_equal(fluxbp_listener_release(listener, f.accepted[1].permit), UV_EINVAL); /* it still knows */
  fixture_drop(&f);

  assert_int_equal(uv_loop_init(&f.loop), 0); /* for the fixture to close */
  assert_int_equal(uv_timer_init(&f.loop, &f.tick), 0);
  fixture_close_loop(&f);
}

static void a_connection_is_released_once(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  (void) fixture_connect(&f);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 2);
  fluxbp_permit_t permit = f.accepted[1].permit;
  assert_int_equal(fluxbp_listener_release(f.listener, 0), UV_EINVAL);
  fixture_drop(&f);
  assert_int_equal(fluxbp_listener_release(f.listener, permit), UV_EINVAL);
  assert_int_equal(fixture_stats(&f).connections, 1);
  fixture_close(&f);
}

static void it_accepts_nothing_while_its_host_has_paused_it(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  fluxbp_listener_pause(f.listener);
  fluxbp_listener_pause(f.listener);
  (void) fixture_connect(&f);
  fixture_stays_paused(&f, FLUXBP_PAUSED_BY_HOST);
  fluxbp_listener_resume(f.listener);
  fixture_accepts(&f, 1);
  assert_int_equal(fixture_stats(&f).paused, 0);
  fluxbp_listener_resume(f.listener);
  fixture_close(&f);
}

static void pause_here(fixture_t *fixture) {
  fluxbp_listener_pause(fixture->listener);
}

static void it_may_be_paused_in_the_middle_of_a_batch(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  f.on_accept = pause_here;
  for (int i = 0; i < 3; i++) (void) fixture_connect(&f);
  for (size_t total = 1; total <= 3; total++) {
    fixture_accepts(&f, total);
    fixture_stays_paused(&f, FLUXBP_PAUSED_BY_HOST);
    fluxbp_listener_resume(f.listener);
  }
  fixture_close(&f);
}

static void options_out_of_range_are_refused(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  struct sockaddr_in address;
  set_address(&address);
  const struct sockaddr *any = (const struct sockaddr *) &address;
  fluxbp_listener_t *listener;
#define REFUSED(member, value)                                                                                         \
  do {                                                                                                                 \
    fluxbp_listener_options_t options = f.options;                                                                     \
    options.member = (value);                                                                                          \
    assert_int_equal(fluxbp_listener_open_tcp(&f.loop, any, &options, &listener), UV_EINVAL);                          \
  } while (0)
  REFUSED(on_accept, NULL);
  REFUSED(backlog, 0);
  REFUSED(accept_burst, 0);
  REFUSED(unix_mode, -2);
  REFUSED(unix_mode, 01000);
  REFUSED(max_connections, 0);
  REFUSED(max_connections, FLUXBP_LISTENER_CONNECTIONS_MAX + 1);
  REFUSED(max_refusals, FLUXBP_LISTENER_CONNECTIONS_MAX + 1);
  REFUSED(at_limit, (fluxbp_at_limit_t) 2);
#undef REFUSED
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, any, NULL, &listener), UV_EINVAL); /* on_accept has no default */
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, NULL, &f.options, &listener), UV_EINVAL);
  address.sin_family = AF_UNIX;
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, any, &f.options, &listener), UV_EINVAL);

  struct {
    fluxbp_listener_options_t known;
    uint64_t newer;
  } options = {f.options, 1};
  options.known.size = sizeof options;
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, any, &options.known, &listener), UV_E2BIG);
  assert_int_equal(f.hook.live_blocks, 1); /* the pool */
  fixture_close_loop(&f);
}

static void without_a_pool_it_has_one_of_its_own(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  struct sockaddr_in address;
  set_address(&address);
  f.options.pool = NULL;
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, (struct sockaddr *) &address, &f.options, &f.listener), 0);
  assert_ptr_equal(fluxbp_listener_loop(f.listener), &f.loop);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  assert_int_equal(f.hook.allocs, 1); /* the pool */
  fixture_close(&f);
}

static void steady_accepting_allocates_nothing(void **state) {
  enum { AT_ONCE = 50, ROUNDS = 20 };
  (void) state;
  fixture_init(&f);
  f.options.max_per_address = AT_ONCE;
  fixture_open(&f);
  uint64_t allocs = 0;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < AT_ONCE; i++) (void) fixture_connect(&f);
    fixture_accepts(&f, f.total + AT_ONCE);
    while (f.count > 0) fixture_drop(&f);
    if (round == 0) allocs = f.hook.allocs;
  }
  assert_int_equal(f.hook.allocs, allocs);
  assert_int_equal(fixture_stats(&f).accepted, AT_ONCE * ROUNDS);
  fixture_close(&f);
}

/* A short life with everything in it that allocates. True if no allocation failed in it. */
static bool live(uint64_t failing) {
  enum { PEERS = 100, ADDRESSES = 50 };
  struct sockaddr_in address;
  fixture_init(&f);
  fixture_open_loop(&f);
  f.options.max_per_address = PEERS;
  set_address(&address);
  alloc_hook_fail_once(&f.hook, failing);
  int err = fluxbp_listener_open_tcp(&f.loop, (struct sockaddr *) &address, &f.options, &f.listener);
  if (err) {
    assert_int_equal(err, UV_ENOMEM);
    assert_int_equal(f.hook.live_blocks, 1); /* the pool */
    fixture_close_loop(&f);
    return false;
  }
  for (int i = 0; i < PEERS; i++) {
    char from[32];
    (void) snprintf(from, sizeof from, "127.0.0.%d", 1 + i % ADDRESSES);
    (void) fixture_connect_from(&f, from);
  }
  for (int turn = 0; turn < 100 && f.total < PEERS; turn++) {
    fixture_turns(&f, 1);
    fixture_rest(&f);
    if (fixture_stats(&f).paused == 0) continue;
    fixture_stays_paused(&f, FLUXBP_PAUSED_BY_ERROR);
    assert_int_equal(f.error, UV_ENOMEM);
    fixture_advance(&f, FLUXBP__ACCEPT_RETRY_MS);
  }
  fixture_accepts(&f, PEERS);
  assert_int_equal(fixture_stats(&f).error_memory, f.hook.failures);
  assert_int_equal(f.errors, f.hook.failures);
  bool is_whole = f.hook.failures == 0;
  fixture_close(&f);
  return is_whole;
}

static void any_allocation_may_fail(void **state) {
  enum { ALLOCATIONS_MAX = 20 };
  (void) state;
  uint64_t failing = 1;
  while (failing < ALLOCATIONS_MAX && !live(failing)) failing++;
  assert_in_range(failing, 6, ALLOCATIONS_MAX - 1); /* the listener, two arrays of permits, two of addresses */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_connection_is_handed_over_with_its_address),
      cmocka_unit_test(a_storm_is_accepted_in_batches_and_the_loop_goes_on_between_them),
      cmocka_unit_test(a_rest_is_not_cut_short_by_its_host),
      cmocka_unit_test(closing_frees_the_port_and_resets_who_waits),
      cmocka_unit_test(it_may_be_closed_in_its_own_callback),
      cmocka_unit_test(it_may_be_closed_while_it_refuses),
      cmocka_unit_test(connections_are_released_after_it_and_its_loop_are_gone),
      cmocka_unit_test(a_connection_is_released_once),
      cmocka_unit_test(it_accepts_nothing_while_its_host_has_paused_it),
      cmocka_unit_test(it_may_be_paused_in_the_middle_of_a_batch),
      cmocka_unit_test(options_out_of_range_are_refused),
      cmocka_unit_test(without_a_pool_it_has_one_of_its_own),
      cmocka_unit_test(steady_accepting_allocates_nothing),
      cmocka_unit_test(any_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
