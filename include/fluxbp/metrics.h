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
 * The figures of a hub at one moment. A delivery is one message for one connection. Counters begin with the hub and
 * never go back. At any moment accepted = written + dropped + conflated + discarded + queued.
 */
typedef struct fluxbp_metrics {
  /* ---- counters ---- */

  /* Messages published on topics and sent to single connections. */
  uint64_t published;

  /* Deliveries due: messages times their receivers, and notices of gaps and farewells. */
  uint64_t accepted;

  /* Deliveries that the kernel took whole; of these, deliveries that it took at the first offer. */
  uint64_t written;
  uint64_t written_at_once;

  /* Deliveries lost; of these, deliveries that FLUXBP_OVERFLOW_DROP_NEWEST and FLUXBP_OVERFLOW_DROP_OLDEST chose. The
   * rest had been forgotten by the history, or the codec refused them. */
  uint64_t dropped;
  uint64_t dropped_newest;
  uint64_t dropped_oldest;

  /* Deliveries replaced by a newer value, or left to their state topic, which repeats them. */
  uint64_t conflated;

  /* Deliveries thrown away with their connection. */
  uint64_t discarded;

  /* Bytes that the kernel took, and bytes received from clients. */
  uint64_t written_bytes;
  uint64_t received_bytes;

  /* Calls of the transport's try_write; of these, calls of which the kernel took only a part or nothing. */
  uint64_t writes;
  uint64_t refusals;

  /* Times that a connection came above its high watermark and could not keep up. */
  uint64_t backpressure_events;

  /* Times that a ring was full and its overflow rule began to act. */
  uint64_t ring_full_events;

  /* Gaps reported. */
  uint64_t gaps;

  /* Connections started; of these, connections that are gone. */
  uint64_t opened;
  uint64_t closed;

  /* By reason: connections evicted, and verdicts of shadow policies, which are only reported. */
  uint64_t evictions[FLUXBP_EVICT_REASONS_MAX];
  uint64_t shadow_evictions[FLUXBP_EVICT_REASONS_MAX];

  /* Verdicts that on_verdict did not let be carried out. */
  uint64_t spared;

  /* Messages of the bus for which their state topic had no place: too many keys, or no key. */
  uint64_t unkept;

  /* Times that more than 90 % of at least 20 connections became slow together. */
  uint64_t crowd_slow_events;

  /* ---- gauges ---- */

  /* Connections that were started and are not gone. */
  uint64_t connections;
  uint64_t topics;

  /* Deliveries in rings and in the lanes of replies, and their bytes that the kernel has not taken. */
  uint64_t queued;
  uint64_t queued_bytes;

  /* Connections whose last write the kernel refused. */
  uint64_t refused;

  /* Connections that are backpressured. */
  uint64_t backpressured;

  /* Bytes sent by refused connections and not acknowledged, as of the last sweep. */
  uint64_t kernel_bytes;

  /* The longest time in microseconds that the hub has kept its loop at once; `slice_us` is the aim. */
  uint64_t longest_turn_us;

  /* An alarm: nearly all connections are slow together now. Look at the host or the uplink. */
  int is_crowd_slow;

  /* Mean fill of the rings of backpressured connections in percent, 0 if there is none. */
  uint32_t backpressured_fill_percent;

  /* written_at_once / (written + dropped + conflated); 1 before the first delivery. */
  double write_success_rate;

  /* ---- the history ---- */

  /* Counters: messages that the history has forgotten, or got and didn't keep; of these, messages that a limit of their
   * topic and history_ms removed. The rest went for other topics or for memory. */
  uint64_t history_forgotten;
  uint64_t history_forgotten_by_topic;
  uint64_t history_forgotten_by_age;

  /* Gauges: messages in the history, and their bytes. */
  uint64_t history_messages;
  uint64_t history_bytes;

  /* ---- what clients send: see input.h ---- */

  /* Counters: time in microseconds that was used for it; iterations of the loop at the end of which some connections
   * still waited for their turn. */
  uint64_t input_us;
  uint64_t input_waits;

  /* Gauge: connections that wait for their turn. */
  uint64_t input_waiting;

  /* ---- how it is written ---- */

  /* Counter: of `writes`, writes that were made together with others by one call of io_uring. */
  uint64_t io_uring_writes;
} fluxbp_metrics_t;

/** Take a snapshot. Loop thread; another thread posts a task that takes it (fluxbp_hub_post). */
#define fluxbp_hub_get_metrics(hub, metrics) fluxbp_hub_get_metrics_sized((hub), (metrics), sizeof(*(metrics)))
FLUXBP_EXTERN void fluxbp_hub_get_metrics_sized(const fluxbp_hub_t *hub, fluxbp_metrics_t *metrics, size_t size);

/**
 * Copy the histogram of broadcast times since the hub was made. A broadcast time runs from the moment at which the hub
 * takes a message (fluxbp_topic_publish, or its bus) until each subscriber that the kernel doesn't refuse has been
 * offered it. The histogram has one time for each message that was due to a subscriber. Messages that are offered
 * together have the time of the first of them, so no time is too short. Loop thread.
 */
#define fluxbp_hub_get_broadcast_times(hub, times)                                                                     \
  fluxbp_hub_get_broadcast_times_sized((hub), (times), sizeof(*(times)))
FLUXBP_EXTERN void fluxbp_hub_get_broadcast_times_sized(const fluxbp_hub_t *hub, fluxbp_histogram_t *times,
                                                        size_t size);

/**
 * Add the snapshot of one more hub to `sum`, which begins as zero or as the snapshot of the first hub. Counters and
 * gauges become sums. Rates and percentages become those of all hubs together. The number of topics, the figures of
 * the history and the longest turn become the largest of all hubs: hubs of one bus have the same topics and the same
 * history. Any thread.
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
