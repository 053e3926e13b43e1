/* SPDX-License-Identifier: MIT */
/*
 * metrics: what a hub has done, as numbers of one moment and as Prometheus text.
 */
#ifndef FLUXBP_METRICS_H
#define FLUXBP_METRICS_H

#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/histogram.h"
#include "fluxbp/hub.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * All figures belong to the same moment. Counters begin with the hub and never go back. At any moment
 * accepted = written + dropped + conflated + discarded + queued.
 */
typedef struct fluxbp_metrics {
  /* counters */
  uint64_t published;       /* messages published on topics and sent to single connections */
  uint64_t accepted;        /* deliveries due: published × receivers, and notices of gaps and farewells */
  uint64_t written;         /* deliveries handed to the kernel whole */
  uint64_t written_at_once; /* those of them that the kernel took at the first offer */
  uint64_t dropped;         /* deliveries lost: their ring was full, or they couldn't be had any more */
  uint64_t dropped_newest;  /* those of them that FLUXBP_OVERFLOW_DROP_NEWEST */
  uint64_t dropped_oldest;  /* and FLUXBP_OVERFLOW_DROP_OLDEST chose; the rest had been forgotten by the history, or
                               their codec refused them */
  uint64_t conflated;       /* deliveries replaced by a newer value, or left to their state topic, which repeats them */
  uint64_t discarded;       /* deliveries thrown away with their connection */
  uint64_t written_bytes;   /* handed to the kernel */
  uint64_t received_bytes;
  uint64_t writes;                               /* uv_try_write calls */
  uint64_t refusals;                             /* of them, that the kernel took only partly or not at all */
  uint64_t backpressure_events;                  /* a connection came above its high watermark and could not keep up */
  uint64_t ring_full_events;                     /* a ring was full, and its overflow rule began to act */
  uint64_t gaps;                                 /* gaps reported */
  uint64_t opened;                               /* connections started */
  uint64_t closed;                               /* started connections that are gone */
  uint64_t evictions[FLUXBP_EVICT_REASONS_MAX];         /* by reason */
  uint64_t shadow_evictions[FLUXBP_EVICT_REASONS_MAX];  /* only reported, as the policy is a shadow */
  uint64_t spared;                                      /* verdicts that on_verdict didn't want carried out */
  uint64_t unkept; /* messages of the bus that their state topic had no place for: too many keys, or no key */
  uint64_t crowd_slow_events; /* more than 90 % of at least 20 connections became slow together */

  /* gauges */
  uint64_t connections; /* started and not gone */
  uint64_t topics;
  uint64_t queued; /* deliveries in rings */
  uint64_t queued_bytes;
  uint64_t refused;                    /* connections whose last write the kernel refused */
  uint64_t backpressured;              /* connections */
  uint64_t kernel_bytes;               /* sent by refused connections and not acknowledged, as of the last sweep */
  uint64_t longest_turn_us;            /* the longest that the hub has kept its loop at once; `slice_us` is the aim */
  int is_crowd_slow;                   /* an alarm: they are slow together now, look at the host or the uplink */
  uint32_t backpressured_fill_percent; /* mean fill of the rings of backpressured connections, 0 if there is none */
  double write_success_rate; /* written_at_once / (written + dropped + conflated); 1 before the first delivery */

  /* of the history */
  uint64_t history_forgotten;          /* counter: messages that it has forgotten, or was given and didn't keep */
  uint64_t history_forgotten_by_topic; /* those of them that a limit of their topic wanted gone */
  uint64_t history_forgotten_by_age;   /* and history_ms; the rest had to go for other topics' or for memory's sake */
  uint64_t history_messages;           /* gauge: that it has */
  uint64_t history_bytes;              /* gauge: of these messages */
} fluxbp_metrics_t;

/** Take a snapshot. Loop thread; another thread has it taken by fluxbp_hub_post. */
#define fluxbp_hub_get_metrics(hub, metrics) fluxbp_hub_get_metrics_sized((hub), (metrics), sizeof(*(metrics)))
FLUXBP_EXTERN void fluxbp_hub_get_metrics_sized(const fluxbp_hub_t *hub, fluxbp_metrics_t *metrics, size_t size);

/**
 * How long messages took from when the hub took them (from fluxbp_topic_publish, or from its bus) until each subscriber
 * that the kernel doesn't refuse had been offered them: a copy of what was counted since the hub was made. One time is
 * counted for each message for which somebody had to be written to. Messages that are offered together have the time of
 * the first of them, so none is said to be shorter than it was. Loop thread.
 */
#define fluxbp_hub_get_broadcast_times(hub, times)                                                                     \
  fluxbp_hub_get_broadcast_times_sized((hub), (times), sizeof(*(times)))
FLUXBP_EXTERN void fluxbp_hub_get_broadcast_times_sized(const fluxbp_hub_t *hub, fluxbp_histogram_t *times,
                                                        size_t size);

/**
 * Add the snapshot of one more hub to `sum`, which begins as zero or as the snapshot of the first hub. Counters and gauges
 * become sums. Rates and percentages become those of all hubs together. The number of topics, the figures of the history and
 * the longest turn become the largest of all hubs: hubs of one bus have the same topics and the same history. Any thread.
 */
#define fluxbp_metrics_add(sum, more) fluxbp_metrics_add_sized((sum), (more), sizeof(*(sum)))
FLUXBP_EXTERN void fluxbp_metrics_add_sized(fluxbp_metrics_t *sum, const fluxbp_metrics_t *more, size_t size);

/**
 * Write a snapshot in Prometheus' text format, version 0.0.4, as snprintf does: at most `capacity` bytes with a NUL. A
 * figure that the caller's headers don't have is 0 in the text. Any thread.
 *
 * @return the length of the whole text without the NUL, also if `out` has no room for all of it
 */
#define fluxbp_metrics_prometheus(metrics, out, capacity)                                                              \
  fluxbp_metrics_prometheus_sized((metrics), sizeof(*(metrics)), (out), (capacity))
FLUXBP_EXTERN size_t fluxbp_metrics_prometheus_sized(const fluxbp_metrics_t *metrics, size_t size, char *out,
                                                     size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
