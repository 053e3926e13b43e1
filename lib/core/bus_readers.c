/* SPDX-License-Identifier: MIT */
/*
 * bus_readers: how readers join, follow and leave a bus, and the gate that keeps publishers out while their set
 * changes. The rules stand on top of bus.c; the numbers in brackets are those of its notes.
 */
#include "bus_parts.h"

#include <assert.h>
#include <sched.h>

/* ---- the gate; all of it under the lock ---- */

static bool is_closed(const fluxbp_bus_t *bus) {
  return state_of(atomic_load_explicit(&bus->head, memory_order_relaxed)) == CLOSED;
}

/* Until all positions before `end` have their sequence. Those before `settled` have it, or were never to get one. */
static void wait_for_publishers(const fluxbp_bus_t *bus, uint64_t end) {
  uint64_t position = bus->settled;
  if (end - position > bus->slot_count) position = end - bus->slot_count;
  for (; position < end; position++) {
    const slot_t *slot = slot_at(bus, position);
    while (atomic_load_explicit(&slot->sequence, memory_order_acquire) != position + 1) (void) sched_yield();
  }
}

/* Nothing is claimed, and everything that was claimed is published: returns where the stream stops. */
static uint64_t shut_gate(fluxbp_bus_t *bus) {
  uint64_t position = set_state(bus, is_closed(bus) ? CLOSED : SHUT);
  if (bus->readers > 0) wait_for_publishers(bus, position);
  bus->settled = position;
  return position;
}

static void open_gate(fluxbp_bus_t *bus) {
  if (!is_closed(bus)) (void) set_state(bus, bus->readers > 0 ? OPEN : NOBODY);
}

/* ---- reading ---- */

static fluxbp__bus_seat_t *find_free_seat(fluxbp_bus_t *bus) {
  for (unsigned i = 0; i < FLUXBP_BUS_READERS_MAX; i++) {
    fluxbp__bus_seat_t *seat = &bus->seats[i];
    if (atomic_load_explicit(&seat->cursor, memory_order_relaxed) != NO_CURSOR) continue;
    if (i >= atomic_load_explicit(&bus->seats_used, memory_order_relaxed))
      atomic_store_explicit(&bus->seats_used, i + 1, memory_order_relaxed);
    return seat;
  }
  return NULL;
}

int fluxbp__bus_join(fluxbp_bus_t *bus, fluxbp__bus_reader_t *reader, fluxbp__bus_wake_cb wake, void *wake_arg,
                     void *user) {
  assert(reader->bus == NULL && "a reader joined twice");
  uv_mutex_lock(&bus->lock);
  fluxbp__bus_seat_t *seat = find_free_seat(bus);
  if (seat == NULL) {
    uv_mutex_unlock(&bus->lock);
    return UV_ENOSPC;
  }
  uint64_t position = shut_gate(bus);
  uint64_t last_id = bus->has_own_ids ? bus->last_id : position - 1;
  *reader = (fluxbp__bus_reader_t){.bus = bus, .seat = seat, .cursor = position, .last_id = last_id};
  seat->wake = wake;
  seat->wake_arg = wake_arg;
  seat->user = user;
  atomic_store(&seat->alarm, 0); /* a late publisher may ring from here on */
  atomic_store_explicit(&seat->cursor, position, memory_order_relaxed);
  bus->readers++;
  open_gate(bus);
  uv_mutex_unlock(&bus->lock);
  return 0;
}

/* What is published before `end`, as far as it is. */
static void pass_until(fluxbp__bus_reader_t *reader, uint64_t end) {
  fluxbp__bus_entry_t entry;
  while (reader->cursor < end && fluxbp__bus_next(reader, &entry)) fluxbp__bus_advance(reader);
}

static void mute(fluxbp__bus_seat_t *seat) {
  (void) atomic_fetch_or(&seat->alarm, RINGS);
  while (atomic_load(&seat->alarm) != RINGS) (void) sched_yield();
}

void fluxbp__bus_leave(fluxbp__bus_reader_t *reader) {
  fluxbp_bus_t *bus = reader->bus;
  if (bus == NULL) return;

  mute(reader->seat);
  pass_until(reader, position_of(atomic_load_explicit(&bus->head, memory_order_relaxed)));
  uv_mutex_lock(&bus->lock);
  pass_until(reader, shut_gate(bus));
  bus->readers--;
  atomic_store_explicit(&reader->seat->cursor, NO_CURSOR, memory_order_release);
  open_gate(bus);
  uv_mutex_unlock(&bus->lock);
  reader->bus = NULL;
}

void fluxbp__bus_begin(fluxbp__bus_reader_t *reader) {
  (void) atomic_fetch_and(&reader->seat->alarm, ~(unsigned) RINGS); /* (3) in the notes */
}

bool fluxbp__bus_next(const fluxbp__bus_reader_t *reader, fluxbp__bus_entry_t *entry) {
  const slot_t *slot = slot_at(reader->bus, reader->cursor);
  if (atomic_load(&slot->sequence) != reader->cursor + 1) return false; /* (4) in the notes */
  uint32_t topic = slot->topic & ~HAS_ORIGIN;
  const fluxbp__bus_name_t *name = fluxbp__bus_topics_at(&reader->bus->topics, topic);
  *entry = (fluxbp__bus_entry_t){
      .msg = slot->msg, .id = slot->id, .topic = topic, .topic_serial = name->serial, .name = name->text};
  if (slot->topic & HAS_ORIGIN) entry->origin = *origin_at(reader->bus, reader->cursor);
  return true;
}

void fluxbp__bus_advance(fluxbp__bus_reader_t *reader) {
  slot_t *slot = slot_at(reader->bus, reader->cursor);
  assert(atomic_load_explicit(&slot->sequence, memory_order_relaxed) == reader->cursor + 1);
  fluxbp_msg_t *msg = slot->msg;

  /* If this reader is the only one left, nobody else can change the count: one exchange saved. */
  bool is_last = atomic_load_explicit(&slot->unpassed, memory_order_acquire) == 1;
  if (is_last)
    atomic_store_explicit(&slot->unpassed, 0, memory_order_relaxed);
  else
    is_last = atomic_fetch_sub_explicit(&slot->unpassed, 1, memory_order_acq_rel) == 1;

  reader->cursor++;
  atomic_store_explicit(&reader->seat->cursor, reader->cursor, memory_order_release);
  if (is_last) fluxbp_msg_unref(msg);
}

bool fluxbp__bus_may_have(const fluxbp_bus_t *bus, uint64_t id) {
  return bus->has_own_ids || id < position_of(atomic_load_explicit(&bus->head, memory_order_acquire));
}
