/* SPDX-License-Identifier: MIT */
/*
 * secured: what the transport keeps of a hub and of each of its connections. Thread: the hub's loop.
 */
#ifndef FLUXBP_LIB_TLS_SECURED_H
#define FLUXBP_LIB_TLS_SECURED_H

#include "fluxbp/server/tls_transport.h"
#include "server/queue.h"
#include "tls.h"

#include <fluxbp/fluxbp.h>
#include <stdbool.h>

struct fluxbp_tls_transport {
  fluxbp_transport_t table; /* first: fluxbp_transport_of leads here */
  fluxbp_hub_t *hub;
  fluxbp_tls_transport_options_t options;
  fluxbp_tls_stats_t stats;
  bool is_closing;

  /* Handshakes; see handshakes.c. */
  uv_prepare_t prepare;          /* each iteration begins with it, while there are handshakes */
  uv_idle_t idle;                /* active while one could go on: then the loop doesn't sleep */
  uv_timer_t timer;              /* runs while all places are taken and others wait */
  struct queue ready;            /* connections under way whose bytes may be read when they have their turn */
  struct queue newcomers;        /* connections that need one of handshakes_max first */
  struct queue silent;           /* connections under way, the one whose last step is longest ago first */
  uint64_t spent_ns;             /* of this iteration's share */
  const struct secured *current; /* the connection that has its turn; NULL: none */

  /* What has come of records; see secured_input.c. */
  uv_timer_t record_timer; /* runs while there is something in the queue */
  struct queue unfinished; /* open connections that are read, by when their record has begun, the oldest first */
  struct queue early;      /* connections that wait for the rest of their first record, the oldest first */
  uint64_t input_bytes;    /* in `input` of all connections whose handshake has ended, */
  uint64_t early_bytes;    /* and of the others */
};

enum secured_phase {
  SECURED_PLAIN,     /* no TLS yet */
  SECURED_AWAITED,   /* the first record of the client isn't whole */
  SECURED_HANDSHAKE, /* under way */
  SECURED_OPEN,
  SECURED_FAILED, /* or FIN was said: what comes is thrown away */
  SECURED_CLOSED
};

/* What the kernel has refused of a record; from the pool. Another one follows only if OpenSSL has to say something of
 * its own meanwhile. */
struct secured_output {
  uv_write_t request;
  uint32_t record_bytes, plain_bytes; /* of the whole records that are kept, and of messages in them */
  size_t length;                      /* of `data` */
  char data[];
};

struct secured {
  fluxbp__tls_t tls;             /* first: fluxbp__tls_t leads here */
  fluxbp_conn_t *conn;           /* NULL before `open` */
  struct secured_output *output; /* the last one; NULL: the kernel has everything */
  char *input;                   /* encrypted bytes that weren't read yet; from the pool, or NULL */
  uint32_t input_length, input_capacity;
  uint32_t handshake_bytes; /* of records that OpenSSL has got for the handshake */
  uint32_t plain_bytes;     /* of messages, in the record that is being written */
  uint64_t stepped_ms;      /* the loop's time at the last step of the handshake, or when the record has begun */
  struct queue_link turn;   /* in `ready` or `newcomers` */
  struct queue_link silent; /* in `early`, `silent` or `unfinished` */
  uint8_t phase;
  bool has_place : 1;      /* is one of those under way */
  bool is_reading : 1;     /* the library wants what comes */
  bool is_blocked : 1;     /* `output` has an answer of OpenSSL's: nothing is read before it is written */
  bool wants_writable : 1; /* the library waits for fluxbp_transport_writable */
  bool wants_shutdown : 1; /* and for fluxbp_transport_shut, once `output` is written */
  bool is_early : 1;       /* `input` counts among early_bytes */
  bool is_taking : 1;      /* `input` is being read */
  bool has_ended : 1;      /* the peer sends no more, or reading has failed */
  uv_shutdown_t shutdown;
};

