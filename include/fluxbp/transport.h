/* SPDX-License-Identifier: MIT */
/*
 * transport: how the bytes of a connection get to the peer and back. TCP and UNIX sockets are built in. A program may
 * bring another transport, such as TLS: a table of functions, and calls by which the transport tells its connection
 * what happened.
 *
 * A connection keeps its messages in its ring until the transport takes them. A message that was taken can neither be
 * dropped nor replaced, and counts as written. So a transport takes what the kernel takes, and keeps little.
 *
 * docs/transport.md describes how a transport is written, with an example. Thread: the hub's loop, for every function
 * here.
 */
#ifndef FLUXBP_TRANSPORT_H
#define FLUXBP_TRANSPORT_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_conn fluxbp_conn_t;
typedef struct fluxbp_transport fluxbp_transport_t;

/** The most transports that the connections of one hub may use together. */
#define FLUXBP_TRANSPORTS_MAX 16

/** The most bytes of its own that a transport may have in a connection. */
#define FLUXBP_TRANSPORT_BYTES_MAX 65536

/** The libuv stream that a connection embeds for its transport. */
typedef enum fluxbp_stream_kind {
  FLUXBP_STREAM_TCP = 0, /* a uv_tcp_t */
  FLUXBP_STREAM_PIPE     /* a uv_pipe_t, not for passing handles */
} fluxbp_stream_kind_t;

/**
 * A constant table; it must outlive every hub that it was given to. Entries are required unless their comment describes
 * NULL.
 *
 * The library may call an entry inside a call of the program's, such as fluxbp_conn_flush, so no entry but `deliver`
 * calls fluxbp_transport_received. No entry calls fluxbp_transport_writable. Inside of these two functions the program
 * and the library may do anything with the connection, so every entry may be called, `close` included. Otherwise no
 * entry is called inside of another one of the same connection, except `close` inside of `shutdown`.
 */
struct fluxbp_transport {
  /** sizeof(fluxbp_transport_t) */
  size_t size;

  /** A short name, such as "tcp". */
  const char *name;

  /** The stream of each connection, to which the transport may read and write as it likes. */
  fluxbp_stream_kind_t stream;

  /** Bytes of the transport's own in each connection, at most FLUXBP_TRANSPORT_BYTES_MAX; see fluxbp_transport_data. */
  size_t data_bytes;

  /**
   * Set up what the connection needs. Its stream is connected; reading begins right after, writing may. A handshake
   * goes on later: until its end try_write returns UV_EAGAIN. NULL: nothing is set up.
   *
   * The socket options that the library relies on are set by the `open` of the built-in transport for the same stream,
   * which this entry may call.
   *
   * @return 0 or a libuv error; then fluxbp_conn_start fails with it, and only `close` follows
   */
  int (*open)(fluxbp_conn_t *conn);

  /**
   * Copy bytes that the program has read from the socket before it handed the socket over (fluxbp_conn_adopt). They
   * come before everything that the transport reads. Called at most once, between `open` and the first read_start, with
   * a `length` of at least 1. NULL: sockets with such bytes can't be adopted (UV_ENOTSUP).
   *
   * @return 0 or a libuv error; then only `close` follows
   */
  int (*preread)(fluxbp_conn_t *conn, const void *data, size_t length);

  /**
   * Take as many bytes of `buffers` as can go now, from the front. `count` is at least 1.
   *
   * @return the number of bytes taken, at least 1; UV_EAGAIN if none can go now; UV_ENOBUFS if the budget has no room
   *   for what the transport has to keep: the connection is evicted as BUDGET; or another libuv error, which ends the
   *   connection
   */
  int (*try_write)(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count);

  /**
   * Have fluxbp_transport_writable called when try_write can take bytes again. Called after try_write has taken less
   * than it was given; try_write isn't called again before the answer. `rest` is what is left of the message at the
   * front. Its bytes, but not the uv_buf_t, stay where they are until the answer: the transport may write them itself
   * meanwhile.
   *
   * @return 0 or a libuv error, which ends the connection
   */
  int (*want_writable)(fluxbp_conn_t *conn, const uv_buf_t *rest);

