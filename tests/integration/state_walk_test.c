/* SPDX-License-Identifier: MIT */
/*
 * How a client that is behind a state topic comes to the newest value of each key: publishing doesn't visit it, what
 * waits in its ring is brought up to date before the kernel gets it, and a walk looks at what has changed, not at all
 * keys.
 */
#include "catch_up.h"
#include "fluxbp/visits.h"
#include "subscriptions.h"
#include "support/state_fixture.h"

static const fluxbp__behind_t *behind_of(const state_world_t *world, const state_client_t *client) {
  return fluxbp__catch_up_of(fluxbp__conn_subscription(client->peer->conn, world->topics[0].topic));
}

static void a_client_that_is_behind_is_not_visited(const fluxbp_transport_t *transport) {
  enum { KEYS = 500 };
  state_world_t *world = state_world_new();
  state_world_open(world, KEYS);
  const fluxbp_topic_t *topic = world->topics[0].topic;
  state_client_t *client = state_client_refused(world, transport, &fluxbp_codec_newline);
  assert_int_equal(topic->member_count, 1);
  state_set_all(world, KEYS, 1);
  assert_int_equal(topic->member_count, 0);
  assert_int_equal(fluxbp_topic_subscribers(topic), 1);
  assert_int_equal(fluxbp_topic_has(topic, client->peer->conn), 1);
  fluxbp_conn_stats_t before = peer_stats(client->peer);
  assert_int_equal(state_set(world, 0, 0, 0), 1); /* it is meant for the client */
  assert_int_equal(peer_stats(client->peer).queued, before.queued);
  assert_int_equal(peer_stats(client->peer).conflated, before.conflated);

  state_client_drain(client);
  assert_int_equal(topic->member_count, 1);
  assert_null(behind_of(world, client));
  assert_int_equal(state_set(world, 0, 0, 0), 1);
  assert_int_equal(peer_stats(client->peer).queued, 1);
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}
FIXTURE_BOTH(a_client_that_is_behind_is_not_visited)

/* Members leave both parts of a topic, from any place. */
static void members_leave_in_any_order(void **state) {
  enum { KEYS = 300, CLIENTS = 9 };
  (void) state;
  for (int order = 0; order < 3; order++) {
    state_world_t *world = state_world_new();
    state_client_t *clients[CLIENTS];
    state_world_open(world, KEYS);
    for (int i = 0; i < CLIENTS; i++) clients[i] = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
    state_set_all(world, KEYS, 1);
    for (int i = 0; i < CLIENTS; i += 2) state_client_drain(clients[i]); /* every second one is behind */
    for (int left = CLIENTS; left > 2; left--) {
      int i = order == 0 ? left - 1 : order == 1 ? CLIENTS - left : (left * 4) % CLIENTS;
      assert_int_equal(fluxbp_topic_unsubscribe(world->topics[0].topic, clients[i]->peer->conn), 1);
      assert_int_equal(fluxbp_topic_subscribers(world->topics[0].topic), left - 1);
      state_set_all(world, KEYS, 1);
    }
    for (int i = 0; i < CLIENTS; i++) {
      state_client_drain(clients[i]);
      if (fluxbp_topic_has(world->topics[0].topic, clients[i]->peer->conn)) state_client_is_whole(world, clients[i]);
    }
    fluxbp_topic_destroy(world->topics[0].topic);
    world->topics[0].topic = NULL;
    state_world_close(world);
    for (int i = 0; i < CLIENTS; i++) state_client_free(clients[i]);
  }
}

static int count_member(fluxbp_conn_t *conn, void *arg) {
  (void) conn;
  ++*(int *) arg;
  return 0;
}

