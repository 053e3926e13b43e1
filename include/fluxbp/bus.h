/* SPDX-License-Identifier: MIT */
/*
 * bus: one stream of messages from any thread to every hub that has joined, in one order for all hubs.
 *
 * A bus is a bounded ring that each hub reads at its own pace. Publishing costs the same whatever the number of hubs,
 * and takes no lock on a topic whose number is known. No message is lost between publisher and hub: when the slowest
 * hub is a full ring behind, publishing is refused (UV_EAGAIN), and the publisher decides what to do.
 *
 * Thread: any, for every function here. fluxbp_bus_destroy is the last call. A thread that has run the loop of a hub
 * must not publish while another thread begins to run that loop: a hub knows its thread by the loop's first iteration,
 * and a message that this thread publishes wakes the loop without a system call.
 */
#ifndef FLUXBP_BUS_H
#define FLUXBP_BUS_H

#include "fluxbp/export.h"
#include "fluxbp/msg.h"
#include "fluxbp/pool.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_bus fluxbp_bus_t;

/** The most slots of a bus. */
#define FLUXBP_BUS_SLOTS_MAX ((uint32_t) 1 << 20)

/** The most readers (hubs) of a bus. */
#define FLUXBP_BUS_READERS_MAX 64

/** The most topics that a bus may have at a time, whatever max_topics says. */
#define FLUXBP_BUS_TOPICS_MAX ((uint32_t) 1 << 20)

/** The longest name, in bytes; the same as for a hub's topics. */
#define FLUXBP_BUS_TOPIC_NAME_MAX 255

/**
 * The largest first id. It leaves 2^60 ids, which last for 36 years at one a nanosecond; they never wrap. Nanoseconds
 * since 1970 stay below it until 2079.
 */
#define FLUXBP_BUS_FIRST_ID_MAX ((uint64_t) 3 << 60)

typedef struct fluxbp_bus_options {
  /* Set by fluxbp_bus_options_init. */
  size_t size;

  /* Messages that the slowest reader may be behind; a power of two from 2 to FLUXBP_BUS_SLOTS_MAX; default 16384, which
   * takes 640 KiB. */
  uint32_t slots;

  /* Id of the first message; 1 … FLUXBP_BUS_FIRST_ID_MAX; default 1. 0 is never an id. A subscriber that goes on from
   * an earlier id gets UV_ERANGE. */
  uint64_t first_id;

  /* Epoch, to which the ids belong; default 0: random, another one for each bus. Buses with the same ids in several
   * processes need the same epoch; buses with other ids need another one. */
  uint64_t epoch;

  /* Not 0: callers give the ids, which rise and may have holes, by fluxbp_bus_publish_as, fluxbp_bus_publish_to_as or
   * fluxbp_bus_publish_with. first_id is the smallest id that is taken then. Default 0. */
  int own_ids;

  /* Topics at a time: those that are held, and those of messages that a reader hasn't passed; 1 …
   * FLUXBP_BUS_TOPICS_MAX; default 65536. A topic takes about 100 bytes. */
  uint32_t max_topics;
} fluxbp_bus_options_t;

typedef struct fluxbp_bus_stats {
  /* Messages that were published. */
  uint64_t published;
  /* Calls of publish that returned UV_EAGAIN. */
  uint64_t refused;
  /* Slots, as in the options. */
  uint32_t slots;
  /* Readers that have joined. */
  uint32_t readers;
  /* Messages that the slowest reader hasn't passed yet; 0 without a reader. */
  uint64_t lag;
  /* Slowest reader, a fluxbp_hub_t; NULL without a reader. */
  void *slowest;
  /* Topics that are held, or that were used by messages which not all readers had passed when the bus last looked. */
  uint32_t topics;
} fluxbp_bus_stats_t;

/** Write the defaults into `*options`. */
#define fluxbp_bus_options_init(options) fluxbp_bus_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_bus_options_init_sized(fluxbp_bus_options_t *options, size_t size);

/**
 * Make a bus. Its memory comes from the pool's allocator, outside of the budget; the pool has to outlive it. Messages
 * of other pools may be published on it as well.
 *
 * @param options NULL for the defaults
 * @return 0, or
 *   UV_EINVAL an argument is NULL, or an option is out of its range
 *   UV_E2BIG  options that this version of the library doesn't know
 *   UV_ENOMEM the allocator refused
 */
FLUXBP_EXTERN int fluxbp_bus_create(fluxbp_pool_t *pool, const fluxbp_bus_options_t *options, fluxbp_bus_t **bus);

