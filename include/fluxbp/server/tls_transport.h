/* SPDX-License-Identifier: MIT */
/*
 * tls_transport: TLS under a connection (fluxbp/transport.h), for programs that make their connections themselves. A
 * program with a server needs fluxbp/server/tls.h only.
 *
 * Messages stay in the ring of a connection, not encrypted, until the kernel takes them. A write encrypts one record of
 * up to 16 KiB, with several messages in it. What the kernel refuses of that record is kept, in the budget of the hub's
 * pool. Everything behind it may still be dropped or replaced.
 *
 * Handshakes cost much. They have a share of each iteration of the loop, apart from the share for what clients send,
 * and there is a limit to those that are under way. Others wait with their bytes in the kernel. While some wait, a
 * handshake whose client has sent nothing for `silence_ms` is given up. The program sets the deadline of a whole
 * handshake.
 *
 * Thread: the hub's loop.
 */
#ifndef FLUXBP_SERVER_TLS_TRANSPORT_H
#define FLUXBP_SERVER_TLS_TRANSPORT_H

#include "fluxbp/export.h"
#include "fluxbp/hub.h"
#include "fluxbp/server/tls.h"
#include "fluxbp/transport.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** TLS for the connections of one hub. */
typedef struct fluxbp_tls_transport fluxbp_tls_transport_t;

typedef struct fluxbp_tls_transport_options {
  /* Set by fluxbp_tls_transport_options_init. */
  size_t size;

  /* Certificates; must be set, and stay until the hub is closed. */
  fluxbp_tls_t *tls;

  /*
   * A handshake has ended (`err` 0), or failed:
   *   UV_EPROTO                what the client has sent isn't right
   *   UV_ECANCELED             it was given up for others that wait
   *   UV_EOF, UV_ECONNRESET    the client has closed the connection, after it had sent something
   *   UV_ENOBUFS, UV_ENOMEM    the budget of the pool is used up, or the allocator refused
   * or another error of the socket. `problem` is a sentence for a log then, valid until the handler returns. Return 0
   * to have a connection whose handshake has failed end with `err`, or non-zero if the program closes it. It isn't
   * called for a connection that ends otherwise before, such as by the program. Default NULL.
   */
  int (*on_handshake)(fluxbp_conn_t *conn, int err, const char *problem);

  /*
   * The client has sent something else than TLS, `length` bytes of it at `data`. Write an answer that is not encrypted,
   * up to `capacity` bytes, at `answer`, and return its length; 0: none. on_handshake follows, with UV_EPROTO. Default
   * NULL.
   */
  size_t (*on_plain)(fluxbp_conn_t *conn, const char *data, size_t length, char *answer, size_t capacity);

  /* Handshakes under way, of which each takes about 60 KB of OpenSSL's memory, outside of the budget; at least 1;
   * default 512. */
  uint32_t handshakes_max;

  /* Microseconds of an iteration of the loop for handshakes; at least 1; default 500. One step of a handshake isn't
   * interrupted: with a key of P-256 the longer one of two takes about 220 us (OpenSSL 3.0). */
  uint32_t handshake_us;

  /* Milliseconds for which a client under way may send nothing while others wait for its place. Default 1000: the
   * longest of round trips, or one retransmission (RFC 6298). */
  uint32_t silence_ms;

  /* The most bytes of the pool in what connections have sent of records that aren't whole yet, or that wait for the
   * connection's turn, all connections together. When it is used up, the connection whose record has been unfinished
   * for longest ends with UV_ENOBUFS; if there is no other one, the connection that needs room does. Connections whose
   * handshake hasn't ended have a quarter as much besides, among themselves. Default 8 MiB. */
  uint64_t input_bytes;

  /* Milliseconds from the first byte of a record to its last, after the handshake; 0 is off; default 30000. A
   * connection that takes longer ends with UV_ETIMEDOUT. The time in which it isn't read doesn't count. */
  uint32_t record_ms;
} fluxbp_tls_transport_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_tls_transport_options_init(options)                                                                     \
  fluxbp_tls_transport_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_tls_transport_options_init_sized(fluxbp_tls_transport_options_t *options, size_t size);

