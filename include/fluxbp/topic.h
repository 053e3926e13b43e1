/* SPDX-License-Identifier: MIT */
/*
 * topic: connections that subscribe to a name, and get the messages that are published under this name. Thread: the
 * hub's loop.
 *
 * There are three kinds:
 *
 *   log      delivers every message in order. Each message has an id.
 *   state    keeps the newest message of each 64-bit key. A new subscriber gets the newest message of every key. A
 *            subscriber that can't keep up gets the newest message of a key instead of a queue of old ones: whatever
 *            its policy, it ends with the newest message of every key. The messages have no ids.
 *   pattern  stands for all names that match it, such as `orders.*.status`. A subscriber gets the messages of each log
 *            and state topic whose name matches.
 *
 * On a bus a topic is known by its name: a message that is published on the bus comes to the topic of that name on each
 * hub. A hub takes a name that it doesn't know for a log. So open state topics on every hub before anything is
 * published on them.
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
 * Make a log topic, or find the log or state topic of that name.
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
 *   UV_EEXIST the name belongs to a state topic with another max_keys or to a log topic. A log topic that was destroyed
 *             keeps its name as long as the history has messages of it
 */
FLUXBP_EXTERN int fluxbp_topic_open_state(fluxbp_hub_t *hub, const char *name, uint32_t max_keys,
                                          fluxbp_topic_t **topic);

/**
 * Make a pattern, or find the one that is open with the same tokens. fluxbp/pattern.h has the grammar.
 *
 *   fluxbp_topic_open_pattern(hub, "orders.*.status", &pattern);
 *   fluxbp_topic_subscribe(pattern, conn);
 *
 * A subscriber of a pattern gets the messages of every topic whose name matches, under the name of that topic. The
 * topic may be older or younger than the pattern. On a bus this includes names for which the hub has no topic. A
 * connection that is subscribed in several ways, by patterns and to the topic itself, gets each message once. When a
 * state topic matches, the subscriber first gets the newest message of each of its keys. Order, gaps and overflow are
 * those of the topics.
 *
 * A pattern is a topic of its own: fluxbp_topic_subscribe, _subscribe_since, _unsubscribe, _has, _subscribers, _user
 * and _destroy apply to it. Its subscribers don't count as subscribers of the topics that match. To publish on a
 * pattern is an error (UV_EINVAL).
 *
 * Costs, for a caller that limits how many patterns a client may have:
 *
 *   a pattern             about 350 bytes with its first subscriber, and 8 bytes for each log topic that matches
 *   a subscription        32 bytes, and up to 32 more while arrays have room to grow. The same again for each state
 *                         topic that matches; nothing for log topics
 *   opening, destroying   linear in the number of tokens. The next publication on each topic looks once for the
 *                         patterns that match, which takes about as long as two publications for one connection
 *   subscribing           one step for each state topic of the hub
 *   unsubscribing         the same, or one step for each subscription of the connection, if these are fewer
 *   closing a connection  linear in the number of its subscriptions
 *   publishing            as much as on a topic with these subscribers, whatever the number of other patterns. When
 *                         several patterns match, or when the topic has subscribers of its own beside a pattern, half
 *                         as much again for each subscriber
 *
 * To look for the patterns that match takes one step for each token of the name. Patterns can be chosen so that they
 * branch into `*` and the name's own token again and again; even then it takes at most one step for each token of all
 * patterns.
 *
 * @return 0, or
 *   UV_EINVAL    an argument is NULL, or fluxbp_pattern_check refuses the pattern
 *   UV_ENOMEM    the allocator refused
 *   UV_ECANCELED the hub is closing
 */
FLUXBP_EXTERN int fluxbp_topic_open_pattern(fluxbp_hub_t *hub, const char *pattern, fluxbp_topic_t **topic);

/** Return the open pattern with the same tokens, or NULL. */
FLUXBP_EXTERN fluxbp_topic_t *fluxbp_topic_find_pattern(fluxbp_hub_t *hub, const char *pattern);

/** Return 1 if `topic` is a pattern, or 0. */
FLUXBP_EXTERN int fluxbp_topic_is_pattern(const fluxbp_topic_t *topic);

/** Return 1 if `topic` is a state topic, or 0. */
FLUXBP_EXTERN int fluxbp_topic_is_state(const fluxbp_topic_t *topic);

