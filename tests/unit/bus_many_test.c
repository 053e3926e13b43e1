/* SPDX-License-Identifier: MIT */
/*
 * bus: messages that are published together.
 */
#include "msg.h"
#include "support/bus_fixture.h"

enum { MOST = 2 * SLOTS };

static fluxbp_bus_publish_options_t on_topic(const fixture_t *f) {
  fluxbp_bus_publish_options_t options;
  fluxbp_bus_publish_options_init(&options);
  options.topic = f->topic;
  return options;
}

/* Messages with the numbers from `first` on, whose references the test has. */
static void make(fixture_t *f, uint64_t first, size_t count, fluxbp_msg_t **msgs) {
  for (size_t i = 0; i < count; i++) msgs[i] = message(f, first + i);
}

static void give_up(fluxbp_msg_t **msgs, size_t count) {
  for (size_t i = 0; i < count; i++) fluxbp_msg_unref(msgs[i]);
}

static void bus_publishes_many_in_their_order_under_ids_without_holes(void **state) {
  (void) state;
  fixture_t f;
  listener_t a, b;
  fluxbp_msg_t *msgs[MOST];
  uint64_t id = 0;
  open_bus(&f, SLOTS, 1);
  join(&f, &a);
  join(&f, &b);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  for (uint64_t next = 1; next < 10 * SLOTS; next += 5) {
    make(&f, next, 4, msgs);
    assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 4, &options, &id), 4);
    assert_int_equal(id, next);
    assert_int_equal(publish(&f, next + 4, &id), 0);
    assert_int_equal(id, next + 4);
    assert_reads(&f, &a, next, next + 4);
    assert_has_read_all(&a);
    assert_reads(&f, &b, next, next + 4);
    assert_int_equal(used_bytes(&f), 0); /* the references were the bus's */
  }
  leave(&a);
  leave(&b);
  close_bus(&f);
}

static void bus_wakes_a_reader_once_for_many(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  fluxbp_msg_t *msgs[MOST];
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  make(&f, 1, 3, msgs);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 3, &options, NULL), 3);
  assert_int_equal(listener.wakes, 1);
  assert_reads(&f, &listener, 1, 3);
  fluxbp__bus_begin(&listener.reader);
  make(&f, 4, 2, msgs);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 2, &options, NULL), 2);
  assert_int_equal(listener.wakes, 2);
  assert_reads(&f, &listener, 4, 5);
  leave(&listener);
  close_bus(&f);
}

static void bus_publishes_the_first_of_many_for_which_there_is_room(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  fluxbp_msg_t *msgs[MOST];
  uint64_t id = 0;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  publish_all(&f, 1, 3);
  make(&f, 4, MOST, msgs);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, MOST, &options, &id), SLOTS - 3);
  assert_int_equal(id, 4);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs + SLOTS - 3, 1, &options, &id), UV_EAGAIN);
  assert_int_equal(stats_of(&f).refused, 1);
  assert_reads(&f, &listener, 1, 2);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs + SLOTS - 3, MOST - SLOTS + 3, &options, &id), 2);
  assert_int_equal(id, SLOTS + 1);
  assert_reads(&f, &listener, 3, SLOTS + 2);
  assert_has_read_all(&listener);
  /* never more than the bus has slots */
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs + SLOTS - 1, SLOTS + 1, &options, &id), SLOTS);
  assert_int_equal(id, SLOTS + 3);
  assert_reads(&f, &listener, SLOTS + 3, 2 * SLOTS + 2);
  give_up(msgs + MOST - 1, 1); /* all others were the bus's */
  assert_int_equal(used_bytes(&f), 0);
  leave(&listener);
  close_bus(&f);
}

static void bus_without_a_reader_gives_many_back_at_once(void **state) {
  (void) state;
  fixture_t f;
  fluxbp_msg_t *msgs[MOST];
  uint64_t id = 0;
  open_bus(&f, SLOTS, 1);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  make(&f, 1, SLOTS, msgs);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, SLOTS, &options, &id), SLOTS);
  assert_int_equal(id, 1);
  assert_int_equal(used_bytes(&f), 0);
  assert_int_equal(publish(&f, SLOTS + 1, &id), 0);
  assert_int_equal(id, SLOTS + 1);
  close_bus(&f);
}

