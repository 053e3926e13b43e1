/* SPDX-License-Identifier: MIT */
/*
 * State topics and clients that are behind: whatever the ring's size and the overflow rule, each ends with the
 * newest value of every key, and a client that moves is kept.
 */
#include "catch_up.h"
#include "subscriptions.h"
#include "support/state_fixture.h"

#include <stdlib.h>
#include <string.h>

static void more_keys_than_slots(const fluxbp_transport_t *transport) {
  enum { KEYS = 1000 };
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_EVICT; rule++) {
    state_world_t *world = state_world_new();
    world->fx.policy.overflow = (fluxbp_overflow_t) rule;
    state_world_open(world, KEYS);
    state_client_t *client = state_client_refused(world, transport, &fluxbp_codec_newline);
    state_set_all(world, KEYS, 3);
    assert_true(peer_stats(client->peer).queued <= world->fx.policy.slots / 2); /* values alone don't fill the ring */
    assert_int_equal(fluxbp_conn_is_backpressured(client->peer->conn), 0);
    state_client_drain(client);
    state_client_is_whole(world, client);
    state_world_end(world, client);
  }
}
FIXTURE_ALL(more_keys_than_slots)

/* The kernel takes some of a burst, and refuses in the middle of it. */
static void a_burst_that_the_kernel_refuses(const fluxbp_transport_t *transport) {
  enum { KEYS = 1000 };
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_EVICT; rule++) {
    state_world_t *world = state_world_new();
    world->fx.policy.overflow = (fluxbp_overflow_t) rule;
    state_world_open(world, KEYS);
    state_client_t *client = state_client_open(world, transport, &fluxbp_codec_newline);
    state_subscribe(world, 0, client);
    for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(state_set(world, 0, key, 100), 1);
    assert_true(peer_stats(client->peer).is_refused);
    state_set_all(world, KEYS, 1);
    state_client_drain(client);
    state_client_is_whole(world, client);
    state_world_end(world, client);
  }
}
FIXTURE_ALL(a_burst_that_the_kernel_refuses)

static void many_keys_and_many_slots(void **state) {
  enum { KEYS = 40000 };
  (void) state;
  state_world_t *world = state_world_new();
  world->fx.policy.slots = FLUXBP_SLOTS_MAX;
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  state_set_all(world, KEYS, 2);
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}

/* A client that reads a little all the time, while all keys change: each key gets its turn, and no walk begins anew. */
static void every_key_gets_its_turn(const fluxbp_transport_t *transport) {
  enum { KEYS = 1000, STEPS = 4000 };
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 64;
  state_world_open(world, KEYS);
  state_set_all(world, KEYS, 1);
  state_client_t *client = state_client_refused(world, transport, &fluxbp_codec_newline);
  for (int step = 0; step < STEPS; step++) {
    assert_int_equal(state_set(world, 0, 0, 0), 1); /* one that the cursor has always passed */
    for (uint32_t i = 1; i < 20; i++) assert_int_equal(state_set(world, 0, ((uint32_t) step * 37 + i) % KEYS, 0), 1);
    fixture_turns(&world->fx, 1);
    state_client_read(client, 128); /* half of what comes */
    if (step % 500 == 0) fixture_balances(&world->fx);
  }
  for (uint32_t key = 0; key < KEYS; key++) assert_true(client->seen[0][key] > world->last_value / 4);
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}
FIXTURE_ALL(every_key_gets_its_turn)

/* Keys that change faster than the client reads don't keep the ring full for ever while others wait. */
static void a_key_that_changed_once_gets_its_turn(const fluxbp_transport_t *transport) {
  enum { KEYS = 200, BUSY = 100, STEPS = 2000 };
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 64;
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, transport, &fluxbp_codec_newline);
  state_set_all(world, KEYS, 1);
  for (uint32_t step = 0; step < STEPS; step++) {
    for (uint32_t i = 0; i < 20; i++) assert_int_equal(state_set(world, 0, (step * 20 + i) % BUSY, 300), 1);
    fixture_turns(&world->fx, 1);
    state_client_read(client, 1000);
  }
  for (uint32_t key = BUSY; key < KEYS; key++) assert_int_equal(client->seen[0][key], world->topics[0].newest[key]);
  state_world_end(world, client);
}
FIXTURE_ALL(a_key_that_changed_once_gets_its_turn)

