/* SPDX-License-Identifier: MIT */
/*
 * hub: the connections and topics of one loop, and everything they share: pool, policy, clock, time budget.
 *
 * Thread: the loop's, for every function here but fluxbp_hub_post.
 *
 * SIGPIPE: libuv writes without MSG_NOSIGNAL, so a peer that goes away can kill a process that hasn't dealt with
 * SIGPIPE. A program of yours either ignores the signal (signal(SIGPIPE, SIG_IGN)) or sets `block_sigpipe`.
 */
#ifndef FLUXBP_HUB_H
#define FLUXBP_HUB_H

#include "fluxbp/bus.h"
#include "fluxbp/conn.h"
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/policy.h"
#include "fluxbp/pool.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most codecs that the connections of one hub may use together. */
#define FLUXBP_CODECS_MAX 13

/**
 * The longest time between two looks at slow connections, in milliseconds: a minute. The library holds up to twice
 * sweep_ms against slow connections when the server itself was late.
 */
#define FLUXBP_SWEEP_MS_MAX 60000

/**
 * The most messages of a history: the history counts distances between them in 32 bits. Each takes 136 bytes besides
 * its own, and 8 bytes more once a message with an origin (fluxbp_topic_publish_from) has been kept.
 */
#define FLUXBP_HISTORY_MESSAGES_MAX (1u << 30)

/** The least and the most bytes that connections are read into: sockets don't hold more than the most. */
#define FLUXBP_READ_BUFFER_BYTES_MIN 1024
#define FLUXBP_READ_BUFFER_BYTES_MAX ((size_t) 64 << 20)

/** How many eviction records a hub keeps. */
#define FLUXBP_EVICTIONS_KEPT 256

/**
 * A quarter of the mark at which the kernel begins to save memory for TCP: the second number of
 * /proc/sys/net/ipv4/tcp_mem, read when the hub is made. Beyond that mark every TCP connection of the host is slowed
 * down.
 */
#define FLUXBP_KERNEL_BYTES_AUTO UINT64_MAX

/** Whether the hub uses io_uring; see fluxbp_hub_io_uring. */
typedef enum fluxbp_io_uring {
  FLUXBP_IO_URING_AUTO = 0, /* where it is to be had */
  FLUXBP_IO_URING_OFF
} fluxbp_io_uring_t;

typedef struct fluxbp_topic fluxbp_topic_t; /* see topic.h */

typedef void (*fluxbp_writable_cb)(fluxbp_hub_t *hub);
typedef void (*fluxbp_eviction_cb)(fluxbp_hub_t *hub, const fluxbp_eviction_t *record);
typedef void (*fluxbp_hub_cb)(fluxbp_hub_t *hub);
typedef void (*fluxbp_members_cb)(fluxbp_hub_t *hub, fluxbp_topic_t *topic, size_t before);
typedef void (*fluxbp_task_cb)(fluxbp_hub_t *hub, void *arg);

