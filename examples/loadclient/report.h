/* SPDX-License-Identifier: MIT */
/*
 * report: a table for people, JSON for programs, percentiles for plots. It decides nothing: the exit code is an
 * argument.
 */
#ifndef LOADCLIENT_REPORT_H
#define LOADCLIENT_REPORT_H

#include "results.h"

#include <stdio.h>

/** Print the table and the failures. `code` is the exit code of the run. */
void report_table(FILE *file, const struct options *options, const struct results *results, const struct totals *totals,
                  int code);

/** Return a sentence on the meaning of that exit code for this run. */
const char *report_verdict(const struct options *options, const struct results *results, int code);

/** Print on standard error why the target can't be connected to, and the remedy. */
void report_connect_error(const struct options *options, const struct results *results);

/** Write the files that were asked for. @return false after a message on standard error: a file couldn't be written */
bool report_files(const struct options *options, const struct results *results, const struct totals *totals, int code);

#endif
