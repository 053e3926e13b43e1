/* SPDX-License-Identifier: MIT */
/*
 * queue: a doubly linked list whose links lie within what it lists. Does no allocation.
 */
#ifndef FLUXBP_SERVER_QUEUE_H
#define FLUXBP_SERVER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct queue_link {
  struct queue_link *next, *previous; /* NULL: in no queue */
};

struct queue {
  struct queue_link ends;
};

#define QUEUE_ITEM(link, type, member) ((type *) (void *) ((char *) (link) -offsetof(type, member)))

static inline void queue_init(struct queue *queue) {
  queue->ends.next = queue->ends.previous = &queue->ends;
}

static inline struct queue_link *queue_first(const struct queue *queue) {
  return queue->ends.next != &queue->ends ? queue->ends.next : NULL;
}

/** Whether it is in a queue, whichever. */
static inline bool queue_is_linked(const struct queue_link *link) {
  return link->next != NULL;
}

/** The link is in no queue. */
static inline void queue_append(struct queue *queue, struct queue_link *link) {
  link->next = &queue->ends;
  link->previous = queue->ends.previous;
  link->previous->next = link;
  queue->ends.previous = link;
}

/** The same in front of all others. */
static inline void queue_prepend(struct queue *queue, struct queue_link *link) {
  link->previous = &queue->ends;
  link->next = queue->ends.next;
  link->next->previous = link;
  queue->ends.next = link;
}

/** Move all of `from` to the empty queue `to`. */
static inline void queue_move(struct queue *to, struct queue *from) {
  if (queue_first(from) == NULL) return;
  to->ends = from->ends;
  to->ends.next->previous = to->ends.previous->next = &to->ends;
  queue_init(from);
}

/** Calling it again does nothing. */
static inline void queue_remove(struct queue_link *link) {
  if (!queue_is_linked(link)) return;
  link->next->previous = link->previous;
  link->previous->next = link->next;
  link->next = link->previous = NULL;
}

#endif