typedef struct fluxbp_hub_options {
  /* Set by fluxbp_hub_options_init. */
  size_t size;

  /* Pool for memory; default NULL: a pool of the hub's own, with default options. */
  fluxbp_pool_t *pool;

  /* Bus to join until the hub is closed. Then only the bus publishes on topics; fluxbp_conn_send still sends to one
   * connection. Default NULL. */
  fluxbp_bus_t *bus;

  /* Policy of connections without a policy of their own, which is copied; default NULL: the defaults. */
  const fluxbp_policy_t *policy;

  /* Time for writing in one iteration of the loop, in microseconds; at least 1; default 2000. */
  uint32_t slice_us;

  /* Time between two looks at slow connections, or the policy's shortest limit if that is less; 1 …
   * FLUXBP_SWEEP_MS_MAX; default 250. */
  uint32_t sweep_ms;

  /* Time that one connection may hold the publisher up without progress; see fluxbp_hub_is_writable. 0 …
   * FLUXBP_TIME_MS_MAX; default 0. */
  uint32_t patience_ms;

  /* Size of the buffer that connections are read into, which all share; FLUXBP_READ_BUFFER_BYTES_MIN …
   * FLUXBP_READ_BUFFER_BYTES_MAX; default 65536. While 1/32 of the pool's budget is in use, or more, no more than 8192
   * bytes are read at a time: what a program can't do of a read it has to keep. */
  size_t read_buffer_bytes;

  /* Unacknowledged bytes that the kernel may hold for all refused connections together (TCP on Linux). Beyond it
   * connections are evicted (BUDGET). 0: no limit. Default FLUXBP_KERNEL_BYTES_AUTO. */
  uint64_t max_kernel_bytes;

  /* Newest messages of log topics to keep for fluxbp_topic_subscribe_since; 0 … FLUXBP_HISTORY_MESSAGES_MAX; default
   * 0. */
  uint32_t history_messages;

  /* Bytes of these messages at most; default 16 MiB. They count against the budget, and are forgotten first when the
   * budget is nearly used up. */
  uint64_t history_bytes;

  /* Not 0: block SIGPIPE on the thread that creates the hub. Default 0. */
  int block_sigpipe;

  /* Called from the loop when the hub has become writable again; default NULL. */
  fluxbp_writable_cb on_writable;

  /* Called from the loop for every eviction, after the connection's on_evicted, and for every verdict of a shadow
   * policy; default NULL. */
  fluxbp_eviction_cb on_eviction;

  /* Clock in monotonic milliseconds; default NULL: the loop's clock. */
  uint64_t (*clock_ms)(void *clock_arg);
  void *clock_arg;

  /* Pointer of the program's; see fluxbp_hub_user. */
  void *user;

  /* Part of history_messages and history_bytes that one topic may have; beyond it the oldest messages of that topic are
   * forgotten. history_topic_messages has the range of history_messages. Default 0: all of it. */
  uint32_t history_topic_messages;
  uint64_t history_topic_bytes;

  /* Age beyond which messages are forgotten, within sweep_ms; 0 … FLUXBP_TIME_MS_MAX; default 0: no limit. */
  uint32_t history_ms;

  /* A topic or a pattern of this hub has another number of subscribers (fluxbp_topic_subscribers) than `before`, which
   * is what it had when this was last called for it, or when it was opened. Called from the loop, once for a topic
   * however many connections have come and gone, and not at all if the number is the same again by then. It may call
   * anything: a program that fetches a topic only while it has subscribers begins when `before` is 0, and ends and
   * destroys the topic when it has no more. Not called for a topic that was destroyed, nor after fluxbp_hub_close.
   * Takes 40 bytes for each topic. Default NULL. */
  fluxbp_members_cb on_members;

  /* Time for what clients have sent in one iteration of the loop, in microseconds; see input.h. It isn't taken from
   * slice_us. At least 1; default 1000. */
  uint32_t input_us;

  /* Return the key of those with which the connection shares its turns, such as the address of a client behind a proxy.
   * It must not change while the connection waits. Called while a connection begins to wait, also inside of
   * fluxbp_conn_wait_turn; it must call nothing that changes a connection. Default NULL: the IPv4 address of the peer,
   * or the first 64 bits of its IPv6 address; all peers on UNIX sockets have one key. */
  uint64_t (*input_key)(fluxbp_conn_t *conn);

  /* Whether several TCP connections are written to by one call of io_uring. Default FLUXBP_IO_URING_AUTO. */
  fluxbp_io_uring_t io_uring;
} fluxbp_hub_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_hub_options_init(options) fluxbp_hub_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_hub_options_init_sized(fluxbp_hub_options_t *options, size_t size);

/**
 * Make a hub on `loop`. A hub without connections doesn't keep the loop alive, unless it has joined a bus.
 *
 * @param options NULL for the defaults
 * @return 0, or
 *   UV_EINVAL an option or a policy value out of its range
 *   UV_E2BIG  options that this version of the library doesn't know
 *   UV_ENOMEM the allocator refused
 *   UV_ENOSPC the bus has FLUXBP_BUS_READERS_MAX hubs already
 *   UV_EMFILE, UV_ENFILE there is no file descriptor for waking the loop
 */
