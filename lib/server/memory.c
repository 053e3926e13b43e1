/* SPDX-License-Identifier: MIT */
/*
 * memory: see the header. In front of each block is its account and its size, so that memory_free needs neither.
 *
 * An account has max(used_bytes, own_bytes) reserved in the pool. So the pool is called only for what goes beyond
 * own_bytes. The lock is held across that call: otherwise a refused block of one thread could be undone while another
 * thread counts on its place.
 */
#include "memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The shares, as parts of the budget, and what of a share is reserved. */
static const struct { uint64_t parts, of; } SHARES[MEMORY_KINDS] = {[MEMORY_HEADS] = {1, 16}, [MEMORY_INPUT] = {3, 16}};
#define OWN_PART 4

struct header {
  struct memory_account *account; /* NULL: the block isn't counted */
  size_t size;                    /* without the header */
};

_Static_assert(sizeof(struct header) % _Alignof(max_align_t) == 0, "a block is aligned for any type");

static uint64_t own_bytes_of_all(const struct memory *memory) {
  uint64_t bytes = 0;
  for (int kind = 0; kind < MEMORY_KINDS; kind++) bytes += memory->accounts[kind].own_bytes;
  return bytes;
}

int memory_init(struct memory *memory, fluxbp_pool_t *pool) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(pool, &stats);
  for (int kind = 0; kind < MEMORY_KINDS; kind++) {
    uint64_t max_bytes = stats.max_bytes / SHARES[kind].of * SHARES[kind].parts;
    struct memory_account *account = &memory->accounts[kind];
    account->memory = memory;
    account->max_bytes = max_bytes;
    account->own_bytes = max_bytes / OWN_PART;
    atomic_init(&account->used_bytes, 0);
  }
  atomic_init(&memory->refused, 0);
  int err = uv_mutex_init(&memory->lock);
  if (err != 0) return err;
  uint64_t own_bytes = own_bytes_of_all(memory);
  err = own_bytes > 0 ? fluxbp_pool_reserve(pool, own_bytes) : 0;
  if (err != 0)
    uv_mutex_destroy(&memory->lock);
  else
    memory->pool = pool;
  return err;
}

void memory_end(struct memory *memory) {
  if (memory->pool == NULL) return;
  for (int kind = 0; kind < MEMORY_KINDS; kind++)
    assert(memory->accounts[kind].used_bytes == 0 && "a block was not freed");
  if (own_bytes_of_all(memory) > 0) fluxbp_pool_release(memory->pool, own_bytes_of_all(memory));
  uv_mutex_destroy(&memory->lock);
  memory->pool = NULL;
}

static uint64_t beyond_own(const struct memory_account *account, uint64_t used_bytes) {
  return used_bytes > account->own_bytes ? used_bytes - account->own_bytes : 0;
}

static bool reserve_more(struct memory_account *account, uint64_t used_bytes) {
  uint64_t more = beyond_own(account, used_bytes) - beyond_own(account, account->used_bytes);
  return more == 0 || fluxbp_pool_reserve(account->memory->pool, more) == 0;
}

static bool account_charge(struct memory_account *account, uint64_t bytes) {
  struct memory *memory = account->memory;
  uv_mutex_lock(&memory->lock);
  bool has_room = bytes <= account->max_bytes && account->used_bytes <= account->max_bytes - bytes &&
                  reserve_more(account, account->used_bytes + bytes);
  if (has_room)
    account->used_bytes += bytes;
  else
    memory->refused++;
  uv_mutex_unlock(&memory->lock);
  return has_room;
}

static void account_discharge(struct memory_account *account, uint64_t bytes) {
  struct memory *memory = account->memory;
  uv_mutex_lock(&memory->lock);
  assert(account->used_bytes >= bytes && "more was discharged than was charged");
  uint64_t less = beyond_own(account, account->used_bytes) - beyond_own(account, account->used_bytes - bytes);
  account->used_bytes -= bytes;
  if (less > 0) fluxbp_pool_release(memory->pool, less);
  uv_mutex_unlock(&memory->lock);
}

bool memory_charge(struct memory *memory, enum memory_kind kind, size_t bytes) {
  return memory == NULL || account_charge(&memory->accounts[kind], bytes);
}

size_t memory_most(const struct memory *memory, enum memory_kind kind) {
  return (size_t) (memory->accounts[kind].max_bytes / 2);
}

void memory_discharge(struct memory *memory, enum memory_kind kind, size_t bytes) {
  if (memory != NULL) account_discharge(&memory->accounts[kind], bytes);
}

void *memory_alloc(struct memory *memory, enum memory_kind kind, size_t size) {
  if (size > SIZE_MAX - sizeof(struct header)) return NULL;
  if (!memory_charge(memory, kind, sizeof(struct header) + size)) return NULL;
  struct header *header = calloc(1, sizeof *header + size);
  if (header == NULL) {
    memory_discharge(memory, kind, sizeof *header + size);
    return NULL;
  }
  *header = (struct header){memory != NULL ? &memory->accounts[kind] : NULL, size};
  return header + 1;
}

void *memory_resize(struct memory *memory, enum memory_kind kind, void *block, size_t size) {
  if (block == NULL) return memory_alloc(memory, kind, size);
  struct header *header = (struct header *) block - 1;
  struct memory_account *account = header->account;
  size_t before = header->size;
  if (size > SIZE_MAX - sizeof *header) return NULL;
  if (account != NULL && size > before && !account_charge(account, size - before)) return NULL;
  struct header *moved = realloc(header, sizeof *header + size);
  if (moved == NULL) {
    if (account != NULL && size > before) account_discharge(account, size - before);
    return NULL;
  }
  if (account != NULL && size < before) account_discharge(account, before - size);
  moved->size = size;
  return moved + 1;
}

char *memory_copy(struct memory *memory, enum memory_kind kind, const void *data, size_t length) {
  char *copy = length < SIZE_MAX ? memory_alloc(memory, kind, length + 1) : NULL;
  if (copy != NULL && length > 0) memcpy(copy, data, length);
  return copy;
}

void memory_free(void *block) {
  if (block == NULL) return;
  struct header *header = (struct header *) block - 1;
  struct memory_account *account = header->account;
  size_t bytes = sizeof *header + header->size;
  free(header);
  if (account != NULL) account_discharge(account, bytes);
}

void memory_get_stats(const struct memory *memory, struct memory_stats *stats) {
  *stats = (struct memory_stats){.refused = atomic_load(&memory->refused)};
  for (int kind = 0; kind < MEMORY_KINDS; kind++) {
    const struct memory_account *account = &memory->accounts[kind];
    uint64_t used_bytes = atomic_load(&account->used_bytes);
    stats->used_bytes += used_bytes;
    stats->max_bytes += account->max_bytes;
    if (used_bytes < account->own_bytes) stats->idle_bytes += account->own_bytes - used_bytes;
  }
}

void memory_get_pool_stats(const struct memory *memory, fluxbp_pool_stats_t *stats) {
  struct memory_stats input;
  memory_get_stats(memory, &input);
  fluxbp_pool_get_stats(memory->pool, stats);
  stats->used_bytes -= input.idle_bytes;
  stats->payload_bytes -= input.idle_bytes;
  stats->held_bytes -= input.idle_bytes;
  stats->reserved_bytes -= input.idle_bytes;
  stats->peak_used_bytes -= own_bytes_of_all(memory);
  if (stats->peak_used_bytes < stats->used_bytes) stats->peak_used_bytes = stats->used_bytes;
}