/** Return the number of keys of a state topic that have a value; 0 for a log topic. */
FLUXBP_EXTERN size_t fluxbp_topic_keys(const fluxbp_topic_t *topic);

/**
 * Return the bytes of the pool that a state topic takes for frames and tables; 0 for a log topic. Messages aren't
 * counted, because the topics of several hubs may share them.
 */
FLUXBP_EXTERN size_t fluxbp_topic_frame_bytes(const fluxbp_topic_t *topic);

/**
 * Forget the message of `key`: later subscribers get none. Present subscribers aren't told; to tell them, publish a
 * removal instead (fluxbp_msg_create_removal).
 *
 * A message that is queued already is still delivered. For a subscriber that is behind and has yet to get the last
 * message of the key, this message is queued now, as a message of its own; if the ring is full, the overflow rule
 * decides. A new subscriber that hasn't come to the key yet gets none.
 *
 * @return 1, or 0 if there was no message
 */
FLUXBP_EXTERN int fluxbp_topic_forget(fluxbp_topic_t *topic, uint64_t key);

/** Return the log or state topic of that name, or NULL. */
FLUXBP_EXTERN fluxbp_topic_t *fluxbp_topic_find(fluxbp_hub_t *hub, const char *name);

/** Unsubscribe all subscribers (fluxbp_topic_unsubscribe) and free the topic. Messages that are queued already are
 * still delivered. */
FLUXBP_EXTERN void fluxbp_topic_destroy(fluxbp_topic_t *topic);

/** Return the name of a topic, or the text with which a pattern was opened first. Valid as long as the topic. */
FLUXBP_EXTERN const char *fluxbp_topic_name(const fluxbp_topic_t *topic);

/** The program's pointer. NULL until the program sets it; NULL again after the topic was destroyed and opened anew. */
FLUXBP_EXTERN void *fluxbp_topic_user(const fluxbp_topic_t *topic);
FLUXBP_EXTERN void fluxbp_topic_set_user(fluxbp_topic_t *topic, void *user);

/** Return the number of connections that are subscribed to the topic itself, without the subscribers of patterns. */
FLUXBP_EXTERN size_t fluxbp_topic_subscribers(const fluxbp_topic_t *topic);

/**
 * Subscribe `conn` to `topic`: messages that are published from now on are delivered to the connection.
 *
 * The connection may be started later. Messages of a log topic that are published before the start aren't for it; to
 * get them, use fluxbp_topic_subscribe_since. Of a state topic the newest message of each key comes first, as fast as
 * the connection takes them. Messages that are sent to the connection alone, and messages of other topics, may overtake
 * these.
 *
 * @return 1, 0 if the connection was subscribed already, or
 *   UV_EINVAL   the topic and the connection belong to different hubs
 *   UV_ENOTCONN the connection is closing
 *   UV_ENOMEM   the allocator refused
 *   UV_ENOBUFS  the budget is used up, so a message that a state topic keeps can't be encoded for the connection
 *   and what the connection's codec returns for such a message. The last two apply to each state topic that a pattern
 *   matches; then the connection is not subscribed to the pattern
 */
FLUXBP_EXTERN int fluxbp_topic_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);

/**
 * Subscribe `conn` as fluxbp_topic_subscribe does, and begin with the messages that were published on this log topic
 * after `since_id`: each message exactly once and in order, as fast as the connection takes them, then live.
 *
 * While the connection is behind, messages of its other log topics come in the same order. When the hub forgets a
 * message that the connection has yet to get, because the connection is too slow or memory too short, this is a gap
 * like any other. fluxbp_conn_flush queues at once the messages for which there is room. A caller that begins thousands
 * of topics at different ids should begin with the smallest id: each step further back costs one step for each topic of
 * the connection.
 *
 * For a pattern: begin with the messages of all log topics that match, in one order. A message that comes by several
 * such subscriptions comes once. A message that the connection got live before, by another subscription, comes again.
 * The call takes one step for each topic of the hub.
 *
 * @param epoch    of the hub when `since_id` was seen (fluxbp_history_range_t)
 * @param since_id of the last message of this topic, or of any topic, that the peer has; 0: begin with the oldest
 * @return 1, 0 if the connection was subscribed already and nothing was changed, or as fluxbp_topic_subscribe, and
 *   UV_EINVAL  a state topic, or an id that hasn't been given yet
 *   UV_EAGAIN  the bus has given that id, but this hub hasn't read so far: try again in a later iteration. With own_ids
 *              (fluxbp_bus_options_t) this applies to any id that the hub hasn't seen, since another process may have
 *              been ahead. The caller decides how long to try: the caller knows the stream's newest id
 *   UV_ENOENT  another epoch: ids of that epoch say nothing here
 *   UV_ERANGE  too old: a message of this topic after since_id has been forgotten, see fluxbp_topic_oldest_since
 *   UV_ENOBUFS the budget is used up
 */
