/* SPDX-License-Identifier: MIT */
/*
 * shim: see shim.h. Calls may come from any thread; what they do is set while only the test's thread runs.
 */
#define _GNU_SOURCE
#include "support/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef struct script {
  atomic_uint_fast64_t calls;
  atomic_uint_fast64_t failures_left;
  int error;
} script_t;

static script_t scripts[SHIM_CALL_COUNT];

void shim_reset(void) {
  for (int call = 0; call < SHIM_CALL_COUNT; call++) {
    atomic_store(&scripts[call].calls, 0);
    atomic_store(&scripts[call].failures_left, 0);
  }
}

void shim_fail(shim_call_t call, int error, uint64_t times) {
  scripts[call].error = error;
  atomic_store(&scripts[call].failures_left, times);
}

uint64_t shim_calls(shim_call_t call) {
  return atomic_load(&scripts[call].calls);
}

/* Count a call; true, with errno set, if it is to fail. */
static bool fails(shim_call_t call) {
  script_t *script = &scripts[call];
  atomic_fetch_add(&script->calls, 1);
  uint_fast64_t left = atomic_load(&script->failures_left);
  do {
    if (left == 0) return false;
  } while (!atomic_compare_exchange_weak(&script->failures_left, &left, left == SHIM_ALWAYS ? left : left - 1));
  errno = script->error;
  return true;
}

/* The next definition of `name` after ours: libc's, or a sanitizer's in front of it. As a void pointer, which ISO C
 * doesn't turn into one to a function but by copying. */
static void find_real(const char *name, void *function, size_t size) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  memcpy(function, &found, size);
}

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags) {
  int (*real)(int, __SOCKADDR_ARG, socklen_t *restrict, int);
  if (fails(SHIM_ACCEPT4)) return -1;
  find_real("accept4", &real, sizeof real);
  return real(fd, address, length, flags);
}

/* liburing's functions return what they would set errno to. */
struct io_uring;
struct io_uring_params;
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int io_uring_submit_and_wait(struct io_uring *ring, unsigned count);

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params) {
  int (*real)(unsigned, struct io_uring *, struct io_uring_params *);
  if (fails(SHIM_URING_SETUP)) return -errno;
  find_real("io_uring_queue_init_params", &real, sizeof real);
  return real(entries, ring, params);
}

int io_uring_submit_and_wait(struct io_uring *ring, unsigned count) {
  int (*real)(struct io_uring *, unsigned);
  if (fails(SHIM_URING_SUBMIT)) return -errno;
  find_real("io_uring_submit_and_wait", &real, sizeof real);
  return real(ring, count);
}
