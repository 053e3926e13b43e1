/* SPDX-License-Identifier: MIT */
/*
 * listener: connections that are released by other threads than the loop's. Meant for the thread sanitizer as well.
 *
 * What another thread does falls between two critical sections of the loop's. Threads rarely hit the moment in which a
 * wake-up could be lost, so one test has its own uv_mutex_unlock, which the linker finds before libuv's: it does
 * what such a thread would do, at each of those moments in turn.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "support/listener_fixture.h"

#include <dlfcn.h>
#include <string.h>

#include <errno.h>
#include <unistd.h>

enum { THREADS = 3, QUEUE_MAX = FIXTURE_PEERS_MAX, WATCHDOG_MS = 30000 };

/* What the loop hands to the threads. */
typedef struct queue {
  uv_mutex_t lock;
  uv_cond_t is_changed;
  accepted_t peers[QUEUE_MAX];
  size_t count;
  bool has_ended; /* nothing more comes */
  uint64_t failures;
  uv_thread_t threads[THREADS];
} queue_t;

static fixture_t f;
static queue_t queue;

static uv_mutex_t *watched;    /* NULL: nothing is done */
static uint64_t release_after; /* so many unlockings of it with a connection there */

void uv_mutex_unlock(uv_mutex_t *mutex) {
  void (*real)(uv_mutex_t *);
  void *found = dlsym(RTLD_NEXT, "uv_mutex_unlock");
  memcpy(&real, &found, sizeof real); /* ISO C doesn't turn a void pointer into one to a function */
  real(mutex);
  if (mutex != watched || f.count == 0 || --release_after > 0) return;
  watched = NULL;
  fixture_drop(&f);
}

static bool has_accepted_one(fixture_t *fixture, size_t number) {
  (void) number;
  return fixture->total >= 1;
}

/* Become full, and be paused and resumed. A release comes at the `moment`th of the unlockings in that; false: there was
 * none, it has no more than that. */
static bool release_at(uint64_t moment) {
  enum { TURNS = 20 };
  fixture_init(&f);
  f.options.max_connections = 1;
  f.options.at_limit = FLUXBP_AT_LIMIT_PAUSE;
  fixture_open(&f);
  for (int i = 0; i < 2; i++) (void) fixture_connect(&f);
  release_after = moment;
  watched = &f.listener->lock;
  fixture_run_until(&f, has_accepted_one, 0);
  fixture_turns(&f, TURNS);
  fluxbp_listener_pause(f.listener);
  fluxbp_listener_resume(f.listener);
  bool was_released = watched == NULL;
  watched = NULL;
  if (was_released) fixture_accepts(&f, 2);
  fixture_close(&f);
  return was_released;
}

static void a_release_is_noticed_whenever_it_comes(void **state) {
  enum { MOMENTS = 3, MOMENTS_MAX = 20 }; /* after the look that finds it full, after the pause, after the resuming */
  (void) state;
  uint64_t moment = 1;
  while (moment < MOMENTS_MAX && release_at(moment)) moment++;
  assert_in_range(moment, MOMENTS + 1, MOMENTS_MAX - 1);
}

static bool take(accepted_t *peer) {
  uv_mutex_lock(&queue.lock);
  while (queue.count == 0 && !queue.has_ended) uv_cond_wait(&queue.is_changed, &queue.lock);
  bool is_there = queue.count > 0;
  if (is_there) *peer = queue.peers[--queue.count];
  uv_mutex_unlock(&queue.lock);
  return is_there;
}

static void release_all(void *arg) {
  accepted_t peer;
  uint64_t failures = 0;
  (void) arg;
  while (take(&peer)) {
    fluxbp_listener_stats_t stats;
    fluxbp_listener_get_stats(peer.listener, &stats);
    if (stats.connections == 0 || stats.connections > stats.accepted) failures++;
    if (close(peer.fd) != 0) failures++;
    if (fluxbp_listener_release(peer.listener, peer.permit) != 0) failures++;
  }
  uv_mutex_lock(&queue.lock);
  queue.failures += failures;
  uv_mutex_unlock(&queue.lock);
}

