/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the hub: the topics of one loop with their engine, and what drives them: tasks, the bus, the sweep.
 */
#ifndef FLUXBP_LIB_HUB_H
#define FLUXBP_LIB_HUB_H

#include "fluxbp/hub.h"
#include "hub_bus.h"
#include "inbox.h"
#include "sweep.h"
#include "topics.h"

#include <stdbool.h>

struct fluxbp_hub {
  union {
    fluxbp__topics_t topics;
    fluxbp__engine_t engine; /* which is the first part of the topics */
  };
  fluxbp_hub_options_t options;
  fluxbp__inbox_t inbox;
  fluxbp__hub_bus_t bus;
  fluxbp__sweep_t sweep;
  fluxbp_hub_cb drain_cb;
  fluxbp_hub_cb close_cb;
  int open_handles;
  bool owns_pool;
  bool is_draining;
};

_Static_assert(offsetof(struct fluxbp_hub, topics) == 0, "fluxbp__topics_of and fluxbp__engine_of cast a hub");
_Static_assert(offsetof(fluxbp__topics_t, engine) == 0, "fluxbp__engine_of casts a hub");

static inline fluxbp_hub_t *fluxbp__hub_of_turn(fluxbp__turn_t *turn) {
  return FLUXBP__CONTAINER(turn, fluxbp_hub_t, engine.turn);
}

/* How much a hub has to do compared with others. Any thread. */
static inline size_t fluxbp__hub_load(const fluxbp_hub_t *hub) {
  return atomic_load_explicit(&hub->engine.load, memory_order_relaxed);
}

#endif