FLUXBP_EXTERN int fluxbp_hub_create(uv_loop_t *loop, const fluxbp_hub_options_t *options, fluxbp_hub_t **hub);

/**
 * Close the hub: reset every connection, forget every topic, call `cb` (may be NULL), and free the hub. A further call
 * does nothing.
 */
FLUXBP_EXTERN void fluxbp_hub_close(fluxbp_hub_t *hub, fluxbp_hub_cb cb);

/**
 * Close every connection politely, as fluxbp_conn_close does. A connection that is closing already keeps its deadline
 * if that is earlier. `cb` (may be NULL) is called from the loop when the last connection is gone. The hub stays, and
 * takes new connections, which are waited for as well. A further call replaces the deadline and the callback.
 */
FLUXBP_EXTERN void fluxbp_hub_drain(fluxbp_hub_t *hub, uint32_t deadline_ms, fluxbp_hub_cb cb);

/** Write now what is staged, instead of just before the loop would sleep. `slice_us` is no limit here. */
FLUXBP_EXTERN void fluxbp_hub_flush(fluxbp_hub_t *hub);

/**
 * Return whether a publisher that can wait should publish. With `patience_ms` = 0 a hub is always writable: no
 * connection is waited for. Otherwise the hub is not writable while a connection holds it: from the high watermark of
 * the connection down to the low one, as long as the connection has patience left. When no connection holds the hub any
 * more, on_writable is called.
 *
 * Each connection has a bucket of patience of its own: `patience_ms`, or `stall_ms` of the connection's policy if that
 * is less and not 0. Observed time in which the connection holds the hub and makes no progress is taken out of the
 * bucket, except for a silence of up to half of the bucket that ends in progress. All other time fills the bucket up
 * again, one for one; draining the ring does not. A connection with an empty bucket is not waited for until it makes
 * progress; if its ring overflows by then, FLUXBP_OVERFLOW_EVICT evicts it as FLUXBP_EVICT_SLOW, or as
 * FLUXBP_EVICT_STALLED if nothing has moved for `stall_ms`. What one connection has used is not held against another.
 *
 * So a hub makes progress whatever its connections do. n connections that stop for good hold it for n buckets at most,
 * one bucket if they stop together, and not again after that. A connection that stops again and again, each time for
 * more than half of its bucket, holds the hub for at most half of the time in the long run.
 *
 * With a publisher that waits for a writable hub, and a policy that never drops (FLUXBP_OVERFLOW_EVICT), a hub is
 * lossless: a connection that isn't evicted gets every message.
 */
FLUXBP_EXTERN int fluxbp_hub_is_writable(const fluxbp_hub_t *hub);

/**
 * Judge connections without a policy of their own by this one from now on. After an error nothing is changed.
 *
 * @return 0, or
 *   UV_EINVAL a value is out of its range
 *   UV_E2BIG  a policy that this version of the library doesn't know
 */
FLUXBP_EXTERN int fluxbp_hub_set_policy(fluxbp_hub_t *hub, const fluxbp_policy_t *policy);

/** What a hub knows of the past of its log topics. */
typedef struct fluxbp_history_range {
  /* Epoch, to which the ids belong: that of the bus, or a random one of the hub's. */
  uint64_t epoch;
  /* Every message of every topic with a larger id is kept; see fluxbp_topic_oldest_since. */
  uint64_t oldest_since_id;
  /* Id of the last message that was published on a log topic (on a bus: on any topic); 0: there was none. */
  uint64_t newest_id;
} fluxbp_history_range_t;

/** Read what the hub knows of the past. */
#define fluxbp_hub_history(hub, range) fluxbp_hub_history_sized((hub), (range), sizeof(*(range)))
FLUXBP_EXTERN void fluxbp_hub_history_sized(const fluxbp_hub_t *hub, fluxbp_history_range_t *range, size_t size);

/** Return the id of the oldest message in the history, whatever its topic; 0 if there is none. The message is the next
 * one that a limit of all topics together forgets. */
