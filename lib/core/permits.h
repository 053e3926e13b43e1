/* SPDX-License-Identifier: MIT */
/*
 * permits: numbers that stand for a connection, each of which can be given back exactly once. A second time is noticed,
 * and so is a number that was never issued.
 *
 * Knows nothing of connections, threads and limits but the most permits that there may be at once.
 */
#ifndef FLUXBP_LIB_PERMITS_H
#define FLUXBP_LIB_PERMITS_H

#include "fluxbp/pool.h"

#include <stdbool.h>
#include <stdint.h>

/* What a permit stands for. */
typedef struct fluxbp__permitted {
  uint64_t address_key;
  bool is_refusal; /* not a connection: one that is being told that there is no room */
} fluxbp__permitted_t;

#define FLUXBP__NO_PERMIT_SLOT UINT32_MAX

typedef struct fluxbp__permit_slot {
  union {
    uint64_t address_key; /* of the peer that has it, if it is out */
    uint32_t next_free;   /* index of a slot, or FLUXBP__NO_PERMIT_SLOT, if it isn't */
  };
  uint32_t generation; /* of the permit that is out or will be the next: never 0 */
  bool is_out;
  bool is_refusal;
} fluxbp__permit_slot_t;

typedef struct fluxbp__permits {
  fluxbp_pool_t *pool;
  fluxbp__permit_slot_t *slots;
  uint32_t capacity;
  uint32_t max_permits;
  uint32_t first_free; /* index of a slot, or FLUXBP__NO_PERMIT_SLOT */
} fluxbp__permits_t;

/* Allocates nothing yet. */
void fluxbp__permits_init(fluxbp__permits_t *permits, fluxbp_pool_t *pool, uint32_t max_permits);
void fluxbp__permits_free(fluxbp__permits_t *permits);

/*
 * Make room for one more, so that the next fluxbp__permits_issue can't fail. 0 or UV_ENOMEM. With max_permits out there
 * is nothing to do: none can be issued then.
 */
int fluxbp__permits_reserve(fluxbp__permits_t *permits);

/* A number that isn't 0, and that isn't issued again before 2^32 others of its slot have been. */
uint64_t fluxbp__permits_issue(fluxbp__permits_t *permits, fluxbp__permitted_t permitted);

/* Take it back, and say what it stood for. False, and nothing is done, if it isn't out. */
bool fluxbp__permits_return(fluxbp__permits_t *permits, uint64_t permit, fluxbp__permitted_t *permitted);

#endif
