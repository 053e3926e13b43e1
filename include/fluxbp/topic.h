/* SPDX-License-Identifier: MIT */
/*
 * topic: the subscribers of what is published under a name. Thread: the hub's loop.
 *
 * There are three kinds. A log keeps every message in order, and its messages have ids. A state keeps the newest message
 * of each 64-bit key: a new subscriber gets the newest of every key, and a subscriber that can't keep up gets the newest
 * instead of a queue of old ones. It always ends with the newest of every key, whatever its policy. Its messages have no
 * ids. A pattern, such as `orders.*.status`, stands for all names that match it: its subscribers get what is published on
 * each of these topics.
 *
 * On a bus a topic is known by its name: what is published there under that name comes to the topic of each hub. Open
 * state topics on every hub before anything is published on them: what a hub doesn't know is a log.
 */
#ifndef FLUXBP_TOPIC_H
#define FLUXBP_TOPIC_H

#include "fluxbp/conn.h"
#include "fluxbp/export.h"
#include "fluxbp/msg.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_topic fluxbp_topic_t;

/** The longest name, in bytes. */
#define FLUXBP_TOPIC_NAME_MAX 255

/** The most keys that a state topic may have. */
#define FLUXBP_TOPIC_KEYS_MAX ((uint32_t) 1 << 24)

/**
 * Make a log topic, or find the topic of that name, whatever its kind.
 *
 * @return 0, or
 *   UV_EINVAL    the name is empty or longer than FLUXBP_TOPIC_NAME_MAX
 *   UV_ENOMEM    the allocator refused
 *   UV_ECANCELED the hub is closing
 */
FLUXBP_EXTERN int fluxbp_topic_open(fluxbp_hub_t *hub, const char *name, fluxbp_topic_t **topic);

/**
 * Make a state topic, or find the one of that name. The messages that the topic keeps count against the pool's budget.
 *
 * @param max_keys the most keys that have a value at a time; at least 1, at most FLUXBP_TOPIC_KEYS_MAX; stays as it is
 * @return 0, or as fluxbp_topic_open, and
 *   UV_EINVAL max_keys is out of its range
 *   UV_EEXIST the name is taken: by a state topic with another max_keys, or by a log topic, also by one that was
 *             destroyed as long as the history has messages of it
 */
FLUXBP_EXTERN int fluxbp_topic_open_state(fluxbp_hub_t *hub, const char *name, uint32_t max_keys,
                                          fluxbp_topic_t **topic);

/**
 * Make a pattern, or find the one that is open with the same tokens. fluxbp/pattern.h has the grammar.
 *
 *   fluxbp_topic_open_pattern(hub, "orders.*.status", &pattern);
 *   fluxbp_topic_subscribe(pattern, conn);
 *
 * A subscriber of a pattern gets what is published on every topic with a name that matches, whether the topic was there before
 * or comes later, and under the name of that topic. On a bus this includes names that the hub has no topic for. A connection that
 * is subscribed in several ways, by patterns and to the topic itself, gets each message once. Of a state topic that matches it
 * gets the newest message of each key first. Order, gaps and overflow are those of the topics.
 *
 * A pattern is a topic of its own: fluxbp_topic_subscribe, _subscribe_since, _unsubscribe, _has, _subscribers, _user and _destroy
 * apply to it. Its subscribers don't count as subscribers of the topics that match. Nothing is published on it (UV_EINVAL).
 *
 * Costs, for a caller that limits how many patterns a client may have:
 *
 *   a pattern             about 350 bytes with its first subscriber, and 8 bytes of each log topic that matches
 *   a subscription        32 bytes, and up to as much again while arrays have room to grow; the same again for each state
 *                         topic that matches, and nothing for log topics, however many there are
 *   opening, destroying   linear in the tokens; and the next publication on each topic looks once for the patterns that match,
 *                         which takes about as long as two publications for one connection
 *   subscribing           a look at each state topic of the hub
 *   unsubscribing         the same, or a look at each subscription of the connection, if these are fewer
 *   closing a connection  linear in its subscriptions
 *   publishing            as much as on a topic with these subscribers, whatever the number of other patterns; where several
 *                         patterns match, or one and the topic has subscribers itself, half as much again for each subscriber
 *
 * Looking for the patterns that match takes one step for each token of the name. If patterns were chosen for it, and branch into
 * `*` and the name's own token again and again, it takes at most a step for each token of all patterns.
 *
 * @return 0, or
 *   UV_EINVAL    an argument is NULL, or fluxbp_pattern_check refuses the pattern
 *   UV_ENOMEM    the allocator refused
 *   UV_ECANCELED the hub is closing
 */
