/* SPDX-License-Identifier: MIT */
/*
 * Removals on state topics: each subscriber gets them as the newest value of their key, also when it is behind, and
 * later subscribers get nothing. Messages of the bus that a state topic has no place for are no gap.
 */
#include "support/hub_bus_fixture.h"
#include "support/state_fixture.h"
#include "topic.h"

#include <stdlib.h>
#include <string.h>

static state_world_t *new_world(uint32_t max_keys) {
  state_world_t *world = calloc(1, sizeof *world);
  assert_non_null(world);
  fixture_init(&world->fx);
  world->fx.policy.slots = 16;
  state_world_open(world, max_keys);
  return world;
}

static state_client_t *subscriber(state_world_t *world) {
  state_client_t *client = state_client_open(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  state_subscribe(world, 0, client);
  return client;
}

static void close_world(state_world_t *world, state_client_t *client) {
  fixture_balances(&world->fx);
  state_world_close(world);
  state_client_free(client);
}

static void set_range(state_world_t *world, uint32_t first, uint32_t end) {
  for (uint32_t key = first; key < end; key++) assert_true(state_set(world, 0, key, 0) >= 0);
}

static void unset_range(state_world_t *world, uint32_t first, uint32_t end) {
  for (uint32_t key = first; key < end; key++) assert_true(state_unset(world, 0, key) >= 0);
}

static void present_subscribers_are_told_and_later_ones_get_nothing(void **state) {
  (void) state;
  state_world_t *world = new_world(3);
  state_client_t *client = subscriber(world);
  set_range(world, 0, 3);
  assert_int_equal(state_set(world, 0, 3, 0), UV_ENOSPC);
  assert_int_equal(state_unset(world, 0, 1), 1);
  uint32_t removal = world->last_value;
  assert_int_equal(fluxbp_topic_keys(world->topics[0].topic), 2);
  assert_int_equal(state_unset(world, 0, 1), 0); /* there is nothing to remove */
  assert_int_equal(state_forget(world, 0, 1), 0);
  assert_int_equal(state_unset(world, 0, 9), 0);
  state_client_drain(client);
  assert_int_equal(client->seen[0][1], removal);
  assert_int_equal(client->values, 4);

  state_client_t *late = subscriber(world);
  state_client_drain(late);
  assert_int_equal(late->values, 2);
  assert_int_equal(late->seen[0][1], 0);
  assert_int_equal(state_set(world, 0, 3, 0), 2); /* in the place of the one that is gone */
  assert_int_equal(state_set(world, 0, 1, 0), UV_ENOSPC);
  state_client_drain(client);
  state_client_drain(late);
  state_client_is_up_to_date(world, 0, client);
  state_client_is_up_to_date(world, 0, late);
  state_client_free(late);
  close_world(world, client);
}

/* The ring has 16 slots, so most of them wait in the topic. */
static void a_client_that_is_behind_learns_of_all_of_them(void **state) {
  enum { KEYS = 1000 };
  (void) state;
  state_world_t *world = new_world(KEYS);
  state_client_t *client = subscriber(world);
  set_range(world, 0, KEYS);
  state_client_drain(client);
  (void) peer_refuse(client->peer);
  unset_range(world, 100, KEYS);
  set_range(world, 500, 600); /* some are there again */
  state_client_t *late = subscriber(world);
  state_client_drain(client);
  state_client_drain(late);
  state_client_is_up_to_date(world, 0, client);
  state_client_is_up_to_date(world, 0, late);
  for (uint32_t key = 100; key < KEYS; key++) assert_int_equal(late->seen[0][key], world->topics[0].newest[key]);
  assert_int_equal(fluxbp_topic_keys(world->topics[0].topic), 200);
  assert_int_equal(peer_stats(client->peer).dropped, 0);
  assert_int_equal(client->gap_notices, 0);
  state_client_free(late);
  close_world(world, client);
}

/* Removals that wait for a client which doesn't read are no more than there may be keys, and take no key's place. */
static void removals_are_limited_and_take_no_place(void **state) {
  enum { KEYS = 50, NAMES = 2000 };
  (void) state;
  state_world_t *world = new_world(KEYS);
  const fluxbp__state_t *kept = world->topics[0].topic->state;
  state_client_t *client = subscriber(world);
  (void) peer_refuse(client->peer);
  for (uint32_t key = 0; key < NAMES; key++) {
    assert_int_equal(state_set(world, 0, key, 0), 1);
    assert_int_equal(state_unset(world, 0, key), 1);
    assert_in_range(kept->removed, 1, KEYS);
  }
  set_range(world, 0, KEYS); /* they may be as many as ever */
  assert_int_equal(state_set(world, 0, KEYS, 0), UV_ENOSPC);
  assert_true(client->peer->lost + peer_stats(client->peer).dropped > 0);
  state_client_drain(client);
  for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(client->seen[0][key], world->topics[0].newest[key]);
  close_world(world, client);
}

/* Without a client that is behind they go by themselves. */
static void removals_that_all_have_are_dropped(void **state) {
  enum { NAMES = 5000, KEYS = 1000 };
  (void) state;
  state_world_t *world = new_world(KEYS);
  const fluxbp__state_t *kept = world->topics[0].topic->state;
  state_client_t *client = subscriber(world);
  for (uint32_t key = 0; key < NAMES; key++) {
    set_range(world, key, key + 1);
    unset_range(world, key, key + 1);
    fixture_turns(&world->fx, 1);
    peer_read(client->peer);
    assert_in_range(kept->count, 1, 40);
  }
  state_client_drain(client);
  state_client_is_up_to_date(world, 0, client);
  assert_int_equal(peer_stats(client->peer).dropped, 0);
  close_world(world, client);
}

static int publish_keyed(buses_t *b, uint32_t topic, uint64_t key, const char *text) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create_keyed(b->pool, key, text, strlen(text), &msg), 0);
  int err = fluxbp_bus_publish(b->bus, topic, msg, NULL);
  fluxbp_msg_unref(msg);
  return err;
}