  /**
   * Return how many bytes of `rest` the kernel hasn't taken. Called between want_writable and its answer. NULL: all of
   * them. A transport that writes `rest` itself has this entry, since a slow connection is judged by the bytes that
   * move.
   */
  size_t (*unwritten)(const fluxbp_conn_t *conn);

  /**
   * Return how many bytes try_write has taken that the kernel hasn't: what the transport keeps. A part of an encrypted
   * record counts for as many bytes of the messages in it, in proportion. NULL: none, ever.
   *
   * Kept bytes count as written (fluxbp_conn_stats_t.written), but neither as written_bytes nor as progress. A
   * connection of which the ring is empty isn't judged for them. So a transport keeps a record at most, writes it by
   * itself, and returns UV_EAGAIN from try_write as long as it keeps any of it.
   */
  size_t (*kept)(const fluxbp_conn_t *conn);

  /**
   * Call fluxbp_transport_received with what comes from now on, but not in here: bytes that the transport already has
   * are handed over by `deliver`. @return 0 or a libuv error, which ends the connection
   */
  int (*read_start)(fluxbp_conn_t *conn);

  /**
   * Read no more, so that the peer is held up, and hand nothing over until read_start. May be called inside of
   * fluxbp_transport_received. What the transport has read and not handed over it keeps. read_start and read_stop are
   * called in turn, and neither of them after UV_EOF.
   */
  void (*read_stop)(fluxbp_conn_t *conn);

  /**
   * Hand over what the transport has read and kept, by fluxbp_transport_received. The answer to
   * fluxbp_transport_deliver_later, from the loop. NULL: that function isn't used.
   */
  void (*deliver)(fluxbp_conn_t *conn);

  /**
   * Reading is stopped, and the kernel says that the peer has sent FIN. Return non-zero if nothing is left to hand over
   * or to read before it; then the library takes it for UV_EOF. NULL: the end is found when reading goes on.
   */
  int (*is_at_end)(fluxbp_conn_t *conn);

  /**
   * Write what is kept, say that nothing follows (TCP: FIN), and call fluxbp_transport_shut, in here or later.
   * try_write has taken everything, and isn't called again. Reading goes on.
   *
   * @return 0 or a libuv error, which ends the connection
   */
  int (*shutdown)(fluxbp_conn_t *conn);

  /**
   * Release what the transport holds, and call fluxbp_transport_closed, in here or later. With `by_reset` what the
   * kernel hasn't sent is to be forgotten, and the peer is to get a reset. The library closes the stream itself, after
   * fluxbp_transport_closed. Requests of the stream that are under way end with UV_ECANCELED after that, while the
   * connection's memory is still there. Called once, in any condition: `open` may never have been called, or have
   * failed.
   */
  void (*close)(fluxbp_conn_t *conn, int by_reset);

  /**
   * Return the TCP socket that the kernel is asked about, for progress, causes and peers that are gone; -1: there is
   * none. May be called at any time before `close`. NULL: the socket of the stream, if that is a uv_tcp_t.
   */
  int (*fd)(const fluxbp_conn_t *conn);

  /**
   * As read_start, and read once from the socket before this returns, as it is the turn of the connection. What the
   * transport has read and kept is handed over first. read_stop may be called in here. Return non-zero if more may be
   * there: then the library calls read_stop. NULL: read_start is called, and few such connections have their turn in
   * one iteration.
   */
  int (*read_once)(fluxbp_conn_t *conn);
};

/**
 * Return a built-in transport. Its entries may be called by the entries of another transport that is built on the same
 * stream.
 */
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_tcp(void);
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_pipe(void);

#define FLUXBP_TCP (fluxbp_transport_tcp())
#define FLUXBP_PIPE (fluxbp_transport_pipe())

