/* SPDX-License-Identifier: MIT */
/*
 * connection: one peer, with its ring and its verdict.
 *
 * fluxbp_conn_create -> the user accepts or connects into fluxbp_conn_stream -> fluxbp_conn_start. From then on the
 * library reads, writes and closes; its memory goes after on_close has returned. Thread: the hub's loop.
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

  /* Bytes have arrived; valid until it returns. Not called while reading is paused: see fluxbp_conn_pause_read. */
  void (*on_data)(fluxbp_conn_t *conn, const char *data, size_t len);

  /* It can't keep up (entered = 1, at the high watermark), or has caught up (0, at the low one). */
  void (*on_backpressure)(fluxbp_conn_t *conn, int entered);

  /* It has lost messages, and the gap is complete. Gaps that come in one iteration of the loop are reported as one. */
  void (*on_gap)(fluxbp_conn_t *conn, const fluxbp_gap_t *gap);

  /*
   * The connection is about to be evicted as STALLED, SLOW, LAG, UNREACHABLE or SOFT_LIMIT. Return non-zero to spare
   * it: then its clocks begin anew. This isn't called for other reasons, nor for a full ring, which may be SLOW or
   * STALLED when patience is used up: there is no room for the message. A verdict that a shadow policy only reports
   * (record->is_shadow), OVERFLOW included, comes here too, and the answer doesn't matter.
   */
  int (*on_verdict)(fluxbp_conn_t *conn, const fluxbp_eviction_t *record);

  /* The library has decided to close it. on_close follows. */
  void (*on_evicted)(fluxbp_conn_t *conn, const fluxbp_eviction_t *record);

  /*
   * The last that is heard of it. status is 0 (closed by fluxbp_conn_close, everything was written), UV_ECANCELED
   * (fluxbp_conn_reset, or the hub was closed), UV_ETIMEDOUT (the deadline of fluxbp_conn_close passed, or the
   * kernel has given up on the peer: no verdict, and no on_evicted before it), UV_ENOBUFS (the budget was nearly
   * used up before that), UV_EOF (closed by the peer), UV_ECONNABORTED (evicted), or what reading or writing failed
   * with.
   */
  void (*on_close)(fluxbp_conn_t *conn, int status);

  /*
   * The peer has said that it sends no more (FIN). Return non-zero if it is still to be sent something, such as an
   * answer that isn't ready: then it stays open and subscribed until you close it; that it is gone altogether shows
   * only when something is sent. With zero, or without this handler, what is queued is written within a second, and it
   * is closed.
   */
  int (*on_half_close)(fluxbp_conn_t *conn);

  /* The lane for replies was full, and half of its places are free again: see fluxbp_send_options_t.is_reply. */
  void (*on_reply_room)(fluxbp_conn_t *conn);
} fluxbp_conn_handlers_t;

