/* SPDX-License-Identifier: MIT */
/*
 * report: what people read of a run: the progress while it lasts, the summary, and why connecting failed.
 */
#ifndef LOADCLIENT_REPORT_H
#define LOADCLIENT_REPORT_H

#include "clients.h"

struct report {
  bool is_terminal;
  bool is_shown; /* progress is shown at all */
  uint64_t shown_ms;
  uint64_t shown_received;
};

/** Begin a report on stderr; progress is shown on a terminal, or with --progress. */
void report_init(struct report *report, const struct options *options, uint64_t now_ms);

/** One line of progress, if a second has passed since the last. */
void report_progress(struct report *report, const struct clients *clients, uint64_t now_ms);

/** Take the progress off the terminal, before something else is written. */
void report_end_progress(struct report *report);

/** On stderr: why the target can't be connected to, and what to do about it. */
void report_connect_error(const struct clients *clients, int error);

/** On stdout: what the run found. `code` is what it exits with. */
void report_summary(const struct clients *clients, const struct clients_totals *totals, int code, uint64_t now_ms);

#endif