/**
 * Return the transport that was given in the options of the connection. A transport with settings of its own, such as
 * certificates, has its table as the first member of its struct, which this function leads to.
 */
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_of(const fluxbp_conn_t *conn);

/** Return the connection that embeds `stream`, for the callbacks of libuv: the `data` of the stream is the library's.
 * */
FLUXBP_EXTERN fluxbp_conn_t *fluxbp_conn_of_stream(const uv_stream_t *stream);

/**
 * Return the transport's own bytes in a connection: `data_bytes` of them, zeroed at first, aligned for any type. They
 * are freed with the connection, after on_close has returned.
 */
FLUXBP_EXTERN void *fluxbp_transport_data(const fluxbp_conn_t *conn);

/**
 * Write the place and the size of memory that the loop's connections share, to read into, to `*buffer`. What is in it
 * is lost when the callback of the loop returns, or another connection reads.
 */
FLUXBP_EXTERN void fluxbp_transport_read_buffer(const fluxbp_conn_t *conn, uv_buf_t *buffer);

/**
 * Return whether the connection may be read now: non-zero, or 0 if the share of the iteration for what clients send is
 * used up (fluxbp/input.h). A transport asks before it reads. Without asking it reads on, and is stopped after what it
 * has handed over.
 */
FLUXBP_EXTERN int fluxbp_transport_may_read(const fluxbp_conn_t *conn);

/**
 * The socket can be read, and the connection may not: have it wait for its turn. The library calls read_stop in here,
 * and read_once or read_start when it is the turn of the connection.
 */
FLUXBP_EXTERN void fluxbp_transport_wait_turn(fluxbp_conn_t *conn);

/**
 * Allocate `size` bytes within the budget of the hub's pool, for what the kernel has refused, and write the address to
 * `*memory`. `size` is at least 1.
 *
 * @return 0, UV_ENOBUFS (the budget is used up) or UV_ENOMEM (the allocator refused)
 */
FLUXBP_EXTERN int fluxbp_transport_alloc(const fluxbp_conn_t *conn, size_t size, void **memory);

/** Free what fluxbp_transport_alloc has allocated, with the same `size`. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_transport_free(const fluxbp_conn_t *conn, void *memory, size_t size);

/**
 * Hand over `count` bytes at `data`, which the connection has received; `data` may be in the shared buffer. UV_EOF: the
 * peer sends no more. Another negative number: reading failed, with that libuv error. From a callback of the loop or
 * from `deliver`; not after read_stop, unless it is an error, nor after `close` or UV_EOF.
 */
FLUXBP_EXTERN void fluxbp_transport_received(fluxbp_conn_t *conn, const char *data, ssize_t count);

/**
 * Have the loop call `deliver`, at its next iteration. May be called anywhere, again too; it doesn't sleep before.
 * read_stop and `close` cancel that.
 *
 * @return 0, or UV_ENOMEM: the allocator refused
 */
FLUXBP_EXTERN int fluxbp_transport_deliver_later(fluxbp_conn_t *conn);

/**
 * Answer want_writable: try_write can take bytes again, and the kernel has taken the first `taken` bytes of `rest`; or
 * a libuv error: writing failed. Counts as progress of the connection, so it is called for something that has moved.
 * From a callback of the loop. After `close` it changes the accounts only.
 */
FLUXBP_EXTERN void fluxbp_transport_writable(fluxbp_conn_t *conn, ssize_t taken);

/** Answer `shutdown`: nothing follows, and the peer's side has been told so (0), or that failed. Ignored after `close`.
 * */
FLUXBP_EXTERN void fluxbp_transport_shut(fluxbp_conn_t *conn, int status);

/** Answer `close`: the transport has released what it held. It doesn't use the connection after this call, but in
 * callbacks of requests of the stream that end with it. */
FLUXBP_EXTERN void fluxbp_transport_closed(fluxbp_conn_t *conn);

#ifdef __cplusplus
}
#endif

#endif