/**
 * Free a bus and the names of its topics. No other thread may be in a function of this bus or call one from now on: end
 * the publishers first (fluxbp_bus_close).
 *
 * @return 0, or
 *   UV_EBUSY a reader is still joined. Nothing was done
 */
FLUXBP_EXTERN int fluxbp_bus_destroy(fluxbp_bus_t *bus);

/**
 * Close a bus: every call of publish that begins after this call has returned gets UV_ECANCELED. A call that is under
 * way gets that, or succeeds. Messages that were published are still read. A further call does nothing. Waits while a
 * reader joins or leaves.
 */
FLUXBP_EXTERN void fluxbp_bus_close(fluxbp_bus_t *bus);

/** Return the epoch, which is also that of the hubs that join. */
FLUXBP_EXTERN uint64_t fluxbp_bus_epoch(const fluxbp_bus_t *bus);

/**
 * Hold the topic of that name, and write its number for fluxbp_bus_publish to `*topic`. A name has the same number as
 * long as its topic is held. The first topic has the number 0; numbers of released topics are used again. Takes a lock;
 * so a publisher looks a name up once and keeps the number. For names that strangers choose use fluxbp_bus_publish_to,
 * which holds nothing.
 *
 * @return 0, or
 *   UV_EINVAL an argument is NULL, or the name is empty or longer than FLUXBP_BUS_TOPIC_NAME_MAX
 *   UV_ENOSPC the topic would be new, and max_topics are held already
 *   UV_EAGAIN the topic would be new, and there are max_topics; some of them are removed when the slowest reader has
 *             passed them
 *   UV_ENOMEM the allocator refused
 */
FLUXBP_EXTERN int fluxbp_bus_topic(fluxbp_bus_t *bus, const char *name, uint32_t *topic);

/**
 * Release one hold: call this once for each call of fluxbp_bus_topic. After the last release no thread may use the
 * number. The topic is removed when all readers have passed the topic's messages.
 *
 * @return 0, or
 *   UV_EINVAL `bus` is NULL, or the topic isn't held
 */
FLUXBP_EXTERN int fluxbp_bus_topic_release(fluxbp_bus_t *bus, uint32_t topic);

/** Return the name of a topic, valid as long as the topic is held; NULL if there is no such number. Never waits. */
FLUXBP_EXTERN const char *fluxbp_bus_topic_name(const fluxbp_bus_t *bus, uint32_t topic);

/**
 * Publish `msg` on `topic` to all readers.
 *
 * Takes one reference, and keeps it until the last reader has passed the message. The caller keeps its own. After an
 * error nothing was taken. Without a reader the call succeeds, and no connection gets the message.
 *
 * Never waits for a slow reader. May wait for a reader that joins or leaves at this moment, which in turn waits for
 * publishers in the middle of this function. If the scheduler stops a publisher there, all readers wait at that
 * message; other publishers go on until the ring is full.
 *
 * @param id NULL, or gets the id of the message. Ids rise by one from first_id, and all readers see the messages in the
 *   order of their ids
 * @return 0, or
 *   UV_EAGAIN    the slowest reader is a full ring behind (fluxbp_bus_get_stats names it): publish later, or less
 *   UV_ECANCELED the bus is closed
 *   UV_EINVAL    `bus` or `msg` is NULL, `msg` is uncommitted, or there is no such topic
 *   UV_EPERM     callers give the ids of this bus: fluxbp_bus_publish_as
 */
FLUXBP_EXTERN int fluxbp_bus_publish(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t *id);

/**
 * Publish on the topic of that name, as fluxbp_bus_publish does, without holding the topic. A topic that isn't held is
 * removed when all readers have passed its last message, so strangers may choose the names. Takes a lock while the name
 * is looked up and the message published.
 *
 * @return as fluxbp_bus_publish, and
 *   UV_EINVAL also for a name that is empty or longer than FLUXBP_BUS_TOPIC_NAME_MAX
 *   UV_EAGAIN also for a new name when there are max_topics, some of which will go
 *   UV_ENOSPC a new name, and max_topics are held
 *   UV_ENOMEM the allocator refused
 */
FLUXBP_EXTERN int fluxbp_bus_publish_to(fluxbp_bus_t *bus, const char *name, fluxbp_msg_t *msg, uint64_t *id);

/**
 * Publish on a bus with `own_ids`, as fluxbp_bus_publish does, under an id of the caller's, such as the sequence number
 * of a stream. Holes between ids are no loss. After UV_EAGAIN the same id may be tried again. Takes a lock.
 *
 * @param id at least first_id, and larger than the id of any message before; or 0 for a message with a key, as ids mean
 *   nothing on a state topic
 * @return as fluxbp_bus_publish, and
 *   UV_EEXIST the id isn't larger: that message was published already, or is out of order
 *   UV_EPERM  the bus gives the ids itself
 */
