/* SPDX-License-Identifier: MIT */
/*
 * bus: one stream of messages from any thread to every hub that has joined, in one order for all of them.
 *
 * The bus is a bounded ring that each hub reads at its own pace; publishing costs the same whatever the number of hubs,
 * and on a topic whose number is known it takes no lock. Nothing that was published is lost on the way: when the
 * slowest hub is a full ring behind, the publisher is refused, and decides itself what to do.
 *
 * Thread: any, for every function here; destroy has to be the last one.
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

/** The most slots of a bus, and the most readers (hubs). */
#define FLUXBP_BUS_SLOTS_MAX ((uint32_t) 1 << 20)
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
  size_t size;       /* set by fluxbp_bus_options_init */
  uint32_t slots;    /* messages that the slowest reader may be behind; a power of two from 2 to FLUXBP_BUS_SLOTS_MAX;
                        default 16384, which takes 640 KiB */
  uint64_t first_id; /* of the first message; 1 … FLUXBP_BUS_FIRST_ID_MAX; default 1. 0 is no id anywhere. What came
                        before it is not here: whoever wants to go on from an earlier id is told so (UV_ERANGE) */
  uint64_t epoch;    /* what the ids belong to; default 0: random, another one for each bus. Buses with the same ids in
                        several processes have to have the same epoch, and those with other ids another one */
  int own_ids;       /* ids are given by the caller, rise, and may have holes: fluxbp_bus_publish_as and
                        fluxbp_bus_publish_to_as take the places of fluxbp_bus_publish and fluxbp_bus_publish_to, and
                        first_id is the smallest that may come; default 0 */
  uint32_t max_topics; /* at a time: those that are held, and those of messages that a reader hasn't passed; 1 to
                          FLUXBP_BUS_TOPICS_MAX; default 65536. A topic takes about 100 bytes */
} fluxbp_bus_options_t;

