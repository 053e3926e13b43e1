/* SPDX-License-Identifier: MIT */
/*
 * tls: one TLS connection of OpenSSL without a socket. Encrypted bytes come from a window of memory that the owner
 * sets, and go to a function of the owner's. Server and client both use it.
 *
 * Allocates nothing itself; OpenSSL does. Thread: one at a time for each connection.
 */
#ifndef FLUXBP_LIB_TLS_H
#define FLUXBP_LIB_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <uv.h>

/* The header of a record, the most bytes of a whole record (RFC 5246, 6.2.3: 2^14 + 2048, and the header), and the most
 * bytes of the messages in one. */
enum { FLUXBP__TLS_HEADER_BYTES = 5, FLUXBP__TLS_RECORD_BYTES = 16384 + 2048 + 5, FLUXBP__TLS_PLAIN_BYTES = 16384 };

typedef struct fluxbp__tls fluxbp__tls_t;

/*
 * Take `length` encrypted bytes, all of them. Return 0, or a libuv error, which the call under way returns, and after
 * which nothing can be sent. What can't be sent yet is kept by the owner: OpenSSL, when it is refused, keeps bytes of a
 * message that isn't taken yet.
 */
typedef int (*fluxbp__tls_sink_fn)(fluxbp__tls_t *tls, const char *data, size_t length);

struct fluxbp__tls {
  SSL *ssl; /* NULL: not begun, or ended */
  fluxbp__tls_sink_fn sink;

  /* Encrypted bytes that were received. Reading takes from the front. */
  const char *window;
  size_t window_length;

  int sink_error; /* that the sink has returned; 0: none */
};

/* Begin; `sink` and the window of *tls are set by the owner. The caller sets up tls->ssl further before the first
 * handshake. 0 or UV_ENOMEM. */
int fluxbp__tls_begin(fluxbp__tls_t *tls, SSL_CTX *context, int is_server);

/* Free what OpenSSL holds. Sends nothing. May be called at any time, and again. */
void fluxbp__tls_end(fluxbp__tls_t *tls);

/*
 * Go on with the handshake.
 *
 * @return 0: it has ended; UV_EAGAIN: more bytes are needed; what the sink has returned; or UV_EPROTO, after which
 *   fluxbp__tls_problem has the reason
 */
int fluxbp__tls_handshake(fluxbp__tls_t *tls);

/*
 * Decrypt into `plain`.
 *
 * @return bytes (> 0); UV_EAGAIN, as above; UV_EOF: the peer has said that it sends no more (close_notify); or an error
 */
ssize_t fluxbp__tls_read(fluxbp__tls_t *tls, char *plain, size_t capacity);

/*
 * Encrypt `length` bytes, 1 to FLUXBP__TLS_PLAIN_BYTES, into one record, and give it to the sink.
 *
 * @return 0 or an error; UV_EAGAIN while fluxbp__tls_is_in_handshake
 */
int fluxbp__tls_write(fluxbp__tls_t *tls, const char *plain, size_t length);

/* Say that nothing follows (close_notify). Returns 0 or an error. */
int fluxbp__tls_shutdown(fluxbp__tls_t *tls);

/* Whether a handshake is under way: the first one, or a part of a message of a later one has come, such as for new
 * keys. */
int fluxbp__tls_is_in_handshake(const fluxbp__tls_t *tls);

/*
 * Write what was wrong at the last call of this thread that has returned UV_EPROTO: for people, without a line end, and
 * cut to `capacity`.
 */
void fluxbp__tls_problem(const fluxbp__tls_t *tls, char *text, size_t capacity);

/* Write what the newest error in OpenSSL's queue of this thread says, and empty the queue. */
void fluxbp__tls_openssl_problem(char *text, size_t capacity);

/* Return the bytes of the first record in `data`, its header included; 0: fewer than a header's bytes are there; or
 * UV_EPROTO: it isn't a record, or is too long. Pure. */
ssize_t fluxbp__tls_record_bytes(const char *data, size_t length);

#endif