FLUXBP_EXTERN int fluxbp_bus_publish_as(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t id);

/** Publish as fluxbp_bus_publish_as on the topic of that name. @return as fluxbp_bus_publish_as and
 * fluxbp_bus_publish_to */
FLUXBP_EXTERN int fluxbp_bus_publish_to_as(fluxbp_bus_t *bus, const char *name, fluxbp_msg_t *msg, uint64_t id);

/**
 * Publish a copy of `length` bytes at `data`: make a message from the pool of the bus, publish it as
 * fluxbp_bus_publish does, and give it up.
 *
 * @param id NULL, or gets the id
 * @return as fluxbp_bus_publish and fluxbp_msg_create
 */
FLUXBP_EXTERN int fluxbp_bus_publish_bytes(fluxbp_bus_t *bus, uint32_t topic, const void *data, size_t length,
                                           uint64_t *id);

/** Publish a copy on the topic of that name. @return as fluxbp_bus_publish_to and fluxbp_msg_create */
FLUXBP_EXTERN int fluxbp_bus_publish_bytes_to(fluxbp_bus_t *bus, const char *name, const void *data, size_t length,
                                              uint64_t *id);

/** One publication, for fluxbp_bus_publish_with. */
typedef struct fluxbp_bus_publish_options {
  /* Set by fluxbp_bus_publish_options_init. */
  size_t size;

  /* Name of the topic, as for fluxbp_bus_publish_to; default NULL: `topic` is the topic. */
  const char *name;

  /* Number of the topic from fluxbp_bus_topic, if there is no name; default 0. */
  uint32_t topic;

  /* Id of the message on a bus with `own_ids`, as for fluxbp_bus_publish_as. Must be 0, the default, on other buses. */
  uint64_t id;

  /* Connection that isn't to get the message: its fluxbp_conn_origin, on any hub of this process. Default 0: every
   * subscriber gets the message. See fluxbp_topic_publish_from. */
  uint64_t origin;
} fluxbp_bus_publish_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_bus_publish_options_init(options) fluxbp_bus_publish_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_bus_publish_options_init_sized(fluxbp_bus_publish_options_t *options, size_t size);

/**
 * Publish `msg` to all readers, on the topic, under the id and to all but the connection of the options: the general
 * form of the functions above. For example, to all members of a chat room but the sender:
 *
 *     fluxbp_bus_publish_options_t options;
 *     fluxbp_bus_publish_options_init(&options);
 *     options.name = "room/7";
 *     options.origin = fluxbp_conn_origin(sender);
 *     int err = fluxbp_bus_publish_with(bus, msg, &options, NULL);
 *
 * Takes a lock if there is a name, or on a bus with `own_ids`.
 *
 * @param id NULL, or gets the id of the message
 * @return as fluxbp_bus_publish; for a name also as fluxbp_bus_publish_to; on a bus with `own_ids` also as
 *   fluxbp_bus_publish_as; and
 *   UV_EINVAL `options` is NULL, or has no size
 *   UV_EPERM  an id on a bus that gives the ids itself
 *   UV_E2BIG  options that this version of the library doesn't know
 */
FLUXBP_EXTERN int fluxbp_bus_publish_with(fluxbp_bus_t *bus, fluxbp_msg_t *msg,
                                          const fluxbp_bus_publish_options_t *options, uint64_t *id);

/**
 * Publish messages that follow each other, on one topic: what a loop over fluxbp_bus_publish_with does, for the price
 * of little more than one call. The ids rise by one from message to message, and no other message has one in between.
 *
 * If there is room for some of the messages only, the first ones are published. The references of the messages that
 * were published belong to the bus; those of the others, and of all after an error, stay with the caller.
 *
 * @param count at least 1
 * @param options as for fluxbp_bus_publish_with; they hold for each of the messages
 * @param first_id NULL, or gets the id of the first message
 * @return the number of messages that were published, at least 1, or an error of fluxbp_bus_publish_with, and
 *   UV_EPERM the bus has `own_ids`
 */
FLUXBP_EXTERN int fluxbp_bus_publish_many(fluxbp_bus_t *bus, fluxbp_msg_t *const *msgs, size_t count,
                                          const fluxbp_bus_publish_options_t *options, uint64_t *first_id);

/** Read the figures of one moment. Waits while a reader joins or leaves. */
#define fluxbp_bus_get_stats(bus, stats) fluxbp_bus_get_stats_sized((bus), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_bus_get_stats_sized(fluxbp_bus_t *bus, fluxbp_bus_stats_t *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
