/* SPDX-License-Identifier: MIT */
/*
 * clients: many plain sockets that connect to one port on 127.0.0.1, and read. In the process of the caller, or in a
 * child that is told what to do.
 */
#ifndef FLUXBP_TESTS_BENCH_CLIENTS_H
#define FLUXBP_TESTS_BENCH_CLIENTS_H

#include "child.h"

#include <stddef.h>
#include <stdint.h>

typedef struct clients {
  int *fds;
  size_t count;
  size_t buffer_bytes; /* of what is received, when they are prepared; 0: as much as the kernel likes */
} clients_t;

/* How many are ahead of who accepts them, at most: with more than its backlog, the kernel leaves them to wait for 1
 * s. */
typedef struct clients_window {
  _Atomic uint64_t accepted;
  uint64_t most;
} clients_window_t;

/* Make the sockets, and bind them to several addresses, so that there are ports enough: connecting is all that is
 * left. */
void clients_prepare(clients_t *clients, size_t count);

/* Connect them as fast as the kernel and the window (NULL: none) allow, and wait until all are. */
void clients_connect(clients_t *clients, uint16_t port, const clients_window_t *window);

/* Once from each, without waiting; returns how many bytes, which are thrown away. */
uint64_t clients_read(const clients_t *clients);

/* Read until so many bytes have come, of all together. */
void clients_receive(const clients_t *clients, uint64_t bytes);

/* Close them with a reset, which leaves no TIME_WAIT. */
void clients_reset(clients_t *clients);

/* A child's body that serves the requests below. `window`: a clients_window_t in shared memory, or NULL. */
void clients_serve(int channel, void *window);

/* Requests to the child. All but the `begin` ones return when it is done. */
void clients_child_prepare(child_t *child, size_t count);
void clients_child_buffer(child_t *child, size_t bytes); /* of those that are prepared from now on */
void clients_child_begin_connecting(child_t *child, uint16_t port);
void clients_child_begin_receiving(child_t *child, uint64_t bytes); /* of all together */
void clients_child_wait(child_t *child);                            /* for what was begun */

/* Read whatever comes, until it is to stop. */
void clients_child_begin_reading(child_t *child);
void clients_child_stop_reading(child_t *child);
void clients_child_reset(child_t *child);

/* Have `count` of the child's connect to this process, which accepts them into `fds`: plain sockets with
 * TCP_NODELAY. */
void clients_child_seat(child_t *child, int *fds, size_t count);

#endif
