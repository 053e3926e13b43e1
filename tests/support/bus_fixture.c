/* SPDX-License-Identifier: MIT */
/*
 * bus_fixture: see the header.
 */
#include "support/bus_fixture.h"

int try_to_make(fixture_t *f, uint32_t slots, uint64_t first_id) {
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  options.slots = slots;
  options.first_id = first_id;
  return fluxbp_bus_create(f->pool, &options, &f->bus);
}

void open_pool(fixture_t *f) {
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
}

void close_pool(fixture_t *f) {
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

void open_bus(fixture_t *f, uint32_t slots, uint64_t first_id) {
  open_pool(f);
  assert_int_equal(try_to_make(f, slots, first_id), 0);
  assert_int_equal(fluxbp_bus_topic(f->bus, "news", &f->topic), 0);
}

uint64_t used_bytes(const fixture_t *f) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(f->pool, &stats);
  return stats.used_bytes;
}

void close_bus(fixture_t *f) {
  assert_int_equal(used_bytes(f), 0);
  assert_int_equal(fluxbp_bus_destroy(f->bus), 0);
  close_pool(f);
}

fluxbp_bus_stats_t stats_of(const fixture_t *f) {
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(f->bus, &stats);
  return stats;
}

void on_wake(void *arg) {
  listener_t *listener = arg;
  listener->wakes++;
}

void join(fixture_t *f, listener_t *listener) {
  *listener = (listener_t){.wakes = 0};
  assert_int_equal(fluxbp__bus_join(f->bus, &listener->reader, on_wake, listener, listener), 0);
}

void leave(listener_t *listener) {
  fluxbp__bus_leave(&listener->reader);
}

fluxbp_msg_t *message(fixture_t *f, uint64_t number) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, &number, sizeof number, &msg), 0);
  return msg;
}

int publish(fixture_t *f, uint64_t number, uint64_t *id) {
  fluxbp_msg_t *msg = message(f, number);
  int err = fluxbp_bus_publish(f->bus, f->topic, msg, id);
  fluxbp_msg_unref(msg);
  return err;
}

void publish_all(fixture_t *f, uint64_t first, uint64_t last) {
  for (uint64_t number = first; number <= last; number++) {
    uint64_t id = 0;
    assert_int_equal(publish(f, number, &id), 0);
    assert_int_equal(id, number);
  }
}

void assert_reads(fixture_t *f, listener_t *listener, uint64_t first, uint64_t last) {
  for (uint64_t number = first; number <= last; number++) {
    fluxbp__bus_entry_t entry;
    assert_true(fluxbp__bus_next(&listener->reader, &entry));
    assert_int_equal(entry.id, number);
    assert_int_equal(entry.topic, f->topic);
    assert_int_equal(fluxbp_msg_length(entry.msg), sizeof number);
    assert_memory_equal(fluxbp_msg_data(entry.msg), &number, sizeof number);
    fluxbp__bus_advance(&listener->reader);
  }
}

void assert_has_read_all(const listener_t *listener) {
  fluxbp__bus_entry_t entry;
  assert_false(fluxbp__bus_next(&listener->reader, &entry));
}
