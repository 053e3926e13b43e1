/* SPDX-License-Identifier: MIT */
/*
 * report: a table for people, JSON for programs, percentiles for plots. It decides nothing: the exit code is an
 * argument.
 */
#ifndef LOADCLIENT_REPORT_H
#define LOADCLIENT_REPORT_H

#include "results.h"

#include <stdio.h>

/** The table, and what went wrong. `code` is what the run exits with. */
void report_table(FILE *file, const struct options *options, const struct results *results, const struct totals *totals,
                  int code);

/** One sentence: what that exit code means for this run. */
const char *report_verdict(const struct options *options, const struct results *results, int code);

/** Why the target can't be connected to, and what to do about it. On standard error. */
void report_connect_error(const struct options *options, const struct results *results);

/** Write the files that were asked for. @return whether all could be written; if not, that is said on standard error */
bool report_files(const struct options *options, const struct results *results, const struct totals *totals, int code);

#endif