static inline struct secured *secured_of(const fluxbp_conn_t *conn) {
  return fluxbp_transport_data(conn);
}

static inline fluxbp_tls_transport_t *secured_transport(const struct secured *secured) {
  return (fluxbp_tls_transport_t *) (uintptr_t) fluxbp_transport_of(secured->conn);
}

static inline uv_stream_t *secured_stream(const struct secured *secured) {
  return fluxbp_conn_stream(secured->conn);
}

/* Whether the library may be told something of the connection. */
static inline bool secured_is_alive(const struct secured *secured) {
  return secured->phase < SECURED_FAILED;
}

static inline bool secured_is_in_handshake(const struct secured *secured) {
  return secured->phase == SECURED_AWAITED || secured->phase == SECURED_HANDSHAKE;
}

/* Keep encrypted bytes behind those that are kept. 0, UV_ENOBUFS or UV_ENOMEM. */
int secured_keep(struct secured *secured, const char *data, size_t length);

/* Take everything that is kept, which the caller frees by fluxbp_transport_free. NULL: nothing is. */
char *secured_take_input(struct secured *secured, size_t *length, size_t *capacity);

/* The handshake has ended: what is kept counts among the bytes of open connections. */
void secured_open_input(struct secured *secured);

/* Remove bytes from the front of what is kept. */
void secured_drop(struct secured *secured, size_t length);

/* Whether a whole record, or something that is none, is at the front of what is kept. */
bool secured_has_record(const struct secured *secured);

/* A part of a record may be kept: have it come to its end in time. `has_moved`: another record than before is at the
 * front. */
void secured_watch_record(struct secured *secured, bool has_moved);

/* Whether the library takes what comes. */
bool secured_may_hand_over(const struct secured *secured);

/* Tell the library that nothing more comes: UV_EOF or an error. Once. */
void secured_end_reading(struct secured *secured, ssize_t status);

/* Have libuv read, and stop that. */
void secured_read_start(struct secured *secured);
void secured_read_stop(struct secured *secured);

/* Read once from the socket into the buffer that the loop's connections share. Returns bytes, UV_EOF, UV_EAGAIN or an
 * error. */
ssize_t secured_read(const struct secured *secured, uv_buf_t *buffer);

/* Bytes have come from the socket, or its end (UV_EOF), or an error. */
void secured_receive(struct secured *secured, const char *data, ssize_t count);

/* The handshake has ended, or nothing is blocked any more: read, and write. */
void secured_go_on(struct secured *secured);

/* Answer want_writable, if messages can be taken. */
void secured_answer_writable(struct secured *secured);

/* Whether the socket has something to read: bytes, its end or an error. */
bool secured_is_readable(const struct secured *secured);

/* From now on throw away what comes. It is read, since the kernel sends a reset for what is left unread at the end, and
 * that overtakes what was written. */
void secured_ignore_input(struct secured *secured);

/* The handshake has failed. Nothing follows for the caller: the connection may be closed when this returns. */
void secured_fail(struct secured *secured, int err, const char *problem);

/* Take encrypted bytes of a connection, for the kernel: what it refuses is kept. See fluxbp__tls_sink_fn. */
int secured_sink(fluxbp__tls_t *tls, const char *data, size_t length);

/* Entries of the table: writing. */
int secured_try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count);
int secured_want_writable(fluxbp_conn_t *conn, const uv_buf_t *rest);
size_t secured_kept(const fluxbp_conn_t *conn);
int secured_shutdown(fluxbp_conn_t *conn);

/* Entries of the table: reading. */
int secured_preread(fluxbp_conn_t *conn, const void *data, size_t length);
int secured_start_reading(fluxbp_conn_t *conn);
void secured_stop_reading(fluxbp_conn_t *conn);
void secured_deliver(fluxbp_conn_t *conn);
int secured_read_once(fluxbp_conn_t *conn);

#endif
