/* SPDX-License-Identifier: MIT */
/*
 * connection: one peer, with its ring and its verdict.
 *
 * fluxbp_conn_create makes a connection. The user accepts or connects into fluxbp_conn_stream, and calls
 * fluxbp_conn_start. fluxbp_conn_adopt does all of that with a socket that is connected. From then on the library
 * reads, writes and closes. The memory of a connection is freed after on_close has returned. Thread: the hub's loop.
 */
#ifndef FLUXBP_CONN_H
#define FLUXBP_CONN_H

#include "fluxbp/codec.h"
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/msg.h"
#include "fluxbp/policy.h"
#include "fluxbp/transport.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_hub fluxbp_hub_t;
typedef struct fluxbp_conn fluxbp_conn_t;

/**
 * Functions that the library calls when something happens on a connection. Usually one constant table serves all
 * connections of a kind; the table must outlive them. Every entry may be NULL; an entry that a table of an earlier
 * version doesn't have counts as NULL. All are called from the loop, never inside a call of yours, and anything of the
 * library may be called in them, closing this connection and its hub included.
 */
typedef struct fluxbp_conn_handlers {
  /* sizeof(fluxbp_conn_handlers_t) */
  size_t size;

  /* Bytes have arrived. They are valid until the handler returns. Not called while reading is paused
   * (fluxbp_conn_pause_read). */
  void (*on_data)(fluxbp_conn_t *conn, const char *data, size_t length);

  /* The connection can't keep up (entered = 1: it is at its high watermark), or has caught up (0: at the low one). */
  void (*on_backpressure)(fluxbp_conn_t *conn, int entered);

  /* The connection has lost messages, and the gap is complete. Gaps of one iteration of the loop are reported as
   * one. */
  void (*on_gap)(fluxbp_conn_t *conn, const fluxbp_gap_t *gap);

  /*
   * The connection is about to be evicted as STALLED, SLOW, LAG, UNREACHABLE or SOFT_LIMIT. Return non-zero to spare
   * the connection: then its clocks begin anew. The handler isn't called for other reasons. It isn't called for a full
   * ring either, which may be SLOW or STALLED when patience is used up: there is no room for the message. A verdict
   * that a shadow policy only reports (record->is_shadow), OVERFLOW included, is told here too; then the return value
   * changes nothing.
   */
  int (*on_verdict)(fluxbp_conn_t *conn, const fluxbp_eviction_t *record);

  /* The library evicts the connection. on_close follows. */
  void (*on_evicted)(fluxbp_conn_t *conn, const fluxbp_eviction_t *record);

  /*
   * The connection has ended. This is the last call about it. `status` is one of
   *   0               closed by fluxbp_conn_close, and everything was written
   *   UV_ECANCELED    closed by fluxbp_conn_reset, or with the hub
   *   UV_ETIMEDOUT    the deadline of fluxbp_conn_close passed, or the kernel gave up on the peer; that is no verdict,
   *                   and on_evicted wasn't called
   *   UV_ENOBUFS      closing politely, when the budget was nearly used up
   *   UV_EOF          closed by the peer
   *   UV_ECONNABORTED evicted
   *   or the error of a read or a write
   */
  void (*on_close)(fluxbp_conn_t *conn, int status);

  /*
   * The peer sends no more (FIN). Return non-zero if something is still to be sent to the peer, such as an answer that
   * isn't ready. Then the connection stays open and subscribed until the program closes it; a peer that is gone
   * altogether is noticed only when something is sent. With zero, or without this handler, the library writes what is
   * queued, within a second, and closes the connection.
   */
  int (*on_half_close)(fluxbp_conn_t *conn);

  /* The lane for replies was full, and half of its places are free again: see fluxbp_send_options_t.is_reply. */
  void (*on_reply_room)(fluxbp_conn_t *conn);

  /* It is the turn of the connection, for which fluxbp_conn_wait_turn has had it wait (input.h). */
  void (*on_input_turn)(fluxbp_conn_t *conn);
} fluxbp_conn_handlers_t;

typedef struct fluxbp_conn_options {
  /* Set by fluxbp_conn_options_init. */
  size_t size;

  /* FLUXBP_TCP (the default), FLUXBP_PIPE, or a transport of the program's. */
  const fluxbp_transport_t *transport;

  /* Encoding of messages; default fluxbp_codec_raw. */
  const fluxbp_codec_t *codec;

  /* Functions to call; default NULL: none. */
  const fluxbp_conn_handlers_t *handlers;

  /* Pointer of the program's; default NULL. See fluxbp_conn_user. */
  void *user;

  /* Bytes of the program's in the connection's memory, instead of `user`; 0 … 65535; default 0. */
  size_t user_bytes;
} fluxbp_conn_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_conn_options_init(options) fluxbp_conn_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_conn_options_init_sized(fluxbp_conn_options_t *options, size_t size);

