/* SPDX-License-Identifier: MIT */
/*
 * inflater: deflate blocks (RFC 1951) of a client become the bytes that they stand for, up to a limit, by zlib. Nothing
 * is kept from one run to the next, so one inflater serves all clients of a shard, however many of them compress.
 *
 * Thread: one at a time.
 */
#ifndef FLUXBP_SERVER_INFLATER_H
#define FLUXBP_SERVER_INFLATER_H

#include "server/memory.h"

#include <stddef.h>

struct inflater;

enum inflated {
  INFLATED_OK,
  INFLATED_TOO_LONG, /* it would be longer than the limit; a byte beyond that was made at most */
  INFLATED_CORRUPT,  /* no blocks, or half a block */
  INFLATED_NO_MEMORY
};

/** Return an inflater, which has 45 KB of memory outside of the budget; NULL if there is no memory. */
struct inflater *inflater_create(void);

/** NULL is no inflater. */
void inflater_destroy(struct inflater *inflater);

/**
 * Inflate a message of a WebSocket (RFC 7692, 7.2.2): `blocks` lack the four bytes that DEFLATER_TAIL_BYTES counts. A
 * block that says that it is the last one may be followed by others, which don't refer to it.
 *
 * @param memory    against which the result counts; NULL: against none
 * @param max_bytes the result may have at most, at least 1
 * @param data      is set with INFLATED_OK: the result, to be given back by memory_free; NULL if it has no bytes
 */
enum inflated inflater_run(struct inflater *inflater, struct memory *memory, const void *blocks, size_t blocks_length,
                           size_t max_bytes, char **data, size_t *length);

#endif
