/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_CONN_H
#define FLUXBP_CONN_H
#include "fluxbp/codec.h"
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/msg.h"
#include "fluxbp/policy.h"
#include "fluxbp/transport.h"
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct fluxbp_hub fluxbp_hub_t;
typedef struct fluxbp_conn fluxbp_conn_t;
typedef struct fluxbp_conn_handlers {
  size_t size;
  void (*on_data)(fluxbp_conn_t *conn, const char *data, size_t length);
  void (*on_backpressure)(fluxbp_conn_t *conn, int entered);
  void (*on_gap)(fluxbp_conn_t *conn, const fluxbp_gap_t *gap);
  int (*on_verdict)(fluxbp_conn_t *conn, const fluxbp_eviction_t *record);
  void (*on_evicted)(fluxbp_conn_t *conn, const fluxbp_eviction_t *record);
  void (*on_close)(fluxbp_conn_t *conn, int status);
  int (*on_half_close)(fluxbp_conn_t *conn);
  void (*on_reply_room)(fluxbp_conn_t *conn);
  void (*on_input_turn)(fluxbp_conn_t *conn);
} fluxbp_conn_handlers_t;
typedef struct fluxbp_conn_options {
  size_t size;
  const fluxbp_transport_t *transport;
  const fluxbp_codec_t *codec;
  const fluxbp_conn_handlers_t *handlers;
  void *user;
  size_t user_bytes;
} fluxbp_conn_options_t;
#define fluxbp_conn_options_init(options) fluxbp_conn_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_conn_options_init_sized(fluxbp_conn_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_conn_create(fluxbp_hub_t *hub, const fluxbp_conn_options_t *options, fluxbp_conn_t **conn);
FLUXBP_EXTERN uv_stream_t *fluxbp_conn_stream(fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_conn_start(fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_conn_adopt(fluxbp_hub_t *hub, uv_os_sock_t fd, const void *data, size_t length,
                                    const fluxbp_conn_options_t *options, fluxbp_conn_t **conn);
FLUXBP_EXTERN int fluxbp_conn_adopt_stream(fluxbp_hub_t *hub, uv_stream_t *stream, uv_close_cb on_handle_closed,
                                           const void *data, size_t length, const fluxbp_conn_options_t *options,
                                           fluxbp_conn_t **conn);
FLUXBP_EXTERN int fluxbp_conn_send(fluxbp_conn_t *conn, fluxbp_msg_t *msg);
FLUXBP_EXTERN int fluxbp_conn_send_bytes(fluxbp_conn_t *conn, const void *data, size_t length);
#define FLUXBP_REPLIES_MAX 16
typedef void (*fluxbp_sent_cb)(fluxbp_conn_t *conn, void *arg, int status);
typedef struct fluxbp_send_options {
  size_t size;
  int is_reply;
  fluxbp_sent_cb on_sent;
  void *arg;
} fluxbp_send_options_t;
#define fluxbp_send_options_init(options) fluxbp_send_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_send_options_init_sized(fluxbp_send_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_conn_send_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, const fluxbp_send_options_t *options);
FLUXBP_EXTERN int fluxbp_conn_flush(fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_conn_pause_read(fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_conn_resume_read(fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_conn_close(fluxbp_conn_t *conn, uint32_t deadline_ms);
FLUXBP_EXTERN int fluxbp_conn_close_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint32_t deadline_ms);
FLUXBP_EXTERN void fluxbp_conn_reset(fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_conn_set_policy(fluxbp_conn_t *conn, const fluxbp_policy_t *policy);
FLUXBP_EXTERN int fluxbp_conn_set_codec(fluxbp_conn_t *conn, const fluxbp_codec_t *codec);
FLUXBP_EXTERN int fluxbp_conn_is_backpressured(const fluxbp_conn_t *conn);
FLUXBP_EXTERN uint32_t fluxbp_conn_fill_percent(const fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_conn_is_replaying(const fluxbp_conn_t *conn);
FLUXBP_EXTERN uint64_t fluxbp_conn_id(const fluxbp_conn_t *conn);
FLUXBP_EXTERN uint64_t fluxbp_conn_origin(const fluxbp_conn_t *conn);
FLUXBP_EXTERN fluxbp_hub_t *fluxbp_conn_hub(const fluxbp_conn_t *conn);
FLUXBP_EXTERN void *fluxbp_conn_user(const fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_conn_set_user(fluxbp_conn_t *conn, void *user);
FLUXBP_EXTERN fluxbp_conn_t *fluxbp_conn_of_user(const void *user, size_t user_bytes);
typedef struct fluxbp_conn_stats {
  uint64_t accepted;
  uint64_t written;
  uint64_t dropped;
  uint64_t conflated;
  uint64_t discarded;
  uint64_t queued;
  uint64_t queued_bytes;
  uint64_t written_bytes;
  uint64_t last_id;
  uint32_t fill_percent;
  uint32_t oldest_ms;
  uint32_t since_progress_ms;
  int is_refused;
  int is_backpressured;
} fluxbp_conn_stats_t;
#define fluxbp_conn_get_stats(conn,stats) fluxbp_conn_get_stats_sized((conn), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_conn_get_stats_sized(const fluxbp_conn_t *conn, fluxbp_conn_stats_t *stats, size_t size);
#define fluxbp_conn_get_evidence(conn,evidence) fluxbp_conn_get_evidence_sized((conn), (evidence), sizeof(*(evidence)))
FLUXBP_EXTERN void fluxbp_conn_get_evidence_sized(const fluxbp_conn_t *conn, fluxbp_eviction_t *evidence, size_t size);
typedef struct fluxbp_liveness {
  uint64_t accepted_bytes;
  uint64_t acked_bytes;
  uint64_t since_heard_ms;
  int is_known;
} fluxbp_liveness_t;
#define fluxbp_conn_get_liveness(conn,liveness) fluxbp_conn_get_liveness_sized((conn), (liveness), sizeof(*(liveness)))
FLUXBP_EXTERN void fluxbp_conn_get_liveness_sized(const fluxbp_conn_t *conn, fluxbp_liveness_t *liveness, size_t size);
#ifdef __cplusplus
}
#endif
#endif
