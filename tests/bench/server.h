/* SPDX-License-Identifier: MIT */
/*
 * server: what is measured, set up as a user would: workers with a bus, and on the first one's loop a listener that
 * hands its sockets to all of them. Whoever calls these functions is the publisher.
 */
#ifndef FLUXBP_TESTS_BENCH_SERVER_H
#define FLUXBP_TESTS_BENCH_SERVER_H

#include "fluxbp/fluxbp.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct server {
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic;
  fluxbp_workers_t *workers;
  fluxbp_listener_t *listener; /* of the first worker's thread */
  uint16_t port;
  uint64_t audience; /* so many who come first get the broadcast; nothing is said to the others */
  uint64_t accepted;
  _Atomic uint64_t *others;     /* NULL, or counts those that came after the audience */
  uv_sem_t is_done;             /* what a thread of the server was asked to do */
  _Atomic uint64_t connections; /* that are there at the moment */
} server_t;

/* `policy` NULL: the defaults. */
void server_open(server_t *server, uint32_t threads, uint64_t audience, _Atomic uint64_t *others,
                 const fluxbp_policy_t *policy);
void server_close(server_t *server);

/* Wait until there are just so many connections. */
void server_wait_for(server_t *server, uint64_t connections);

/* Of all its hubs together: only counters, and only those that a bench asks for. */
typedef struct server_counters {
  uint64_t written;
  uint64_t writes;
  uint64_t lost;   /* dropped and discarded */
  uint64_t queued; /* at the moment */
} server_counters_t;

server_counters_t server_counters(server_t *server);

#endif
