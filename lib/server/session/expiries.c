/* SPDX-License-Identifier: MIT */
/*
 * expiries: the heap of textbooks (Williams 1964), with places that count from 1.
 */
#include "expiries.h"

#include <stdlib.h>
#include <uv.h>

#define CAPACITY_AT_FIRST 64

void expiries_free(struct expiries *expiries) {
  free(expiries->heap);
  *expiries = (struct expiries){0};
}

static struct expiry *expiry_at(const struct expiries *expiries, uint32_t place) {
  return expiries->heap[place - 1];
}

static void put_expiry(struct expiries *expiries, struct expiry *expiry, uint32_t place) {
  expiries->heap[place - 1] = expiry;
  expiry->place = place;
}

static void move_up(struct expiries *expiries, struct expiry *expiry, uint32_t place) {
  while (place > 1 && expiry_at(expiries, place / 2)->at_s > expiry->at_s) {
    put_expiry(expiries, expiry_at(expiries, place / 2), place);
    place /= 2;
  }
  put_expiry(expiries, expiry, place);
}

static void move_down(struct expiries *expiries, struct expiry *expiry, uint32_t place) {
  for (uint32_t child = 2 * place; child <= expiries->count; child = 2 * place) {
    if (child < expiries->count && expiry_at(expiries, child + 1)->at_s < expiry_at(expiries, child)->at_s) child++;
    if (expiry_at(expiries, child)->at_s >= expiry->at_s) break;
    put_expiry(expiries, expiry_at(expiries, child), place);
    place = child;
  }
  put_expiry(expiries, expiry, place);
}

int expiries_set(struct expiries *expiries, struct expiry *expiry, uint64_t at_s) {
  if (expiry->place == 0 && expiries->count == expiries->capacity) {
    uint32_t capacity = expiries->capacity > 0 ? expiries->capacity * 2 : CAPACITY_AT_FIRST;
    struct expiry **heap = realloc(expiries->heap, capacity * sizeof(struct expiry *));
    if (heap == NULL) return UV_ENOMEM;
    expiries->heap = heap;
    expiries->capacity = capacity;
  }
  uint32_t place = expiry->place != 0 ? expiry->place : ++expiries->count;
  expiry->at_s = at_s;
  move_up(expiries, expiry, place);
  move_down(expiries, expiry, expiry->place);
  return 0;
}

void expiries_remove(struct expiries *expiries, struct expiry *expiry) {
  uint32_t place = expiry->place;
  if (place == 0) return;
  struct expiry *last = expiry_at(expiries, expiries->count--);
  expiry->place = 0;
  if (last == expiry) return;
  move_up(expiries, last, place);
  move_down(expiries, last, last->place);
}

struct expiry *expiries_first_due(const struct expiries *expiries, uint64_t now_s) {
  struct expiry *first = expiries->count > 0 ? expiry_at(expiries, 1) : NULL;
  return first != NULL && first->at_s <= now_s ? first : NULL;
}
