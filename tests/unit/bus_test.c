/* SPDX-License-Identifier: MIT */
/*
 * bus: options, order, the full ring, and who holds a message for how long.
 */
#include "support/bus_fixture.h"

/* ---- making ---- */

static void bus_options_have_their_defaults(void **state) {
  (void) state;
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  assert_int_equal(options.size, sizeof options);
  assert_int_equal(options.slots, 16384);
  assert_int_equal(options.first_id, 1);
}

static void bus_refuses_options_out_of_range(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f);
  const uint32_t bad_slots[] = {0, 1, 3, 6, 16383, FLUXBP_BUS_SLOTS_MAX + 1, FLUXBP_BUS_SLOTS_MAX * 2, UINT32_MAX};
  for (size_t i = 0; i < sizeof bad_slots / sizeof bad_slots[0]; i++)
    assert_int_equal(try_to_make(&f, bad_slots[i], 1), UV_EINVAL);
  assert_int_equal(try_to_make(&f, SLOTS, 0), UV_EINVAL);
  assert_int_equal(try_to_make(&f, SLOTS, FLUXBP_BUS_FIRST_ID_MAX + 1), UV_EINVAL);
  assert_int_equal(try_to_make(&f, SLOTS, UINT64_MAX), UV_EINVAL);
  assert_int_equal(fluxbp_bus_create(NULL, NULL, &f.bus), UV_EINVAL);
  assert_int_equal(fluxbp_bus_create(f.pool, NULL, NULL), UV_EINVAL);
  close_pool(&f);
}

static void bus_may_have_from_two_slots_to_the_maximum(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f);
  const uint32_t slots[] = {2, 16384, FLUXBP_BUS_SLOTS_MAX};
  for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
    assert_int_equal(try_to_make(&f, slots[i], 1), 0);
    assert_int_equal(stats_of(&f).slots, slots[i]);
    assert_int_equal(fluxbp_bus_destroy(f.bus), 0);
  }
  close_pool(&f);
}

static void bus_says_enomem_when_the_allocator_refuses(void **state) {
  (void) state;
  fixture_t f;
  open_pool(&f);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(fluxbp_bus_create(f.pool, NULL, &f.bus), UV_ENOMEM);
  close_pool(&f);
}

/* ---- order ---- */

static void bus_readers_see_everything_in_the_order_of_its_ids(void **state) {
  (void) state;
  fixture_t f;
  listener_t first, second;
  open_bus(&f, SLOTS, 1);
  join(&f, &first);
  join(&f, &second);

  for (uint64_t id = 1; id <= 10 * SLOTS; id += 4) {
    publish_all(&f, id, id + 3);
    assert_reads(&f, &first, id, id + 3);
    assert_has_read_all(&first);
    assert_reads(&f, &second, id, id + 3);
  }
  assert_int_equal(stats_of(&f).published, 10 * SLOTS);
  leave(&first);
  leave(&second);
  close_bus(&f);
}

static void bus_shows_the_same_message_until_the_reader_advances(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  fluxbp__bus_entry_t entry, again;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  publish_all(&f, 1, 2);
  assert_true(fluxbp__bus_next(&listener.reader, &entry));
  assert_true(fluxbp__bus_next(&listener.reader, &again));
  assert_int_equal(entry.id, again.id);
  assert_ptr_equal(entry.msg, again.msg);
  assert_reads(&f, &listener, 1, 2);
  leave(&listener);
  close_bus(&f);
}

static void bus_passes_on_the_message_itself_and_its_topic(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  fluxbp__bus_entry_t entry;
  uint32_t other;
  open_bus(&f, SLOTS, 1);
  assert_int_equal(fluxbp_bus_topic(f.bus, "other", &other), 0);
  join(&f, &listener);

  fluxbp_msg_t *msg = message(&f, 7);
  assert_int_equal(fluxbp_bus_publish(f.bus, f.topic, msg, NULL), 0);
  assert_int_equal(fluxbp_bus_publish(f.bus, other, msg, NULL), 0); /* a message may be published twice */
  assert_true(fluxbp__bus_next(&listener.reader, &entry));
  assert_ptr_equal(entry.msg, msg);
  assert_int_equal(entry.topic, f.topic);
  fluxbp__bus_advance(&listener.reader);
  assert_true(fluxbp__bus_next(&listener.reader, &entry));
  assert_ptr_equal(entry.msg, msg);
  assert_int_equal(entry.topic, other);
  fluxbp__bus_advance(&listener.reader);

  assert_true(used_bytes(&f) > 0); /* the caller's own reference */
  fluxbp_msg_unref(msg);
  leave(&listener);
  close_bus(&f);
}