FLUXBP_EXTERN int fluxbp_topic_open_pattern(fluxbp_hub_t *hub, const char *pattern, fluxbp_topic_t **topic);

/** Return the open pattern with the same tokens, or NULL. */
FLUXBP_EXTERN fluxbp_topic_t *fluxbp_topic_find_pattern(fluxbp_hub_t *hub, const char *pattern);

/** Tell whether `topic` is a pattern. */
FLUXBP_EXTERN int fluxbp_topic_is_pattern(const fluxbp_topic_t *topic);

/** Whether it is a state topic. */
FLUXBP_EXTERN int fluxbp_topic_is_state(const fluxbp_topic_t *topic);

/** How many keys a state topic has a value of; 0 for a log topic. */
FLUXBP_EXTERN size_t fluxbp_topic_keys(const fluxbp_topic_t *topic);

/**
 * Bytes that a state topic of this hub takes of the pool for frames and tables; 0 for a log topic. Messages aren't counted, as
 * the topics of several hubs may share them.
 */
FLUXBP_EXTERN size_t fluxbp_topic_frame_bytes(const fluxbp_topic_t *topic);

/**
 * Keep no message under `key` any more: later subscribers get none. Present ones aren't told; to tell them, publish a removal
 * instead (fluxbp_msg_create_removal). What is queued already is still delivered. A subscriber that is behind and has yet to get the last message of the
 * key has it queued now, as a message of its own: where the ring is full, the overflow rule decides. A new subscriber that
 * hasn't come to the key yet gets none.
 *
 * @return 1, or 0 if there was none
 */
FLUXBP_EXTERN int fluxbp_topic_forget(fluxbp_topic_t *topic, uint64_t key);

/** The topic of that name, or NULL. */
FLUXBP_EXTERN fluxbp_topic_t *fluxbp_topic_find(fluxbp_hub_t *hub, const char *name);

/** Unsubscribe all subscribers, as fluxbp_topic_unsubscribe, and forget the topic. What is queued already is still delivered. */
FLUXBP_EXTERN void fluxbp_topic_destroy(fluxbp_topic_t *topic);

/** Return its name, or the text of a pattern as it was first opened; valid as long as the topic. */
FLUXBP_EXTERN const char *fluxbp_topic_name(const fluxbp_topic_t *topic);

/** A pointer of the user's; NULL at first, and again when a topic of that name is opened after it was destroyed. */
FLUXBP_EXTERN void *fluxbp_topic_user(const fluxbp_topic_t *topic);
FLUXBP_EXTERN void fluxbp_topic_set_user(fluxbp_topic_t *topic, void *user);

/** Return how many connections are subscribed to the topic itself; those that a pattern brings are the pattern's. */
FLUXBP_EXTERN size_t fluxbp_topic_subscribers(const fluxbp_topic_t *topic);

/**
 * Deliver what is published on `topic` from now on to `conn`, which may be started later; what is published on a log
 * topic until then isn't for it (with fluxbp_topic_subscribe_since it is). The newest message of each key of a state topic
 * comes first, as fast as the connection takes them.
 * Messages that are sent to it alone, and those of other topics, may overtake them.
 *
 * @return 1, 0 if it was subscribed already, or
 *   UV_EINVAL   they belong to different hubs
 *   UV_ENOTCONN the connection is closing
 *   UV_ENOMEM   the allocator refused
 *   UV_ENOBUFS, or what its codec says: what a state topic keeps can't be encoded for it. This applies to each state topic that
 *               a pattern matches; then the connection is not subscribed to the pattern
 */
FLUXBP_EXTERN int fluxbp_topic_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);