/* A message of a log topic may not be lost for the sake of values that can wait in their topic. */
static void values_make_room_for_a_log(void **state) {
  enum { KEYS = 20 };
  (void) state;
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_EVICT; rule++) {
    state_world_t *world = state_world_new();
    world->fx.policy.slots = 64;
    world->fx.policy.overflow = (fluxbp_overflow_t) rule;
    state_world_open(world, KEYS);
    state_client_t *client = state_client_refused(world, FLUXBP_TCP, &fluxbp_codec_newline);
    assert_int_equal(fluxbp_topic_subscribe(world->fx.topic, client->peer->conn), 1);
    state_set_all(world, KEYS, 1);
    uint64_t others = peer_stats(client->peer).queued - KEYS;
    for (uint64_t i = others; i < 64; i++) assert_int_equal(state_log(world, 0), 1);
    assert_int_equal(peer_stats(client->peer).dropped, 0);
    assert_int_equal(peer_stats(client->peer).conflated, KEYS); /* they are going to be accepted again */
    state_client_drain(client);
    assert_int_equal(client->logs, 64 - others);
    state_client_is_whole(world, client);
    state_world_end(world, client);
  }
}

/* A burst of values goes above the high watermark before the kernel refuses it. When they make room, the ring is
 * low. */
static void values_that_make_room_hold_nobody(const fluxbp_transport_t *transport) {
  enum { KEYS = 64, PAD = 3000, LOW = KEYS / 4 };
  state_world_t *world = state_world_new();
  world->fx.policy.slots = KEYS;
  world->fx.options.patience_ms = 5000;
  state_world_open(world, KEYS);
  state_client_t *client = state_client_open(world, transport, &fluxbp_codec_newline);
  state_subscribe(world, 0, client);
  assert_int_equal(fluxbp_topic_subscribe(world->fx.topic, client->peer->conn), 1);
  for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(state_set(world, 0, key, PAD), 1);
  fixture_turns(&world->fx, 1);
  assert_true(peer_stats(client->peer).is_refused);
  assert_true(fluxbp_conn_is_backpressured(client->peer->conn));
  assert_false(fluxbp_hub_is_writable(world->fx.hub));
  while (peer_stats(client->peer).queued > LOW) assert_int_equal(state_log(world, 0), 1);
  assert_false(fluxbp_conn_is_backpressured(client->peer->conn));
  assert_true(fluxbp_hub_is_writable(world->fx.hub));
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}
FIXTURE_ALL(values_that_make_room_hold_nobody)

/* A connection that keeps up owns nothing, though values were in its ring before a burst of messages that the kernel
 * takes. */
static void a_burst_behind_a_value_leaves_nothing(const fluxbp_transport_t *transport) {
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 16;
  state_world_open(world, 10);
  state_client_t *client = state_client_open(world, transport, &fluxbp_codec_newline);
  state_subscribe(world, 0, client);
  assert_int_equal(fluxbp_topic_subscribe(world->fx.topic, client->peer->conn), 1);
  assert_int_equal(state_set(world, 0, 1, 0), 1);
  for (int i = 0; i < 17; i++) assert_int_equal(state_log(world, 0), 1);
  fixture_turns(&world->fx, 1);
  assert_false(peer_stats(client->peer).is_refused);
  assert_null(client->peer->conn->rare);
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}
FIXTURE_ALL(a_burst_behind_a_value_leaves_nothing)

/* The last values of a scan are in the ring when the scan has ended, so the walk has come past their changes. */
static void values_of_a_scan_that_has_ended_make_room(void **state) {
  enum { KEYS = 100, PAD = 500, MORE = 300 };
  (void) state;
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 64;
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  fluxbp_conn_t *conn = client->peer->conn;
  assert_int_equal(fluxbp_topic_subscribe(world->fx.topic, conn), 1);
  for (uint32_t i = 0; i < MORE; i++)
    assert_int_equal(state_set(world, 0, i % KEYS, PAD), 1); /* more than are recorded */
  const fluxbp__subscription_t *subscription = fluxbp__conn_subscription(conn, world->topics[0].topic);
  bool was_scanning = false, has_ended = false;
  for (int i = 0; i < 1000 && !has_ended; i++) {
    const fluxbp__behind_t *behind = fluxbp__catch_up_of(subscription);
    bool is_scanning = behind != NULL && behind->cursor != FLUXBP__CURSOR_END;
    has_ended = was_scanning && !is_scanning && conn->is_writing && peer_stats(client->peer).queued > 4;
    was_scanning |= is_scanning;
    if (has_ended) break;
    state_client_read(client, 500);
    fixture_turns(&world->fx, 1);
  }
  assert_true(has_ended);
  for (int i = 0; i < 62; i++) assert_int_equal(state_log(world, 0), 1);
  assert_non_null(fluxbp__catch_up_of(subscription));
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}

