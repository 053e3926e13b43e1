/* SPDX-License-Identifier: MIT */
/*
 * secure: TLS between the socket of a client and its readers and writers.
 *
 *   secure.c          one connection: its handshake, bytes in, bytes out, its end
 *   secure_context.c  what the connections of many clients share: fluxbp_client_tls_t
 *   secure_problem.c  what went wrong, in words
 *
 * Design notes. Received bytes are decrypted at once, whether or not the program has paused: the stream holds messages,
 * and a pause keeps the socket from being read. Messages stay plain in `waiting` until the kernel has taken the record
 * before: so at most one record is encrypted that the kernel has refused, besides what OpenSSL writes by itself while
 * libuv does (`late`): alerts, new keys.
 */
#ifndef FLUXBP_CLIENT_SECURE_H
#define FLUXBP_CLIENT_SECURE_H

#include "buffer.h"
#include "fluxbp/client.h"
#include "tls/tls.h"

typedef struct fluxbp__secure {
  fluxbp_client_t *client;
  fluxbp__tls_t tls;     /* begun while there is a connection */
  SSL_CTX *context;      /* a reference */
  SSL_SESSION *session;  /* of the last connection, for the next one; NULL: none */
  uint64_t checked_ms;   /* when the certificate was checked that the session stands for */
  fluxbp__buffer_t late; /* encrypted, to be written when libuv has written the record before */
  bool is_handshaking;
  bool has_received; /* something, in this handshake */
  bool is_broken;    /* nothing can be said any more */
  char problem[256]; /* of this connection */
} fluxbp__secure_t;

/* secure.c */

/** Make what a client with such a URL needs. @return NULL: out of memory */
fluxbp__secure_t *fluxbp__secure_create(fluxbp_client_t *client);
void fluxbp__secure_free(fluxbp__secure_t *secure);

/** Begin the handshake: the socket is connected. */
void fluxbp__secure_begin(fluxbp_client_t *client);

/** Encrypted bytes have come. */
void fluxbp__secure_feed(fluxbp_client_t *client, const char *data, size_t length);

/** The connection has ended, without a word of TLS about it. */
void fluxbp__secure_take_end(fluxbp_client_t *client, int error);

/** Encrypt what waits, a record after the other, as long as the kernel takes them. @return 0, or an error */
int fluxbp__secure_flush(fluxbp_client_t *client);

/** Say that nothing follows. */
void fluxbp__secure_say_end(fluxbp_client_t *client);

/** The socket is about to be closed. Keep the session, and free the rest. */
void fluxbp__secure_end(fluxbp_client_t *client);

/** Whether a record has come in part. */
bool fluxbp__secure_is_mid_record(const fluxbp_client_t *client);

/* secure_context.c */

/** Return the context of `tls`, or of the system's authorities for NULL, with a reference. NULL: out of memory */
SSL_CTX *fluxbp__secure_context(const fluxbp_client_tls_t *tls);

/* secure_problem.c */

/** Write why the call of `secure` that has just returned UV_EPROTO failed. @return whether trying again is of no use */
bool fluxbp__secure_describe(fluxbp__secure_t *secure, const char *host);

#endif