typedef struct fluxbp_conn_options {
  size_t size;                            /* set by fluxbp_conn_options_init */
  const fluxbp_transport_t *transport;    /* default FLUXBP_TCP; or FLUXBP_PIPE, or one of the program's own */
  const fluxbp_codec_t *codec;            /* default fluxbp_codec_raw */
  const fluxbp_conn_handlers_t *handlers; /* default none */
  void *user;                             /* default NULL; see fluxbp_conn_user */
  size_t user_bytes;                      /* instead of `user`: so many bytes of memory; default 0 */
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

/** The stream, a uv_tcp_t or uv_pipe_t, to accept or connect into, and for its name. Reading, writing and closing is
 * the library's, and so is its `data`: what is yours goes into fluxbp_conn_user. */
FLUXBP_EXTERN uv_stream_t *fluxbp_conn_stream(fluxbp_conn_t *conn);

/**
 * The stream is connected: set the socket options, begin to read, take messages.
 *
 * @return 0, or what libuv or the kernel said; then the connection isn't started, and fluxbp_conn_reset ends it.
 *   UV_EINVAL it was started before, or is closing
 */
FLUXBP_EXTERN int fluxbp_conn_start(fluxbp_conn_t *conn);

/**
 * Queue `msg` for this connection alone. Takes what references it needs; the caller keeps its own.
 *
 * @return 1 if it was queued, 0 if it was lost by the overflow rule, or
 *   UV_ENOTCONN  not started, or closing
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

/** The most replies that wait for one connection. */
#define FLUXBP_REPLIES_MAX 16

/**
 * Called for the fate of one message to one connection: from the loop, once, and before on_close.
 *
 * @param status 0 (the kernel has all of it), UV_ENOBUFS (lost by the overflow rule, as the ring was full), or UV_ECANCELED (the
 *   connection ended first)
 */
typedef void (*fluxbp_sent_cb)(fluxbp_conn_t *conn, void *arg, int status);

typedef struct fluxbp_send_options {
  /* Set by fluxbp_send_options_init. */
  size_t size;

  /*
   * Non-zero: the message is a reply. Replies wait in a lane of their own, in their order, at most FLUXBP_REPLIES_MAX of them.
   * They are written as soon as the message that is being written has ended, before everything else that is queued. No
   * overflow rule drops them. The reply that takes the last place pauses reading from the peer, so that requests wait in the
   * peer's kernel; when half of the places are free, reading goes on and on_reply_room is called. Default 0.
   */
  int is_reply;

  /* Called for the fate of the message, if it was queued; default NULL. */
  fluxbp_sent_cb on_sent;

  /* Passed to on_sent. */
  void *arg;
} fluxbp_send_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_send_options_init(options) fluxbp_send_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_send_options_init_sized(fluxbp_send_options_t *options, size_t size);

/**
 * Queue `msg` for this connection alone, as fluxbp_conn_send, in the way that the options say.
 *
 * @param options NULL for the defaults
 * @return as fluxbp_conn_send, and
 *   UV_EAGAIN  a reply, and FLUXBP_REPLIES_MAX wait already: again after on_reply_room
 *   UV_ENOMEM  the allocator refused
 *   UV_E2BIG   options that this version doesn't know
 */
FLUXBP_EXTERN int fluxbp_conn_send_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, const fluxbp_send_options_t *options);

/**
 * Offer the kernel now what is queued for it, instead of before the loop sleeps. What its state topics and a history
 * still have for it is queued before, as far as its ring has room. No callback runs before it returns.
 *
 * @return 0, or UV_ENOTCONN: not started, or closed
 */
FLUXBP_EXTERN int fluxbp_conn_flush(fluxbp_conn_t *conn);

/**
 * Stop reading from the peer, whose kernel then holds it up: for flow control towards a peer that sends more than can
 * be dealt with now. Data that has arrived stays in the kernel. May be called from any callback; in on_data it is the
 * last call of that handler until reading is resumed. Calling it again does nothing.
 *
 * The peer is still watched, once a sweep (fluxbp_hub_options_t.sweep_ms): if it resets the connection, that is closed
 * at once; its FIN is told by on_half_close as soon as everything sent before it is read. Writing, verdicts and closing
 * go on as ever. A connection that is closed politely, or evicted with a farewell, is read to its end, and what comes
 * is thrown away.
 *
 * @return 0, or
 *   UV_ENOTCONN not started, or closing
 *   UV_ENOMEM   the allocator refused; reading goes on
 */
FLUXBP_EXTERN int fluxbp_conn_pause_read(fluxbp_conn_t *conn);

/**
 * Read on after fluxbp_conn_pause_read; on_data is called from the loop, not in here. May be called from any callback,
 * the on_data that has paused it included. Nothing happens if reading isn't paused.
 */
FLUXBP_EXTERN void fluxbp_conn_resume_read(fluxbp_conn_t *conn);

/**
 * Close it politely: no new messages, those in the ring are written, then FIN; the peer has until the deadline, or a
 * second once its kernel has everything. What state topics or a history still had for it isn't sent. Calling it again
 * changes the deadline.
 *
 * @param deadline_ms from now; then it is reset. 0 waits for nothing that isn't written at once.
 */