/**
 * Make a connection with an initialised, unconnected stream.
 *
 * @param options NULL for the defaults
 * @return 0, or
 *   UV_EINVAL    no codec, a table of handlers or a codec without its size, no transport or one without a required
 *                entry, both `user` and `user_bytes`, or more than 65535 of them
 *   UV_E2BIG     options, handlers, a codec or a transport with a part that this version doesn't know, more codecs than
 *                FLUXBP_CODECS_MAX, or more transports than FLUXBP_TRANSPORTS_MAX
 *   UV_ENOMEM    the allocator refused
 *   UV_ECANCELED the hub is closing
 */
FLUXBP_EXTERN int fluxbp_conn_create(fluxbp_hub_t *hub, const fluxbp_conn_options_t *options, fluxbp_conn_t **conn);

/**
 * Return the stream, a uv_tcp_t or uv_pipe_t: to accept or connect into, and to ask for names. Only the library reads,
 * writes and closes the stream, and uses its `data`. fluxbp_conn_user is the place for the program's data.
 */
FLUXBP_EXTERN uv_stream_t *fluxbp_conn_stream(fluxbp_conn_t *conn);

/**
 * Start a connection whose stream is connected: set the socket options, begin to read, take messages.
 *
 * @return 0, or an error of libuv, the kernel or the transport; then the connection isn't started, and
 *   fluxbp_conn_reset ends it
 *   UV_EINVAL the connection was started before, or is closing
 */
FLUXBP_EXTERN int fluxbp_conn_start(fluxbp_conn_t *conn);

/**
 * Create a connection on a socket that the program has accepted or connected itself, and start it. The program may have
 * read from the socket: `length` bytes at `data`, which are copied. They come first, by on_data, from the loop; if
 * reading is paused before, when it is resumed. With a transport of the program's own they are what the transport reads
 * first.
 *
 * The socket is the connection's from then on; `fd` is closed, and the connection has another descriptor for it. After
 * an error the socket is the caller's as before, though options of it may have been set, and no callback is called. No
 * handle of libuv may have the descriptor: for a handle there is fluxbp_conn_adopt_stream.
 *
 * @param fd a connected stream socket: of TCP, or a UNIX socket if the stream of the transport is a pipe
 * @param data may be NULL if `length` is 0
 * @param options as for fluxbp_conn_create
 * @return 0, or
 *   UV_EPROTOTYPE the socket isn't of the kind that the transport needs
 *   UV_ENOTCONN   it isn't connected, or not any more
 *   UV_EBADF, UV_ENOTSOCK `fd` is no socket
 *   UV_EMFILE     the process has no descriptor left for the duplicate
 *   UV_ENOTSUP    the transport has no entry `preread`, and `length` isn't 0
 *   UV_ENOBUFS    the budget has no room for the bytes
 *   UV_EINVAL     `conn` or the bytes are missing
 *   and what fluxbp_conn_create and fluxbp_conn_start return
 */
FLUXBP_EXTERN int fluxbp_conn_adopt(fluxbp_hub_t *hub, uv_os_sock_t fd, const void *data, size_t length,
                                    const fluxbp_conn_options_t *options, fluxbp_conn_t **conn);

/**
 * The same for a uv_tcp_t or uv_pipe_t of the program's, which is closed: the connection gets a duplicate of its
 * descriptor. Reading of the handle is stopped; libuv keeps no data that it has read, so `data` is what the program's
 * callback was given. May be called in a callback of the handle. Its memory is the program's again when
 * `on_handle_closed` is called.
 *
 * After an error the handle is as it was. It is on the loop of the hub: a handle can only be closed by the thread of
 * its loop.
 *
 * @param on_handle_closed called when libuv has closed the handle; may be NULL
 * @return as fluxbp_conn_adopt, and besides
 *   UV_EBUSY    the handle has writes that are queued
 *   UV_EINVAL   it is closing, on another loop, neither TCP nor a pipe, or a pipe for passing handles
 *   UV_EBADF    it has no socket yet
 *   UV_ENOTCONN it is still connecting, or was shut down
 */
