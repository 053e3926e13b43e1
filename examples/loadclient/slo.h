/* SPDX-License-Identifier: MIT */
/*
 * slo: objectives of a run: "p99<5ms", "p99.9(slow)<=1s", "loss(healthy)==0", "evicted(stalled)==all",
 * "eviction<5.5s", "rate>1000". Pure.
 */
#ifndef LOADCLIENT_SLO_H
#define LOADCLIENT_SLO_H

#include "mix.h"

struct totals;

enum slo_metric {
  SLO_PERCENTILE, /* of a class's latencies */
  SLO_MAX,        /* the largest of them */
  SLO_LOSS,       /* messages that a class lost */
  SLO_EVICTED,    /* clients of a class that were evicted */
  SLO_EVICTION,   /* the longest time from a stall to the eviction */
  SLO_RATE        /* received messages a second, of all clients together */
};

/* Relations of the measured number to the limit; a comparison allows one or two of them. */
enum slo_relation { SLO_LESS = 1, SLO_EQUAL = 2, SLO_MORE = 4 };

struct slo {
  const char *text; /* as given */
  enum slo_metric metric;
  unsigned allowed; /* relations */
  enum client_class class;
  double percentile;
  double limit;      /* nanoseconds for times */
  bool is_limit_all; /* as many as there are clients of the class */
};

/** Read an objective. `text` has to stay. @return NULL, or a sentence on what is wrong */
const char *slo_parse(struct slo *slo, const char *text);

/** Return whether the objective is met. `*measured` is in the unit of the limit. Without a measurement it is missed. */
bool slo_is_met(const struct slo *slo, const struct totals *totals, double *measured);

/** Return whether its numbers are times. */
bool slo_is_time(const struct slo *slo);

#endif
