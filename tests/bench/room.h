/* SPDX-License-Identifier: MIT */
/*
 * room: a hub on a loop in this process and thread, with connections that all hear one topic. A bench that wants to
 * know what happens within one loop seats its clients here; it may send on the sockets by other ways, too, as long as
 * the connections are idle.
 */
#ifndef FLUXBP_TESTS_BENCH_ROOM_H
#define FLUXBP_TESTS_BENCH_ROOM_H

#include "fluxbp/fluxbp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct room {
  uv_loop_t loop;
  fluxbp_pool_options_t pool_options; /* to be changed before room_open, if at all */
  fluxbp_hub_options_t options;
  fluxbp_policy_t policy;
  const fluxbp_transport_t *transport; /* of those that are seated from now on */
  bool lets_evict;                     /* an eviction doesn't end the program */
  fluxbp_pool_t *pool;
  fluxbp_hub_t *hub;
  fluxbp_topic_t *topic;
  size_t count;
  size_t capacity;
  fluxbp_conn_t **conns;
} room_t;

void room_prepare(room_t *room);
void room_open(room_t *room, size_t capacity);

/* Take connected sockets over. Whoever is evicted or hangs up ends the program: then something else is measured than
 * was meant. */
void room_seat(room_t *room, const int *fds, size_t count);

/* Publish `burst` new messages of `size` bytes on a topic. */
void room_publish(room_t *room, fluxbp_topic_t *topic, const void *data, size_t size, uint64_t burst);

/* Run the loop until everything is written that the kernel takes. */
void room_flush(room_t *room);

fluxbp_metrics_t room_metrics(const room_t *room);

/* Reset everybody. */
void room_close(room_t *room);

#endif
