/* SPDX-License-Identifier: MIT */
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
typedef struct fluxbp_metrics {
  uint64_t published;
  uint64_t accepted;
  uint64_t written;
  uint64_t written_at_once;
  uint64_t dropped;
  uint64_t dropped_newest;
  uint64_t dropped_oldest;
  uint64_t conflated;
  uint64_t discarded;
  uint64_t written_bytes;
  uint64_t received_bytes;
  uint64_t writes;
  uint64_t refusals;
  uint64_t backpressure_events;
  uint64_t ring_full_events;
  uint64_t gaps;
  uint64_t opened;
  uint64_t closed;
  uint64_t evictions[FLUXBP_EVICT_REASONS_MAX];
  uint64_t shadow_evictions[FLUXBP_EVICT_REASONS_MAX];
  uint64_t spared;
  uint64_t unkept;
  uint64_t crowd_slow_events;
  uint64_t connections;
  uint64_t topics;
  uint64_t queued;
  uint64_t queued_bytes;
  uint64_t refused;
  uint64_t backpressured;
  uint64_t kernel_bytes;
  uint64_t longest_turn_us;
  int is_crowd_slow;
  uint32_t backpressured_fill_percent;
  double write_success_rate;
  uint64_t history_forgotten;
  uint64_t history_forgotten_by_topic;
  uint64_t history_forgotten_by_age;
  uint64_t history_messages;
  uint64_t history_bytes;
  uint64_t input_us;
  uint64_t input_waits;
  uint64_t input_waiting;
} fluxbp_metrics_t;
#define fluxbp_hub_get_metrics(hub,metrics) fluxbp_hub_get_metrics_sized((hub), (metrics), sizeof(*(metrics)))
FLUXBP_EXTERN void fluxbp_hub_get_metrics_sized(const fluxbp_hub_t *hub, fluxbp_metrics_t *metrics, size_t size);
#define fluxbp_hub_get_broadcast_times(hub,times) \
  fluxbp_hub_get_broadcast_times_sized((hub), (times), sizeof(*(times)))
FLUXBP_EXTERN void fluxbp_hub_get_broadcast_times_sized(const fluxbp_hub_t *hub, fluxbp_histogram_t *times,
                                                        size_t size);
#define fluxbp_metrics_add(sum,more) fluxbp_metrics_add_sized((sum), (more), sizeof(*(sum)))
FLUXBP_EXTERN void fluxbp_metrics_add_sized(fluxbp_metrics_t *sum, const fluxbp_metrics_t *more, size_t size);
#define fluxbp_metrics_prometheus(metrics,out,capacity) \
  fluxbp_metrics_prometheus_sized((metrics), sizeof(*(metrics)), (out), (capacity))
FLUXBP_EXTERN size_t fluxbp_metrics_prometheus_sized(const fluxbp_metrics_t *metrics, size_t size, char *out,
                                                     size_t capacity);
#ifdef __cplusplus
}
#endif
#endif
