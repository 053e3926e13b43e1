/* SPDX-License-Identifier: MIT */
/*
 * tls_peer: a server's end of one TLS connection, on OpenSSL alone and without a socket, for tests of clients. Each
 * thing that goes wrong is a failed assertion of cmocka's, but for a handshake that the client doesn't want.
 */
#ifndef FLUXBP_TESTS_TLS_PEER_H
#define FLUXBP_TESTS_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#define TLS_PEER_PLAIN_BYTES 16384

typedef struct tls_peer {
  SSL *ssl;
  BIO *in, *out;
  bool is_open;          /* the handshake has ended */
  bool has_failed;       /* in the handshake or later: see `alert` */
  bool has_close_notify; /* the client has said that nothing follows */
  int alert;             /* that the client has sent, or 0 */
  int records;           /* of messages that have come */
  size_t sent;           /* bytes that were taken by tls_peer_take */
  char *early;           /* plain, to be sent when the handshake has ended */
  size_t early_length;
} tls_peer_t;

/** Make a context for servers, of a certificate and its key. */
SSL_CTX *tls_peer_context(const char *certificate, const char *key);

tls_peer_t *tls_peer_create(SSL_CTX *context);
void tls_peer_free(tls_peer_t *peer);

/** Take bytes of the client, and go on with the handshake. */
void tls_peer_feed(tls_peer_t *peer, const char *data, size_t length);

/** Take out what was decrypted, a record at most; 0: nothing is there. */
size_t tls_peer_read(tls_peer_t *peer, char *plain, size_t capacity);

/** Encrypt; before the handshake has ended the bytes are kept. */
void tls_peer_write(tls_peer_t *peer, const char *plain, size_t length);

/** Say that nothing follows. */
void tls_peer_end(tls_peer_t *peer);

/** Take out bytes for the client; 0: there are none. */
size_t tls_peer_take(tls_peer_t *peer, char *data, size_t capacity);

#endif
