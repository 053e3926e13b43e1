/* SPDX-License-Identifier: MIT */
/*
 * expiries: items in the order of the times at which each is due: a binary heap. An item has its place in the heap in
 * itself, so that it can be removed. Does no input and no output; the caller keeps the time.
 *
 * Cost: adding, moving and removing take the logarithm of the number of items.
 */
#ifndef FLUXBP_SERVER_EXPIRIES_H
#define FLUXBP_SERVER_EXPIRIES_H

#include <stdint.h>

/* A part of what is due. All zero: it is in no heap. */
struct expiry {
  uint64_t at_s;
  uint32_t place; /* in the heap, from 1 on; 0: in none */
};

/* All zero at first. */
struct expiries {
  struct expiry **heap;
  uint32_t count, capacity;
};

void expiries_free(struct expiries *expiries);

/** Set when an item is due, whether it is in the heap already or not. @return 0, or UV_ENOMEM: nothing has changed */
int expiries_set(struct expiries *expiries, struct expiry *expiry, uint64_t at_s);

/** Remove an item, if it is in the heap. */
void expiries_remove(struct expiries *expiries, struct expiry *expiry);

/** Return the first item if it is due at `now_s`, and leave it where it is; NULL: none is. */
struct expiry *expiries_first_due(const struct expiries *expiries, uint64_t now_s);

#endif
