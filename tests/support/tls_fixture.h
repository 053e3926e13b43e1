/* SPDX-License-Identifier: MIT */
/*
 * tls_fixture: the loop, the hub and the peers of fixture.h with TLS between them. The client of a peer is OpenSSL in
 * memory; the test says what is read from its socket, and when it sends what OpenSSL has made.
 *
 * A test that uses it names support/tls_fixture.c and support/certificates.c beside its own file.
 */
#ifndef FLUXBP_TESTS_TLS_FIXTURE_H
#define FLUXBP_TESTS_TLS_FIXTURE_H

#include "support/alloc_hook.h"
#include "support/certificates.h"
#include "support/fixture.h"

#include "fluxbp/server/tls.h"
#include "fluxbp/server/tls_transport.h"

#include <openssl/ssl.h>

#define TLS_FIXTURE_PLAIN_ANSWER "this address speaks TLS\n"

typedef struct tls_fixture {
  fixture_t fx; /* first */
  alloc_hook_t hook;
  certificates_t *certificates;
  fluxbp_tls_t *tls;
  fluxbp_tls_transport_options_t options; /* may be changed before tls_fixture_open */
  fluxbp_tls_transport_t *transport;
  SSL_CTX *client_context;
  int version;                 /* of the clients that are opened next: TLS1_2_VERSION or TLS1_3_VERSION */
  const fluxbp_codec_t *codec; /* and of their connections; default raw */
  int order;                   /* how many handshakes have been told */
} tls_fixture_t;

typedef struct tls_peer tls_peer_t;
struct tls_peer {
  peer_t peer; /* first; of `data` the bytes that have come are encrypted */
  SSL *ssl;
  BIO *from, *to;    /* bytes for OpenSSL, and from it */
  bool is_open;      /* the client's handshake has ended */
  bool has_failed;   /* the client's OpenSSL has */
  bool has_closed;   /* close_notify has come */
  int alert;         /* the last one that has come, or -1 */
  size_t fed;        /* bytes of peer.data that OpenSSL has got */
  size_t read_max;   /* bytes of the socket that one pump reads; 0: all */
  bool is_silent;    /* what OpenSSL makes waits in `out` */
  bool reads_none;   /* the socket isn't read */
  char *out, *plain; /* bytes for the socket, and what the server has sent */
  size_t out_length, plain_length, plain_capacity;
  char *input; /* what the server's on_data has got */
  size_t input_length;
  int server_fd;          /* before it belongs to the connection */
  bool stays_half_closed; /* what the server's on_half_close answers */

  /* What on_handshake has told. */
  int handshakes;
  int handshake_error;
  int order; /* 1: it was the first */
  char problem[256];
  int answer;                           /* what it returns */
  void (*on_handshake)(tls_peer_t *tp); /* called in it; NULL: nothing is */
};

/* Set the defaults: no grace, the client's version TLS 1.3. */
void tls_fixture_init(tls_fixture_t *tf);
void tls_fixture_open(tls_fixture_t *tf);

/* As fixture_close; the figures add up, and the transport holds nothing. Frees what clients have. */
void tls_fixture_close(tls_fixture_t *tf);

/* A peer with a client that has begun nothing yet, subscribed to the topic. */
void tls_peer_open(tls_fixture_t *tf, tls_peer_t *tp, int small);
tls_peer_t *tls_peer_new(tls_fixture_t *tf, int small);

/* The same without a connection: the server's end of the socket is `server_fd`. And the options of its connection. */
void tls_peer_prepare(tls_fixture_t *tf, tls_peer_t *tp, int small);
fluxbp_conn_options_t tls_peer_options(tls_fixture_t *tf, tls_peer_t *tp);

/* A peer whose handshake has ended on both sides. */
void tls_peer_connect(tls_fixture_t *tf, tls_peer_t *tp, int small);

/* Let the client read what has come, do what it can do, and send. */
void tls_peer_pump(tls_peer_t *tp);

/* Send the first bytes of `out`, as far as they go. */
void tls_peer_send(tls_peer_t *tp, size_t length);

/* Send bytes as they are. The kernel takes all of them. */
void tls_peer_send_raw(tls_peer_t *tp, const void *data, size_t length);

/* Encrypt, and send as `is_silent` says. */
void tls_peer_write(tls_peer_t *tp, const void *data, size_t length);

/* Run the loop and all clients until `is_done`. */
#define tls_run_until(tf, is_done, arg) tls_run_until_at(tf, is_done, arg, #is_done, __FILE__, __LINE__)
typedef bool (*tls_condition)(tls_fixture_t *tf, void *arg);
void tls_run_until_at(tls_fixture_t *tf, tls_condition is_done, void *arg, const char *what, const char *file,
                      int line);

/* A few iterations, with all clients after each. */
void tls_turns(tls_fixture_t *tf, int turns);

/* Run until the client has so many bytes of messages; until its connection is closed; until on_handshake was called. */
void tls_peer_wait_for(tls_peer_t *tp, size_t length);
void tls_peer_wait_for_close(tls_peer_t *tp);
void tls_peer_wait_for_handshake(tls_peer_t *tp);
void tls_peer_wait_for_input(tls_peer_t *tp, size_t length);

/* Run until close_notify has come to the client, or its connection is gone. */
void tls_peer_wait_for_close_notify(tls_peer_t *tp);

fluxbp_tls_stats_t tls_stats(const tls_fixture_t *tf);

/* Write the bytes of a stream of which each byte says its place. */
void tls_fill(char *data, size_t place, size_t length);

/* The client has got such a stream, of so many bytes; the server has. */
void tls_peer_expects_stream(const tls_peer_t *tp, size_t length);
void tls_peer_expects_input(const tls_peer_t *tp, size_t length);

#endif