FLUXBP_EXTERN int fluxbp_conn_adopt_stream(fluxbp_hub_t *hub, uv_stream_t *stream, uv_close_cb on_handle_closed,
                                           const void *data, size_t length, const fluxbp_conn_options_t *options,
                                           fluxbp_conn_t **conn);

/**
 * Queue `msg` for this connection alone. Takes the references that are needed; the caller keeps its own.
 *
 * @return 1 if the message was queued, 0 if it was lost by the overflow rule, or
 *   UV_ENOTCONN  the connection isn't started, or is closing
 *   UV_ENOBUFS   the budget is used up
 *   and what fluxbp_frame_create returns
 */
FLUXBP_EXTERN int fluxbp_conn_send(fluxbp_conn_t *conn, fluxbp_msg_t *msg);

/**
 * Send a copy of `length` bytes at `data`: make a message from the hub's pool, send it, and give it up.
 *
 * @return as fluxbp_conn_send and fluxbp_msg_create
 */
FLUXBP_EXTERN int fluxbp_conn_send_bytes(fluxbp_conn_t *conn, const void *data, size_t length);

/** The most replies that a connection queues. */
#define FLUXBP_REPLIES_MAX 16

/**
 * Told once what became of one message to one connection: from the loop, before on_close.
 *
 * @param status 0 (the kernel has all of the message), UV_ENOBUFS (the ring was full, and the overflow rule dropped the
 *   message), or UV_ECANCELED (the connection ended first)
 */
typedef void (*fluxbp_sent_cb)(fluxbp_conn_t *conn, void *arg, int status);

typedef struct fluxbp_send_options {
  /* Set by fluxbp_send_options_init. */
  size_t size;

  /*
   * Non-zero: the message is a reply. Replies wait in a lane of their own, in their order, at most FLUXBP_REPLIES_MAX
   * of them. They are written as soon as the message that is being written has ended, before everything else that is
   * queued. No overflow rule drops a reply. The reply that takes the last place pauses reading, so that further
   * requests wait in the peer's kernel. When half of the places are free, reading goes on and on_reply_room is called.
   * Default 0.
   */
  int is_reply;

  /* Told what became of the message, if the message was queued; default NULL. */
  fluxbp_sent_cb on_sent;

  /* Passed to on_sent. */
  void *arg;
} fluxbp_send_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_send_options_init(options) fluxbp_send_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_send_options_init_sized(fluxbp_send_options_t *options, size_t size);

/**
 * Queue `msg` for this connection alone, as fluxbp_conn_send does, as a reply or with a report if the options say so.
 *
 * @param options NULL for the defaults
 * @return as fluxbp_conn_send, and
 *   UV_EAGAIN  the message is a reply, and FLUXBP_REPLIES_MAX wait already: send it after on_reply_room
 *   UV_ENOMEM  the allocator refused
 *   UV_E2BIG   options that this version doesn't know
 */
FLUXBP_EXTERN int fluxbp_conn_send_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, const fluxbp_send_options_t *options);

/**
 * Offer the kernel now what is queued for a connection, instead of before the loop sleeps. What state topics and the
 * history still have for the connection is queued first, as far as the ring has room. No callback runs before this
 * returns.
 *
 * @return 0, or UV_ENOTCONN: the connection isn't started, or is closed
 */
FLUXBP_EXTERN int fluxbp_conn_flush(fluxbp_conn_t *conn);

/**
 * Stop reading from the peer: flow control towards a peer that sends more than the program can use now. Data that has
 * arrived stays in the kernel, which holds the peer up when its buffers are full. May be called from any callback. If
 * on_data calls this, on_data isn't called again until reading is resumed. Further calls do nothing.
 *
 * The library looks at the peer of a paused connection once a sweep (fluxbp_hub_options_t.sweep_ms). If the peer has
 * reset the connection, the connection is closed at once. A FIN is told by on_half_close when everything that the peer
 * sent before it is read. Writing, verdicts and closing go on. When a connection is closed politely, or evicted with a
 * farewell, the pause ends, and what the peer sends is thrown away.
 *
 * @return 0, or
 *   UV_ENOTCONN the connection isn't started, or is closing
 *   UV_ENOMEM   the allocator refused; reading goes on
 */
FLUXBP_EXTERN int fluxbp_conn_pause_read(fluxbp_conn_t *conn);

/**
 * Read on after fluxbp_conn_pause_read. on_data is called from the loop, not inside of this call. May be called from
 * any callback, also from the on_data that paused reading. Does nothing if reading isn't paused by the program.
 */
