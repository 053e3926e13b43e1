/* SPDX-License-Identifier: MIT */
/*
 * threads: what tests with several threads share. A check that may fail on any thread ends the program, since cmocka's
 * own may only be used on the main one; and a watchdog turns a hang into a failure.
 */
#ifndef FLUXBP_TESTS_THREADS_H
#define FLUXBP_TESTS_THREADS_H

#include <stdint.h>
#include <uv.h>

#include "support/sanitized.h"

/* How many times to do something: `rounds`, or less of it where a sanitizer makes everything slow. */
#define THREADS_ROUNDS(rounds) ((rounds) / (FIXTURE_IS_SANITIZED ? 20 : 1))

#define THREADS_CHECK(condition)                                                                                       \
  do {                                                                                                                 \
    if (!(condition)) threads_fail(__FILE__, __LINE__, #condition);                                                    \
  } while (0)
void threads_fail(const char *file, int line, const char *what) __attribute__((noreturn));

/* The program fails when threads_progress isn't called for `seconds` between watch and unwatch. */
void threads_watch(unsigned seconds);
void threads_unwatch(void);
void threads_progress(void);

/* Start a thread, and wait for it. Both end the program if that fails. */
void threads_start(uv_thread_t *thread, void (*body)(void *arg), void *arg);
void threads_join(uv_thread_t *thread);

/* Numbers that look random; `*state` is the seed, and not 0. */
uint32_t threads_random(uint32_t *state);

#endif
