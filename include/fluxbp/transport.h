/* SPDX-License-Identifier: MIT */
/*
 * transport: how the bytes of a connection get to the peer and back. TCP and UNIX sockets are built in. A program may
 * bring another transport, such as TLS: a table of functions, and calls by which the transport tells its connection
 * what happened.
 *
 * A connection keeps its messages in its ring until the transport has taken them. So a transport takes what the kernel
 * takes, and keeps little: what it has taken can neither be dropped nor replaced, and counts as written.
 *
 * Thread: the hub's loop, for every function here.
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
 * A constant table; it must outlive every hub that it was given to. Entries are required unless they say what NULL
 * means. The library calls no entry inside of another one of the same connection, except `close`. An entry may call the
 * functions below at any time, but for fluxbp_transport_writable inside of try_write and want_writable.
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
   * The connection is started: its stream is connected. Set up what the connection needs; writing and reading may begin
   * right after. NULL: nothing is set up.
   *
   * @return 0 or a libuv error; then fluxbp_conn_start fails with it, and only `close` follows
   */
  int (*open)(fluxbp_conn_t *conn);

  /**
   * Take as many bytes of `buffers` as can go now, from the front. `count` is at least 1.
   *
   * @return the number of bytes taken, at least 1; UV_EAGAIN if none can go now; or another libuv error, which ends the
   *   connection
   */
  int (*try_write)(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count);

  /**
   * Have fluxbp_transport_writable called when there is room again. Called after try_write has taken less than it was
   * given; try_write isn't called again before the answer. `rest` is what is left of the message at the front. Its
   * bytes, but not the uv_buf_t, stay where they are until the answer: the transport may write them itself meanwhile.
   *
   * @return 0 or a libuv error, which ends the connection
   */
  int (*want_writable)(fluxbp_conn_t *conn, const uv_buf_t *rest);

  /**
   * Between want_writable and its answer: how many bytes of `rest` the kernel hasn't taken. NULL: all of them. The
   * library judges a slow connection by what moves; so a transport that writes `rest` itself has this.
   */
  size_t (*unwritten)(const fluxbp_conn_t *conn);

  /** Call fluxbp_transport_received with what comes from now on. @return 0 or a libuv error */
  int (*read_start)(fluxbp_conn_t *conn);

  /** Read no more, so that the peer is held up. */
  void (*read_stop)(fluxbp_conn_t *conn);

  /**
   * Everything was taken by try_write: write what is kept, say that nothing follows (TCP: FIN), and call
   * fluxbp_transport_shut.
   *
   * @return 0 or a libuv error, which ends the connection
   */
  int (*shutdown)(fluxbp_conn_t *conn);

  /**
   * The connection ends; `open` may never have been called. Release what the transport holds, and call
   * fluxbp_transport_closed, in here or later. With `by_reset` what the kernel hasn't sent is to be forgotten, and the
   * peer is to get a reset. The library closes the stream itself, after fluxbp_transport_closed. Requests of the stream
   * that are under way end with UV_ECANCELED after that, while the connection's memory is still there.
   */
  void (*close)(fluxbp_conn_t *conn, int by_reset);

  /**
   * The TCP socket that the kernel is asked about, for progress, causes and peers that are gone; -1: there is none.
   * NULL: the socket of the stream, if that is a uv_tcp_t.
   */
  int (*fd)(const fluxbp_conn_t *conn);
};

/**
 * Return a built-in transport. Its entries may be called by the entries of another transport that is built on the same
 * stream.
 */
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_tcp(void);
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_pipe(void);

#define FLUXBP_TCP (fluxbp_transport_tcp())
#define FLUXBP_PIPE (fluxbp_transport_pipe())

/** The transport's own bytes in a connection: `data_bytes` of them, zeroed at first, aligned for any type. They are
 * freed with the connection, after on_close has returned. */
FLUXBP_EXTERN void *fluxbp_transport_data(const fluxbp_conn_t *conn);

/**
 * Write the place and the size of memory that the loop's connections share, to read into, to `*buffer`. What is in it
 * is lost when the callback of the loop returns, or another connection reads.
 */
FLUXBP_EXTERN void fluxbp_transport_read_buffer(const fluxbp_conn_t *conn, uv_buf_t *buffer);

/** Bytes have come: `count` of them at `data`, which may be in the shared buffer. UV_EOF: the peer sends no more.
 * Another negative number: reading failed, with that libuv error. Not after `read_stop` and `close`. */
FLUXBP_EXTERN void fluxbp_transport_received(fluxbp_conn_t *conn, const char *data, ssize_t count);

/** There is room again, and the kernel has taken the first `taken` bytes of `rest`; or a libuv error: writing failed.
 * The answer to want_writable. Not after `close`, except for an error, which is ignored then. */
FLUXBP_EXTERN void fluxbp_transport_writable(fluxbp_conn_t *conn, ssize_t taken);

/** Nothing follows, and the peer's side has been told so (0), or that failed. The answer to `shutdown`. */
FLUXBP_EXTERN void fluxbp_transport_shut(fluxbp_conn_t *conn, int status);

/** The transport has released what it held. The answer to `close`; the transport doesn't use the connection after
 * it. */
FLUXBP_EXTERN void fluxbp_transport_closed(fluxbp_conn_t *conn);

#ifdef __cplusplus
}
#endif

#endif
