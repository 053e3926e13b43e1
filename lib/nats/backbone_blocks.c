/* SPDX-License-Identifier: MIT */
/*
 * backbone_blocks: a few dozen blocks, so they are looked through one by one.
 */
#include "backbone_blocks.h"

#include <stdlib.h>
#include <string.h>

struct block *block_create(uint64_t first) {
  struct block *block = calloc(1, sizeof *block);
  if (block == NULL) return NULL;
  block->first = block->end = first;
  block->references = 1;
  return block;
}

void block_add(struct block *block, uint64_t id, uint64_t topic, fluxbp_msg_t *msg) {
  block->messages[block->count++] = (struct block_message){.id = id, .topic = topic, .msg = msg};
}

void block_trim(struct block *block, uint64_t first) {
  if (first <= block->first) return;
  size_t gone = 0;
  while (gone < block->count && block->messages[gone].id < first) fluxbp_msg_unref(block->messages[gone++].msg);
  block->count -= gone;
  memmove(block->messages, block->messages + gone, block->count * sizeof block->messages[0]);
  block->first = first;
}

void block_unref(struct block *block) {
  if (block == NULL || --block->references > 0) return;
  for (size_t i = 0; i < block->count; i++) fluxbp_msg_unref(block->messages[i].msg);
  free(block);
}

static bool covers(const struct block *block, uint64_t id) {
  return block->first <= id && id < block->end;
}

/* NULL: none. */
static struct block *look_up(const struct blocks *blocks, uint64_t id) {
  for (size_t i = 0; i < blocks->count; i++)
    if (covers(blocks->kept[i], id)) return blocks->kept[i];
  return NULL;
}

void blocks_init(struct blocks *blocks) {
  *blocks = (struct blocks){.count = 0};
  queue_init(&blocks->wanted);
}

/* A reference for somebody. */
static struct block *use(struct blocks *blocks, struct block *block) {
  block->used = ++blocks->uses;
  block->references++;
  return block;
}

void block_want_forget(struct block_want *want) {
  queue_remove(&want->link);
  block_unref(want->block);
  want->block = NULL;
}

struct block *blocks_get(struct blocks *blocks, struct block_want *want, uint64_t id) {
  struct block *found = look_up(blocks, id);
  if (found != NULL) {
    block_want_forget(want);
    return use(blocks, found);
  }
  if (want->link.next != NULL) return NULL; /* it waits */
  want->id = id;
  queue_append(&blocks->wanted, &want->link);
  return NULL;
}

static bool is_in_use(const struct block *block) {
  return block->references > 1;
}

static void drop_block(struct blocks *blocks, size_t place) {
  block_unref(blocks->kept[place]);
  blocks->kept[place] = blocks->kept[--blocks->count];
}

/* @return false: all are in use */
static bool drop_least_used(struct blocks *blocks) {
  size_t least = blocks->count;
  for (size_t i = 0; i < blocks->count; i++)
    if (!is_in_use(blocks->kept[i]) && (least == blocks->count || blocks->kept[i]->used < blocks->kept[least]->used))
      least = i;
  if (least == blocks->count) return false;
  drop_block(blocks, least);
  return true;
}

static bool make_place(struct blocks *blocks, size_t most) {
  if (most > BLOCKS_KEPT) most = BLOCKS_KEPT;
  while (blocks->count >= most)
    if (!drop_least_used(blocks)) return false;
  return true;
}

static struct block_want *first_want(const struct blocks *blocks) {
  struct queue_link *first = queue_first(&blocks->wanted);
  return first != NULL ? QUEUE_ITEM(first, struct block_want, link) : NULL;
}

bool blocks_next_wanted(struct blocks *blocks, size_t most, uint64_t *id) {
  struct block_want *want;
  struct block *block;
  while ((want = first_want(blocks)) != NULL && (block = look_up(blocks, want->id)) != NULL) {
    queue_remove(&want->link);
    want->block = use(blocks, block);
  }
  if (want == NULL || !make_place(blocks, most)) return false;
  *id = want->id;
  return true;
}

void blocks_put_off(struct blocks *blocks, uint64_t id) {
  struct block_want *want = first_want(blocks);
  if (want == NULL || want->id != id) return; /* it isn't wanted any more */
  queue_remove(&want->link);
  queue_append(&blocks->wanted, &want->link);
}

void blocks_keep(struct blocks *blocks, struct block *block) {
  blocks->kept[blocks->count++] = use(blocks, block);
}

void blocks_drop_unused(struct blocks *blocks) {
  while (drop_least_used(blocks)) continue;
}

void blocks_clear(struct blocks *blocks) {
  while (blocks->count > 0) drop_block(blocks, blocks->count - 1);
}
