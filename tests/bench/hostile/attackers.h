/* SPDX-License-Identifier: MIT */
/*
 * attackers: clients in a child process that send one thing again and again, as fast as the gateway takes it, and read
 * whatever the gateway answers. A connection that the gateway closes is made again at once.
 */
#ifndef FLUXBP_TESTS_BENCH_ATTACKERS_H
#define FLUXBP_TESTS_BENCH_ATTACKERS_H

#include "child.h"

#include <stddef.h>
#include <stdint.h>

typedef enum attack {
  ATTACK_LIVEZ,   /* pipelined GET /livez */
  ATTACK_RESUME,  /* RESUME oldest, on lines, of a topic whose history is full */
  ATTACK_PING,    /* PING, on lines */
  ATTACK_JSON,    /* POST of a message with deeply nested JSON beside it */
  ATTACK_SOCKETS, /* PING, on WebSocket */
  ATTACK_TLS,     /* one TLS handshake after the other, each on a connection of its own */
  ATTACKS
} attack_t;

/* The topic of ATTACK_RESUME. */
#define ATTACK_TOPIC "past"

/* What an attack came to. */
typedef struct attack_sum {
  uint64_t sent, received; /* bytes */
  uint64_t closed;         /* connections, by the gateway; of ATTACK_TLS handshakes */
} attack_sum_t;

/* Return a name for the report, and whether the attack goes to the port of HTTP, or of TLS. */
const char *attack_name(attack_t attack);
int attack_is_http(attack_t attack);
int attack_is_tls(attack_t attack);

/* A child's body; `arg` isn't used. */
void attackers_serve(int channel, void *arg);

/* Have `count` clients connect to 127.0.0.1 and attack; returns when all are connected. Each comes from an address of
 * its own, from number `first_address` on; 0: all come from 127.0.0.1. */
void attackers_child_begin(child_t *child, attack_t attack, uint16_t port, uint64_t count, uint64_t first_address);

/* Have them close their connections; returns when that is done. */
attack_sum_t attackers_child_end(child_t *child);

#endif