FLUXBP_EXTERN void fluxbp_conn_close(fluxbp_conn_t *conn, uint32_t deadline_ms);

/**
 * Close it politely with a last message, such as a good-bye that says why: it comes behind everything that is queued,
 * however full the ring is, and then the end as by fluxbp_conn_close. Takes what references it needs; the caller keeps
 * its own.
 *
 * @return 0, or why it is closed without the message:
 *   UV_ENOTCONN           not started, or closing already
 *   UV_ENOBUFS, UV_ENOMEM the budget is used up, or the allocator refused
 *   and what fluxbp_frame_create returns
 */
FLUXBP_EXTERN int fluxbp_conn_close_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint32_t deadline_ms);

/** Close it now (TCP: with a reset); what was queued is discarded. Allowed at any time before on_close. */
FLUXBP_EXTERN void fluxbp_conn_reset(fluxbp_conn_t *conn);

/**
 * Judge it by a policy of its own from now on. NULL: by the hub's again. Rings that are fuller than new limits drain
 * first.
 *
 * @return 0, or UV_EINVAL, UV_E2BIG (as fluxbp_hub_set_policy), UV_ENOMEM, UV_ENOTCONN (it is closing)
 */
FLUXBP_EXTERN int fluxbp_conn_set_policy(fluxbp_conn_t *conn, const fluxbp_policy_t *policy);

/**
 * Encode what is published from now on with another codec; what is queued stays as it is.
 *
 * @return 0, or
 *   UV_EINVAL  there is none, or it has no size
 *   UV_E2BIG   the hub has FLUXBP_CODECS_MAX codecs already, or this one has a part that this version doesn't know
 *   UV_ENOBUFS, UV_ENOMEM, or what the codec says: it is subscribed to a state topic with a value that can't be encoded
 */
FLUXBP_EXTERN int fluxbp_conn_set_codec(fluxbp_conn_t *conn, const fluxbp_codec_t *codec);

/** Whether it is above its watermark and can't keep up. */
FLUXBP_EXTERN int fluxbp_conn_is_backpressured(const fluxbp_conn_t *conn);

/** Whether it has yet to be given a part of the past of its log topics (fluxbp_topic_subscribe_since). If not, all that
 * they have had up to the hub's newest id is in its ring, or was. */
FLUXBP_EXTERN int fluxbp_conn_is_replaying(const fluxbp_conn_t *conn);

/** Unique in its hub, from 1 on, never used again. */
FLUXBP_EXTERN uint64_t fluxbp_conn_id(const fluxbp_conn_t *conn);

/**
 * Return a number for the connection that no other connection of this process has, and never 0: for publishing to all
 * subscribers but this one (fluxbp_topic_publish_from, fluxbp_bus_publish_with). The number may be kept, given to other
 * threads, and used after the connection has gone; then it excludes no connection. It means nothing to another process.
 */
FLUXBP_EXTERN uint64_t fluxbp_conn_origin(const fluxbp_conn_t *conn);

FLUXBP_EXTERN fluxbp_hub_t *fluxbp_conn_hub(const fluxbp_conn_t *conn);

/**
 * The pointer from the options, or from fluxbp_conn_set_user. With `user_bytes`: so many bytes of the connection's own
 * memory, zeroed at first, aligned for any type (as far as the pool's allocator is), and freed with it, after on_close
 * has returned. That saves two allocations from being made, and two pointers from being kept, for each connection.
 */
FLUXBP_EXTERN void *fluxbp_conn_user(const fluxbp_conn_t *conn);

/** Not for a connection with `user_bytes`, which has no pointer: nothing happens then. */
FLUXBP_EXTERN void fluxbp_conn_set_user(fluxbp_conn_t *conn, void *user);

/**
 * The connection whose memory that is, so that what lies there needs no pointer to it: the way back from
 * fluxbp_conn_user. Good until on_close has returned.
 *
 * @param user what fluxbp_conn_user returned for a connection with `user_bytes`
 * @param user_bytes the same number as in its options, which wasn't 0
 */
