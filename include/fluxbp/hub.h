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

#include "fluxbp/conn.h"
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/hub_options.h"
#include "fluxbp/policy.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

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
