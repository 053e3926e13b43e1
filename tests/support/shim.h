/* SPDX-License-Identifier: MIT */
/*
 * shim: system calls that count, and that fail when a test wants them to. It defines them in the test's binary, where
 * the linker finds them before libc's; a test that takes SHIM in its line of tests/CMakeLists.txt exports them, so that
 * shared libraries (libuv) call them as well.
 *
 * To add a call: an entry in shim_call_t, and a function of its name in shim.c.
 */
#ifndef TESTS_SUPPORT_SHIM_H
#define TESTS_SUPPORT_SHIM_H

#include <stdint.h>

typedef enum shim_call {
  SHIM_ACCEPT4,
  SHIM_URING_SETUP, /* liburing's, as those below */
  SHIM_URING_SUBMIT,
  SHIM_CALL_COUNT
} shim_call_t;

#define SHIM_ALWAYS UINT64_MAX

/* Nothing fails, nothing is counted yet. */
void shim_reset(void);

/* The next `times` calls fail with `error`, an errno, and don't reach the kernel. */
void shim_fail(shim_call_t call, int error, uint64_t times);

/* How many there were since shim_reset, those that failed included. */
uint64_t shim_calls(shim_call_t call);

#endif
