/* SPDX-License-Identifier: MIT */
/*
 * report: a line a second while a run lasts, drawn over on a terminal; at the end a table for people, JSON for
 * programs, percentiles for plots. It decides nothing: the exit code is an argument.
 */
#ifndef LOADCLIENT_REPORT_H
#define LOADCLIENT_REPORT_H

#include "results.h"

struct progress {
  bool is_terminal, is_shown;
  uint64_t shown_ns;
  uint64_t shown_messages;
  struct histogram *latency; /* of the last second's beginning, and now; NULL: there is no memory */
};

void progress_init(struct progress *progress, const struct options *options);

/** Show on standard error how far it is, if a second has passed. */
void progress_show(struct progress *progress, const struct options *options, const struct results *results,
                   uint64_t now_ns);

/** Take the line off the terminal, before something else is written; free the memory. */
void progress_end(struct progress *progress);

/**
 * Print the table and the failures, and write the files that were asked for. `code` is the exit code of the run.
 *
 * @return false after a message on standard error: a file couldn't be written
 */
bool report_write(const struct options *options, const struct results *results, const struct totals *totals, int code);

#endif
