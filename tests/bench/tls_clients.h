/* SPDX-License-Identifier: MIT */
/*
 * tls_clients: many clients in a child process that speak TLS to one port on 127.0.0.1, and read; and a certificate for
 * the server.
 */
#ifndef FLUXBP_TESTS_BENCH_TLS_CLIENTS_H
#define FLUXBP_TESTS_BENCH_TLS_CLIENTS_H

#include "child.h"

#include <stdbool.h>
#include <stdint.h>

/* Paths of a certificate for localhost that signs itself, and of its key of P-256. */
typedef struct tls_files {
  char folder[64], certificate[96], key[96];
} tls_files_t;

void tls_files_make(tls_files_t *files);
void tls_files_remove(const tls_files_t *files);

/* A child's body; `arg` isn't used. */
void tls_clients_serve(int channel, void *arg);

/* Have so many clients connect; SO_RCVBUF is `buffer_bytes`, or the kernel's if that is 0. */
void tls_clients_begin_connecting(child_t *child, uint16_t port, uint64_t count, uint64_t buffer_bytes);

/* Have those that are connected go through their handshakes. `asks`: each client of a gateway on lines asks whether it
 * is subscribed. */
void tls_clients_begin_handshakes(child_t *child, bool asks);

/* Have them read until so many bytes of messages have come, of all together. */
void tls_clients_begin_receiving(child_t *child, uint64_t bytes);

/* Wait for what was begun. */
void tls_clients_wait(child_t *child);

/* Whether what was begun is done. Doesn't wait. */
int tls_clients_are_done(const child_t *child);

/* Close them with a reset. */
void tls_clients_reset(child_t *child);

#endif
