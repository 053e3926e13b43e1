/* SPDX-License-Identifier: MIT */
/*
 * bus: a bounded ring with many publishers, which every reader follows with a cursor of its own. This file makes it and
 * publishes; bus_readers.c is the other side, and the gate between the two. Relies on messages, on the pool and on
 * libuv's mutex; knows nothing of loops and connections.
 *
 * Design notes
 *
 * A message has a position in the stream, which is its id unless ids are the caller's. Its slot is the position modulo
 * the number of slots, and the slot's `sequence` is the position + 1 from the moment on when the message can be read.
 *
 *   publisher: claim a position (one exchange of `head`), write the slot, store its sequence, look at each reader's
 *              alarm, ring those that aren't ringing
 *   reader:    silence the alarm, then read while the slot at the cursor has the right sequence; passing a slot takes
 *              one from its count `unpassed`, and the reader that takes the last
 *              one gives the message back at once, not when the slot is written again
 *
 * No lost wake-up. Four accesses are sequentially consistent, so there is one order of all of them: the publisher (1)
 * stores the sequence and (2) loads the alarm; the reader (3) silences the alarm and (4) loads the sequence. If (2)
 * comes before (3), so does (1), and (4) finds the message. If (2) comes after (3), it finds the alarm silent, and
 * rings it; or another publisher has rung it since, so the reader will come to (3) once more, and this time (2) came
 * before. With a plain store in (1) the processor may do (2) before it (x86 does); with (3) after (4) a message between
 * them rings an alarm that is silenced right then. The sequentially consistent store is all that this costs a
 * publisher: no fence, and no exchange of an alarm that rings already.
 *
 * No slot is written too early. A position is claimed only when every cursor is less than a ring behind it. `slowest`
 * is a number that no cursor is below; it is computed again only when it says that the ring is full. A reader may join
 * while a publisher computes it, without being seen; but then it joins at the head or later. So `slowest` is never set
 * to more than the head was before the cursors were looked at.
 *
 * Several positions may be claimed at once, by one exchange (fluxbp_bus_publish_many). Their sequences are stored from
 * the last to the first, and only the store of the first is sequentially consistent. A reader that finds the first one
 * finds the others, too; one that doesn't find the first one looks at none of the others. So for the alarm the claim is
 * one message, the first.
 *
 * The readers of a message are those that had joined when its position was claimed. So that it is known how many slots
 * have to be passed, and that no reader that left is waited for, the set changes only while the gate is shut: `head`
 * says so in its low bits, so nothing can be claimed, and what was claimed is waited for. Without a reader (NOBODY)
 * only numbers are claimed, and slots are left alone: nothing would keep a publisher from being overtaken by a whole
 * ring.
 *
 * The alarm outlasts the publication: the gate doesn't wait for a publisher that rings. So the alarm counts those, and
 * a reader that leaves lets it ring for good, waits until nobody is in its callback, and then shuts the gate. Seats
 * belong to the bus, so a late publisher may look at one that was left, or taken again; the worst is a needless wake.
 *
 * Who waits for whom. Publishers: for the gate; never for a reader or for each other (an exchange fails only because
 * another one succeeded). The gate: for publishers between claim and sequence, a few instructions, however long the
 * scheduler makes them. Readers: for a publisher that is in the middle of the slot at the cursor, by finding nothing;
 * it wakes them when it is done.
 *
 * A topic's number in a slot stands for its name until all readers have passed the slot. So a topic that nobody holds
 * keeps the position at which it was used last, and is released when every cursor is above that; `slowest` says so, and
 * is computed again only when there are more of these topics than slots. A publisher that gives a name holds the lock
 * of the topics until its slot is filled, so positions of last use come in their order.
 *
 * Ids of the caller's are carried in the slots. They have to rise with the positions, and a reader that joins has
 * to know the last one; so their publisher holds the lock, and then there is no gate to wait for either.
 *
 * tests/model/bus.pml is all of this as a model, with versions that break one rule each.
 */
#include "bus_parts.h"
#include "msg.h"
#include "options.h"