FLUXBP_EXTERN int fluxbp_topic_subscribe_since(fluxbp_topic_t *topic, fluxbp_conn_t *conn, uint64_t epoch,
                                               uint64_t since_id);

/**
 * Find the id after which the newest `count` messages of this log topic were published, as far as the history has
 * them. The id is for fluxbp_topic_subscribe_since, with the hub's epoch. The cost rises with the number of messages
 * that are found.
 *
 * For a pattern: the newest messages of all log topics that match. Then the cost rises with the number of newer
 * messages of any topic.
 *
 * @param since_id gets the id; the hub's newest id if there are no messages
 * @return the number of messages after the id, at most `count`; or UV_EINVAL: a state topic
 */
FLUXBP_EXTERN int64_t fluxbp_topic_since_last(fluxbp_topic_t *topic, uint32_t count, uint64_t *since_id);

/**
 * Estimate how much of the past a connection gets that subscribes to this log topic since an id. The cost rises with
 * the logarithm of the length of the history.
 *
 * @param messages gets a number that is not less than that of the messages; for a pattern, of those of all topics
 * @param bytes    gets the bytes of so many messages of average length
 */
FLUXBP_EXTERN void fluxbp_topic_measure_past(fluxbp_topic_t *topic, uint64_t since_id, uint64_t *messages,
                                             uint64_t *bytes);

/**
 * Return the oldest id that fluxbp_topic_subscribe_since takes for this log topic: the history has all messages of the
 * topic with larger ids. 0 if no message of the topic was ever forgotten, and for a state topic. To continue several
 * topics from one id, take the largest of their results.
 *
 * For a pattern: the largest result of all names that match, with those for which the hub has no topic. The call takes
 * one step for each topic of the hub.
 *
 * The hub remembers this id as long as the topic, and after fluxbp_topic_destroy as long as the history has messages of
 * the topic. For a topic that the hub doesn't know, or has made since, the result is the largest of all topics that
 * were destroyed.
 */
FLUXBP_EXTERN uint64_t fluxbp_topic_oldest_since(fluxbp_topic_t *topic);

/**
 * Queue one old message of this log topic for `conn` alone, under the id that the message had.
 *
 * This is for a program that keeps a longer history than the hub, such as a stream or a file. When
 * fluxbp_topic_subscribe_since returns UV_ERANGE, send the messages after the id in their order, up to
 * fluxbp_topic_oldest_since, and then subscribe since that id. Subscribe the connection afterwards, not before: live
 * messages would come in between.
 *
 * Takes the references that the call needs; the caller keeps its own. Thread: the hub's loop.
 *
 * @return 1 if the message was queued, 0 if the connection's codec refuses it (a gap reports the loss), or
 *   UV_EAGAIN   the ring has no room below its high watermark: try again in a later iteration
 *   UV_EINVAL   a state topic or a pattern, an uncommitted message, or the topic and the connection belong to different
 *               hubs
 *   UV_ENOTCONN the connection isn't started, or is closing
 *   UV_ENOBUFS, UV_ENOMEM  there is no memory now: try again later
 */
FLUXBP_EXTERN int fluxbp_topic_send_past(fluxbp_topic_t *topic, fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint64_t id);

/**
 * Unsubscribe `conn` from `topic`. Messages that are queued already are still delivered. Messages that a state topic
 * has yet to queue for the connection aren't.
 *
 * @return 1, or 0 if the connection wasn't subscribed
 */
FLUXBP_EXTERN int fluxbp_topic_unsubscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);

/** Return 1 if `conn` is subscribed to the topic itself, or 0. */
FLUXBP_EXTERN int fluxbp_topic_has(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn);

