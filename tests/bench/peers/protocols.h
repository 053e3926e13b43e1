/* SPDX-License-Identifier: MIT */
/*
 * protocols: how to subscribe and publish on each kind of server, as bytes.
 */
#ifndef FLUXBP_TESTS_BENCH_PEERS_PROTOCOLS_H
#define FLUXBP_TESTS_BENCH_PEERS_PROTOCOLS_H

#include <stddef.h>

enum { PROTOCOLS_MESSAGE_BYTES = 128, PROTOCOLS_TEXT_BYTES = 512 };

typedef struct protocol {
  const char *name;

  /* What a subscriber (number `index`) says first, and the publisher; returns its length, which may be 0. */
  size_t (*subscribe)(char *out, size_t index);
  size_t (*introduce)(char *out);
  const char *is_subscribed; /* the last that the server answers to that; NULL: nothing */

  size_t (*publish)(char *out); /* a message */
  size_t received_bytes;        /* what a subscriber gets for one */
} protocol_t;

/* NULL: there is none of that name. */
const protocol_t *protocols_find(const char *name);

#endif
