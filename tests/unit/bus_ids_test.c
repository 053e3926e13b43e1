/* SPDX-License-Identifier: MIT */
/*
 * bus whose ids are the caller's: they rise, may have holes, and who joins knows the last one.
 */
#include "support/bus_fixture.h"

enum { FIRST_ID = 100 };

static void open_with_own_ids(fixture_t *f, uint32_t slots) {
  fluxbp_bus_options_t options;
  open_pool(f);
  fluxbp_bus_options_init(&options);
  options.slots = slots;
  options.first_id = FIRST_ID;
  options.own_ids = 1;
  options.epoch = 0xe90c;
  assert_int_equal(fluxbp_bus_create(f->pool, &options, &f->bus), 0);
  assert_int_equal(fluxbp_bus_topic(f->bus, "news", &f->topic), 0);
}

/* With its id in it, so that assert_reads finds that. */
static int publish_as(fixture_t *f, uint64_t id) {
  fluxbp_msg_t *msg = message(f, id);
  int err = fluxbp_bus_publish_as(f->bus, f->topic, msg, id);
  fluxbp_msg_unref(msg);
  return err;
}

static void bus_brings_ids_with_holes_to_every_reader(void **state) {
  (void) state;
  fixture_t f;
  listener_t first, second;
  open_with_own_ids(&f, SLOTS);
  join(&f, &first);
  join(&f, &second);
  uint64_t id = FIRST_ID;
  for (uint64_t i = 0; i < 5 * SLOTS; i++, id += 1 + i * i) {
    assert_int_equal(publish_as(&f, id), 0);
    assert_reads(&f, &first, id, id);
    assert_has_read_all(&first);
    assert_reads(&f, &second, id, id);
  }
  assert_int_equal(first.wakes, 1);
  assert_int_equal(stats_of(&f).published, 5 * SLOTS);
  assert_int_equal(publish_as(&f, UINT64_MAX - 1), 0);
  assert_reads(&f, &first, UINT64_MAX - 1, UINT64_MAX - 1);
  leave(&first);
  leave(&second);
  close_bus(&f);
}

static void bus_refuses_an_id_that_does_not_rise_and_takes_nothing(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_with_own_ids(&f, SLOTS);
  join(&f, &listener);
  assert_int_equal(publish_as(&f, 0), UV_EEXIST);
  assert_int_equal(publish_as(&f, FIRST_ID - 1), UV_EEXIST);
  assert_int_equal(publish_as(&f, FIRST_ID), 0);
  uint64_t used = used_bytes(&f);
  assert_int_equal(publish_as(&f, FIRST_ID), UV_EEXIST);
  assert_int_equal(publish_as(&f, FIRST_ID + 5), 0);
  assert_int_equal(publish_as(&f, FIRST_ID + 4), UV_EEXIST);
  assert_int_equal(used_bytes(&f), 2 * used);
  assert_reads(&f, &listener, FIRST_ID, FIRST_ID);
  assert_reads(&f, &listener, FIRST_ID + 5, FIRST_ID + 5);
  assert_has_read_all(&listener);
  leave(&listener);
  close_bus(&f);
}

static void bus_takes_the_id_that_it_had_no_room_for_later(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_with_own_ids(&f, 2);
  join(&f, &listener);
  assert_int_equal(publish_as(&f, FIRST_ID), 0);
  assert_int_equal(publish_as(&f, FIRST_ID + 10), 0);
  assert_int_equal(publish_as(&f, FIRST_ID + 20), UV_EAGAIN);
  assert_int_equal(stats_of(&f).refused, 1);
  assert_reads(&f, &listener, FIRST_ID, FIRST_ID);
  assert_int_equal(publish_as(&f, FIRST_ID + 20), 0);
  assert_reads(&f, &listener, FIRST_ID + 10, FIRST_ID + 10);
  assert_reads(&f, &listener, FIRST_ID + 20, FIRST_ID + 20);
  leave(&listener);
  fluxbp_bus_close(f.bus);
  assert_int_equal(publish_as(&f, FIRST_ID + 30), UV_ECANCELED);
  close_bus(&f);
}

