/* SPDX-License-Identifier: MIT */
/*
 * hub_bus: a hub as a reader of its bus.
 */
#ifndef FLUXBP_LIB_HUB_BUS_H
#define FLUXBP_LIB_HUB_BUS_H

#include "bus.h"
#include "inbox.h"
#include "topics.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The topic of this hub for a number of the bus: for the topic of the bus that has the number now, as of a generation
 * of the hub's topics. */
typedef struct fluxbp__hub_bus_place {
  fluxbp_topic_t *topic; /* NULL: there is none of that name */
  uint64_t generation;
  uint64_t serial; /* of the bus's topic */
} fluxbp__hub_bus_place_t;

typedef struct fluxbp__hub_bus {
  fluxbp__topics_t *topics;        /* on which the messages are delivered */
  fluxbp__inbox_t *inbox;          /* whose wake-up is the bus's, too */
  fluxbp__bus_reader_t reader;     /* without a bus: all of it is zero */
  fluxbp__hub_bus_place_t *places; /* by the bus's number */
  uint32_t place_count;
  atomic_bool can_wake; /* the loop's side of the wake-up is there */
  bool is_due;          /* there may be something to read */
} fluxbp__hub_bus_t;

/* Join a bus, or nothing for NULL, and take over its epoch and ids. 0 or UV_ENOSPC. Begin when the hub has its handles:
 * joining may fail and comes first, as handles can't be closed at once. */
int fluxbp__hub_bus_join(fluxbp__hub_bus_t *bus, fluxbp_bus_t *joined);
void fluxbp__hub_bus_begin(fluxbp__hub_bus_t *bus);
void fluxbp__hub_bus_leave(fluxbp__hub_bus_t *bus);
void fluxbp__hub_bus_free(fluxbp__hub_bus_t *bus);

/* Deliver what is there, as far as rings and time allow. Returns true if there is more: come back in the next
 * iteration. */
bool fluxbp__hub_bus_read(fluxbp__hub_bus_t *bus);

#endif
