/* SPDX-License-Identifier: MIT */
/*
 * report: the figures of all hubs, gathered by a survey, and put into words: for /metrics, for /api/v1/stats and the
 * watch stream.
 */
#ifndef FLUXBP_SERVER_REPORT_H
#define FLUXBP_SERVER_REPORT_H

#include "describe.h"
#include "server/shards.h"
#include "server/text.h"

#include <fluxbp/fluxbp.h>

#include <jansson.h>
#include <stdint.h>

/* Rows of the watch stream's `worst`. */
#define REPORT_WORST 50

/* What one hub says. */
struct hub_report {
  fluxbp_metrics_t metrics;
  fluxbp_histogram_t broadcast;
  fluxbp_history_range_t history;
  uint64_t served[PROTOCOL_SUBSCRIBERS];
  uint64_t backpressured, stalled;
  uint64_t commands, pauses;
  uint64_t topics, topics_refused;
  struct compression_figures compression;

  /* with details alone */
  uint32_t cell_count;
  uint32_t *free_cells; /* those below that nobody has */
  size_t free_count;
  struct text slow; /* "[cell,fill,stalled],…" */
  struct listing *worst;
};

struct report {
  const fluxbp_server_t *server;
  struct hub_report sum;
  size_t count;
  struct hub_report hubs[];
};

/** @return NULL: out of memory */
struct report *report_create(const fluxbp_server_t *server);
void report_free(struct report *report);

/** On the thread of a hub: fill in its part; with the connections that can't keep up, if `has_details`. */
void report_take(struct report *report, struct shard *shard, bool has_details);

/** Add the parts together. */
void report_add_up(struct report *report);

/** The snapshot; `policy` as it is now. */
json_t *report_snapshot(const struct report *report, const fluxbp_policy_t *policy);

/** The `slow` event's data. */
void report_slow(const struct report *report, struct text *text);

/** Prometheus text. */
void report_metrics(const struct report *report, struct text *text);

#endif