static void bus_has_one_way_to_its_ids(void **state) {
  (void) state;
  fixture_t f;
  fluxbp_msg_t *msg;
  open_with_own_ids(&f, SLOTS);
  msg = message(&f, 1);
  assert_int_equal(fluxbp_bus_publish(f.bus, f.topic, msg, NULL), UV_EPERM);
  assert_int_equal(fluxbp_bus_publish_as(NULL, f.topic, msg, FIRST_ID), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_as(f.bus, f.topic, NULL, FIRST_ID), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_as(f.bus, f.topic + 1, msg, FIRST_ID), UV_EINVAL);
  assert_int_equal(stats_of(&f).published, 0);
  fluxbp_msg_unref(msg);
  close_bus(&f);

  open_bus(&f, SLOTS, 1);
  assert_int_equal(publish_as(&f, 1), UV_EPERM);
  publish_all(&f, 1, 2);
  close_bus(&f);
}

/* One of a state topic, without an id, whose text is that of the message before. */
static int publish_keyed(fixture_t *f, uint64_t last_id) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create_keyed(f->pool, 7, &last_id, sizeof last_id, &msg), 0);
  int err = fluxbp_bus_publish_as(f->bus, f->topic, msg, 0);
  fluxbp_msg_unref(msg);
  return err;
}

static void bus_takes_a_message_with_a_key_without_an_id(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  open_with_own_ids(&f, SLOTS);
  join(&f, &listener);
  assert_int_equal(publish_keyed(&f, FIRST_ID - 1), 0);
  assert_reads(&f, &listener, FIRST_ID - 1, FIRST_ID - 1);
  assert_int_equal(publish_as(&f, FIRST_ID), 0);
  assert_reads(&f, &listener, FIRST_ID, FIRST_ID);
  for (int i = 0; i < 2; i++) assert_int_equal(publish_keyed(&f, FIRST_ID), 0);
  for (int i = 0; i < 2; i++) assert_reads(&f, &listener, FIRST_ID, FIRST_ID);
  assert_int_equal(publish_as(&f, FIRST_ID), UV_EEXIST);
  assert_int_equal(publish_as(&f, FIRST_ID + 1), 0);
  assert_reads(&f, &listener, FIRST_ID + 1, FIRST_ID + 1);
  leave(&listener);
  close_bus(&f);
}

static void bus_tells_who_joins_the_last_id(void **state) {
  (void) state;
  fixture_t f;
  listener_t first, later;
  open_with_own_ids(&f, SLOTS);
  join(&f, &first);
  assert_int_equal(first.reader.last_id, FIRST_ID - 1);
  leave(&first);
  assert_int_equal(publish_as(&f, FIRST_ID + 50), 0); /* to nobody */
  assert_int_equal(publish_as(&f, FIRST_ID + 50), UV_EEXIST);
  join(&f, &first);
  assert_int_equal(first.reader.last_id, FIRST_ID + 50);
  assert_has_read_all(&first);
  assert_int_equal(publish_as(&f, FIRST_ID + 60), 0);
  join(&f, &later);
  assert_int_equal(later.reader.last_id, FIRST_ID + 60);
  assert_has_read_all(&later);
  leave(&first);
  leave(&later);
  close_bus(&f);

  open_bus(&f, SLOTS, 7);
  publish_all(&f, 7, 9);
  join(&f, &first);
  assert_int_equal(first.reader.last_id, 9);
  leave(&first);
  close_bus(&f);
}

static void bus_has_the_epoch_that_it_was_given_or_one_of_its_own(void **state) {
  (void) state;
  fixture_t f, g;
  open_with_own_ids(&f, SLOTS);
  assert_int_equal(fluxbp_bus_epoch(f.bus), 0xe90c);
  close_bus(&f);
  open_bus(&f, SLOTS, 1);
  open_bus(&g, SLOTS, 1);
  assert_int_not_equal(fluxbp_bus_epoch(f.bus), fluxbp_bus_epoch(g.bus));
  close_bus(&f);
  close_bus(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bus_brings_ids_with_holes_to_every_reader),
      cmocka_unit_test(bus_refuses_an_id_that_does_not_rise_and_takes_nothing),
      cmocka_unit_test(bus_takes_the_id_that_it_had_no_room_for_later),
      cmocka_unit_test(bus_has_one_way_to_its_ids),
      cmocka_unit_test(bus_takes_a_message_with_a_key_without_an_id),
      cmocka_unit_test(bus_tells_who_joins_the_last_id),
      cmocka_unit_test(bus_has_the_epoch_that_it_was_given_or_one_of_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
