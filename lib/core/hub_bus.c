/* SPDX-License-Identifier: MIT */
/*
 * hub_bus: how a hub reads its bus. It takes no more at a time than its rings have room for before they are flushed, and
 * leaves half of the iteration's time to writing. What it doesn't take stays in the bus, and publishers feel it there.
 */
#include "hub.h"
#include "pool.h"
#include "replay.h"
#include "topic.h"

#include <string.h>

enum {
  DELIVERIES_PER_CLOCK_READING = 16,
  RETRY_MS = 10, /* of a message for which the budget has no room just now */
  TOPICS_MIN = 16
};

/* On a publisher's thread. */
static void on_published(void *arg) {
  fluxbp_hub_t *hub = arg;
  if (atomic_load(&hub->bus.can_wake)) fluxbp__inbox_wake(&hub->inbox);
}

int fluxbp__hub_join_bus(fluxbp_hub_t *hub, fluxbp_bus_t *bus) {
  if (bus == NULL) return 0;
  int err = fluxbp__bus_join(bus, &hub->bus.reader, on_published, hub, hub);
  if (err) return err;
  hub->epoch = fluxbp_bus_epoch(bus);
  hub->last_id = hub->bus.reader.last_id;
  fluxbp__history_lose_unknown(&hub->history, hub->last_id);
  return 0;
}

void fluxbp__hub_begin_bus(fluxbp_hub_t *hub) {
  if (hub->bus.reader.bus == NULL) return;
  atomic_store(&hub->bus.can_wake, true);
  uv_ref((uv_handle_t *) &hub->inbox.async); /* messages may come as long as it has joined */
  hub->bus.is_due = true;                    /* for what was published before */
  fluxbp__turn_wake(&hub->turn);
}

void fluxbp__hub_leave_bus(fluxbp_hub_t *hub) {
  fluxbp__bus_leave(&hub->bus.reader);
  hub->bus.is_due = false;
}

void fluxbp__hub_free_bus(fluxbp_hub_t *hub) {
  fluxbp__pool_free_object(hub->pool, hub->bus.topics, hub->bus.topic_capacity * sizeof *hub->bus.topics);
}

bool fluxbp__hub_will_read(const fluxbp_hub_t *hub, uint64_t id) {
  const fluxbp_bus_t *bus = hub->bus.reader.bus;
  return bus != NULL && fluxbp__bus_may_have(bus, id);
}

static bool has_place_for(fluxbp_hub_t *hub, uint32_t number) {
  fluxbp__hub_bus_t *bus = &hub->bus;
  if (number < bus->topic_capacity) return true;
  uint32_t capacity = bus->topic_capacity ? bus->topic_capacity : TOPICS_MIN;
  while (capacity <= number) capacity *= 2;
  fluxbp__bus_topic_t *topics = fluxbp__pool_alloc_object(hub->pool, capacity * sizeof *topics);
  if (topics == NULL) return false;
  if (bus->topic_capacity > 0) memcpy(topics, bus->topics, bus->topic_capacity * sizeof *topics);
  fluxbp__hub_free_bus(hub);
  bus->topics = topics;
  bus->topic_capacity = capacity;
  return true;
}

/* By its number, which is looked up by name again only after topics have come or gone. NULL: not in this hub. */
static fluxbp_topic_t *find_topic(fluxbp_hub_t *hub, const fluxbp__bus_entry_t *entry) {
  if (!has_place_for(hub, entry->topic)) return fluxbp__topic_find_any(hub, entry->name);
  fluxbp__bus_topic_t *known = &hub->bus.topics[entry->topic];
  if (known->generation != hub->topics.generation || known->serial != entry->topic_serial) {
    known->topic = fluxbp__topic_find_any(hub, entry->name);
    known->generation = hub->topics.generation;
    known->serial = entry->topic_serial;
  }
  return known->topic;
}

/* 0, or why it can't be delivered now: UV_ENOBUFS, UV_ENOMEM. */
static int deliver(fluxbp_hub_t *hub, const fluxbp__bus_entry_t *entry) {
  fluxbp_topic_t *topic = find_topic(hub, entry);
  if (topic == NULL) {
    fluxbp__replay_record_unknown(hub, entry->name, entry->msg, entry->id);
    hub->last_id = entry->id;
    return 0;
  }
  int result = fluxbp__topic_deliver(topic, entry->msg, entry->id);
  if (result == UV_ENOBUFS || result == UV_ENOMEM) return result;
  hub->last_id = entry->id; /* a state topic's messages have one here, too */
  if (result < 0 && !fluxbp__topic_can_keep(topic, entry->msg))
    hub->totals.unkept++; /* no subscriber has an older value of that key, so none has lost one */
  else if (result < 0)
    fluxbp__topic_deliver_in_part(topic, entry->msg, entry->id); /* a codec refuses it: there is nobody else to tell */
  return 0;
}

/* Rings that wait for their flush have room, and so has the time. */
static bool may_take_more(fluxbp_hub_t *hub, unsigned taken) {
  if (hub->bus.is_brimming || !fluxbp_hub_is_writable(hub)) return false;
  return taken % DELIVERIES_PER_CLOCK_READING != 0 || fluxbp__turn_has_share(&hub->turn, 2);
}

bool fluxbp__hub_read_bus(fluxbp_hub_t *hub) {
  fluxbp__hub_bus_t *bus = &hub->bus;
  if (!bus->is_due) return false;
  /* not: if nothing is dirty, as who catches up always is */
  if (!hub->turn.is_cut[FLUXBP__DUE_FLUSH]) bus->is_brimming = false;

  fluxbp__bus_entry_t entry;
  fluxbp__bus_begin(&bus->reader);
  for (unsigned taken = 0; fluxbp__bus_next(&bus->reader, &entry); taken++) {
    if (!may_take_more(hub, taken)) return fluxbp_hub_is_writable(hub); /* becoming writable wakes the turn */
    if (deliver(hub, &entry) != 0) {
      fluxbp__sweep_by(hub, fluxbp__hub_clock_ms(hub) + RETRY_MS);
      return false;
    }
    fluxbp__bus_advance(&bus->reader);
  }
  bus->is_due = false;
  return false;
}
