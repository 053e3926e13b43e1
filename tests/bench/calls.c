/* SPDX-License-Identifier: MIT */
/*
 * calls: see calls.h.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "calls.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t count, longest_ns;
static atomic_bool is_timed;

uint64_t calls_count(void) {
  return atomic_load(&count);
}

void calls_begin_timing(void) {
  atomic_store(&longest_ns, 0);
  atomic_store(&is_timed, true);
}

uint64_t calls_longest_ns(void) {
  atomic_store(&is_timed, false);
  return atomic_load(&longest_ns);
}

uint64_t calls_thread_ns(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) abort();
  return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

/* A call begins; 0: it isn't timed. */
static uint64_t begin(void) {
  (void) atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
  return atomic_load_explicit(&is_timed, memory_order_relaxed) ? calls_thread_ns() : 0;
}

static void end(uint64_t begun_ns) {
  uint64_t spent_ns = begun_ns > 0 ? calls_thread_ns() - begun_ns : 0;
  if (spent_ns > atomic_load_explicit(&longest_ns, memory_order_relaxed)) atomic_store(&longest_ns, spent_ns);
}

static void find_real(const char *name, void *function, size_t size) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  memcpy(function, &found, size); /* ISO C doesn't turn one into the other */
}

ssize_t write(int fd, const void *data, size_t size) {
  static ssize_t (*real)(int, const void *, size_t);
  if (real == NULL) find_real("write", &real, sizeof real);
  uint64_t begun_ns = begin();
  ssize_t result = real(fd, data, size);
  end(begun_ns);
  return result;
}

ssize_t writev(int fd, const struct iovec *parts, int part_count) {
  static ssize_t (*real)(int, const struct iovec *, int);
  if (real == NULL) find_real("writev", &real, sizeof real);
  uint64_t begun_ns = begin();
  ssize_t result = real(fd, parts, part_count);
  end(begun_ns);
  return result;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags) {
  static ssize_t (*real)(int, const struct msghdr *, int);
  if (real == NULL) find_real("sendmsg", &real, sizeof real);
  uint64_t begun_ns = begin();
  ssize_t result = real(fd, header, flags);
  end(begun_ns);
  return result;
}

/* liburing's, which makes one system call. */
struct io_uring;
int io_uring_submit_and_wait(struct io_uring *ring, unsigned sends);

int io_uring_submit_and_wait(struct io_uring *ring, unsigned sends) {
  static int (*real)(struct io_uring *, unsigned);
  if (real == NULL) find_real("io_uring_submit_and_wait", &real, sizeof real);
  uint64_t begun_ns = begin();
  int result = real(ring, sends);
  end(begun_ns);
  return result;
}