/**
 * Make the transport of a hub.
 *
 * @return 0, or UV_EINVAL (an option is missing or out of its range), UV_E2BIG (options that this version doesn't
 *   know), UV_ENOMEM, or an error of libuv
 */
FLUXBP_EXTERN int fluxbp_tls_transport_create(fluxbp_hub_t *hub, const fluxbp_tls_transport_options_t *options,
                                              fluxbp_tls_transport_t **transport);

/** Return what fluxbp_conn_options_t.transport takes. */
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_tls_transport_table(const fluxbp_tls_transport_t *transport);

/** Close the handles of the transport, before its hub is closed. Handshakes that wait go no further. */
FLUXBP_EXTERN void fluxbp_tls_transport_close(fluxbp_tls_transport_t *transport);

/** Free the transport, when its hub is closed and the loop has run since fluxbp_tls_transport_close. NULL is allowed.
 */
FLUXBP_EXTERN void fluxbp_tls_transport_free(fluxbp_tls_transport_t *transport);

/**
 * Begin a connection without TLS: its bytes come and go as they are until fluxbp_tls_secure is called. Right after
 * fluxbp_conn_start, for protocols in which something comes before TLS.
 */
FLUXBP_EXTERN void fluxbp_tls_begin_plain(fluxbp_conn_t *conn);

/**
 * Begin TLS on a connection that has begun without. From its on_data, or when everything that was received is done
 * with.
 *
 * @param data bytes that were received and belong to TLS already, which are copied; may be NULL if `length` is 0
 * @return 0, UV_ENOBUFS, UV_ENOMEM, or UV_EINVAL: the connection hasn't begun without TLS
 */
FLUXBP_EXTERN int fluxbp_tls_secure(fluxbp_conn_t *conn, const char *data, size_t length);

/** The most bytes of a client's name, its NUL included. */
#define FLUXBP_TLS_NAME_BYTES 256

/**
 * Write the name that the client's certificate gives it: the common name of its subject.
 *
 * @return its length; 0: the client has shown no certificate, or its subject has no common name, several, a longer one,
 * or one with control characters
 */
FLUXBP_EXTERN size_t fluxbp_tls_client_name(const fluxbp_conn_t *conn, char text[FLUXBP_TLS_NAME_BYTES]);

/** Return whether the session of the connection began with a session ticket of an earlier one. */
FLUXBP_EXTERN int fluxbp_tls_is_resumed(const fluxbp_conn_t *conn);

/** Return the version and the cipher, such as "TLSv1.3" and "TLS_AES_128_GCM_SHA256"; NULL before the end of the
 * handshake. */
FLUXBP_EXTERN const char *fluxbp_tls_version(const fluxbp_conn_t *conn);
FLUXBP_EXTERN const char *fluxbp_tls_cipher(const fluxbp_conn_t *conn);

/** Figures of one moment. */
typedef struct fluxbp_tls_stats {
  uint64_t handshakes; /* counter: that have ended well */
  uint64_t resumed;    /* counter: of them, by a session ticket */
  uint64_t failed;     /* counter: that have failed, what isn't TLS included */
  uint64_t given_up;   /* counter: of them, for others that waited */
  uint64_t under_way;  /* gauge */
  uint64_t waiting;    /* gauge: connections that wait for their turn, or for one of handshakes_max */
} fluxbp_tls_stats_t;

/** Read the figures. */
#define fluxbp_tls_transport_get_stats(transport, stats)                                                               \
  fluxbp_tls_transport_get_stats_sized((transport), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_tls_transport_get_stats_sized(const fluxbp_tls_transport_t *transport,
                                                        fluxbp_tls_stats_t *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
