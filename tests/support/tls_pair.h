/* SPDX-License-Identifier: MIT */
/*
 * tls_pair: a server's and a client's end of a TLS connection in memory. The server's is of lib/tls, the client's of
 * OpenSSL alone. Whatever goes wrong with the memory is a failed assertion of cmocka's.
 */
#ifndef FLUXBP_TESTS_TLS_PAIR_H
#define FLUXBP_TESTS_TLS_PAIR_H

#include "tls/tls.h"

#include <stdbool.h>

enum { TLS_PAIR_PROBLEM_BYTES = 128 };

typedef struct tls_pair {
  fluxbp__tls_t server;
  SSL *client;
  BIO *wire; /* the client's other end */
  char window[4096];

  int server_error;                     /* that the server has returned at last; UV_EAGAIN: it waits for the client */
  char problem[TLS_PAIR_PROBLEM_BYTES]; /* what the server says of UV_EPROTO in a handshake */
  int client_error; /* the reason of OpenSSL's first error, such as SSL_R_TLSV1_ALERT_PROTOCOL_VERSION; 0: none */
} tls_pair_t;

/* Begin. Takes the server's context (the reference is the pair's); the client's is the caller's. What is special about
 * this client is set at pair->client before the handshake. */
void tls_pair_begin(tls_pair_t *pair, SSL_CTX *server, SSL_CTX *client);

/* Shake hands. Then the server sends a byte, which the client reads, so that it has read what tickets there are.
 * @return whether all of that went well */
bool tls_pair_shake_hands(tls_pair_t *pair);

/* Send a byte from the client to the server. @return whether the server has got it */
bool tls_pair_send(tls_pair_t *pair);

/* Send a byte from the server to the client. @return whether the client has got it */
bool tls_pair_answer(tls_pair_t *pair);

/* Free both ends. */
void tls_pair_end(tls_pair_t *pair);

/* Make a client's context which trusts the authorities of a file, and leaves the security level to the test. */
SSL_CTX *tls_pair_client(const char *ca);

#endif
