/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_LISTENER_H
#define FLUXBP_LISTENER_H
#include "fluxbp/export.h"
#include "fluxbp/pool.h"
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#ifdef __cplusplus
extern "C" {
#endif
#define FLUXBP_LISTENER_CONNECTIONS_MAX 16777216
typedef struct fluxbp_listener fluxbp_listener_t;
typedef uint64_t fluxbp_permit_t;
typedef enum fluxbp_at_limit { FLUXBP_AT_LIMIT_REFUSE = 0, FLUXBP_AT_LIMIT_PAUSE } fluxbp_at_limit_t;
typedef enum fluxbp_refusal {
  FLUXBP_REFUSAL_CONNECTIONS = 0,
  FLUXBP_REFUSAL_ADDRESS
} fluxbp_refusal_t;
typedef void (*fluxbp_accept_cb)(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                                 fluxbp_permit_t permit);
typedef int (*fluxbp_refused_cb)(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                                 fluxbp_refusal_t reason, fluxbp_permit_t permit);
typedef void (*fluxbp_listener_error_cb)(fluxbp_listener_t *listener, int err);
typedef void (*fluxbp_listener_cb)(fluxbp_listener_t *listener);
typedef struct fluxbp_listener_options {
  size_t size;
  fluxbp_accept_cb on_accept;
  fluxbp_refused_cb on_refused;
  fluxbp_listener_error_cb on_error;
  fluxbp_pool_t *pool;
  int backlog;
  int reuse_port;
  int ipv6_only;
  int unix_mode;
  fluxbp_at_limit_t at_limit;
  uint32_t max_connections;
  uint32_t max_per_address;
  uint32_t max_refusals;
  uint32_t accepts_per_second;
  uint32_t accept_burst;
  uint64_t (*clock_ms)(void *clock_arg);
  void *clock_arg;
  void *user;
} fluxbp_listener_options_t;
#define fluxbp_listener_options_init(options) fluxbp_listener_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_listener_options_init_sized(fluxbp_listener_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_listener_open_tcp(uv_loop_t *loop, const struct sockaddr *address,
                                           const fluxbp_listener_options_t *options, fluxbp_listener_t **listener);
FLUXBP_EXTERN int fluxbp_listener_open_unix(uv_loop_t *loop, const char *path, const fluxbp_listener_options_t *options,
                                            fluxbp_listener_t **listener);
FLUXBP_EXTERN int fluxbp_listener_adopt(uv_loop_t *loop, uv_os_sock_t fd, const fluxbp_listener_options_t *options,
                                        fluxbp_listener_t **listener);
FLUXBP_EXTERN void fluxbp_listener_close(fluxbp_listener_t *listener, fluxbp_listener_cb cb);
FLUXBP_EXTERN int fluxbp_listener_release(fluxbp_listener_t *listener, fluxbp_permit_t permit);
FLUXBP_EXTERN void fluxbp_listener_pause(fluxbp_listener_t *listener);
FLUXBP_EXTERN void fluxbp_listener_resume(fluxbp_listener_t *listener);
FLUXBP_EXTERN int fluxbp_listener_address(const fluxbp_listener_t *listener, struct sockaddr *address, int *length);
FLUXBP_EXTERN uv_loop_t *fluxbp_listener_loop(const fluxbp_listener_t *listener);
FLUXBP_EXTERN void *fluxbp_listener_user(const fluxbp_listener_t *listener);
typedef enum fluxbp_paused {
  FLUXBP_PAUSED_BY_HOST = 1,
  FLUXBP_PAUSED_BY_LIMIT = 2,
  FLUXBP_PAUSED_BY_RATE = 4,
  FLUXBP_PAUSED_BY_ERROR = 8
} fluxbp_paused_t;
typedef struct fluxbp_listener_stats {
  uint64_t accepted;
  uint64_t refused_connections;
  uint64_t refused_address;
  uint64_t refused_silently;
  uint64_t error_descriptors;
  uint64_t error_memory;
  uint64_t error_aborted;
  uint64_t error_interrupted;
  uint64_t error_forbidden;
  uint64_t error_other;
  uint64_t connections;
  uint64_t refusals;
  uint32_t paused;
  int last_error;
} fluxbp_listener_stats_t;
#define fluxbp_listener_get_stats(listener,stats) \
  fluxbp_listener_get_stats_sized((listener), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_listener_get_stats_sized(fluxbp_listener_t *listener, fluxbp_listener_stats_t *stats,
                                                   size_t size);
#ifdef __cplusplus
}
#endif
#endif