/**
 * Queue `msg` for every subscriber of `topic` and of the patterns that match its name: for all of them, or for none
 * with an error.
 *
 * Takes the references that the call needs; the caller keeps its own. Makes no system call, except for a
 * connection whose ring is full and hasn't been offered to the kernel yet. May be called from any callback; no callback
 * runs before the call returns.
 *
 * On a state topic the message replaces the message of its key (fluxbp_msg_create_keyed): for later subscribers, and in
 * the ring of each subscriber that the kernel refuses (conflated), unless the connection has begun to write it. When a
 * ring has no room for a value, the value isn't lost: the subscriber is behind the topic from then on, as a new
 * subscriber is at first. Publishing doesn't visit subscribers that are behind. When the ring has been drained, the
 * subscriber gets the newest message of each key that has changed. Its queued values are replaced by the newest of
 * their keys (conflated) when the kernel accepts data again. While the kernel refuses, values don't fill a ring beyond
 * its high watermark, and no overflow rule applies to them (docs/policy.md).
 *
 * On a state topic a removal (fluxbp_msg_create_removal) is the newest value of its key for each subscriber, also for
 * one that is behind. Later subscribers get nothing of the key, and the key doesn't count against max_keys any more.
 * The topic keeps a removal as long as a subscriber may have yet to get it. It keeps at most max_keys removals, or 16,
 * if that is more; then all of them are forgotten, as by fluxbp_topic_forget. When the key has no value, the removal is
 * for no subscriber.
 *
 * @return the number of connections that the message is for (>= 0), or an error. On a log topic some of these may have
 *   lost the message by their overflow rule. On a state topic subscribers that are behind count, also those that aren't
 *   started yet or are closing. Errors:
 *   UV_EINVAL    a pattern, a message without a key on a state topic, or an uncommitted message
 *   UV_ENOSPC    max_keys keys of the state topic have a value, and this would be one more: remove one. When such a
 *                message comes from a bus, it reaches no subscriber, is no gap, and each hub counts it
 *                (fluxbp_metrics_t.unkept)
 *   UV_ENOBUFS   the budget is used up
 *   UV_ECANCELED the hub is closing
 *   UV_EPERM     the hub has joined a bus: publish there
 *   and what fluxbp_frame_create returns
 */
FLUXBP_EXTERN int fluxbp_topic_publish(fluxbp_topic_t *topic, fluxbp_msg_t *msg);

/**
 * Publish a copy of the `length` bytes at `data`: make a message from the hub's pool, publish it, and give it up. To
 * publish the same bytes on several topics, make one message.
 *
 * @return as fluxbp_topic_publish and fluxbp_msg_create
 */
FLUXBP_EXTERN int fluxbp_topic_publish_bytes(fluxbp_topic_t *topic, const void *data, size_t length);

/** As fluxbp_topic_publish_bytes, with a key (fluxbp_msg_create_keyed): for state topics. */
FLUXBP_EXTERN int fluxbp_topic_publish_bytes_keyed(fluxbp_topic_t *topic, uint64_t key, const void *data,
                                                   size_t length);

/**
 * Queue `msg` for every subscriber of `topic` except one: the connection whose number (fluxbp_conn_origin) is `origin`.
 * For example, for all but the sender:
 *
 *     fluxbp_topic_publish_from(room, msg, fluxbp_conn_origin(sender));
 *
 * An origin of 0, or of a connection that isn't subscribed, excludes no connection. A subscriber by pattern is excluded
 * as well. On a hub that has joined a bus, use fluxbp_bus_publish_with.
 *
 * On a log topic the message is no gap and no loss for the excluded connection, and isn't counted in its statistics.
 * The connection gets the messages before and after this one, live or from the history. It doesn't get this one when it
 * subscribes later since an older id. The history keeps the message for all others. The same client on another
 * connection is another subscriber: if it resumes there since an older id, it gets the message.
 *
 * On a state topic a key may be set by one connection alone, by publications from its origin, since the key exists.
 * Such a key's values aren't sent to that connection, also not when it subscribes later. When another publisher sets or
 * removes the key, the connection gets each value of the key from then on, its own included. So the last value of a key
 * that a connection gets is the newest. A connection may also get its own values of a new key, if a key of the topic,
 * or a state topic, was forgotten while the connection existed.
 *
 * @return as fluxbp_topic_publish; the excluded connection isn't counted
 */
FLUXBP_EXTERN int fluxbp_topic_publish_from(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t origin);

#ifdef __cplusplus
}
#endif

#endif
