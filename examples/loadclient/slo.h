/* SPDX-License-Identifier: MIT */
/*
 * slo: what is asked of a run: "p99<5ms", "p99.9(slow)<=1s", "loss(healthy)==0", "evicted(stalled)==all",
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

enum slo_comparison { SLO_LESS, SLO_AT_MOST, SLO_EQUAL, SLO_AT_LEAST, SLO_MORE };

struct slo {
  const char *text; /* as given */
  enum slo_metric metric;
  enum slo_comparison comparison;
  enum client_class class;
  double percentile;
  double limit;      /* nanoseconds for times */
  bool is_limit_all; /* as many as there are clients of the class */
};

/** Read one. `text` has to stay. @return NULL, or what is wrong */
const char *slo_parse(struct slo *slo, const char *text);

/** Whether it is met. `*measured` is in the unit of the limit. What wasn't measured at all meets nothing. */
bool slo_is_met(const struct slo *slo, const struct totals *totals, double *measured);

/** Whether its numbers are times. */
bool slo_is_time(const struct slo *slo);

#endif
