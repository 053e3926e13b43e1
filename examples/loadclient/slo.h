/* SPDX-License-Identifier: MIT */
/*
 * slo: objectives of a run: "p99<5ms", "p99.9(slow)<=1s", "max<50ms", "loss(healthy)==0", "evicted(stalled)==all",
 * "eviction<5.5s", "rate>1000". Pure.
 */
#ifndef LOADCLIENT_SLO_H
#define LOADCLIENT_SLO_H

#include "mix.h"

struct totals;

struct slo {
  const char *text; /* as given; NULL: none */
  const struct slo_metric *metric;
  unsigned allowed; /* relations of the measured number to the limit */
  enum client_class class;
  double percentile;
  double limit;      /* nanoseconds for times */
  bool is_limit_all; /* as many as there are clients of the class */
  bool is_time;      /* its numbers are nanoseconds */
  const char *unit;  /* of its numbers in the JSON report */
};

/** Read an objective. `text` has to stay. @return NULL, or a sentence on what is wrong */
const char *slo_parse(struct slo *slo, const char *text);

/** Return whether the objective is met. `*measured` is in the unit of the limit. Without a measurement it is missed. */
bool slo_is_met(const struct slo *slo, const struct totals *totals, double *measured);

#endif