static void start_threads(void) {
  queue.count = 0;
  queue.has_ended = false;
  queue.failures = 0;
  assert_int_equal(uv_mutex_init(&queue.lock), 0);
  assert_int_equal(uv_cond_init(&queue.is_changed), 0);
  for (int i = 0; i < THREADS; i++) assert_int_equal(uv_thread_create(&queue.threads[i], release_all, NULL), 0);
}

static void join_threads(void) {
  uv_mutex_lock(&queue.lock);
  queue.has_ended = true;
  uv_cond_broadcast(&queue.is_changed);
  uv_mutex_unlock(&queue.lock);
  for (int i = 0; i < THREADS; i++) assert_int_equal(uv_thread_join(&queue.threads[i]), 0);
  assert_int_equal(queue.failures, 0);
  uv_cond_destroy(&queue.is_changed);
  uv_mutex_destroy(&queue.lock);
}

/* Move the accepted ones of the fixture to the threads. */
static void hand_over(fixture_t *fixture) {
  uv_mutex_lock(&queue.lock);
  while (fixture->count > 0) queue.peers[queue.count++] = fixture->accepted[--fixture->count];
  uv_cond_broadcast(&queue.is_changed);
  uv_mutex_unlock(&queue.lock);
}

static void on_watchdog(uv_timer_t *timer) {
  (void) timer;
  fail_msg("a wake-up was lost: nobody was accepted although there is room");
}

/* The loop sleeps until a release wakes it: with one wake-up lost it would sleep for ever. */
static void no_release_of_another_thread_goes_unnoticed(void **state) {
  enum { CLIENTS = 3000, AT_ONCE = 1 };
  uv_timer_t watchdog;
  (void) state;
  fixture_init(&f);
  f.options.max_connections = AT_ONCE;
  f.options.max_per_address = AT_ONCE;
  f.options.at_limit = FLUXBP_AT_LIMIT_PAUSE;
  fixture_open(&f);
  f.on_accept = hand_over;
  for (int i = 0; i < CLIENTS; i++) (void) fixture_connect(&f);
  start_threads();
  assert_int_equal(uv_timer_init(&f.loop, &watchdog), 0);
  assert_int_equal(uv_timer_start(&watchdog, on_watchdog, WATCHDOG_MS, 0), 0);
  while (f.total < CLIENTS) (void) uv_run(&f.loop, UV_RUN_ONCE);
  join_threads();
  assert_int_equal(fixture_stats(&f).connections, 0);
  assert_int_equal(fixture_stats(&f).refused_address, 0);
  uv_close((uv_handle_t *) &watchdog, NULL);
  fixture_close(&f);
}

static void connections_are_released_by_other_threads_while_it_closes(void **state) {
  enum { CLIENTS = 100, ROUNDS = 20 };
  (void) state;
  for (int round = 0; round < ROUNDS; round++) {
    fixture_init(&f);
    f.options.max_connections = CLIENTS;
    f.options.at_limit = FLUXBP_AT_LIMIT_PAUSE; /* so that releases would wake it */
    fixture_open(&f);
    for (int i = 0; i < CLIENTS + 1; i++) (void) fixture_connect(&f);
    fixture_accepts(&f, CLIENTS);
    fixture_stays_paused(&f, FLUXBP_PAUSED_BY_LIMIT);
    start_threads();
    hand_over(&f);
    fluxbp_listener_close(f.listener, NULL);
    f.listener = NULL;
    fixture_turns(&f, 2);
    join_threads();
    fixture_close(&f); /* all memory is back, whoever was the last */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_release_is_noticed_whenever_it_comes),
      cmocka_unit_test(no_release_of_another_thread_goes_unnoticed),
      cmocka_unit_test(connections_are_released_by_other_threads_while_it_closes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