/* As a counter of 32 bits would see it: 2^32 lies in the middle, and slots are used again on both sides of it. */
static void bus_counts_across_two_to_the_32(void **state) {
  (void) state;
  const uint64_t limit = (uint64_t) 1 << 32;
  fixture_t f;
  listener_t fast, slow;
  open_bus(&f, 4, limit - 10);
  join(&f, &fast);
  join(&f, &slow);
  for (uint64_t id = limit - 10; id < limit + 10; id += 4) {
    publish_all(&f, id, id + 3);
    assert_int_equal(publish(&f, 0, NULL), UV_EAGAIN);
    assert_reads(&f, &fast, id, id + 3);
    assert_int_equal(publish(&f, 0, NULL), UV_EAGAIN);
    assert_int_equal(stats_of(&f).lag, 4);
    assert_reads(&f, &slow, id, id + 3);
  }
  assert_int_equal(stats_of(&f).published, 20);
  leave(&fast);
  leave(&slow);
  close_bus(&f);
}

static void bus_ids_may_start_at_one_and_at_the_maximum(void **state) {
  (void) state;
  const uint64_t first_ids[] = {1, FLUXBP_BUS_FIRST_ID_MAX};
  for (size_t i = 0; i < sizeof first_ids / sizeof first_ids[0]; i++) {
    fixture_t f;
    listener_t listener;
    open_bus(&f, 2, first_ids[i]);
    join(&f, &listener);
    for (uint64_t id = first_ids[i]; id < first_ids[i] + 6; id += 2) {
      publish_all(&f, id, id + 1);
      assert_int_equal(publish(&f, 0, NULL), UV_EAGAIN);
      assert_reads(&f, &listener, id, id + 1);
      assert_has_read_all(&listener);
    }
    leave(&listener);
    close_bus(&f);
  }
}

/* ---- a full ring ---- */

static void bus_refuses_when_the_slowest_reader_is_a_ring_behind_and_takes_nothing(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  publish_all(&f, 1, SLOTS);
  uint64_t used = used_bytes(&f);

  uint64_t id = 99;
  assert_int_equal(publish(&f, 0, &id), UV_EAGAIN);
  assert_int_equal(publish(&f, 0, &id), UV_EAGAIN);
  assert_int_equal(id, 99);
  assert_int_equal(used_bytes(&f), used);
  assert_int_equal(stats_of(&f).refused, 2);
  assert_int_equal(stats_of(&f).published, SLOTS);

  /* one slot is one message, and there is no hole where a refused one would have been */
  assert_reads(&f, &listener, 1, 1);
  publish_all(&f, SLOTS + 1, SLOTS + 1);
  assert_int_equal(publish(&f, 0, NULL), UV_EAGAIN);
  assert_reads(&f, &listener, 2, SLOTS + 1);
  assert_has_read_all(&listener);
  leave(&listener);
  close_bus(&f);
}

static void bus_names_the_slowest_reader_and_how_far_it_is_behind(void **state) {
  (void) state;
  fixture_t f;
  listener_t a, b, c;
  open_bus(&f, SLOTS, 1);
  assert_null(stats_of(&f).slowest);
  assert_int_equal(stats_of(&f).lag, 0);
  join(&f, &a);
  join(&f, &b);
  join(&f, &c);
  publish_all(&f, 1, 5);
  assert_reads(&f, &a, 1, 5);
  assert_reads(&f, &b, 1, 2);
  assert_reads(&f, &c, 1, 4);

  fluxbp_bus_stats_t stats = stats_of(&f);
  assert_int_equal(stats.readers, 3);
  assert_ptr_equal(stats.slowest, &b);
  assert_int_equal(stats.lag, 3);
  leave(&b);
  stats = stats_of(&f);
  assert_int_equal(stats.readers, 2);
  assert_ptr_equal(stats.slowest, &c);
  assert_int_equal(stats.lag, 1);
  leave(&a);
  leave(&c);
  close_bus(&f);
}