/* What a log loses by the overflow rule is told, and values that come and go beside it aren't. */
static void a_gap_counts_messages_of_the_log_alone(void **state) {
  enum { KEYS = 200, LOGS = 500 };
  (void) state;
  for (int rule = FLUXBP_OVERFLOW_DROP_NEWEST; rule <= FLUXBP_OVERFLOW_DROP_OLDEST; rule++) {
    state_world_t *world = state_world_new();
    world->fx.policy.slots = 32;
    world->fx.policy.overflow = (fluxbp_overflow_t) rule;
    state_world_open(world, KEYS);
    state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
    assert_int_equal(fluxbp_topic_subscribe(world->fx.topic, client->peer->conn), 1);
    for (uint32_t i = 0; i < LOGS; i++) {
      assert_int_equal(state_set(world, 0, i % KEYS, 0), 1);
      assert_int_equal(state_log(world, 0), 1);
    }
    fixture_balances(&world->fx);
    state_client_drain(client);
    assert_int_equal(client->peer->lost + client->logs, LOGS);
    assert_int_equal(peer_stats(client->peer).dropped, client->peer->lost);
    assert_true(client->peer->lost > 0);
    state_client_is_up_to_date(world, 0, client);
    state_world_end(world, client);
  }
}

/* A value that takes more than the ring may hold waits for an empty ring; the older one of its key is still
 * delivered. */
static void a_value_larger_than_the_ring_waits(void **state) {
  (void) state;
  state_world_t *world = state_world_new();
  world->fx.policy.max_bytes = 1000;
  state_world_open(world, 10);
  state_client_t *client = state_client_refused(world, FLUXBP_TCP, &fluxbp_codec_newline);
  for (uint32_t key = 0; key < 10; key++) assert_int_equal(state_set(world, 0, key, 10), 1);
  for (uint32_t key = 0; key < 10; key++) assert_int_equal(state_set(world, 0, key, 5000), 1);
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_world_end(world, client);
}

/* Some get lines, some lengths; some come while others are behind, and while all keys change. */
static void clients_of_two_codecs_that_come_at_any_time(const fluxbp_transport_t *transport) {
  enum { KEYS = 500, CLIENTS = 6 };
  state_world_t *world = state_world_new();
  state_client_t *clients[CLIENTS];
  world->fx.policy.slots = 32;
  state_world_open(world, KEYS);
  for (int i = 0; i < CLIENTS; i++) {
    clients[i] = state_client_refused(world, transport, i % 2 ? &fluxbp_codec_length32 : &fluxbp_codec_newline);
    state_set_all(world, KEYS / 2 + 40 * (uint32_t) i, 1);
    fixture_turns(&world->fx, 1);
  }
  state_client_read(clients[2], 100000); /* it has begun its snapshot when the next values come */
  fixture_turns(&world->fx, 2);
  state_set_all(world, KEYS, 1);
  for (int i = 0; i < CLIENTS; i++) {
    state_client_drain(clients[i]);
    state_client_is_whole(world, clients[i]);
  }
  state_world_close(world);
  for (int i = 0; i < CLIENTS; i++) state_client_free(clients[i]);
}
FIXTURE_ALL(clients_of_two_codecs_that_come_at_any_time)

/* Each topic's walks wait for the other's, and nothing of either is lost. */
static void a_client_of_two_state_topics(void **state) {
  enum { KEYS = 400 };
  (void) state;
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 16;
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  state_set_all(world, KEYS, 1);
  for (uint32_t key = 0; key < KEYS; key++) assert_true(state_set(world, 1, key, 0) >= 0);
  state_subscribe(world, 1, client); /* in the middle of the other's */
  for (uint32_t step = 0; step < 2000; step++) {
    assert_true(state_set(world, (int) step % 2, step * 7 % KEYS, 0) >= 0);
    if (step % 8 == 0) fixture_turns(&world->fx, 1);
    if (step % 8 == 0) state_client_read(client, 300);
  }
  state_client_drain(client);
  state_client_is_whole(world, client);
  state_client_is_up_to_date(world, 1, client);
  state_world_end(world, client);
}

/* The last value of a key that is forgotten says so to the clients that have the key: it is delivered, too. */
static void the_last_value_of_a_forgotten_key_is_delivered(void **state) {
  enum { KEYS = 300 };
  static uint32_t last[KEYS];
  (void) state;
  state_world_t *world = state_world_new();
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, FLUXBP_TCP, &fluxbp_codec_newline);
  state_set_all(world, KEYS, 1);
  assert_true(client->peer->conn->catching_up > 0);
  for (uint32_t key = KEYS - 50; key < KEYS; key++) { /* none of which is queued */
    assert_int_equal(state_set(world, 0, key, 0), 1);
    last[key] = world->last_value;
    assert_int_equal(state_forget(world, 0, key), 1);
  }
  state_client_t *late = state_client_open(world, FLUXBP_TCP, &fluxbp_codec_newline);
  state_subscribe(world, 0, late);
  state_client_drain(client);
  state_client_drain(late);
  for (uint32_t key = KEYS - 50; key < KEYS; key++) {
    assert_int_equal(client->seen[0][key], last[key]);
    assert_int_equal(late->seen[0][key], 0); /* it comes later */
  }
  state_client_is_whole(world, client);
  state_client_is_whole(world, late);
  state_client_free(late);
  state_world_end(world, client);
}