static void what_finds_no_place_behind_a_bus_is_counted_and_no_gap(void **state) {
  buses_t b;
  peer_t peers[2];
  uint32_t number;
  (void) state;
  init(&b, 64, 1);
  open_hubs(&b);
  assert_int_equal(fluxbp_bus_topic(b.bus, "prices", &number), 0);
  fluxbp_topic_t *topics[2];
  for (int i = 0; i < 2; i++) {
    assert_int_equal(fluxbp_topic_open_state(b.fx[i].hub, "prices", 2, &topics[i]), 0);
    peer_open(&b.fx[i], &peers[i], FLUXBP_TCP, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_topic_subscribe(topics[i], peers[i].conn), 1);
  }
  for (uint64_t key = 1; key <= 5; key++) assert_int_equal(publish_keyed(&b, number, key, "value"), 0);
  assert_int_equal(publish_on(&b, number, "no key", 6, NULL), 0);
  assert_int_equal(publish_keyed(&b, number, 1, "last"), 0);
  turns(&b, 4);
  for (int i = 0; i < 2; i++) {
    peer_wait_for(&peers[i], strlen("value\nvalue\nlast\n"));
    peer_expects(&peers[i], "value\nvalue\nlast\n");
    assert_int_equal(fixture_metrics(&b.fx[i]).unkept, 4);
    assert_int_equal(fixture_metrics(&b.fx[i]).gaps, 0);
    assert_int_equal(fixture_metrics(&b.fx[i]).dropped, 0);
    assert_int_equal(fluxbp_topic_keys(topics[i]), 2);
  }
  close_hubs(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(present_subscribers_are_told_and_later_ones_get_nothing),
      cmocka_unit_test(a_client_that_is_behind_learns_of_all_of_them),
      cmocka_unit_test(removals_are_limited_and_take_no_place),
      cmocka_unit_test(removals_that_all_have_are_dropped),
      cmocka_unit_test(what_finds_no_place_behind_a_bus_is_counted_and_no_gap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
