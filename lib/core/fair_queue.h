/* SPDX-License-Identifier: MIT */
/*
 * fair_queue: whose turn it is, where turns cost different amounts. Pure: the caller says what a turn has cost.
 *
 * An item belongs to a group, by a key. Groups have turns one after the other, and so have the items of a group. Both
 * go by deficit round robin (Shreedhar, Varghese: Efficient Fair Queueing Using Deficit Round Robin, 1995), with the
 * two lists of RFC 8290: one that comes newly has its turn before those that have had theirs.
 */
#ifndef FLUXBP_LIB_FAIR_QUEUE_H
#define FLUXBP_LIB_FAIR_QUEUE_H

#include "list.h"
#include "table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What takes turns with others of its kind: an item in its group, or a group in the queue. */
typedef struct fluxbp__flow {
  fluxbp__link_t link; /* in no list: it neither waits nor has anything to pay */
  int64_t credit;      /* what it may cost until the others have their turn; less than 0: what it has to pay first */
  bool is_waiting;
  bool is_new; /* in the list of those */
} fluxbp__flow_t;

/* Flows that take turns. */
typedef struct fluxbp__flows {
  fluxbp__link_t new_ones;
  fluxbp__link_t old_ones; /* those that have had their turn; those of them that don't wait go when they have paid */
  size_t waiting;
} fluxbp__flows_t;

typedef struct fluxbp__flow_group {
  fluxbp__table_link_t by_key;
  uint64_t key;
  fluxbp__flow_t flow;
  fluxbp__flows_t items;
} fluxbp__flow_group_t;

/* A part of what waits. All zero: it is in no queue. */
typedef struct fluxbp__fair_item {
  fluxbp__flow_t flow;
  fluxbp__flow_group_t *group;
} fluxbp__fair_item_t;

typedef struct fluxbp__fair_queue {
  int64_t quantum; /* what one flow may cost before others have their turn */
  fluxbp__flows_t groups;
  fluxbp__table_t by_key;
  fluxbp__flow_group_t common; /* of items for whose group there was no memory */
  size_t waiting;              /* items */
  void (*on_left)(fluxbp__fair_item_t *item);
} fluxbp__fair_queue_t;

/* Set up an empty queue. `on_left`, unless NULL, is called for an item that the queue has let go of, because it neither
 * waits nor has anything to pay. */
void fluxbp__fair_queue_init(fluxbp__fair_queue_t *queue, fluxbp_pool_t *pool, uint64_t quantum,
                             void (*on_left)(fluxbp__fair_item_t *item));

/* Free the memory of the queue, in which no item waits. */
void fluxbp__fair_queue_free(fluxbp__fair_queue_t *queue);

/* Have the item wait for its turn. `key` is that of its group, which doesn't change while the item is in the queue. */
void fluxbp__fair_queue_add(fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item, uint64_t key);

/* Return the item that has its turn, and no longer waits; NULL: none waits. */
fluxbp__fair_item_t *fluxbp__fair_queue_next(fluxbp__fair_queue_t *queue);

/* The item has cost so much. Nothing happens if it isn't in the queue. */
void fluxbp__fair_queue_charge(const fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item, uint64_t cost);

/* Let go of the item. Nothing happens if it isn't in the queue. */
void fluxbp__fair_queue_remove(fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item);

/* Whether the queue has let go of the item. */
static inline bool fluxbp__fair_item_is_out(const fluxbp__fair_item_t *item) {
  return item->group == NULL;
}

#endif
