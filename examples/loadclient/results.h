/* SPDX-License-Identifier: MIT */
/*
 * results: the numbers of a run, in memory that its processes share, and their totals once the run is over, which the
 * reports show and the objectives are judged by.
 *
 * Each part has one writer: a process its own results, the publisher its own, the parent (which is process 0 as well)
 * the rest. Numbers are read while they change: two numbers of a running process may not belong to the same moment,
 * those of a process that has ended do.
 */
#ifndef LOADCLIENT_RESULTS_H
#define LOADCLIENT_RESULTS_H

#include "common/histogram.h"
#include "integrity.h"
#include "options.h"

#include <stdatomic.h>

#define RESULTS_FAILURES 5 /* that are shown, of each process */
#define RESULTS_FAILURE_BYTES 256

/* Counts of the clients of a class, all of type uint64_t, as a loop adds them up. */
struct class_counts {
  uint64_t clients;
  uint64_t connected; /* now */
  uint64_t ever_connected;
  uint64_t messages, bytes;
  uint64_t ok, failed; /* of the classes that have to get everything */
  uint64_t evicted;    /* by the server: a notice, or a reset */
  uint64_t cuts, resumes, too_old;
  struct integrity_totals integrity;
};

struct class_times {
  struct histogram latency;  /* from the planned time of a message to its receipt */
  struct histogram connect;  /* until connected; for WebSocket and SSE until the server has agreed */
  struct histogram eviction; /* from a client's stall to its reset */
};

struct process_results {
  struct class_counts classes[CLIENT_CLASSES];
  struct class_times times[CLIENT_CLASSES];
  int connect_error;                           /* the first one, or 0 */
  char connect_problem[RESULTS_FAILURE_BYTES]; /* the same in words; "": libuv's */
  uint64_t waited_for;                         /* clients that aren't subscribed yet */
  uint64_t unfinished;                         /* clients that have to get everything and haven't */
  uint64_t unfinished_clean;                   /* of these, without a fault */
  uint64_t stalled_left;                       /* not evicted */
  uint64_t unanswered;                         /* clients of lines whose PING the server didn't answer */
  uint64_t progress_ns;                        /* when a client last connected or got something new */
  uint64_t first_message_ns, last_message_ns;
  uint64_t cpu_ns;           /* user and system, since the measuring began */
  struct histogram loop_lag; /* how late the loop came to its timer */
  uint32_t failure_count;
  char failures[RESULTS_FAILURES][RESULTS_FAILURE_BYTES];
};

struct publisher_results {
  uint64_t sent[INTEGRITY_PUBLISHERS]; /* the last sequence number of each */
  uint64_t refused[INTEGRITY_PUBLISHERS];
  uint64_t planned;  /* how many should have been sent by now */
  uint64_t late;     /* sent more than PUBLISHER_LATE_NS behind their time */
  uint64_t accepted; /* by the server, where it says so */
  uint64_t bytes;
  uint64_t first_ns, last_ns; /* of sending */
  uint64_t cpu_ns;
  struct histogram lateness;                   /* from the planned time to the sending */
  int error;                                   /* why it ended early: libuv's, or 0 */
  char connect_problem[RESULTS_FAILURE_BYTES]; /* as above */
  char problem[RESULTS_FAILURE_BYTES];         /* the same in words, or "" */
};

enum phase {
  PHASE_CONNECTING,
  PHASE_RUNNING,  /* the publisher, if there is one, publishes */
  PHASE_DRAINING, /* it has ended; its messages are on their way */
  PHASE_OVER
};

enum run_end {
  RUN_COMPLETE,
  RUN_TIMED_OUT, /* no progress for too long */
  RUN_UNCONNECTED,
  RUN_FAILED, /* a process or the publisher has failed */
  RUN_INTERRUPTED
};

struct results {
  _Atomic int phase;
  enum run_end end;    /* set before the phase is PHASE_OVER */
  uint32_t run;        /* the number in our messages; 0 without a publisher */
  uint64_t start_ns;   /* of connecting */
  uint64_t running_ns; /* when the measuring began */
  uint64_t over_ns;
  struct publisher_results publisher;
  uint32_t process_count;
  struct process_results processes[]; /* of that many */
};

/** Make the memory of a run, shared with the processes that are forked from this one. @return NULL: out of memory */
struct results *results_create(uint32_t process_count);

static inline enum phase results_phase(const struct results *results) {
  return (enum phase) atomic_load(&results->phase);
}

/** Add the counts of `part` to those in `sum`; both hold `bytes` of uint64_t. */
static inline void results_add(void *sum, const void *part, size_t bytes) {
  uint64_t *counts = sum;
  for (size_t i = 0; i < bytes / sizeof *counts; i++) counts[i] += ((const uint64_t *) part)[i];
}

/** Return `amount` a unit of `divisor`; 0 where there is no unit. */
static inline double results_rate(double amount, double divisor) {
  return divisor > 0 ? amount / divisor : 0;
}

/** Return user and system time of this process so far. */
uint64_t results_cpu_ns(void);

/* Sums over all processes of a run that may still last. */
struct results_view {
  struct class_counts classes[CLIENT_CLASSES], all;
  uint64_t lossless; /* clients that have to get everything */
  uint64_t waited_for, unfinished, unfinished_clean, stalled_left, unanswered;
  uint64_t progress_ns; /* the latest */
  int connect_error;    /* the first one, or 0 */
  const char *connect_problem;
};

struct results_view results_look(const struct results *results);

#define TOTALS_REMARKS 4
#define TOTALS_REMARK_BYTES 320

struct totals {
  struct results_view view;
  struct class_times times[CLIENT_CLASSES];
  double elapsed_s;           /* of the whole run */
  double measured_s;          /* since the measuring began */
  double receiving_s;         /* from the first message to the last */
  double messages_per_second; /* while receiving */

  double cpu_ns_per_message;
  double busiest_cpu_percent; /* of a core, of the process that used most */
  uint64_t loop_lag_p99_ns;   /* of the process that lagged most */

  uint64_t sent, planned, missed, refused;
  double publisher_cpu_percent;
  double sent_per_second;

  bool is_timed;      /* there are latencies */
  bool is_bottleneck; /* the load client itself: latencies are its own in part */
  uint32_t remark_count;
  char remarks[TOTALS_REMARKS][TOTALS_REMARK_BYTES]; /* reasons to doubt the numbers */
};

/** Add everything up, into zeros. */
void totals_add_up(struct totals *totals, const struct options *options, const struct results *results);

/** Return whether no message came lost, twice, out of order or corrupt that shouldn't have. */
bool totals_is_intact(const struct totals *totals);

#endif
