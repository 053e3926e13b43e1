/* SPDX-License-Identifier: MIT */
/*
 * backbone_blocks: a few dozen blocks, so they are looked through one by one.
 */
#include "backbone_blocks.h"

#include <stdlib.h>

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

struct block *blocks_find(struct blocks *blocks, uint64_t id) {
  struct block *block = look_up(blocks, id);
  if (block == NULL) return NULL;
  block->used = ++blocks->uses;
  block->references++;
  return block;
}

static void drop_least_used(struct blocks *blocks) {
  size_t least = 0;
  for (size_t i = 1; i < blocks->count; i++)
    if (blocks->kept[i]->used < blocks->kept[least]->used) least = i;
  block_unref(blocks->kept[least]);
  blocks->kept[least] = blocks->kept[--blocks->count];
}

void blocks_keep(struct blocks *blocks, struct block *block, size_t most) {
  if (most > BLOCKS_KEPT) most = BLOCKS_KEPT;
  while (blocks->count > 0 && blocks->count >= most) drop_least_used(blocks);
  block->used = ++blocks->uses;
  block->references++;
  blocks->kept[blocks->count++] = block;
}

void blocks_clear(struct blocks *blocks) {
  while (blocks->count > 0) block_unref(blocks->kept[--blocks->count]);
}

static uint64_t *wanted_at(struct blocks *blocks, size_t place) {
  return &blocks->wanted[(blocks->wanted_first + place) % BLOCKS_WANTED];
}

void blocks_want(struct blocks *blocks, uint64_t id) {
  if (blocks->wanted_count == BLOCKS_WANTED) return;
  for (size_t i = 0; i < blocks->wanted_count; i++)
    if (*wanted_at(blocks, i) == id) return;
  *wanted_at(blocks, blocks->wanted_count++) = id;
}

bool blocks_take_wanted(struct blocks *blocks, uint64_t *id) {
  while (blocks->wanted_count > 0) {
    *id = *wanted_at(blocks, 0);
    blocks->wanted_first++;
    blocks->wanted_count--;
    if (look_up(blocks, *id) == NULL) return true;
  }
  return false;
}