FLUXBP_EXTERN void fluxbp_conn_resume_read(fluxbp_conn_t *conn);

/**
 * Close a connection politely: take no new messages, write those that are queued, send FIN, and wait for the peer's
 * FIN. The peer has until the deadline, or a second after its kernel has everything, if that is earlier. What state
 * topics or the history still had for the connection isn't sent. A further call changes the deadline.
 *
 * @param deadline_ms milliseconds from now, after which the connection is reset; 0 waits for nothing that can't be
 *   written at once
 */
FLUXBP_EXTERN void fluxbp_conn_close(fluxbp_conn_t *conn, uint32_t deadline_ms);

/**
 * Queue a last message, such as the reason for the end, and close the connection politely, as fluxbp_conn_close does.
 * The message follows everything that is queued, however full the ring is. Takes the references that are needed; the
 * caller keeps its own.
 *
 * @return 0, or why the connection is closed without the message:
 *   UV_ENOTCONN           the connection isn't started, or was closing already
 *   UV_ENOBUFS, UV_ENOMEM the budget is used up, or the allocator refused
 *   and what fluxbp_frame_create returns
 */
FLUXBP_EXTERN int fluxbp_conn_close_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint32_t deadline_ms);

/** Close a connection now, TCP with a reset, and discard what is queued. Allowed at any time before on_close. */
FLUXBP_EXTERN void fluxbp_conn_reset(fluxbp_conn_t *conn);

/**
 * Judge a connection by a policy of its own from now on; NULL: by the hub's again. A ring that is fuller than the new
 * limits drains first.
 *
 * @return 0, or UV_EINVAL, UV_E2BIG (as fluxbp_hub_set_policy), UV_ENOMEM, UV_ENOTCONN (the connection is closing)
 */
FLUXBP_EXTERN int fluxbp_conn_set_policy(fluxbp_conn_t *conn, const fluxbp_policy_t *policy);

/**
 * Encode messages by another codec from now on. Messages that are queued stay as they are.
 *
 * @return 0, or
 *   UV_EINVAL  `codec` is NULL, or has no size
 *   UV_E2BIG   the hub has FLUXBP_CODECS_MAX codecs already, or the codec has a part that this version doesn't know
 *   UV_ENOBUFS, UV_ENOMEM, or an error of the codec: the connection is subscribed to a state topic with a value that
 *              can't be encoded
 */
FLUXBP_EXTERN int fluxbp_conn_set_codec(fluxbp_conn_t *conn, const fluxbp_codec_t *codec);

/** Return whether the connection can't keep up: above its high watermark, and not yet down at the low one. */
FLUXBP_EXTERN int fluxbp_conn_is_backpressured(const fluxbp_conn_t *conn);

/** Return `fill_percent` of the statistics alone. */
FLUXBP_EXTERN uint32_t fluxbp_conn_fill_percent(const fluxbp_conn_t *conn);

/**
 * Return whether a part of the past of its log topics has yet to be queued for the connection
 * (fluxbp_topic_subscribe_since). If not, everything of these topics up to the hub's newest id is in the ring, or was.
 */
FLUXBP_EXTERN int fluxbp_conn_is_replaying(const fluxbp_conn_t *conn);

/** Return the number of the connection in its hub: 1 for the first one; no number is used again. */
FLUXBP_EXTERN uint64_t fluxbp_conn_id(const fluxbp_conn_t *conn);

/**
 * Return a number for the connection that no other connection of this process has, and never 0: for publishing to all
 * subscribers but this one (fluxbp_topic_publish_from, fluxbp_bus_publish_with). The number may be kept, given to other
 * threads, and used after the connection has gone; then it excludes no connection. It means nothing to another process.
 */
FLUXBP_EXTERN uint64_t fluxbp_conn_origin(const fluxbp_conn_t *conn);

/** Return the hub of the connection. */
FLUXBP_EXTERN fluxbp_hub_t *fluxbp_conn_hub(const fluxbp_conn_t *conn);

/**
 * Return the pointer from the options, or from fluxbp_conn_set_user. With `user_bytes` return the address of so many
 * bytes in the connection's memory. They are zeroed at first, aligned for any type (as far as the pool's allocator is),
 * and freed with the connection, after on_close has returned. That saves an allocation and two pointers for each
 * connection.
 */
FLUXBP_EXTERN void *fluxbp_conn_user(const fluxbp_conn_t *conn);

/** Set the pointer. Does nothing for a connection with `user_bytes`, which has no pointer. */
FLUXBP_EXTERN void fluxbp_conn_set_user(fluxbp_conn_t *conn, void *user);

