/* SPDX-License-Identifier: MIT */
/*
 * backbone_blocks: pieces of the stream's past, as they were fetched for clients that resume, and which are wanted next.
 * Bounded: those that were used least recently go, so clients that come from one gateway share them. Knows nothing of NATS
 * and threads.
 */
#ifndef GATEWAY_BACKBONE_BLOCKS_H
#define GATEWAY_BACKBONE_BLOCKS_H

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Half of a ring of the default length, so one that is empty takes a block at a time. */
#define BLOCK_MESSAGES 128

/* At most so many are kept, and so many wanted; who wants another asks again. */
#define BLOCKS_KEPT 64
#define BLOCKS_WANTED 256

struct block_message {
  uint64_t id;
  uint64_t topic;    /* server_topic_key of its name */
  fluxbp_msg_t *msg; /* a reference */
};

/* All that the stream has from the id `first` to before the id `end`. */
struct block {
  uint64_t first, end;
  size_t count;
  struct block_message messages[BLOCK_MESSAGES];
  unsigned references;
  uint64_t used; /* when: a count of uses of any */
};

struct blocks {
  struct block *kept[BLOCKS_KEPT]; /* a reference each */
  size_t count;
  uint64_t uses;
  uint64_t wanted[BLOCKS_WANTED]; /* ids, the oldest at wanted[wanted_first % BLOCKS_WANTED] */
  size_t wanted_first, wanted_count;
};

/** An empty block, with a reference for the caller; NULL without memory. */
struct block *block_create(uint64_t first);

/** Add a message, of which it takes a reference over. There is room for BLOCK_MESSAGES. */
void block_add(struct block *block, uint64_t id, uint64_t topic, fluxbp_msg_t *msg);

/** Give up a reference. NULL is allowed. */
void block_unref(struct block *block);

/** The block with that id in its range, with a reference for the caller; or NULL. */
struct block *blocks_find(struct blocks *blocks, uint64_t id);

/** Keep a block, with a reference of its own; those used least recently go until there are no more than `most`. */
void blocks_keep(struct blocks *blocks, struct block *block, size_t most);

/** Let go of all. Those in use are freed by whoever uses them. */
void blocks_clear(struct blocks *blocks);

/** Somebody wants what comes from that id on. One that is wanted already stays where it is; with too many it is left out. */
void blocks_want(struct blocks *blocks, uint64_t id);

/** The id that was wanted first and has come in no block since. @return false: there is none */
bool blocks_take_wanted(struct blocks *blocks, uint64_t *id);

#endif