static void bus_publishes_many_on_a_name_and_from_an_origin(void **state) {
  (void) state;
  fixture_t f;
  listener_t listener;
  fluxbp_msg_t *msgs[MOST];
  fluxbp__bus_entry_t entry;
  open_bus(&f, SLOTS, 1);
  join(&f, &listener);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  options.name = "room/7";
  options.origin = 99;
  make(&f, 1, 3, msgs);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 3, &options, NULL), 3);
  for (int i = 0; i < 3; i++) {
    assert_true(fluxbp__bus_next(&listener.reader, &entry));
    assert_string_equal(entry.name, "room/7");
    assert_int_equal(entry.origin, 99);
    fluxbp__bus_advance(&listener.reader);
  }
  /* the topic goes when its last message was passed, not before */
  options.name = "room/8";
  make(&f, 4, 2, msgs);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 2, &options, NULL), 2);
  assert_true(fluxbp__bus_next(&listener.reader, &entry));
  fluxbp__bus_advance(&listener.reader);
  for (uint64_t number = 6; number < 6 + SLOTS - 1; number++) {
    options.name = "room/9";
    make(&f, number, 1, msgs);
    assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 1, &options, NULL), 1);
  }
  assert_true(fluxbp__bus_next(&listener.reader, &entry));
  assert_string_equal(entry.name, "room/8");
  leave(&listener);
  close_bus(&f);
}

static void bus_publish_many_refuses_what_is_not_there(void **state) {
  (void) state;
  fixture_t f;
  fluxbp_msg_t *msgs[2], *unfinished;
  open_bus(&f, SLOTS, 1);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  make(&f, 1, 2, msgs);
  assert_int_equal(fluxbp_bus_publish_many(NULL, msgs, 2, &options, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, NULL, 2, &options, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 0, &options, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 2, NULL, NULL), UV_EINVAL);
  options.topic = f.topic + 1;
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 2, &options, NULL), UV_EINVAL);
  options = on_topic(&f);
  options.id = 1;
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 2, &options, NULL), UV_EPERM);
  options.id = 0;
  assert_int_equal(fluxbp_msg_alloc(f.pool, 8, &unfinished), 0);
  fluxbp_msg_t *with_unfinished[] = {msgs[0], unfinished};
  assert_int_equal(fluxbp_bus_publish_many(f.bus, with_unfinished, 2, &options, NULL), UV_EINVAL);
  assert_int_equal(stats_of(&f).published, 0);
  fluxbp_msg_unref(unfinished);
  give_up(msgs, 2);
  close_bus(&f);
}

static void bus_with_own_ids_takes_no_many(void **state) {
  (void) state;
  fixture_t f;
  fluxbp_msg_t *msgs[1];
  fluxbp_bus_options_t bus_options;
  open_pool(&f);
  fluxbp_bus_options_init(&bus_options);
  bus_options.own_ids = 1;
  assert_int_equal(fluxbp_bus_create(f.pool, &bus_options, &f.bus), 0);
  assert_int_equal(fluxbp_bus_topic(f.bus, "news", &f.topic), 0);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  make(&f, 1, 1, msgs);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 1, &options, NULL), UV_EPERM);
  options.id = 5;
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 1, &options, NULL), UV_EPERM);
  give_up(msgs, 1);
  close_bus(&f);
}

static void bus_that_is_closed_takes_no_many(void **state) {
  (void) state;
  fixture_t f;
  fluxbp_msg_t *msgs[1];
  open_bus(&f, SLOTS, 1);
  fluxbp_bus_publish_options_t options = on_topic(&f);
  make(&f, 1, 1, msgs);
  fluxbp_bus_close(f.bus);
  assert_int_equal(fluxbp_bus_publish_many(f.bus, msgs, 1, &options, NULL), UV_ECANCELED);
  give_up(msgs, 1);
  close_bus(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bus_publishes_many_in_their_order_under_ids_without_holes),
      cmocka_unit_test(bus_wakes_a_reader_once_for_many),
      cmocka_unit_test(bus_publishes_the_first_of_many_for_which_there_is_room),
      cmocka_unit_test(bus_without_a_reader_gives_many_back_at_once),
      cmocka_unit_test(bus_publishes_many_on_a_name_and_from_an_origin),
      cmocka_unit_test(bus_publish_many_refuses_what_is_not_there),
      cmocka_unit_test(bus_with_own_ids_takes_no_many),
      cmocka_unit_test(bus_that_is_closed_takes_no_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
