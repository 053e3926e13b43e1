/* SPDX-License-Identifier: MIT */
/*
 * backbone_blocks: pieces of the stream's past, as they were fetched for clients that resume, and which are wanted
 * next.
 *
 * Each client has one want, and so one place in the queue of those that wait; who gets a block goes to its end for the
 * next one. So a client waits for no more blocks than there are clients that resume, whatever these want. The block
 * stays until the client has come for it. Bounded: of blocks that nobody has in use those that were used least recently
 * go, so clients that come from one gateway share them; and while all are in use none is fetched. Knows nothing of NATS
 * and threads.
 */
#ifndef FLUXBP_NATS_BACKBONE_BLOCKS_H
#define FLUXBP_NATS_BACKBONE_BLOCKS_H

#include "server/backbone.h"

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most so many are kept. */
#define BLOCKS_KEPT 64

struct blocks {
  struct block *kept[BLOCKS_KEPT]; /* a reference each */
  size_t count;
  uint64_t uses;
  struct queue wanted;
};

void blocks_init(struct blocks *blocks);

/** An empty block, with a reference for the caller; NULL without memory. */
struct block *block_create(uint64_t first);

/** Add a message, of which it takes a reference over. There is room for BLOCK_MESSAGES. */
void block_add(struct block *block, uint64_t id, uint64_t topic, fluxbp_msg_t *msg);

/** What is before that id has gone from the stream: it is no part of it any more. */
void block_trim(struct block *block, uint64_t first);

/** Give up a reference. NULL is allowed. */
void block_unref(struct block *block);

/** The block with that id in its range, with a reference for the caller. NULL: it isn't there, but wanted from now
 * on. */
struct block *blocks_get(struct blocks *blocks, struct block_want *want, uint64_t id);

/** Nothing is wanted any more. */
void block_want_forget(struct block_want *want);

/**
 * What is to be fetched: the id that has been wanted for longest and is in no block. Who wants what there is gets it;
 * and there is a place for the block, with no more than `most` (at least 1) of them.
 *
 * @return false: nothing is wanted, or all blocks are in use
 */
bool blocks_next_wanted(struct blocks *blocks, size_t most, uint64_t *id);

/** It can't be fetched now: who wants it goes to the end of the queue. */
void blocks_put_off(struct blocks *blocks, uint64_t id);

/** Keep the block that was fetched for what blocks_next_wanted said, with a reference of its own. */
void blocks_keep(struct blocks *blocks, struct block *block);

/** Let go of those that nobody has in use. */
void blocks_drop_unused(struct blocks *blocks);

/** Let go of all. Nobody wants any more. */
void blocks_clear(struct blocks *blocks);

#endif