FLUXBP_EXTERN fluxbp_conn_t *fluxbp_conn_of_user(const void *user, size_t user_bytes);

/** What became of the messages for one connection: accepted = written + dropped + conflated + discarded + queued. */
typedef struct fluxbp_conn_stats {
  uint64_t accepted;          /* messages that were meant for it, notices of a gap or farewell included */
  uint64_t written;           /* handed to the kernel whole */
  uint64_t dropped;           /* lost by the overflow rule */
  uint64_t conflated;         /* replaced by a newer one of the same key while queued, or left to their state topic */
  uint64_t discarded;         /* thrown away by close, reset or eviction */
  uint64_t queued;            /* in the ring */
  uint64_t queued_bytes;      /* bytes of them that the kernel has not taken */
  uint64_t written_bytes;     /* handed to the kernel, of partly written messages too */
  uint64_t last_id;           /* of the last message that was written whole, 0 if it had none */
  uint32_t fill_percent;      /* of the ring, by what isn't written yet; 100 if that is more than the ring */
  uint32_t oldest_ms;         /* how long the oldest queued message of which nothing is written has been waiting */
  uint32_t since_progress_ms; /* how long nothing has moved while the kernel refuses, as of the last sweep; else 0 */
  int is_refused;             /* the kernel refused the last write, and hasn't become writable since */
  int is_backpressured;       /* see fluxbp_conn_is_backpressured */
} fluxbp_conn_stats_t;

/** Read the statistics of one moment. */
#define fluxbp_conn_get_stats(conn, stats) fluxbp_conn_get_stats_sized((conn), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_conn_get_stats_sized(const fluxbp_conn_t *conn, fluxbp_conn_stats_t *stats, size_t size);

/**
 * What the record of an eviction would say of it if the verdict fell now, with FLUXBP_EVICT_NONE for the reason. What
 * isn't known is 0: of a connection that the kernel hasn't refused the cause and how long nothing has moved, and the
 * cause until the sweep has looked at it. Asks the kernel, which takes one or two system calls.
 */
#define fluxbp_conn_get_evidence(conn, evidence) fluxbp_conn_get_evidence_sized((conn), (evidence), sizeof(*(evidence)))
FLUXBP_EXTERN void fluxbp_conn_get_evidence_sized(const fluxbp_conn_t *conn, fluxbp_eviction_t *evidence, size_t size);

/**
 * How far a connection's bytes have come, and when its peer was last heard. For a server that has to tell a peer that
 * is busy with what it was sent from one that is gone, as one does that waits for the answer to a ping. The peer's
 * kernel has the ping when `acked_bytes` has reached what `accepted_bytes` was right after the ping was sent, or what
 * it is now, if that is less: messages that stood before the ping may have been dropped or conflated meanwhile.
 */
typedef struct fluxbp_liveness {
  /* Bytes that were written or are queued: written_bytes + queued_bytes of its statistics. */
  uint64_t accepted_bytes;
  /* Of them, acknowledged by the peer's kernel; where nobody knows, handed to ours. */
  uint64_t acked_bytes;
  /* Since the peer's kernel last acknowledged or sent anything, updates of its window and answers to probes
   * included; where nobody knows, how long nothing has moved, as since_progress_ms. */
  uint64_t since_heard_ms;
  /* The kernel has told: of a connected TCP socket, on Linux. */
  int is_known;
} fluxbp_liveness_t;

/**
 * Ask the kernel. Takes two system calls: meant for a connection about which something is to be decided, not for all of
 * them all the time.
 */
#define fluxbp_conn_get_liveness(conn, liveness) fluxbp_conn_get_liveness_sized((conn), (liveness), sizeof(*(liveness)))
FLUXBP_EXTERN void fluxbp_conn_get_liveness_sized(const fluxbp_conn_t *conn, fluxbp_liveness_t *liveness, size_t size);

#ifdef __cplusplus
}
#endif

#endif
