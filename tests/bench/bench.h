/* SPDX-License-Identifier: MIT */
/*
 * bench: what all programs that measure share: their options, the figures of their rounds, what else the machine did,
 * and the end of everything when a step fails.
 */
#ifndef FLUXBP_TESTS_BENCH_H
#define FLUXBP_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The most rounds: a figure is kept of each. */
enum { BENCH_ROUNDS_MAX = 101 };

/* End the program, with what failed and an error of libuv's. */
void bench_die(const char *what, int err) __attribute__((noreturn));
void bench_must(int err, const char *what);

/* For calls that set errno: they fail with -1. Returns what they returned. */
int bench_check(int result, const char *what);

void *bench_alloc(size_t count, size_t size);

/* An option with a number from 1 to `most`. */
typedef struct bench_option {
  const char *name;
  const char *help;
  uint64_t most;
  uint64_t *value; /* its default, until it is given */
} bench_option_t;

/* Read the arguments: the options, and --json FILE. Ends the program when they are wrong, or ask for help. Returns that
 * file, open for writing, or NULL: then JSON isn't wanted. */
FILE *bench_options(int argc, char **argv, const bench_option_t *options, size_t count);

/* A figure of each round. */
typedef struct bench_rounds {
  size_t count;
  double values[BENCH_ROUNDS_MAX];
} bench_rounds_t;

typedef struct bench_spread {
  double median, lowest, highest;
} bench_spread_t;

void bench_round(bench_rounds_t *rounds, double value);
bench_spread_t bench_spread(const bench_rounds_t *rounds);

/* The processors' time that went to others: to be begun first, and asked for when all children have ended. */
typedef struct bench_load {
  uint64_t begun_ns;
  double busy_s;
} bench_load_t;

void bench_load_begin(bench_load_t *load);
double bench_load_of_others(const bench_load_t *load); /* in processors; -1: unknown */

/* Processor time meanwhile of processes that belong to the bench, but are no children of its. */
void bench_load_exclude(bench_load_t *load, double us);

/* Processor time that this process has taken: the sum is exact, its division is the kernel's estimate. */
typedef struct bench_time {
  double user_us, system_us;
} bench_time_t;

bench_time_t bench_spent(void);

/* Processor time that another process has taken, of all threads that it has now, by the scheduler's own clock. */
double bench_process_us(int pid);

/* Wait until a time of uv_hrtime's clock. */
void bench_sleep_until(uint64_t time_ns);

/* Have as many descriptors as the process may have; it needs `count`. */
void bench_need_descriptors(uint64_t count);

#endif
