/* SPDX-License-Identifier: MIT */
/*
 * A doubly linked list of links that are embedded in what they link, with the list itself as the sentinel.
 */
#ifndef FLUXBP_LIB_LIST_H
#define FLUXBP_LIB_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fluxbp__link {
  struct fluxbp__link *next; /* NULL: in no list */
  struct fluxbp__link *prev;
} fluxbp__link_t;

#define FLUXBP__CONTAINER(link, type, member) ((type *) ((uintptr_t) (link) -offsetof(type, member)))

static inline void fluxbp__list_init(fluxbp__link_t *list) {
  list->next = list->prev = list;
}

static inline bool fluxbp__list_is_empty(const fluxbp__link_t *list) {
  return list->next == list;
}

static inline bool fluxbp__link_is_linked(const fluxbp__link_t *link) {
  return link->next != NULL;
}

static inline void fluxbp__list_append(fluxbp__link_t *list, fluxbp__link_t *link) {
  link->next = list;
  link->prev = list->prev;
  list->prev->next = link;
  list->prev = link;
}

/* Nothing happens to a link that is in no list. */
static inline void fluxbp__link_remove(fluxbp__link_t *link) {
  if (link->next == NULL) return;
  link->prev->next = link->next;
  link->next->prev = link->prev;
  link->next = link->prev = NULL;
}

/* Move all links of `from` to the empty list `to`. */
static inline void fluxbp__list_take(fluxbp__link_t *to, fluxbp__link_t *from) {
  fluxbp__list_init(to);
  if (fluxbp__list_is_empty(from)) return;
  to->next = from->next;
  to->prev = from->prev;
  to->next->prev = to->prev->next = to;
  fluxbp__list_init(from);
}

#endif