typedef struct fluxbp_bus_stats {
  uint64_t published; /* messages that got an id, or came with one */
  uint64_t refused;   /* calls of publish that got UV_EAGAIN */
  uint32_t slots;     /* as in the options */
  uint32_t readers;   /* that have joined */
  uint64_t lag;       /* messages that the slowest reader hasn't passed yet; 0 without a reader */
  void *slowest;      /* that reader: the hub's fluxbp_hub_t, or NULL without a reader */
  uint32_t topics; /* that there are: held, or used by messages that not all readers have passed, as far as the bus has
                         had reason to look */
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
 * Free the bus. No other thread may be in a function of this bus or call one from now on: publishers have to be done
 * (fluxbp_bus_close tells them to be), and names of topics are gone.
 *
 * @return 0, or
 *   UV_EBUSY a reader is still joined; nothing was done
 */
FLUXBP_EXTERN int fluxbp_bus_destroy(fluxbp_bus_t *bus);

/**
 * Take no more messages: every call of publish that begins after this one has returned gets UV_ECANCELED, one that is
 * under way gets that or succeeds. What was published is still read. Calling it again does nothing. Waits while a
 * reader joins or leaves.
 */
FLUXBP_EXTERN void fluxbp_bus_close(fluxbp_bus_t *bus);

/** What its ids belong to, and those of the hubs that join. */
FLUXBP_EXTERN uint64_t fluxbp_bus_epoch(const fluxbp_bus_t *bus);

/**
 * Hold the topic of that name, and get its number for fluxbp_bus_publish: the same number for the same name as long as
 * the topic is held. The first topic has number 0; numbers of topics that were released are used again. Waits for
 * another thread that is here; publishers look a name up once and keep the number. For names that come from elsewhere
 * there is fluxbp_bus_publish_to, which holds nothing.
 *
 * @return 0, or
 *   UV_EINVAL an argument is NULL, or the name is empty or longer than FLUXBP_BUS_TOPIC_NAME_MAX
 *   UV_ENOSPC it would be a new topic, and max_topics are held already
 *   UV_EAGAIN it would be a new topic, and there are max_topics; some will go when the slowest reader has passed them
 *   UV_ENOMEM the allocator refused
 */
FLUXBP_EXTERN int fluxbp_bus_topic(fluxbp_bus_t *bus, const char *name, uint32_t *topic);

/**
 * Give up one hold: there has to be one call of this for each of fluxbp_bus_topic. Behind the last one the number means
 * nothing any more, to any thread. The topic goes when all readers have passed what was published on it.
 *
 * @return 0, or
 *   UV_EINVAL bus is NULL, or the topic isn't held
 */
FLUXBP_EXTERN int fluxbp_bus_topic_release(fluxbp_bus_t *bus, uint32_t topic);

/** The name of a topic, or NULL if there is no such number; valid as long as the topic is held. Never waits. */
FLUXBP_EXTERN const char *fluxbp_bus_topic_name(const fluxbp_bus_t *bus, uint32_t topic);

/**
 * Publish `msg` on `topic` to all readers.
 *
 * Takes one reference of its own, and keeps it until the last reader has passed the message; the caller keeps its own.
 * After an error nothing was taken. Without a reader it succeeds, and the message goes to nobody.
 *
 * Never waits for a reader that is slow. It may wait for one that joins or leaves at this moment, which in turn waits
 * for publishers in the middle of this function. A publisher that the scheduler stops there delays every reader at this
 * place, but not the other publishers, until the ring is full.
 *
 * @param id NULL, or gets the id: ids count up by one from first_id, and all readers see the messages in their order
 * @return 0, or
 *   UV_EAGAIN    the slowest reader is a full ring behind (fluxbp_bus_get_stats names it): publish later, or less
 *   UV_ECANCELED the bus is closed
 *   UV_EINVAL    bus or msg is NULL, msg is uncommitted, or there is no such topic
 *   UV_EPERM     the bus takes ids of its callers: fluxbp_bus_publish_as
 */
FLUXBP_EXTERN int fluxbp_bus_publish(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t *id);

/**
 * Publish on the topic of that name, as fluxbp_bus_publish, without holding it: a topic that nobody holds goes when all
 * readers have passed its last message, so the names may be anybody's. Takes a lock: publishers that give names are
 * here one at a time, for as long as it takes to look the name up and to publish.
 *
 * @return as fluxbp_bus_publish, and
 *   UV_EINVAL also for a name that is empty or longer than FLUXBP_BUS_TOPIC_NAME_MAX
 *   UV_EAGAIN also for a new name when there are max_topics, some of which will go
 *   UV_ENOSPC a new name, and max_topics are held
 *   UV_ENOMEM the allocator refused
 */
FLUXBP_EXTERN int fluxbp_bus_publish_to(fluxbp_bus_t *bus, const char *name, fluxbp_msg_t *msg, uint64_t *id);

/**
 * Publish on a bus with `own_ids`, as fluxbp_bus_publish, under an id that somebody else has given: a sequence number
 * of a stream, say. Holes are no loss. After UV_EAGAIN the same id may be tried again. Takes a lock, so that one
 * publisher is here at a time.
 *
 * @param id at least first_id, and larger than that of any message before; or 0 for a message with a key that has none:
 *   on a state topic ids say nothing
 * @return as fluxbp_bus_publish, and
 *   UV_EEXIST it isn't larger: that message was published already, or is out of order
 *   UV_EPERM  the bus gives the ids itself
 */
FLUXBP_EXTERN int fluxbp_bus_publish_as(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t id);

/** The same on the topic of that name. Errors as fluxbp_bus_publish_as and fluxbp_bus_publish_to. */
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

/** The same on the topic of that name. Errors as fluxbp_bus_publish_to and fluxbp_msg_create. */
FLUXBP_EXTERN int fluxbp_bus_publish_bytes_to(fluxbp_bus_t *bus, const char *name, const void *data, size_t length,
                                              uint64_t *id);

/** One publication, for fluxbp_bus_publish_with. */
typedef struct fluxbp_bus_publish_options {
  size_t size; /* set by fluxbp_bus_publish_options_init */

  /* The topic's name, as for fluxbp_bus_publish_to; default NULL: `topic` says which one. */
  const char *name;

  /* The topic's number from fluxbp_bus_topic, if there is no name; default 0. */
  uint32_t topic;

  /* On a bus with `own_ids` the message's id, as for fluxbp_bus_publish_as. Default 0, as the id must be on other
   * buses. */
  uint64_t id;

  /* The connection that isn't to get the message: its fluxbp_conn_origin, on any hub of this process. Default 0: each
   * subscriber gets it. See fluxbp_topic_publish_from. */
  uint64_t origin;
} fluxbp_bus_publish_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_bus_publish_options_init(options) fluxbp_bus_publish_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_bus_publish_options_init_sized(fluxbp_bus_publish_options_t *options, size_t size);

/**
 * Publish `msg` to all readers as the options say: the general form of the functions above. For example, to all
 * members of a chat room but the sender:
 *
 *     fluxbp_bus_publish_options_t options;
 *     fluxbp_bus_publish_options_init(&options);
 *     options.name = "room/7";
 *     options.origin = fluxbp_conn_origin(sender);
 *     int err = fluxbp_bus_publish_with(bus, msg, &options, NULL);
 *
 * References, waiting and locks are as for the function that it takes the place of: without a name and without
 * `own_ids` it takes no lock.
 *
 * @param id NULL, or gets the id of the message
 * @return as fluxbp_bus_publish, and for a name as fluxbp_bus_publish_to, on a bus with `own_ids` as
 * fluxbp_bus_publish_as, and UV_EINVAL options is NULL, or has no size UV_EPERM  an id on a bus that gives the ids
 * itself UV_E2BIG  options that this version of the library doesn't know
 */
FLUXBP_EXTERN int fluxbp_bus_publish_with(fluxbp_bus_t *bus, fluxbp_msg_t *msg,
                                          const fluxbp_bus_publish_options_t *options, uint64_t *id);

/** Read the figures. Waits while a reader joins or leaves. */
#define fluxbp_bus_get_stats(bus, stats) fluxbp_bus_get_stats_sized((bus), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_bus_get_stats_sized(fluxbp_bus_t *bus, fluxbp_bus_stats_t *stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
