/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the bus: what a reader (a hub) does with it. A reader belongs to one thread; that thread is the only
 * one that calls the functions below. Knows nothing of loops: what wakes a reader is a callback.
 */
#ifndef FLUXBP_LIB_BUS_H
#define FLUXBP_LIB_BUS_H

#include "fluxbp/bus.h"

#include <stdbool.h>

/*
 * Called on the publishing thread when the reader has to be woken; spurious calls are possible. It has to lead to
 * fluxbp__bus_begin on the reader's thread, must not wait for that, and must not call join, leave or destroy.
 */
typedef void (*fluxbp__bus_wake_cb)(void *arg);

typedef struct fluxbp__bus_seat fluxbp__bus_seat_t;

/* Zeroed: not joined. The seat is what publishers see of it; it stays with the bus when the reader is gone. */
typedef struct fluxbp__bus_reader {
  fluxbp_bus_t *bus; /* NULL: not joined */
  fluxbp__bus_seat_t *seat;
  uint64_t cursor;  /* the position of the next message; that is its id, too, unless ids are the caller's */
  uint64_t last_id; /* of the last message before it joined */
} fluxbp__bus_reader_t;

/* Borrowed: valid until the reader advances. Who needs the message for longer takes a reference. */
typedef struct fluxbp__bus_entry {
  fluxbp_msg_t *msg;
  uint64_t id;
  uint32_t topic;        /* its number, which other topics may have had before, */
  uint64_t topic_serial; /* unlike this */
  const char *name;      /* of the topic */
  uint64_t origin;       /* the connection that isn't to get the message (fluxbp_conn_origin), or 0 */
} fluxbp__bus_entry_t;

/*
 * Read everything that is published from now on. The reader counts as asleep: the first message wakes it. Publishers
 * wait while this is done. `user` is what fluxbp_bus_get_stats calls the slowest reader by.
 *
 * 0, or UV_ENOSPC: there are FLUXBP_BUS_READERS_MAX already.
 */
int fluxbp__bus_join(fluxbp_bus_t *bus, fluxbp__bus_reader_t *reader, fluxbp__bus_wake_cb wake, void *wake_arg,
                     void *user);

/*
 * Pass everything that hasn't been read, and leave; nothing if it hasn't joined. When it returns, `wake` isn't running
 * and won't be called again. Publishers wait while this is done, so a reader with many messages left passes most of
 * them before that.
 */
void fluxbp__bus_leave(fluxbp__bus_reader_t *reader);

/*
 * To be called before the reader looks for messages after it was woken, every time. From here on a message that it
 * doesn't find wakes it again. A reader that stops before next returned false has to come back by itself.
 */
void fluxbp__bus_begin(fluxbp__bus_reader_t *reader);

/* The next message, if it is there. The same one again until the reader advances. */
bool fluxbp__bus_next(const fluxbp__bus_reader_t *reader, fluxbp__bus_entry_t *entry);

/* Whether a message may have that id already, so that a reader who doesn't know it will come to it. Of ids that are
 * given by another process nothing is known here, and the answer is true. Any thread. */
bool fluxbp__bus_may_have(const fluxbp_bus_t *bus, uint64_t id);

/* Be done with the message that next returned. The last reader to pass it gives the bus's reference back. */
void fluxbp__bus_advance(fluxbp__bus_reader_t *reader);

#endif