static void bus_publish_refuses_what_is_not_there(void **state) {
  (void) state;
  fixture_t f;
  open_bus(&f, SLOTS, 1);
  fluxbp_msg_t *msg = message(&f, 1);
  assert_int_equal(fluxbp_bus_publish(NULL, f.topic, msg, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish(f.bus, f.topic, NULL, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish(f.bus, f.topic + 1, msg, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish(f.bus, UINT32_MAX, msg, NULL), UV_EINVAL);
  assert_int_equal(stats_of(&f).published, 0);
  fluxbp_msg_unref(msg);
  close_bus(&f);
}

/* ---- who holds a message ---- */

static void bus_gives_a_message_back_when_the_last_reader_passes_it(void **state) {
  (void) state;
  fixture_t f;
  listener_t a, b, c;
  open_bus(&f, SLOTS, 1);
  join(&f, &a);
  join(&f, &b);
  join(&f, &c);
  publish_all(&f, 1, 2);
  uint64_t both = used_bytes(&f);

  assert_reads(&f, &a, 1, 2);
  assert_reads(&f, &c, 1, 2);
  assert_int_equal(used_bytes(&f), both);
  assert_reads(&f, &b, 1, 1);
  assert_int_equal(used_bytes(&f), both / 2);
  assert_reads(&f, &b, 2, 2);
  assert_int_equal(used_bytes(&f), 0);
  leave(&a);
  leave(&b);
  leave(&c);
  close_bus(&f);
}

static void bus_without_a_reader_gives_ids_and_holds_nothing(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  publish_all(&f, 1, 3 * SLOTS); /* it never fills up */
  assert_int_equal(used_bytes(&f), 0);
  assert_int_equal(stats_of(&f).published, 3 * SLOTS);

  join(&f, &listener);
  assert_has_read_all(&listener);
  publish_all(&f, 3 * SLOTS + 1, 3 * SLOTS + 2);
  assert_reads(&f, &listener, 3 * SLOTS + 1, 3 * SLOTS + 2);
  leave(&listener);
  publish_all(&f, 3 * SLOTS + 3, 6 * SLOTS);
  assert_int_equal(used_bytes(&f), 0);
  close_bus(&f);
}

static void bus_publishing_and_reading_calls_no_allocator(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  fluxbp_msg_t *msg = message(&f, 1);
  uint64_t calls = f.hook.allocs + f.hook.frees;
  for (int i = 0; i < 5 * SLOTS; i++) {
    assert_int_equal(fluxbp_bus_publish(f.bus, f.topic, msg, NULL), 0);
    fluxbp__bus_begin(&listener.reader);
    fluxbp__bus_advance(&listener.reader);
  }
  assert_int_equal(f.hook.allocs + f.hook.frees, calls);
  fluxbp_msg_unref(msg);
  leave(&listener);
  close_bus(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bus_options_have_their_defaults),
      cmocka_unit_test(bus_refuses_options_out_of_range),
      cmocka_unit_test(bus_may_have_from_two_slots_to_the_maximum),
      cmocka_unit_test(bus_says_enomem_when_the_allocator_refuses),
      cmocka_unit_test(bus_readers_see_everything_in_the_order_of_its_ids),
      cmocka_unit_test(bus_shows_the_same_message_until_the_reader_advances),
      cmocka_unit_test(bus_passes_on_the_message_itself_and_its_topic),
      cmocka_unit_test(bus_counts_across_two_to_the_32),
      cmocka_unit_test(bus_ids_may_start_at_one_and_at_the_maximum),
      cmocka_unit_test(bus_refuses_when_the_slowest_reader_is_a_ring_behind_and_takes_nothing),
      cmocka_unit_test(bus_names_the_slowest_reader_and_how_far_it_is_behind),
      cmocka_unit_test(bus_publish_refuses_what_is_not_there),
      cmocka_unit_test(bus_gives_a_message_back_when_the_last_reader_passes_it),
      cmocka_unit_test(bus_without_a_reader_gives_ids_and_holds_nothing),
      cmocka_unit_test(bus_publishing_and_reading_calls_no_allocator),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
