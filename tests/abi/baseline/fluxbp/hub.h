/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_HUB_H
#define FLUXBP_HUB_H
#include "fluxbp/bus.h"
#include "fluxbp/conn.h"
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/policy.h"
#include "fluxbp/pool.h"
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#ifdef __cplusplus
extern "C" {
#endif
#define FLUXBP_CODECS_MAX 13
#define FLUXBP_SWEEP_MS_MAX 60000
#define FLUXBP_HISTORY_MESSAGES_MAX (1u << 30)
#define FLUXBP_READ_BUFFER_BYTES_MIN 1024
#define FLUXBP_READ_BUFFER_BYTES_MAX ((size_t) 64 << 20)
#define FLUXBP_EVICTIONS_KEPT 256
#define FLUXBP_KERNEL_BYTES_AUTO UINT64_MAX
typedef struct fluxbp_topic fluxbp_topic_t;
typedef void (*fluxbp_writable_cb)(fluxbp_hub_t *hub);
typedef void (*fluxbp_eviction_cb)(fluxbp_hub_t *hub, const fluxbp_eviction_t *record);
typedef void (*fluxbp_hub_cb)(fluxbp_hub_t *hub);
typedef void (*fluxbp_members_cb)(fluxbp_hub_t *hub, fluxbp_topic_t *topic, size_t before);
typedef void (*fluxbp_task_cb)(fluxbp_hub_t *hub, void *arg);
typedef struct fluxbp_hub_options {
  size_t size;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  const fluxbp_policy_t *policy;
  uint32_t slice_us;
  uint32_t sweep_ms;
  uint32_t patience_ms;
  size_t read_buffer_bytes;
  uint64_t max_kernel_bytes;
  uint32_t history_messages;
  uint64_t history_bytes;
  int block_sigpipe;
  fluxbp_writable_cb on_writable;
  fluxbp_eviction_cb on_eviction;
  uint64_t (*clock_ms)(void *clock_arg);
  void *clock_arg;
  void *user;
  uint32_t history_topic_messages;
  uint64_t history_topic_bytes;
  uint32_t history_ms;
  fluxbp_members_cb on_members;
  uint32_t input_us;
  uint64_t (*input_key)(fluxbp_conn_t *conn);
} fluxbp_hub_options_t;
#define fluxbp_hub_options_init(options) fluxbp_hub_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_hub_options_init_sized(fluxbp_hub_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_hub_create(uv_loop_t *loop, const fluxbp_hub_options_t *options, fluxbp_hub_t **hub);
FLUXBP_EXTERN void fluxbp_hub_close(fluxbp_hub_t *hub, fluxbp_hub_cb cb);
FLUXBP_EXTERN void fluxbp_hub_drain(fluxbp_hub_t *hub, uint32_t deadline_ms, fluxbp_hub_cb cb);
FLUXBP_EXTERN void fluxbp_hub_flush(fluxbp_hub_t *hub);
FLUXBP_EXTERN int fluxbp_hub_is_writable(const fluxbp_hub_t *hub);
FLUXBP_EXTERN int fluxbp_hub_set_policy(fluxbp_hub_t *hub, const fluxbp_policy_t *policy);
typedef struct fluxbp_history_range {
  uint64_t epoch;
  uint64_t oldest_since_id;
  uint64_t newest_id;
} fluxbp_history_range_t;
#define fluxbp_hub_history(hub,range) fluxbp_hub_history_sized((hub), (range), sizeof(*(range)))
FLUXBP_EXTERN void fluxbp_hub_history_sized(const fluxbp_hub_t *hub, fluxbp_history_range_t *range, size_t size);
FLUXBP_EXTERN uint64_t fluxbp_hub_oldest_id(const fluxbp_hub_t *hub);
FLUXBP_EXTERN int fluxbp_hub_post(fluxbp_hub_t *hub, fluxbp_task_cb task, void *arg);
FLUXBP_EXTERN size_t fluxbp_hub_connections(const fluxbp_hub_t *hub);
FLUXBP_EXTERN int fluxbp_hub_each_conn(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg);
FLUXBP_EXTERN int fluxbp_hub_each_refused(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg);
#define fluxbp_hub_evictions(hub,records,capacity) \
  fluxbp_hub_evictions_sized((hub), (records), (capacity), sizeof(fluxbp_eviction_t))
FLUXBP_EXTERN size_t fluxbp_hub_evictions_sized(const fluxbp_hub_t *hub, fluxbp_eviction_t *records, size_t capacity,
                                                size_t size);
FLUXBP_EXTERN fluxbp_pool_t *fluxbp_hub_pool(const fluxbp_hub_t *hub);
FLUXBP_EXTERN uv_loop_t *fluxbp_hub_loop(const fluxbp_hub_t *hub);
FLUXBP_EXTERN void *fluxbp_hub_user(const fluxbp_hub_t *hub);
FLUXBP_EXTERN void fluxbp_hub_set_user(fluxbp_hub_t *hub, void *user);
#ifdef __cplusplus
}
#endif
#endif
