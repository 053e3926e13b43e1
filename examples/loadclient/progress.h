/* SPDX-License-Identifier: MIT */
/*
 * progress: a line a second on standard error while a run lasts: one that is drawn over on a terminal, plain ones
 * elsewhere.
 */
#ifndef LOADCLIENT_PROGRESS_H
#define LOADCLIENT_PROGRESS_H

#include "options.h"
#include "results.h"

struct progress {
  bool is_terminal, is_shown;
  uint64_t shown_ns;
  uint64_t shown_messages;
  struct histogram *latency; /* of the last second's beginning, and now; NULL: there is no memory */
};

void progress_init(struct progress *progress, const struct options *options);

/** Show how far it is, if a second has passed. */
void progress_show(struct progress *progress, const struct options *options, const struct results *results,
                   uint64_t now_ns);

/** Take the line off the terminal, before something else is written; free the memory. */
void progress_end(struct progress *progress);

#endif
