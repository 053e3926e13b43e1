/* SPDX-License-Identifier: MIT */
/*
 * report: a line a second while a run lasts, drawn over on a terminal; at the end a table for people, JSON for
 * programs, percentiles for plots. It decides nothing: the exit code is an argument.
 */
#ifndef LOADCLIENT_REPORT_H
#define LOADCLIENT_REPORT_H

#include "results.h"

/** Show on standard error how far the run is, if a second has passed since the last call that did. */
void report_progress(const struct options *options, const struct results *results, uint64_t now_ns);

/**
 * Print the table and the failures, and write the files that were asked for. `code` is the exit code of the run.
 *
 * @return false after a message on standard error: a file couldn't be written
 */
bool report_write(const struct options *options, const struct results *results, const struct totals *totals, int code);

#endif
