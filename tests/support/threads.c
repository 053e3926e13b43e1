/* SPDX-License-Identifier: MIT */
/*
 * threads: the watchdog is a thread that looks at a counter once a second.
 */
#include "support/threads.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t SECOND_NS = 1000000000;

static struct watchdog {
  uv_thread_t thread;
  uv_mutex_t lock;
  uv_cond_t is_over_changed;
  bool is_watching;
  bool is_over;
  unsigned seconds;
  _Atomic uint64_t progress;
} watchdog;

void threads_fail(const char *file, int line, const char *what) {
  (void) fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
  (void) signal(SIGABRT, SIG_DFL); /* cmocka's handler would jump to the main thread's stack */
  abort();
}

static void watch(void *arg) {
  (void) arg;
  uint64_t last = 0;
  unsigned still = 0;
  uv_mutex_lock(&watchdog.lock);
  while (!watchdog.is_over) {
    (void) uv_cond_timedwait(&watchdog.is_over_changed, &watchdog.lock, SECOND_NS);
    uint64_t now = atomic_load(&watchdog.progress);
    still = now == last ? still + 1 : 0;
    last = now;
    if (still == watchdog.seconds && !watchdog.is_over) threads_fail(__FILE__, __LINE__, "the test makes progress");
  }
  uv_mutex_unlock(&watchdog.lock);
}

void threads_watch(unsigned seconds) {
  if (watchdog.is_watching) return; /* a test that failed left it */
  watchdog.is_watching = true;
  watchdog.is_over = false;
  watchdog.seconds = seconds;
  THREADS_CHECK(uv_mutex_init(&watchdog.lock) == 0);
  THREADS_CHECK(uv_cond_init(&watchdog.is_over_changed) == 0);
  threads_start(&watchdog.thread, watch, NULL);
}

void threads_unwatch(void) {
  uv_mutex_lock(&watchdog.lock);
  watchdog.is_over = true;
  uv_cond_signal(&watchdog.is_over_changed);
  uv_mutex_unlock(&watchdog.lock);
  threads_join(&watchdog.thread);
  watchdog.is_watching = false;
  uv_cond_destroy(&watchdog.is_over_changed);
  uv_mutex_destroy(&watchdog.lock);
}

void threads_progress(void) {
  (void) atomic_fetch_add_explicit(&watchdog.progress, 1, memory_order_relaxed);
}

void threads_start(uv_thread_t *thread, void (*body)(void *arg), void *arg) {
  THREADS_CHECK(uv_thread_create(thread, body, arg) == 0);
}

void threads_join(uv_thread_t *thread) {
  THREADS_CHECK(uv_thread_join(thread) == 0);
}

/* xorshift32 (Marsaglia) */
uint32_t threads_random(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}