/**
 * Return the connection in whose memory the program's bytes are: the inverse of fluxbp_conn_user. The bytes need no
 * pointer to their connection. Valid until on_close has returned.
 *
 * @param user what fluxbp_conn_user returned for a connection with `user_bytes`
 * @param user_bytes the same number as in its options, which wasn't 0
 */
FLUXBP_EXTERN fluxbp_conn_t *fluxbp_conn_of_user(const void *user, size_t user_bytes);

/** What became of the messages for one connection: accepted = written + dropped + conflated + discarded + queued. */
typedef struct fluxbp_conn_stats {
  /* Messages that were meant for the connection, notices of a gap or a farewell included. */
  uint64_t accepted;
  /* Messages that the kernel has taken whole. */
  uint64_t written;
  /* Messages lost by the overflow rule. */
  uint64_t dropped;
  /* Messages replaced by a newer one of the same key while queued, or left to their state topic. */
  uint64_t conflated;
  /* Messages thrown away by a close, a reset or an eviction. */
  uint64_t discarded;
  /* Messages in the ring and in the lane of replies. */
  uint64_t queued;
  /* Bytes of the queued messages that the kernel has not taken. */
  uint64_t queued_bytes;
  /* Bytes that the kernel has taken, those of partly written messages included. */
  uint64_t written_bytes;
  /* Id of the last message with an id that was written whole; 0: there was none. */
  uint64_t last_id;
  /* Fill of the ring by what isn't written yet; 100 if that is more than the ring. */
  uint32_t fill_percent;
  /* Age of the oldest message in the ring of which nothing is written. */
  uint32_t oldest_ms;
  /* Time in which nothing has moved while the kernel refuses, as of the last sweep; otherwise 0. */
  uint32_t since_progress_ms;
  /* Whether the kernel refused the last write, and has had no room since. */
  int is_refused;
  /* As fluxbp_conn_is_backpressured. */
  int is_backpressured;
} fluxbp_conn_stats_t;

/** Read the statistics of one moment. */
#define fluxbp_conn_get_stats(conn, stats) fluxbp_conn_get_stats_sized((conn), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_conn_get_stats_sized(const fluxbp_conn_t *conn, fluxbp_conn_stats_t *stats, size_t size);

/**
 * Write what the record of an eviction would say if the verdict fell now, with FLUXBP_EVICT_NONE for the reason. What
 * isn't known is 0: the cause until a sweep has looked at the connection, and the cause and the time without progress
 * of a connection that the kernel hasn't refused. Asks the kernel by one or two system calls.
 */
#define fluxbp_conn_get_evidence(conn, evidence) fluxbp_conn_get_evidence_sized((conn), (evidence), sizeof(*(evidence)))
FLUXBP_EXTERN void fluxbp_conn_get_evidence_sized(const fluxbp_conn_t *conn, fluxbp_eviction_t *evidence, size_t size);

/**
 * How far the bytes of a connection have come, and when the peer was last heard. A server that waits for the answer to
 * a ping uses this to tell a peer that still reads from a peer that is gone. The peer's kernel has the ping when
 * `acked_bytes` has reached the value that `accepted_bytes` had right after the ping was sent, or the value that it has
 * now, if that is less: messages before the ping may have been dropped or conflated meanwhile.
 */
typedef struct fluxbp_liveness {
  /* Bytes that were written or are queued: written_bytes + queued_bytes of the statistics. */
  uint64_t accepted_bytes;
  /* Bytes of them that the peer's kernel has acknowledged; if that isn't known, bytes that our kernel has taken. */
  uint64_t acked_bytes;
  /* Time since the peer's kernel last acknowledged or sent anything, updates of the window and answers to probes
   * included; if that isn't known, the time in which nothing has moved, as since_progress_ms. */
  uint64_t since_heard_ms;
  /* Whether the kernel has told: for a connected TCP socket, on Linux. */
  int is_known;
} fluxbp_liveness_t;

/**
 * Ask the kernel, by two system calls. Meant for a connection about which something is to be decided, not for all
 * connections all the time.
 */
#define fluxbp_conn_get_liveness(conn, liveness) fluxbp_conn_get_liveness_sized((conn), (liveness), sizeof(*(liveness)))
FLUXBP_EXTERN void fluxbp_conn_get_liveness_sized(const fluxbp_conn_t *conn, fluxbp_liveness_t *liveness, size_t size);

#ifdef __cplusplus
}
#endif

#endif