/* One that finds no room is lost by the overflow rule, as nothing keeps it: never silently. */
static void a_forgotten_value_without_room_is_a_gap(void **state) {
  enum { KEYS = 300 };
  (void) state;
  state_world_t *world = state_world_new();
  world->fx.policy.slots = 16;
  state_world_open(world, KEYS);
  state_client_t *client = state_client_refused(world, FLUXBP_TCP, &fluxbp_codec_newline);
  state_set_all(world, KEYS, 1);
  for (uint32_t key = 100; key < KEYS; key++) assert_int_equal(state_forget(world, 0, key), 1);
  fixture_balances(&world->fx);
  state_client_drain(client);
  state_client_is_up_to_date(world, 0, client);
  uint64_t seen = 0;
  for (uint32_t key = 100; key < KEYS; key++) seen += client->seen[0][key] != 0;
  assert_int_equal(client->peer->lost, KEYS - 100 - seen);
  assert_int_equal(peer_stats(client->peer).dropped, client->peer->lost);
  state_world_end(world, client);
}

static void leaving_while_values_are_missing_is_clean(void **state) {
  enum { KEYS = 300 };
  (void) state;
  for (int way = 0; way < 4; way++) {
    state_world_t *world = state_world_new();
    world->fx.policy.slots = 16;
    state_world_open(world, KEYS);
    state_client_t *client = state_client_refused(world, FLUXBP_PIPE, &fluxbp_codec_newline);
    fluxbp_conn_t *conn = client->peer->conn;
    state_set_all(world, KEYS, 1);
    assert_int_equal(conn->catching_up, 1);
    if (way == 0) assert_int_equal(fluxbp_topic_unsubscribe(world->topics[0].topic, conn), 1);
    if (way == 1) fluxbp_topic_destroy(world->topics[0].topic);
    if (way == 2) fluxbp_conn_close(conn, 1000);
    if (way == 3) fluxbp_conn_reset(conn);
    assert_int_equal(conn->catching_up, 0);
    if (way < 2) {
      state_client_drain(client);
      assert_null(conn->rare); /* nothing was conflated: it has been given back */
    }
    state_world_end(world, client);
  }
}

/* Conflation makes slowness harmless: a client that reads all the time is kept, however far behind it is. When it stops
 * it is stalled, as any other. */
static void a_client_that_moves_is_kept(void **state) {
  enum { KEYS = 1000, SECONDS = 60 };
  (void) state;
  state_world_t *world = state_world_new();
  state_world_open(world, KEYS);
  state_client_t *client = state_client_open(world, FLUXBP_PIPE, &fluxbp_codec_newline);
  state_subscribe(world, 0, client);
  for (int i = 0; i < SECONDS * 4; i++) { /* the first round is a burst that fills the ring before the kernel refuses */
    for (uint32_t key = 0; key < KEYS; key++) assert_int_equal(state_set(world, 0, key, 0), 1);
    state_client_read(client, 600);
    fixture_advance(&world->fx, 250);
    assert_int_equal(world->fx.evictions, 0);
    assert_true(client->peer->conn->catching_up > 0);
  }
  assert_true(client->values > KEYS);
  fixture_advance(&world->fx, world->fx.policy.stall_ms + 500);
  assert_int_equal(client->peer->record.reason, FLUXBP_EVICT_STALLED);
  state_world_end(world, client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(more_keys_than_slots),
      FIXTURE_ALL_TESTS(a_burst_that_the_kernel_refuses),
      cmocka_unit_test(many_keys_and_many_slots),
      FIXTURE_ALL_TESTS(every_key_gets_its_turn),
      FIXTURE_ALL_TESTS(a_key_that_changed_once_gets_its_turn),
      cmocka_unit_test(values_make_room_for_a_log),
      FIXTURE_ALL_TESTS(values_that_make_room_hold_nobody),
      FIXTURE_ALL_TESTS(a_burst_behind_a_value_leaves_nothing),
      cmocka_unit_test(values_of_a_scan_that_has_ended_make_room),
      cmocka_unit_test(a_gap_counts_messages_of_the_log_alone),
      cmocka_unit_test(a_value_larger_than_the_ring_waits),
      FIXTURE_ALL_TESTS(clients_of_two_codecs_that_come_at_any_time),
      cmocka_unit_test(a_client_of_two_state_topics),
      cmocka_unit_test(the_last_value_of_a_forgotten_key_is_delivered),
      cmocka_unit_test(a_forgotten_value_without_room_is_a_gap),
      cmocka_unit_test(leaving_while_values_are_missing_is_clean),
      cmocka_unit_test(a_client_that_moves_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
