/* SPDX-License-Identifier: MIT */
/*
 * pool: blocks in size classes with a free list each, under one hard budget.
 *
 * Every block is a piece of the allocator's own, so a cached block can be given back at any time: when the budget has
 * no room for a block of one class, cached blocks of the others make it. What is held is therefore bounded by the
 * budget, whatever the mix of sizes was before. Relies on libuv's mutex alone; knows nothing of messages.
 */
#include "pool.h"

#include "options.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
  MIN_SHIFT = 6,  /* the smallest class is 64 bytes, a cache line */
  MAX_SHIFT = 20, /* blocks over 1 MiB are not cached: they are rare, and large enough to be worth a call */
  STEPS = 4,      /* classes to a doubling: at most a fifth of a block is wasted */
  CLASS_COUNT = (MAX_SHIFT - MIN_SHIFT) * STEPS + 1,
  RESERVE_FRACTION = 16, /* 1/16 of the budget is not for messages, */
  CONTROL_FRACTION = 32, /* and 1/32 not for what they are encoded into, either */
  ROOMY_FRACTION = 32,   /* the pool is roomy while less than 1/32 of the budget is used */
  TIGHT_FRACTION = 8,    /* the budget is tight when less than 1/8 of it is left */
  DOUBLED_ITEMS = 1024   /* arrays of fewer objects double; longer ones grow by an eighth */
};

static const uint64_t DEFAULT_MAX_BYTES = (uint64_t) 256 << 20;

typedef struct cached_block {
  struct cached_block *next;
} cached_block_t;

struct fluxbp_pool {
  uv_mutex_t lock; /* over everything below */
  fluxbp_allocator_t allocator;
  uint64_t objects; /* outside of the budget */
  bool is_orphan;   /* nobody will call destroy: the last block that comes back does it */
  fluxbp_pool_stats_t stats;
  uint64_t tight_bytes;
  _Atomic uint64_t used_bytes; /* written under the lock, read without */
  atomic_bool is_tight;        /* the same */
  _Atomic uint64_t generation; /* the same */
  cached_block_t *cached[CLASS_COUNT];
};

static void *malloc_alloc(size_t size, void *arg) {
  (void) arg;
  return malloc(size);
}

static void malloc_free(void *memory, size_t size, void *arg) {
  (void) size;
  (void) arg;
  free(memory);
}

/* Sizes are 64, then 80, 96, 112, 128, 160 … : four equal steps to each doubling. CLASS_COUNT if it isn't cached. */
static unsigned class_of(size_t size) {
  if (size <= (size_t) 1 << MIN_SHIFT) return 0;
  if (size > (size_t) 1 << MAX_SHIFT) return CLASS_COUNT;

  unsigned long long last = size - 1;
  unsigned shift = 63u - (unsigned) __builtin_clzll(last);
  unsigned step = (unsigned) (last >> (shift - 2)) & (STEPS - 1);
  return (shift - MIN_SHIFT) * STEPS + step + 1;
}

static size_t class_size(unsigned class) {
  if (class == 0) return (size_t) 1 << MIN_SHIFT;
  unsigned shift = MIN_SHIFT + (class - 1) / STEPS;
  unsigned step = (class - 1) % STEPS;
  return (size_t) (STEPS + step + 1) << (shift - 2);
}

size_t fluxbp__pool_block_size(size_t size) {
  unsigned class = class_of(size);
  return class == CLASS_COUNT ? size : class_size(class);
}