void fluxbp_bus_publish_options_init_sized(fluxbp_bus_publish_options_t *options, size_t size) {
  fluxbp_bus_publish_options_t defaults = {.id = 0};
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

/* Not above any cursor, and not above `position`, which was the head before: see the notes. */
static uint64_t find_slowest(fluxbp_bus_t *bus, uint64_t position) {
  uint64_t slowest = position;
  unsigned seats = atomic_load_explicit(&bus->seats_used, memory_order_relaxed);
  for (unsigned i = 0; i < seats; i++) {
    /* acquire: the reader is done with the slots behind its cursor */
    uint64_t cursor = atomic_load_explicit(&bus->seats[i].cursor, memory_order_acquire);
    if (cursor < slowest) slowest = cursor;
  }
  return slowest;
}

/* Return how many slots from that of a position on are free, up to `wanted`. If `slowest` says that they are fewer, it
 * is computed again. */
static uint64_t count_free_slots(fluxbp_bus_t *bus, uint64_t position, uint64_t wanted) {
  /* not `position - slowest`: the position may be outdated, and then the claim fails */
  if (position + wanted <= atomic_load_explicit(&bus->slowest, memory_order_acquire) + bus->slot_count) return wanted;
  uint64_t slowest = find_slowest(bus, position);
  atomic_store_explicit(&bus->slowest, slowest, memory_order_release);
  uint64_t end = slowest + bus->slot_count;
  if (position >= end) return 0;
  return wanted < end - position ? wanted : end - position;
}

static void wait_for_gate(fluxbp_bus_t *bus) {
  uv_mutex_lock(&bus->lock);
  uv_mutex_unlock(&bus->lock);
}

/* What a publisher puts into slots that follow each other. */
typedef struct parcel {
  fluxbp_msg_t *const *msgs;
  uint64_t count;        /* of them; what is claimed may be fewer */
  bool gives_references; /* the caller's; otherwise the bus takes references of its own */
  uint64_t origin;
  uint64_t own_id; /* the caller's; 0 if there is none */
  uint32_t topic;
} parcel_t;

/* Positions that were claimed. */
typedef struct claim {
  uint64_t head; /* that the claim took them from: its state still holds until the slots' sequences are stored */
  uint64_t count;
} claim_t;

static int claim(fluxbp_bus_t *bus, uint64_t wanted, claim_t *claimed) {
  uint64_t head = atomic_load_explicit(&bus->head, memory_order_acquire);
  if (wanted > bus->slot_count) wanted = bus->slot_count;
  for (;;) {
    state_t state = state_of(head);
    if (state == CLOSED) return UV_ECANCELED;
    if (state == SHUT) {
      wait_for_gate(bus);
      head = atomic_load_explicit(&bus->head, memory_order_acquire);
      continue;
    }
    uint64_t count = state == OPEN ? count_free_slots(bus, position_of(head), wanted) : wanted;
    if (count == 0) {
      atomic_fetch_add_explicit(&bus->refused, 1, memory_order_relaxed);
      return UV_EAGAIN;
    }
    if (atomic_compare_exchange_weak_explicit(&bus->head, &head, head + count * ONE_POSITION, memory_order_acq_rel,
                                              memory_order_acquire)) {
      *claimed = (claim_t){.head = head, .count = count};
      return 0;
    }
  }
}

/* All of a slot but its sequence. */
static void fill_slot(const fluxbp_bus_t *bus, uint64_t position, const parcel_t *parcel, fluxbp_msg_t *msg,
                      uint64_t id) {
  slot_t *slot = slot_at(bus, position);
  slot->msg = parcel->gives_references ? msg : fluxbp_msg_ref(msg);
  slot->id = id;
  slot->topic = parcel->topic;
  if (parcel->origin != 0) {
    slot->topic |= HAS_ORIGIN;
    *origin_at(bus, position) = parcel->origin;
  }
  atomic_store_explicit(&slot->unpassed, bus->readers, memory_order_relaxed);
}

/* The id is that of the first message. */
static void fill_slots(const fluxbp_bus_t *bus, const claim_t *claimed, const parcel_t *parcel, uint64_t id) {
  uint64_t position = position_of(claimed->head);
  for (uint64_t i = claimed->count - 1; i > 0; i--) {
    fill_slot(bus, position + i, parcel, parcel->msgs[i], id + i);
    atomic_store_explicit(&slot_at(bus, position + i)->sequence, position + i + 1, memory_order_release);
  }
  fill_slot(bus, position, parcel, parcel->msgs[0], id);
  atomic_store(&slot_at(bus, position)->sequence, position + 1); /* (1) in the notes */
}

/* Without a reader there is nobody who would give the references back. */
static void drop_references(const claim_t *claimed, const parcel_t *parcel) {
  for (uint64_t i = 0; parcel->gives_references && i < claimed->count; i++) fluxbp_msg_unref(parcel->msgs[i]);
}

static void ring(fluxbp__bus_seat_t *seat) {
  unsigned alarm = atomic_load(&seat->alarm); /* (2) in the notes */
  while (!(alarm & RINGS)) {
    if (!atomic_compare_exchange_weak(&seat->alarm, &alarm, alarm + RINGER + RINGS)) continue;
    seat->wake(seat->wake_arg);
    atomic_fetch_sub(&seat->alarm, RINGER);
    return;
  }
}

static void ring_all(fluxbp_bus_t *bus) {
  unsigned seats = atomic_load_explicit(&bus->seats_used, memory_order_relaxed);
  for (unsigned i = 0; i < seats; i++) ring(&bus->seats[i]);
}

/* Publish under the next ids. No alarm has been rung. */
static int put(fluxbp_bus_t *bus, const parcel_t *parcel, claim_t *claimed) {
  int err = claim(bus, parcel->count, claimed);
  if (err) return err;
  if (state_of(claimed->head) != NOBODY)
    fill_slots(bus, claimed, parcel, position_of(claimed->head));
  else
    drop_references(claimed, parcel);
  return 0;
}

/* Publish one message under an id of the caller's. A message with a key may have none: it stands where the message
 * before it does. */
static int put_as(fluxbp_bus_t *bus, const parcel_t *parcel, claim_t *claimed) {
  bool has_none = parcel->own_id == 0;
  if (has_none && !fluxbp_msg_key(parcel->msgs[0], NULL)) return UV_EEXIST;
  uv_mutex_lock(&bus->lock);
  uint64_t id = has_none ? bus->last_id : parcel->own_id;
  int err = id > bus->last_id || has_none ? claim(bus, 1, claimed) : UV_EEXIST;
  if (!err) bus->last_id = id;
  if (!err && state_of(claimed->head) != NOBODY) fill_slots(bus, claimed, parcel, id);
  uv_mutex_unlock(&bus->lock);
  return err;
}

static int put_either(fluxbp_bus_t *bus, const parcel_t *parcel, claim_t *claimed) {
  return bus->has_own_ids ? put_as(bus, parcel, claimed) : put(bus, parcel, claimed);
}

static int check_publication(const fluxbp_bus_t *bus, const fluxbp_msg_t *msg, bool has_own_id) {
  if (bus == NULL || msg == NULL || !fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  return bus->has_own_ids == has_own_id ? 0 : UV_EPERM;
}

/* Wake the readers of what was put. */
static void ring_for(fluxbp_bus_t *bus, const claim_t *claimed) {
  if (state_of(claimed->head) != NOBODY) ring_all(bus);
}

int fluxbp_bus_publish(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t *id) {
  claim_t claimed;
  int err = check_publication(bus, msg, false);
  if (err != UV_EINVAL && fluxbp__bus_topics_at(&bus->topics, topic) == NULL) err = UV_EINVAL;
  if (!err) err = put(bus, &(parcel_t){.msgs = &msg, .count = 1, .topic = topic}, &claimed);
  if (err) return err;
  if (id != NULL) *id = position_of(claimed.head);
  ring_for(bus, &claimed);
  return 0;
}

int fluxbp_bus_publish_as(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t id) {
  claim_t claimed;
  int err = check_publication(bus, msg, true);
  if (err != UV_EINVAL && fluxbp__bus_topics_at(&bus->topics, topic) == NULL) err = UV_EINVAL;
  if (!err) err = put_as(bus, &(parcel_t){.msgs = &msg, .count = 1, .own_id = id, .topic = topic}, &claimed);
  if (!err) ring_for(bus, &claimed);
  return err;
}

/* ---- topics; their lock is taken before that of the gate ---- */

/* Of more idle topics than there are slots some have been passed. In a full table some may have been. */
static bool is_crowded(const fluxbp__bus_topics_t *topics, uint64_t slot_count) {
  return topics->idle > slot_count || (topics->used == topics->max && topics->idle > 0);
}

static void release_passed(fluxbp_bus_t *bus) {
  fluxbp__bus_topics_t *topics = &bus->topics;
  uint64_t slowest = atomic_load_explicit(&bus->slowest, memory_order_acquire);
  if (is_crowded(topics, bus->slot_count) && !fluxbp__bus_topics_has_passed(topics, slowest)) {
    slowest = find_slowest(bus, position_of(atomic_load_explicit(&bus->head, memory_order_acquire)));
    atomic_store_explicit(&bus->slowest, slowest, memory_order_release);
  }
  fluxbp__bus_topics_release_passed(topics, slowest);
}

int fluxbp_bus_topic(fluxbp_bus_t *bus, const char *text, uint32_t *topic) {
  fluxbp__bus_wanted_t wanted;
  fluxbp__bus_name_t *name;
  bool is_new;
  if (bus == NULL || topic == NULL || !fluxbp__bus_topics_want(&bus->topics, text, &wanted)) return UV_EINVAL;
  uv_mutex_lock(&bus->topics.lock);
  release_passed(bus);
  int err = fluxbp__bus_topics_take(&bus->topics, &wanted, &name, &is_new);
  if (!err) {
    fluxbp__bus_topics_hold(&bus->topics, name);
    *topic = name->number;
  }
  uv_mutex_unlock(&bus->topics.lock);
  return err;
}

int fluxbp_bus_topic_release(fluxbp_bus_t *bus, uint32_t topic) {
  if (bus == NULL) return UV_EINVAL;
  uv_mutex_lock(&bus->topics.lock);
  uint64_t last_use = position_of(atomic_load_explicit(&bus->head, memory_order_acquire)) - 1;
  bool was_held = fluxbp__bus_topics_give_up(&bus->topics, topic, last_use);
  release_passed(bus);
  uv_mutex_unlock(&bus->topics.lock);
  return was_held ? 0 : UV_EINVAL;
}

const char *fluxbp_bus_topic_name(const fluxbp_bus_t *bus, uint32_t topic) {
  const fluxbp__bus_name_t *name = fluxbp__bus_topics_at(&bus->topics, topic);
  return name != NULL ? name->text : NULL;
}

/* Publish on the topic of that name, which the parcel doesn't know yet. */
static int put_on_name(fluxbp_bus_t *bus, const char *text, parcel_t *parcel, claim_t *claimed) {
  fluxbp__bus_wanted_t wanted;
  fluxbp__bus_name_t *name;
  bool is_new;
  if (!fluxbp__bus_topics_want(&bus->topics, text, &wanted)) return UV_EINVAL;

  uv_mutex_lock(&bus->topics.lock);
  release_passed(bus);
  int err = fluxbp__bus_topics_take(&bus->topics, &wanted, &name, &is_new);
  if (!err) {
    parcel->topic = name->number;
    err = put_either(bus, parcel, claimed);
    if (!err)
      fluxbp__bus_topics_note_use(&bus->topics, name, position_of(claimed->head) + claimed->count - 1);
    else if (is_new)
      fluxbp__bus_topics_drop(&bus->topics, name);
  }
  uv_mutex_unlock(&bus->topics.lock);
  return err;
}

int fluxbp_bus_publish_to(fluxbp_bus_t *bus, const char *name, fluxbp_msg_t *msg, uint64_t *id) {
  claim_t claimed;
  int err = check_publication(bus, msg, false);
  if (!err) err = put_on_name(bus, name, &(parcel_t){.msgs = &msg, .count = 1}, &claimed);
  if (err) return err;
  if (id != NULL) *id = position_of(claimed.head);
  ring_for(bus, &claimed);
  return 0;
}

int fluxbp_bus_publish_to_as(fluxbp_bus_t *bus, const char *name, fluxbp_msg_t *msg, uint64_t id) {
  claim_t claimed;
  int err = check_publication(bus, msg, true);
  if (!err) err = put_on_name(bus, name, &(parcel_t){.msgs = &msg, .count = 1, .own_id = id}, &claimed);
  if (!err) ring_for(bus, &claimed);
  return err;
}

/* Publish a parcel without a topic on that of the options. */
static int put_on_topic(fluxbp_bus_t *bus, const fluxbp_bus_publish_options_t *options, parcel_t *parcel,
                        claim_t *claimed) {
  parcel->origin = options->origin;
  parcel->own_id = options->id;
  parcel->topic = options->topic;
  if (options->name != NULL) return put_on_name(bus, options->name, parcel, claimed);
  return fluxbp__bus_topics_at(&bus->topics, options->topic) != NULL ? put_either(bus, parcel, claimed) : UV_EINVAL;
}

static int copy_options(const fluxbp_bus_t *bus, const fluxbp_bus_publish_options_t *given,
                        fluxbp_bus_publish_options_t *options) {
  fluxbp_bus_publish_options_init(options);
  int err = fluxbp__options_copy(options, sizeof *options, given);
  return !err && (bus == NULL || given == NULL) ? UV_EINVAL : err;
}

int fluxbp_bus_publish_with(fluxbp_bus_t *bus, fluxbp_msg_t *msg, const fluxbp_bus_publish_options_t *given,
                            uint64_t *id) {
  claim_t claimed;
  fluxbp_bus_publish_options_t options;
  int err = copy_options(bus, given, &options);
  if (!err) err = check_publication(bus, msg, bus->has_own_ids || options.id != 0);
  if (!err) err = put_on_topic(bus, &options, &(parcel_t){.msgs = &msg, .count = 1}, &claimed);
  if (err) return err;
  if (id != NULL) *id = bus->has_own_ids ? options.id : position_of(claimed.head);
  ring_for(bus, &claimed);
  return 0;
}

int fluxbp_bus_publish_many(fluxbp_bus_t *bus, fluxbp_msg_t *const *msgs, size_t count,
                            const fluxbp_bus_publish_options_t *given, uint64_t *first_id) {
  claim_t claimed;
  fluxbp_bus_publish_options_t options;
  int err = copy_options(bus, given, &options);
  if (!err && (msgs == NULL || count == 0)) err = UV_EINVAL;
  if (!err && options.id != 0) err = UV_EPERM;
  for (size_t i = 0; !err && i < count; i++) err = check_publication(bus, msgs[i], false);
  parcel_t parcel = {.msgs = msgs, .count = count, .gives_references = true};
  if (!err) err = put_on_topic(bus, &options, &parcel, &claimed);
  if (err) return err;
  if (first_id != NULL) *first_id = position_of(claimed.head);
  ring_for(bus, &claimed);
  return (int) claimed.count;
}

int fluxbp_bus_publish_bytes(fluxbp_bus_t *bus, uint32_t topic, const void *data, size_t length, uint64_t *id) {
  fluxbp_msg_t *msg;
  int err = fluxbp_msg_create(bus != NULL ? bus->pool : NULL, data, length, &msg);
  if (err) return err;
  err = fluxbp_bus_publish(bus, topic, msg, id);
  fluxbp_msg_unref(msg);
  return err;
}

int fluxbp_bus_publish_bytes_to(fluxbp_bus_t *bus, const char *name, const void *data, size_t length, uint64_t *id) {
  fluxbp_msg_t *msg;
  int err = fluxbp_msg_create(bus != NULL ? bus->pool : NULL, data, length, &msg);
  if (err) return err;
  err = fluxbp_bus_publish_to(bus, name, msg, id);
  fluxbp_msg_unref(msg);
  return err;
}

void fluxbp_bus_close(fluxbp_bus_t *bus) {
  uv_mutex_lock(&bus->lock);
  (void) set_state(bus, CLOSED);
  uv_mutex_unlock(&bus->lock);
}