FLUXBP_EXTERN uint64_t fluxbp_hub_oldest_id(const fluxbp_hub_t *hub);

/**
 * Have `task` called by the hub's loop, soon, and in the order of the calls. An iteration spends 1/8 of `slice_us` on
 * tasks, or the time of the first one; the rest waits for the next iteration. A task that was taken is run, at the
 * latest while the hub closes: calls that need an open hub return UV_ECANCELED then.
 *
 * Thread: any, from any callback, until the callback of fluxbp_hub_close has returned. That callback is the place to
 * end the threads that post: a call that is under way when it returns uses memory that is freed.
 *
 * @return 0, or
 *   UV_ECANCELED the hub is closing: `task` isn't called
 *   UV_ENOMEM    the allocator refused
 */
FLUXBP_EXTERN int fluxbp_hub_post(fluxbp_hub_t *hub, fluxbp_task_cb task, void *arg);

/**
 * Return whether the hub writes to several TCP connections by one call of io_uring. The kernel is asked when 8 of them
 * are due something in one iteration for the first time; then the hub takes a descriptor and about 20 KB. Where
 * io_uring is not to be had, each connection is written to by a call of its own, and nothing else is different. A child
 * process that was forked afterwards must not go on with the hub, as with its loop.
 *
 * @return 1, or
 *   0            the kernel wasn't asked yet
 *   UV_ECANCELED FLUXBP_IO_URING_OFF
 *   UV_ENOTSUP   the library was built without liburing
 *   UV_ENOSYS, UV_EPERM, UV_EINVAL the kernel or a sandbox refuses it, or the kernel is older than Linux 5.18
 *   UV_EMFILE, UV_ENFILE, UV_ENOMEM there was no descriptor or no memory for it
 *   another error with which a call failed: no further one is made
 */
FLUXBP_EXTERN int fluxbp_hub_io_uring(const fluxbp_hub_t *hub);

/** Return the number of connections, closing ones included. */
FLUXBP_EXTERN size_t fluxbp_hub_connections(const fluxbp_hub_t *hub);

/**
 * Call `visit` for each connection until it returns non-zero. `visit` must not create connections. It may close them.
 *
 * @return what the last call of `visit` returned, or 0
 */
FLUXBP_EXTERN int fluxbp_hub_each_conn(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg);

/**
 * Call `visit` for each connection that the kernel has refused and that has had something queued since, until it
 * returns non-zero. The other connections aren't looked at, so the call costs nothing while all keep up. Connections
 * that are closing politely are visited, those that were reset are not. `visit` must not create connections, publish,
 * send or flush. It may close connections.
 *
 * @return what the last call of `visit` returned, or 0
 */
FLUXBP_EXTERN int fluxbp_hub_each_refused(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg);

/**
 * Copy the newest eviction records, newest first, verdicts of shadow policies included.
 *
 * @return the number of records copied: at most `capacity`, at most FLUXBP_EVICTIONS_KEPT
 */
#define fluxbp_hub_evictions(hub, records, capacity)                                                                   \
  fluxbp_hub_evictions_sized((hub), (records), (capacity), sizeof(fluxbp_eviction_t))
FLUXBP_EXTERN size_t fluxbp_hub_evictions_sized(const fluxbp_hub_t *hub, fluxbp_eviction_t *records, size_t capacity,
                                                size_t size);

/** Return the pool of the hub. */
FLUXBP_EXTERN fluxbp_pool_t *fluxbp_hub_pool(const fluxbp_hub_t *hub);

/** Return the loop of the hub. */
FLUXBP_EXTERN uv_loop_t *fluxbp_hub_loop(const fluxbp_hub_t *hub);

/** Return the pointer from the options, or from fluxbp_hub_set_user. */
FLUXBP_EXTERN void *fluxbp_hub_user(const fluxbp_hub_t *hub);

/** Set the pointer. The hubs of fluxbp_workers_start have the same options; this gives each a pointer of its own. */
FLUXBP_EXTERN void fluxbp_hub_set_user(fluxbp_hub_t *hub, void *user);

#ifdef __cplusplus
}
#endif

#endif
