/* SPDX-License-Identifier: MIT */
/*
 * bus_life: a bus from its creation to its end, and its figures. bus.c has what publishers do.
 */
#include "bus_parts.h"
#include "options.h"
#include "pool.h"

#include <assert.h>

enum { SLOTS_DEFAULT = 16384, TOPICS_DEFAULT = 65536, FIRST_ID_DEFAULT = 1 };

void fluxbp_bus_options_init_sized(fluxbp_bus_options_t *options, size_t size) {
  fluxbp_bus_options_t defaults = {.slots = SLOTS_DEFAULT, .first_id = FIRST_ID_DEFAULT, .max_topics = TOPICS_DEFAULT};
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

static bool is_valid(const fluxbp_bus_options_t *options) {
  uint32_t slots = options->slots;
  if (slots < 2 || slots > FLUXBP_BUS_SLOTS_MAX || (slots & (slots - 1)) != 0) return false;
  if (options->max_topics < 1 || options->max_topics > FLUXBP_BUS_TOPICS_MAX) return false;
  return options->first_id >= 1 && options->first_id <= FLUXBP_BUS_FIRST_ID_MAX;
}

/* The bus, behind it the slots, and then their origins. The bus begins with a cache line, which the allocator doesn't
 * promise. */
static fluxbp_bus_t *allocate(fluxbp_pool_t *pool, uint32_t slots) {
  size_t size = sizeof(fluxbp_bus_t) + slots * (sizeof(slot_t) + sizeof(uint64_t)) + CACHE_LINE - 1;
  void *memory = fluxbp__pool_alloc_object(pool, size);
  if (memory == NULL) return NULL;

  fluxbp_bus_t *bus = (fluxbp_bus_t *) (((uintptr_t) memory + CACHE_LINE - 1) & ~(uintptr_t) (CACHE_LINE - 1));
  bus->pool = pool;
  bus->memory = memory;
  bus->memory_size = size;
  bus->slots = (slot_t *) (bus + 1);
  bus->origins = (uint64_t *) (bus->slots + slots);
  bus->slot_count = slots;
  return bus;
}

static void set_up(fluxbp_bus_t *bus, const fluxbp_bus_options_t *options) {
  uint64_t first_id = options->first_id;
  bus->first_id = bus->settled = first_id;
  bus->last_id = first_id - 1;
  bus->has_own_ids = options->own_ids;
  bus->epoch = options->epoch;
  atomic_init(&bus->head, first_id << POSITION_SHIFT | NOBODY);
  atomic_init(&bus->slowest, first_id);
  for (size_t i = 0; i < FLUXBP_BUS_READERS_MAX; i++) {
    atomic_init(&bus->seats[i].cursor, NO_CURSOR);
    atomic_init(&bus->seats[i].alarm, RINGS);
  }
}

int fluxbp_bus_create(fluxbp_pool_t *pool, const fluxbp_bus_options_t *given, fluxbp_bus_t **out) {
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  int err = fluxbp__options_copy(&options, sizeof options, given);
  if (err) return err;
  if (pool == NULL || out == NULL || !is_valid(&options)) return UV_EINVAL;

  fluxbp_bus_t *bus = allocate(pool, options.slots);
  if (bus == NULL) return UV_ENOMEM;
  set_up(bus, &options);
  if (bus->epoch == 0) err = uv_random(NULL, NULL, &bus->epoch, sizeof bus->epoch, 0, NULL);
  if (err) goto free_memory;
  err = uv_mutex_init(&bus->lock);
  if (err) goto free_memory;
  err = fluxbp__bus_topics_init(&bus->topics, pool, options.max_topics);
  if (err) goto destroy_lock;
  *out = bus;
  return 0;

destroy_lock:
  uv_mutex_destroy(&bus->lock);
free_memory:
  fluxbp__pool_free_object(pool, bus->memory, bus->memory_size);
  return err;
}

int fluxbp_bus_destroy(fluxbp_bus_t *bus) {
  uv_mutex_lock(&bus->lock);
  bool is_busy = bus->readers > 0;
  uv_mutex_unlock(&bus->lock);
  if (is_busy) return UV_EBUSY;

  for (uint64_t i = 0; i < bus->slot_count; i++)
    assert(atomic_load(&bus->slots[i].unpassed) == 0 && "a message was published while the bus was destroyed");
  fluxbp__bus_topics_destroy(&bus->topics);
  uv_mutex_destroy(&bus->lock);
  fluxbp__pool_free_object(bus->pool, bus->memory, bus->memory_size);
  return 0;
}

uint64_t fluxbp_bus_epoch(const fluxbp_bus_t *bus) {
  return bus->epoch;
}

void fluxbp_bus_get_stats_sized(fluxbp_bus_t *bus, fluxbp_bus_stats_t *out, size_t size) {
  uint64_t slowest = NO_CURSOR;
  uv_mutex_lock(&bus->lock);
  fluxbp_bus_stats_t stats = {.slots = (uint32_t) bus->slot_count, .readers = bus->readers};
  for (unsigned i = 0; i < FLUXBP_BUS_READERS_MAX; i++) {
    uint64_t cursor = atomic_load_explicit(&bus->seats[i].cursor, memory_order_acquire);
    if (cursor >= slowest) continue;
    slowest = cursor;
    stats.slowest = bus->seats[i].user;
  }
  uint64_t position = position_of(atomic_load_explicit(&bus->head, memory_order_acquire));
  stats.published = position - bus->first_id;
  stats.refused = atomic_load_explicit(&bus->refused, memory_order_relaxed);
  stats.lag = bus->readers > 0 ? position - slowest : 0;
  uv_mutex_unlock(&bus->lock);
  uv_mutex_lock(&bus->topics.lock);
  stats.topics = bus->topics.used;
  uv_mutex_unlock(&bus->topics.lock);
  fluxbp__result_write(out, size, &stats, sizeof stats);
}