/**
 * As fluxbp_topic_subscribe, and begin with what was published on this log topic after `since_id`: each message exactly
 * once and in order, as fast as the connection takes them, then live. While it is behind, messages of its other log
 * topics come in the same order. What the hub forgets meanwhile, because the connection is too slow or memory too short,
 * is a gap like any other; fluxbp_conn_flush queues at once what there is room for. Where thousands of topics begin with
 * ids of their own, begin with the smallest: each step further back costs a look at all topics of the connection.
 *
 * For a pattern: begin with what was published since then on all log topics that match, in one order. A message that comes by
 * several such subscriptions comes once; one that the connection got live before, by another subscription, comes again. Looks
 * at each topic of the hub.
 *
 * @param epoch    of the hub when `since_id` was seen (fluxbp_history_range_t)
 * @param since_id of the last message of this topic, or of any topic, that its peer has; 0: of everything
 * @return 1, 0 if it was subscribed already and nothing was changed, or as fluxbp_topic_subscribe, and
 *   UV_EINVAL  a state topic, or an id that hasn't been given yet
 *   UV_EAGAIN  the bus has given that id, but this hub has yet to read so far: try again in a later iteration. With
 *              own_ids (fluxbp_bus_options_t) any id that the hub has yet to see: another process may have been ahead.
 *              The caller decides how long to try: the caller knows the stream's newest id
 *   UV_ENOENT  another epoch: the id says nothing here
 *   UV_ERANGE  too old: something of this topic after since_id has been forgotten, see fluxbp_topic_oldest_since
 *   UV_ENOBUFS the budget is used up
 */
FLUXBP_EXTERN int fluxbp_topic_subscribe_since(fluxbp_topic_t *topic, fluxbp_conn_t *conn, uint64_t epoch,
                                               uint64_t since_id);

/**
 * Find the id behind which the newest `count` messages of this log topic are, as far as the history has them: for
 * fluxbp_topic_subscribe_since, with the hub's epoch. Its cost rises with the number of messages that it finds. Of a pattern
 * these are the newest messages of all log topics that match; then the cost rises with the number of newer messages of any topic.
 *
 * @param since_id gets it; without any message the hub's newest id
 * @return how many there are behind it, at most `count`; or UV_EINVAL: a state topic
 */
FLUXBP_EXTERN int64_t fluxbp_topic_since_last(fluxbp_topic_t *topic, uint32_t count, uint64_t *since_id);

/**
 * The oldest id that fluxbp_topic_subscribe_since takes for this log topic: everything of it with a larger one is there. 0 if
 * nothing of it was ever forgotten, and for a state topic. Several topics can be continued from an id that is as large as that
 * of each of them. For a pattern this is the largest of all topics that match, with those that the hub doesn't know; the call looks
 * at each topic of the hub.
 *
 * What a topic has forgotten is known as long as the topic, and after fluxbp_topic_destroy as long as the history has messages
 * of it. For a topic that the hub doesn't know, or has made since, it is assumed to be as much as of any that was removed.
 */
FLUXBP_EXTERN uint64_t fluxbp_topic_oldest_since(fluxbp_topic_t *topic);

/**
 * Queue one message of this log topic's past for `conn` alone, under the id that it had. For a host that keeps a longer
 * history than the hub, such as a stream or a file: when fluxbp_topic_subscribe_since says UV_ERANGE, send what came after
 * the id in its order, up to fluxbp_topic_oldest_since, and subscribe since that. The connection need not be subscribed to
 * `topic`, and shouldn't be: what is live would come in between.
 *
 * Takes what references it needs; the caller keeps its own. Thread: the hub's loop.
 *
 * @return 1 if it was queued, 0 if its codec refuses the message: a gap says so, or
 *   UV_EAGAIN   the ring has no room below its high watermark: again in a later iteration
 *   UV_EINVAL   a state topic or a pattern, they belong to different hubs, or an uncommitted message
 *   UV_ENOTCONN not started, or closing
 *   UV_ENOBUFS, UV_ENOMEM  no memory now: again later
 */
FLUXBP_EXTERN int fluxbp_topic_send_past(fluxbp_topic_t *topic, fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint64_t id);

/**
 * Deliver nothing of `topic` to `conn` any more. What is queued already is still delivered; what a state topic has yet to
 * queue for it isn't.
 *
 * @return 1, or 0 if it wasn't subscribed
 */
FLUXBP_EXTERN int fluxbp_topic_unsubscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);

/** Tell whether `conn` is subscribed to the topic itself. */
FLUXBP_EXTERN int fluxbp_topic_has(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn);

