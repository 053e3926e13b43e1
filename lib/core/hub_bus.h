/* SPDX-License-Identifier: MIT */
/*
 * Internal side of hub_bus: a hub as a reader of its bus.
 */
#ifndef FLUXBP_LIB_HUB_BUS_H
#define FLUXBP_LIB_HUB_BUS_H

#include "bus.h"
#include "fluxbp/topic.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The topic of this hub for a number of the bus: for the topic of the bus that has the number now, as of a generation of the
 * hub's topics. */
typedef struct fluxbp__bus_topic {
  fluxbp_topic_t *topic; /* NULL: there is none of that name */
  uint64_t generation;
  uint64_t serial; /* of the bus's topic */
} fluxbp__bus_topic_t;

typedef struct fluxbp__hub_bus {
  fluxbp__bus_reader_t reader; /* without a bus: all of it is zero */
  fluxbp__bus_topic_t *topics; /* by the bus's number */
  uint32_t topic_capacity;
  atomic_bool can_wake; /* the loop's side of the wake-up is there */
  bool is_due;          /* there may be something to read */
  bool is_brimming;     /* a ring that waits for its flush has come to its high watermark */
} fluxbp__hub_bus_t;

/* Join the bus of the options, if there is one, and take over its epoch and ids. 0 or UV_ENOSPC. Begin when the hub has
 * its handles: joining may fail and comes first, as handles can't be closed at once. */
int fluxbp__hub_join_bus(fluxbp_hub_t *hub, fluxbp_bus_t *bus);
void fluxbp__hub_begin_bus(fluxbp_hub_t *hub);
void fluxbp__hub_leave_bus(fluxbp_hub_t *hub);
void fluxbp__hub_free_bus(fluxbp_hub_t *hub);

/* Whether its bus may have a message of that id, which the hub hasn't read yet. */
bool fluxbp__hub_will_read(const fluxbp_hub_t *hub, uint64_t id);

/* Deliver what is there, as far as rings and time allow. True: there is more, come back in the next iteration. */
bool fluxbp__hub_read_bus(fluxbp_hub_t *hub);

#endif
