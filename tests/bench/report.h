/* SPDX-License-Identifier: MIT */
/*
 * report: what a bench has to say: tables of figures, and what was to be reached. Everything is printed for people;
 * with --json FILE it is in that file for programs, too.
 */
#ifndef FLUXBP_TESTS_BENCH_REPORT_H
#define FLUXBP_TESTS_BENCH_REPORT_H

#include "bench.h"

#include <stdio.h>

enum { REPORT_COLUMNS_MAX = 8 };

typedef struct report {
  FILE *json; /* NULL: not wanted */
  size_t columns;
  const char *names[REPORT_COLUMNS_MAX];
  size_t tables, rows, goals;
  bench_load_t load;
} report_t;

/* Call it before there are children, as bench_load_begin. `json`: what bench_options returned. */
void report_begin(report_t *report, FILE *json);

/* When all children have ended: what the machine did besides. Closes the file. */
void report_end(report_t *report);

/* A table: its title, and its columns up to a NULL. The last column is the important one: its spread is shown. */
void report_table(report_t *report, const char *title, const char *const *columns);

/* A row of it: for each column the figures of its rounds. */
void report_row(report_t *report, const char *name, const bench_rounds_t *figures);

/* A row of the table of goals, in the form that docs/performance.md has; after the last table. The median is held
 * against `most`. */
void report_goal(report_t *report, const char *what, double most, const bench_rounds_t *figures);

#endif
