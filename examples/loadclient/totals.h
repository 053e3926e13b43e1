/* SPDX-License-Identifier: MIT */
/*
 * totals: a run in numbers, once it is over: what reports show and objectives are judged by.
 */
#ifndef LOADCLIENT_TOTALS_H
#define LOADCLIENT_TOTALS_H

#include "options.h"
#include "results.h"

#define TOTALS_REMARKS 4
#define TOTALS_REMARK_BYTES 320

struct totals {
  struct class_results classes[CLIENT_CLASSES];
  uint64_t messages, bytes;   /* received, by all */
  double elapsed_s;           /* of the whole run */
  double measured_s;          /* since the measuring began */
  double receiving_s;         /* from the first message to the last */
  double messages_per_second; /* while receiving */

  uint64_t cpu_ns; /* of receiving, since the measuring began */
  double cpu_ns_per_message;
  double busiest_cpu_percent; /* of a core, of the process that used most */
  uint64_t loop_lag_p99_ns;   /* of the process that lagged most */

  uint64_t sent, planned, missed, refused;
  double publisher_cpu_percent;
  double sent_per_second;

  bool is_bottleneck; /* the load client itself: latencies are its own in part */
  uint32_t remark_count;
  char remarks[TOTALS_REMARKS][TOTALS_REMARK_BYTES]; /* what a reader of the numbers has to know */
};

/** Add everything up. @return NULL: out of memory */
struct totals *totals_create(const struct options *options, const struct results *results);
void totals_free(struct totals *totals);

/** Whether something came lost, twice, out of order or corrupt that shouldn't have. */
bool totals_is_intact(const struct totals *totals);

/** Clients that had to get everything, and didn't. */
uint64_t totals_failed(const struct totals *totals);

#endif
