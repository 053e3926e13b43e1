/* SPDX-License-Identifier: MIT */
/*
 * hub_bus: how a hub reads its bus. It takes no more at a time than its rings have room for before they are flushed,
 * and leaves half of the iteration's time to writing. What it doesn't take stays in the bus, and publishers feel it
 * there.
 */
#include "hub_bus.h"

#include "pool.h"
#include "replay.h"
#include "topic_patterns.h"
#include "topic_publish.h"

#include <string.h>

enum {
  DELIVERIES_PER_CLOCK_READING = 16,
  RETRY_MS = 10, /* of a message for which the budget has no room just now */
  PLACES_MIN = 16
};

/* On a publisher's thread. */
static void on_published(void *arg) {
  fluxbp__hub_bus_t *bus = arg;
  if (atomic_load(&bus->can_wake)) fluxbp__inbox_wake_turn(bus->inbox, &bus->topics->engine.turn);
}

int fluxbp__hub_bus_join(fluxbp__hub_bus_t *bus, fluxbp_bus_t *joined) {
  fluxbp__topics_t *topics = bus->topics;
  if (joined == NULL) return 0;
  int err = fluxbp__bus_join(joined, &bus->reader, on_published, bus, fluxbp__engine_hub(&topics->engine));
  if (err) return err;
  topics->bus = joined;
  topics->epoch = fluxbp_bus_epoch(joined);
  topics->last_id = bus->reader.last_id;
  fluxbp__history_lose_unknown(&topics->history, topics->last_id);
  return 0;
}

void fluxbp__hub_bus_begin(fluxbp__hub_bus_t *bus) {
  if (bus->reader.bus == NULL) return;
  atomic_store(&bus->can_wake, true);
  uv_ref((uv_handle_t *) &bus->inbox->async); /* messages may come as long as it has joined */
  bus->is_due = true;                         /* for what was published before */
  fluxbp__turn_wake(&bus->topics->engine.turn);
}

void fluxbp__hub_bus_leave(fluxbp__hub_bus_t *bus) {
  fluxbp__bus_leave(&bus->reader);
  bus->topics->bus = NULL;
  bus->is_due = false;
}

void fluxbp__hub_bus_free(fluxbp__hub_bus_t *bus) {
  fluxbp__pool_free_object(bus->topics->engine.pool, bus->places, bus->place_count * sizeof *bus->places);
}

static bool make_place(fluxbp__hub_bus_t *bus, uint32_t number) {
  if (number < bus->place_count) return true;
  uint32_t count = bus->place_count ? bus->place_count : PLACES_MIN;
  while (count <= number) count *= 2;
  fluxbp__hub_bus_place_t *places = fluxbp__pool_alloc_object(bus->topics->engine.pool, count * sizeof *places);
  if (places == NULL) return false;
  if (bus->place_count > 0) memcpy(places, bus->places, bus->place_count * sizeof *places);
  fluxbp__hub_bus_free(bus);
  bus->places = places;
  bus->place_count = count;
  return true;
}

/* By its name: a topic that is there, or that is made because a pattern matches. 0, with NULL if there is none, or
 * UV_ENOMEM. */
static int find_by_name(fluxbp__topics_t *topics, const char *name, fluxbp_topic_t **topic) {
  *topic = fluxbp__topics_find_any(topics, name);
  return *topic != NULL ? 0 : fluxbp__patterns_topic_for(topics, name, topic);
}

/* By its number, which is looked up by name again only after topics or patterns have come or gone. As find_by_name. */
static int find_topic(fluxbp__hub_bus_t *bus, const fluxbp__bus_entry_t *entry, fluxbp_topic_t **topic) {
  fluxbp__topics_t *topics = bus->topics;
  if (!make_place(bus, entry->topic)) return find_by_name(topics, entry->name, topic);
  fluxbp__hub_bus_place_t *known = &bus->places[entry->topic];
  if (known->generation != topics->generation || known->serial != entry->topic_serial) {
    int err = find_by_name(topics, entry->name, &known->topic);
    if (err) return err;
    known->generation = topics->generation;
    known->serial = entry->topic_serial;
  }
  *topic = known->topic;
  return 0;
}

/* 0, or why it can't be delivered now: UV_ENOBUFS, UV_ENOMEM. */
static int deliver_entry(fluxbp__hub_bus_t *bus, const fluxbp__bus_entry_t *entry) {
  fluxbp__topics_t *topics = bus->topics;
  fluxbp_topic_t *topic;
  int err = find_topic(bus, entry, &topic);
  if (err) return err;
  if (topic == NULL) {
    fluxbp__replay_record_unknown(topics, entry->name, entry->msg, entry->id, entry->origin);
    topics->last_id = entry->id;
    return 0;
  }
  int result = fluxbp__topic_deliver(topic, entry->msg, entry->id, entry->origin);
  if (result == UV_ENOBUFS || result == UV_ENOMEM) return result;
  topics->last_id = entry->id; /* a state topic's messages have one here, too */
  if (result < 0 && !fluxbp__topic_can_keep(topic, entry->msg))
    fluxbp__ledger_leave_unkept(&topics->engine.ledger); /* no subscriber has lost an older value: there was none */
  else if (result < 0)
    fluxbp__topic_deliver_in_part(topic, entry->msg, entry->id, entry->origin); /* a codec refuses the message */
  return 0;
}

static bool is_writable(const fluxbp__engine_t *engine) {
  return engine->writability.holding == 0;
}

/* Rings that wait for their flush have room, and so has the time. */
static bool may_take_more(const fluxbp__engine_t *engine, unsigned taken) {
  if (engine->is_brimming || !is_writable(engine)) return false;
  return taken % DELIVERIES_PER_CLOCK_READING != 0 || fluxbp__turn_has_share(&engine->turn, 2);
}

bool fluxbp__hub_bus_read(fluxbp__hub_bus_t *bus) {
  fluxbp__engine_t *engine = &bus->topics->engine;
  if (!bus->is_due) return false;
  /* not: if nothing is dirty, as a connection that catches up always is */
  if (!engine->turn.is_cut[FLUXBP__DUE_FLUSH]) engine->is_brimming = false;

  fluxbp__bus_entry_t entry;
  fluxbp__bus_begin(&bus->reader);
  for (unsigned taken = 0; fluxbp__bus_next(&bus->reader, &entry); taken++) {
    if (!may_take_more(engine, taken)) return is_writable(engine); /* becoming writable wakes the turn */
    if (deliver_entry(bus, &entry) != 0) {
      fluxbp__engine_sweep_by(engine, fluxbp__engine_clock_ms(engine) + RETRY_MS);
      return false;
    }
    fluxbp__bus_advance(&bus->reader);
  }
  bus->is_due = false;
  return false;
}