static void visits_come_to_those_that_are_behind(void **state) {
  enum { KEYS = 300 };
  int count = 0;
  (void) state;
  state_world_t *world = state_world_new();
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  state_set_all(world, KEYS, 1);
  state_client_t *live = state_client_open(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  state_subscribe(world, 0, live);
  state_client_drain(live);
  assert_non_null(behind_of(world, client));
  assert_null(behind_of(world, live));
  assert_int_equal(fluxbp_topic_each_member(world->topics[0].topic, count_member, &count), 0);
  assert_int_equal(count, 2);
  state_client_free(live);
  state_world_end(world, client);
}

/* Their rings come to their high watermarks by the same value. */
static void clients_that_miss_the_same_value_all_get_it(void **state) {
  enum { KEYS = 300, CLIENTS = 5 };
  (void) state;
  state_world_t *world = state_world_new();
  state_client_t *clients[CLIENTS];
  state_world_open(world, KEYS);
  for (int i = 0; i < CLIENTS; i++) clients[i] = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(state_set(world, 0, key, 0), CLIENTS);
  for (int i = 0; i < CLIENTS; i++) {
    state_client_drain(clients[i]);
    state_client_is_whole(world, clients[i]);
  }
  state_world_close(world);
  for (int i = 0; i < CLIENTS; i++) state_client_free(clients[i]);
}

/* Its ring holds old values when it begins to read: of each the newest is delivered instead, but of the one under way.
 */
static void queued_values_are_the_newest_when_the_kernel_takes_them(const fluxbp_transport_t *transport) {
  enum { KEYS = 500 };
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 128;
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, transport, &fluxbp_codec_newline);
  state_set_all(world, KEYS, 1);
  uint64_t queued = peer_stats(client->peer).queued;
  assert_in_range(queued, 32, 64);
  state_set_all(world, KEYS, 3);
  uint64_t conflated = peer_stats(client->peer).conflated;
  fixture_balances(&world->fx);
  state_client_drain(client);
  for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(client->seen[0][key], world->topics[0].newest[key]);
  assert_in_range(peer_stats(client->peer).conflated, conflated + 30, conflated + queued); /* the old ones */
  state_client_is_whole(world, client);
  state_world_end(world, client);
}
FIXTURE_BOTH(queued_values_are_the_newest_when_the_kernel_takes_them)

/* A topic of many keys of which few have changed: the walk along the record takes a visit, a scan would take forty. */
static void a_walk_looks_at_what_has_changed(void **state) {
  enum { KEYS = 40000, CHANGES = 300 };
  (void) state;
  state_world_t *world = state_world_new();
  state_world_open(world, KEYS);
  state_set_all(world, KEYS, 1);
  state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  state_client_drain(client); /* with its first scan */
  (void) peer_refuse(client->peer);
  for (uint32_t key = 0; key < CHANGES; key++) assert_int_equal(state_set(world, 0, key * 100, 0), 1);
  assert_non_null(behind_of(world, client));
  int turns = 0;
  for (; behind_of(world, client) != NULL; turns++) {
    assert_int_equal(behind_of(world, client)->cursor, FLUXBP__CURSOR_END);
    state_client_read(client, 1 << 20);
    fixture_turns(&world->fx, 1);
    assert_true(turns < 30);
  }
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}

/* It reads as fast as other keys change, so its walk stays some changes behind the end of the record, and the busy
 * key's newest change is always ahead of it there. */
static void a_busy_key_gets_its_turn(void **state) {
  enum { KEYS = 256, STEPS = 6000, BUSY = 0, LAG = 100, LINE = 120 };
  (void) state;
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 16;
  state_world_open(world, KEYS);
  state_set_all(world, KEYS, 1);
  const fluxbp__state_t *kept = world->topics[0].topic->state;
  state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  uint32_t seen = 0, times = 0;
  for (uint32_t step = 0; step < STEPS; step++) {
    assert_int_equal(state_set(world, 0, BUSY, 0), 1);
    assert_int_equal(state_set(world, 0, 1 + step % (KEYS - 1), LINE), 1);
    for (int reads = 0; reads < 4; reads++) {
      const fluxbp__behind_t *behind = behind_of(world, client);
      bool is_near = behind != NULL && behind->cursor == FLUXBP__CURSOR_END && kept->last_change - behind->since < LAG;
      if (is_near) break;
      state_client_read(client, LINE);
      fixture_turns(&world->fx, 1);
    }
    times += client->seen[0][BUSY] != seen;
    seen = client->seen[0][BUSY];
  }
  assert_in_range(times, STEPS / (4 * KEYS), STEPS / KEYS * 4);
  assert_true(seen > world->last_value - 8 * KEYS);
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(a_client_that_is_behind_is_not_visited),
      cmocka_unit_test(members_leave_in_any_order),
      cmocka_unit_test(visits_come_to_those_that_are_behind),
      cmocka_unit_test(clients_that_miss_the_same_value_all_get_it),
      FIXTURE_TESTS(queued_values_are_the_newest_when_the_kernel_takes_them),
      cmocka_unit_test(a_walk_looks_at_what_has_changed),
      cmocka_unit_test(a_busy_key_gets_its_turn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
