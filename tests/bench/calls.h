/* SPDX-License-Identifier: MIT */
/*
 * calls: the system calls that write, counted and timed. It defines write, writev and sendmsg in the program, where
 * libuv finds them before libc's; a bench that has this among its sources exports them (tests/CMakeLists.txt). For
 * programs in which one thread writes.
 */
#ifndef FLUXBP_TESTS_BENCH_CALLS_H
#define FLUXBP_TESTS_BENCH_CALLS_H

#include <stdint.h>

uint64_t calls_count(void);

/* From now on also note the longest one, by the calling thread's processor time, until it is asked for. */
void calls_begin_timing(void);
uint64_t calls_longest_ns(void);

/* Processor time of the calling thread. */
uint64_t calls_thread_ns(void);

#endif