void fluxbp_pool_options_init_sized(fluxbp_pool_options_t *options, size_t size) {
  fluxbp_pool_options_t defaults = {
      .max_bytes = DEFAULT_MAX_BYTES,
      .allocator = {.alloc = malloc_alloc, .free = malloc_free},
  };
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

int fluxbp_pool_create(const fluxbp_pool_options_t *given, fluxbp_pool_t **out) {
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  int err = fluxbp__options_copy(&options, sizeof options, given);
  if (err) return err;
  if (out == NULL || options.max_bytes == 0) return UV_EINVAL;
  if (options.allocator.alloc == NULL || options.allocator.free == NULL) return UV_EINVAL;

  fluxbp_pool_t *pool = options.allocator.alloc(sizeof *pool, options.allocator.arg);
  if (pool == NULL) return UV_ENOMEM;
  memset(pool, 0, sizeof *pool);
  pool->allocator = options.allocator;
  pool->stats.max_bytes = options.max_bytes;
  pool->tight_bytes = options.max_bytes - options.max_bytes / TIGHT_FRACTION;
  atomic_init(&pool->used_bytes, 0);
  atomic_init(&pool->is_tight, false);
  atomic_init(&pool->generation, 1);
  pool->stats.allocator_calls = 1;
  err = uv_mutex_init(&pool->lock);
  if (err) {
    options.allocator.free(pool, sizeof *pool, options.allocator.arg);
    return err;
  }
  *out = pool;
  return 0;
}

static void *allocator_alloc(fluxbp_pool_t *pool, size_t size) {
  pool->stats.allocator_calls++;
  return pool->allocator.alloc(size, pool->allocator.arg);
}

static void allocator_free(fluxbp_pool_t *pool, void *memory, size_t size) {
  pool->stats.allocator_calls++;
  pool->allocator.free(memory, size, pool->allocator.arg);
}

/* Give cached blocks back, large ones first, until no more than `max_bytes` are held. */
static void shrink(fluxbp_pool_t *pool, uint64_t max_bytes) {
  unsigned class = CLASS_COUNT;
  while (pool->stats.held_bytes > max_bytes && class -- > 0) {
    while (pool->cached[class] != NULL && pool->stats.held_bytes > max_bytes) {
      cached_block_t *block = pool->cached[class];
      pool->cached[class] = block->next;
      pool->stats.held_bytes -= class_size(class);
      allocator_free(pool, block, class_size(class));
    }
  }
}

static int fits(const fluxbp_pool_stats_t *stats, fluxbp__block_t kind, uint64_t size) {
  if (size > stats->max_bytes - stats->used_bytes) return 0;
  if (kind == FLUXBP__CONTROL) return 1;

  uint64_t reserve = stats->max_bytes / (kind == FLUXBP__MESSAGE ? RESERVE_FRACTION : CONTROL_FRACTION);
  uint64_t max_payload = stats->max_bytes - reserve;
  return size <= max_payload && stats->payload_bytes <= max_payload - size;
}

static void *take_block(fluxbp_pool_t *pool, unsigned class, size_t size) {
  if (class < CLASS_COUNT && pool->cached[class] != NULL) {
    cached_block_t *block = pool->cached[class];
    pool->cached[class] = block->next;
    return block;
  }
  shrink(pool, pool->stats.max_bytes - size);
  void *memory = allocator_alloc(pool, size);
  if (memory != NULL) pool->stats.held_bytes += size;
  return memory;
}

static void note_used(fluxbp_pool_t *pool) {
  atomic_store_explicit(&pool->used_bytes, pool->stats.used_bytes, memory_order_relaxed);
  bool is_tight = pool->stats.used_bytes >= pool->tight_bytes;
  if (is_tight != atomic_load_explicit(&pool->is_tight, memory_order_relaxed))
    atomic_store_explicit(&pool->is_tight, is_tight, memory_order_relaxed);
}

/* It is asked in every iteration of a loop, so the usual answer takes no lock. */
uint64_t fluxbp__pool_generation(const fluxbp_pool_t *pool) {
  return atomic_load_explicit(&pool->generation, memory_order_relaxed);
}

bool fluxbp__pool_is_roomy(const fluxbp_pool_t *pool) {
  return atomic_load_explicit(&pool->used_bytes, memory_order_relaxed) < pool->stats.max_bytes / ROOMY_FRACTION;
}

bool fluxbp__pool_is_tight(fluxbp_pool_t *pool, uint64_t going_bytes) {
  if (!atomic_load_explicit(&pool->is_tight, memory_order_relaxed)) return false;
  if (going_bytes == 0) return true;
  uv_mutex_lock(&pool->lock);
  bool is_tight = pool->stats.used_bytes >= pool->tight_bytes + going_bytes;
  uv_mutex_unlock(&pool->lock);
  return is_tight;
}

int fluxbp__pool_alloc(fluxbp_pool_t *pool, fluxbp__block_t kind, size_t size, void **memory) {
  unsigned class = class_of(size);
  if (class < CLASS_COUNT) size = class_size(class);

  uv_mutex_lock(&pool->lock);
  fluxbp_pool_stats_t *stats = &pool->stats;
  int err = 0;
  if (!fits(stats, kind, size)) {
    stats->refused++;
    err = UV_ENOBUFS;
  } else if ((*memory = take_block(pool, class, size)) == NULL) {
    err = UV_ENOMEM;
  } else {
    stats->used_bytes += size;
    if (kind != FLUXBP__CONTROL) stats->payload_bytes += size;
    if (kind != FLUXBP__MESSAGE) atomic_fetch_add_explicit(&pool->generation, 1, memory_order_relaxed);
    if (stats->used_bytes > stats->peak_used_bytes) stats->peak_used_bytes = stats->used_bytes;
    note_used(pool);
  }
  uv_mutex_unlock(&pool->lock);
  return err;
}

int fluxbp_pool_reserve(fluxbp_pool_t *pool, uint64_t bytes) {
  if (bytes == 0) return UV_EINVAL;
  uv_mutex_lock(&pool->lock);
  fluxbp_pool_stats_t *stats = &pool->stats;
  bool has_room = fits(stats, FLUXBP__MESSAGE, bytes);
  if (has_room) {
    shrink(pool, stats->max_bytes - bytes);
    stats->reserved_bytes += bytes;
    stats->payload_bytes += bytes;
    stats->held_bytes += bytes;
    stats->used_bytes += bytes;
    if (stats->used_bytes > stats->peak_used_bytes) stats->peak_used_bytes = stats->used_bytes;
    note_used(pool);
  } else {
    stats->refused++;
  }
  uv_mutex_unlock(&pool->lock);
  return has_room ? 0 : UV_ENOBUFS;
}

static bool is_busy(const fluxbp_pool_t *pool) {
  return pool->stats.used_bytes > 0 || pool->objects > 0;
}

static void unlock_after_free(fluxbp_pool_t *pool) {
  bool was_last = pool->is_orphan && !is_busy(pool);
  uv_mutex_unlock(&pool->lock);
  if (was_last) (void) fluxbp_pool_destroy(pool);
}

void fluxbp__pool_free(fluxbp_pool_t *pool, fluxbp__block_t kind, void *memory, size_t size) {
  if (memory == NULL) return;
  unsigned class = class_of(size);
  if (class < CLASS_COUNT) size = class_size(class);

  uv_mutex_lock(&pool->lock);
  assert(pool->stats.used_bytes >= size && "a block was freed twice, or with another size");
  pool->stats.used_bytes -= size;
  if (kind != FLUXBP__CONTROL) pool->stats.payload_bytes -= size;
  note_used(pool);
  if (class < CLASS_COUNT) {
    cached_block_t *block = memory;
    block->next = pool->cached[class];
    pool->cached[class] = block;
  } else {
    pool->stats.held_bytes -= size;
    allocator_free(pool, memory, size);
  }
  unlock_after_free(pool);
}

void fluxbp_pool_release(fluxbp_pool_t *pool, uint64_t bytes) {
  uv_mutex_lock(&pool->lock);
  fluxbp_pool_stats_t *stats = &pool->stats;
  assert(stats->reserved_bytes >= bytes && "more was released than was reserved");
  stats->reserved_bytes -= bytes;
  stats->payload_bytes -= bytes;
  stats->held_bytes -= bytes;
  stats->used_bytes -= bytes;
  note_used(pool);
  unlock_after_free(pool);
}

void *fluxbp__pool_alloc_object(fluxbp_pool_t *pool, size_t size) {
  uv_mutex_lock(&pool->lock);
  void *memory = allocator_alloc(pool, size);
  if (memory != NULL) pool->objects++;
  uv_mutex_unlock(&pool->lock);
  return memory == NULL ? NULL : memset(memory, 0, size);
}

void fluxbp__pool_free_object(fluxbp_pool_t *pool, void *memory, size_t size) {
  if (memory == NULL) return;
  uv_mutex_lock(&pool->lock);
  assert(pool->objects > 0);
  pool->objects--;
  allocator_free(pool, memory, size);
  unlock_after_free(pool);
}

uint32_t fluxbp__pool_next_capacity(uint32_t capacity, uint32_t least) {
  if (capacity == 0) return least;
  return capacity < DOUBLED_ITEMS ? capacity * 2 : capacity + capacity / 8;
}

void *fluxbp__pool_grow_array(fluxbp_pool_t *pool, void *array, size_t size, uint32_t from, uint32_t capacity) {
  void *grown = fluxbp__pool_alloc_object(pool, capacity * size);
  if (grown == NULL) return NULL;
  if (from > 0) memcpy(grown, array, from * size);
  fluxbp__pool_free_object(pool, array, from * size);
  return grown;
}

void fluxbp_pool_trim(fluxbp_pool_t *pool) {
  uv_mutex_lock(&pool->lock);
  shrink(pool, 0);
  uv_mutex_unlock(&pool->lock);
}

void fluxbp_pool_get_stats_sized(fluxbp_pool_t *pool, fluxbp_pool_stats_t *stats, size_t size) {
  uv_mutex_lock(&pool->lock);
  fluxbp__result_write(stats, size, &pool->stats, sizeof pool->stats);
  uv_mutex_unlock(&pool->lock);
}

uint64_t fluxbp_pool_used_bytes(const fluxbp_pool_t *pool) {
  return atomic_load_explicit(&pool->used_bytes, memory_order_relaxed);
}

void fluxbp__pool_orphan(fluxbp_pool_t *pool) {
  uv_mutex_lock(&pool->lock);
  pool->is_orphan = true;
  unlock_after_free(pool);
}

int fluxbp_pool_destroy(fluxbp_pool_t *pool) {
  uv_mutex_lock(&pool->lock);
  bool busy = is_busy(pool);
  uv_mutex_unlock(&pool->lock);
  if (busy) return UV_EBUSY;

  fluxbp_pool_trim(pool);
  uv_mutex_destroy(&pool->lock);
  fluxbp_allocator_t allocator = pool->allocator;
  allocator.free(pool, sizeof *pool, allocator.arg);
  return 0;
}