/**
 * Queue `msg` for every subscriber of `topic`, and of the patterns that match its name: all of them, or none and an error.
 *
 * Takes what references it needs; the caller keeps its own. No system call is made, unless a ring is full that the
 * kernel hasn't been offered yet. May be called from any callback; no callback runs before it returns.
 *
 * On a state topic it replaces the message of its key (fluxbp_msg_create_keyed): for later subscribers, and in the ring
 * of each subscriber that the kernel refuses (conflated), unless it has begun to be written there. A value for which a ring
 * has no room isn't lost: the subscriber is behind the topic then, as a new one is at first. A subscriber that is behind
 * isn't visited. It gets the newest message of each key that has changed from the topic when its ring has been drained; what
 * is queued for it is replaced by the newest of its key (conflated) when the kernel takes something again. Values don't fill a
 * ring beyond its high watermark while the kernel refuses, and no overflow rule applies to them (docs/policy.md).
 *
 * A removal (fluxbp_msg_create_removal) on a state topic is the newest value of its key for each subscriber, also for one that
 * is behind; later subscribers get nothing of the key. The key doesn't count against max_keys any more. The topic keeps a
 * removal as long as a subscriber may have yet to get it, and never more of them than max_keys (or 16, if that is more):
 * then all of them are forgotten, see fluxbp_topic_forget. When the key has no value, nobody gets anything.
 *
 * @return the number of connections that it was meant for (>= 0; on a log topic some may have lost it by their overflow
 *   rule; on a state topic subscribers that are behind count, also those that aren't started yet or are closing), or
 *   UV_EINVAL    a pattern, a message without a key on a state topic, or an uncommitted one
 *   UV_ENOSPC    max_keys keys of the state topic have a value, and this would be one more: remove one. From a bus such a
 *                message reaches no subscriber, is no gap, and is counted on each hub (fluxbp_metrics_t.unkept)
 *   UV_ENOBUFS   the budget is used up
 *   UV_ECANCELED the hub is closing
 *   UV_EPERM     the hub has joined a bus: publish there
 *   and what fluxbp_frame_create returns
 */
FLUXBP_EXTERN int fluxbp_topic_publish(fluxbp_topic_t *topic, fluxbp_msg_t *msg);

/**
 * Publish a copy of `length` bytes at `data`: make a message from the hub's pool, publish it, and give it up. To
 * publish the same bytes on several topics, make one message.
 *
 * @return as fluxbp_topic_publish and fluxbp_msg_create
 */
FLUXBP_EXTERN int fluxbp_topic_publish_bytes(fluxbp_topic_t *topic, const void *data, size_t length);

/** As fluxbp_topic_publish_bytes, with a key (fluxbp_msg_create_keyed): for state topics. */
FLUXBP_EXTERN int fluxbp_topic_publish_bytes_keyed(fluxbp_topic_t *topic, uint64_t key, const void *data,
                                                   size_t length);

/**
 * Queue `msg` for every subscriber of `topic` but one: the connection whose number (fluxbp_conn_origin) is `origin`.
 * For everyone but the sender:
 *
 *     fluxbp_topic_publish_from(room, msg, fluxbp_conn_origin(sender));
 *
 * An origin that is 0, or of a connection that isn't subscribed, excludes no connection. On a hub that has joined a
 * bus, use fluxbp_bus_publish_with. A connection that is subscribed by a pattern is excluded as well.
 *
 * On a log topic the message is no gap and no loss for the excluded connection, and counts nowhere in its statistics.
 * The connection keeps its place: it gets the messages before and after this one, live or from the history, and it
 * isn't sent this one when it subscribes later since an older id. The history keeps the message for all others. The
 * same client on another connection is another subscriber: if it resumes there since an older id, it gets the message.
 *
 * On a state topic the connection isn't sent the values of a key that it alone has set, by publications from its
 * origin, since the key exists; nor when it subscribes later. When another publisher sets the key as well, or removes
 * it, the connection gets each value of the key from then on, its own included: so the last value that it gets of the
 * key is the newest. It may also get values of its own of a new key, if a key of the topic, or a state topic, was
 * forgotten while the connection existed.
 *
 * @return as fluxbp_topic_publish; the excluded connection isn't counted
 */
FLUXBP_EXTERN int fluxbp_topic_publish_from(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t origin);

#ifdef __cplusplus
}
#endif

#endif
