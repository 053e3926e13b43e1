/* SPDX-License-Identifier: MIT */
/*
 * State topics under random sequences: publications, clients that read or don't, newcomers, those that leave, keys that
 * are removed or forgotten, policies that change, memory that is short. After each drain every client has the newest
 * value of every key of its topics, and the books balance.
 *
 * A seed decides everything. `state_fuzz_test SEED` runs that one alone.
 */
#include "catch_up.h"
#include "pool.h"
#include "subscriptions.h"
#include "support/alloc_hook.h"
#include "support/state_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  SEEDS = 100,
  STEPS = 2500,
  STEPS_TO_A_DRAIN = 250,
  CLIENTS = 5,
  KEYS = 300,
  BLOCKS = 4096,
  BUDGET_BYTES = 2 << 20,
  RING_BYTES = 8192
};

typedef struct fuzz_client {
  state_client_t *state; /* NULL: there is none */
  bool is_subscribed[STATE_TOPICS];
  bool was_subscribed[STATE_TOPICS];     /* before: what is queued of that may be older than what it has forgotten */
  uint32_t farewell[STATE_TOPICS][KEYS]; /* the last value of a key that is forgotten, if it has to come; or 0 */
} fuzz_client_t;

typedef struct fuzz {
  state_world_t *world;
  alloc_hook_t hook;
  fuzz_client_t clients[CLIENTS];
  uint32_t forgotten[STATE_TOPICS][KEYS]; /* the last value that each key had when it was forgotten last */
  uint32_t seed;
  void *blocks[BLOCKS];
  size_t sizes[BLOCKS];
  int taken;
} fuzz_t;

static uint32_t draw(fuzz_t *f, uint32_t below) {
  f->seed = f->seed * 1664525u + 1013904223u;
  return (f->seed >> 8) % below;
}

static bool is_there(const fuzz_client_t *client) {
  if (client->state == NULL) return false;
  const fluxbp_conn_t *conn = client->state->peer->conn;
  return conn != NULL && conn->state == FLUXBP__CONN_OPEN;
}

static fluxbp_policy_t draw_policy(fuzz_t *f) {
  static const uint32_t slots[] = {2, 7, 16, 40, 128};
  fluxbp_policy_t policy = f->world->fx.policy;
  policy.slots = slots[draw(f, 5)];
  policy.overflow = (fluxbp_overflow_t) draw(f, 3);
  policy.high_percent = 20 + draw(f, 81);
  policy.low_percent = draw(f, policy.high_percent);
  policy.max_bytes = draw(f, 4) == 0 ? 500 : RING_BYTES;
  return policy;
}

static void come(fuzz_t *f, fuzz_client_t *client) {
  state_client_free(client->state);
  memset(client, 0, sizeof *client);
  const fluxbp_codec_t *codec = draw(f, 2) ? &fluxbp_codec_newline : &fluxbp_codec_length32;
  client->state = state_client_open(f->world, FLUXBP_PIPE, codec); /* over TCP the kernel waits with the last bytes */
  fluxbp_policy_t policy = draw_policy(f);
  assert_int_equal(fluxbp_conn_set_policy(client->state->peer->conn, &policy), 0);
  if (draw(f, 2)) (void) fluxbp_topic_subscribe(f->world->fx.topic, client->state->peer->conn);
}

static void subscribe(fuzz_t *f, fuzz_client_t *client) {
  int topic = (int) draw(f, STATE_TOPICS);
  int result = fluxbp_topic_subscribe(f->world->topics[topic].topic, client->state->peer->conn);
  if (result == 1) client->is_subscribed[topic] = true; /* or memory is short */
}

static void unsubscribe(fuzz_t *f, fuzz_client_t *client) {
  int topic = (int) draw(f, STATE_TOPICS);
  assert_int_equal(fluxbp_topic_unsubscribe(f->world->topics[topic].topic, client->state->peer->conn),
                   client->is_subscribed[topic]);
  client->was_subscribed[topic] |= client->is_subscribed[topic];
  client->is_subscribed[topic] = false;
}

static void publish_some(fuzz_t *f) {
  static const size_t pads[] = {0, 0, 0, 10, 100, 600};
  int topic = (int) draw(f, STATE_TOPICS);
  uint32_t keys = topic == 0 ? KEYS : 20;
  uint32_t first = draw(f, keys);
  uint32_t count = 1 + draw(f, draw(f, 8) == 0 ? 200 : 10);
  size_t pad = pads[draw(f, 6)];
  for (uint32_t i = 0; i < count; i++) {
    uint32_t key = (first + i * 7) % keys;
    if (state_set(f->world, topic, key, pad) < 0) continue;
    for (int c = 0; c < CLIENTS; c++) f->clients[c].farewell[topic][key] = 0;
  }
}

/* Whether the client has to get the last value of a key that is forgotten now. In its first walk over the topic only
 * one of a key that it has got, and that wasn't forgotten since. */
static bool is_due_last_value(const fuzz_t *f, const fuzz_client_t *client, int topic, uint32_t key) {
  if (!is_there(client) || !client->is_subscribed[topic] || client->was_subscribed[topic]) return false;
  if (client->state->seen[topic][key] > f->forgotten[topic][key]) return true;
  const fluxbp__behind_t *behind =
      fluxbp__catch_up_of(fluxbp__conn_subscription(client->state->peer->conn, f->world->topics[topic].topic));
  return behind == NULL || !behind->is_newcomer;
}

static void remove_some(fuzz_t *f) {
  int topic = (int) draw(f, STATE_TOPICS);
  uint32_t keys = topic == 0 ? KEYS : 20;
  uint32_t first = draw(f, keys);
  for (uint32_t count = 1 + draw(f, draw(f, 4) == 0 ? 100 : 5); count > 0; count--) {
    uint32_t key = (first + count) % keys;
    bool was_there = f->world->topics[topic].newest[key] != 0;
    if (state_unset(f->world, topic, key) < 0 || !was_there) continue;
    f->forgotten[topic][key] = f->world->last_value;
    for (int c = 0; c < CLIENTS; c++) f->clients[c].farewell[topic][key] = 0;
  }
}

static void forget_some(fuzz_t *f) {
  int topic = (int) draw(f, STATE_TOPICS);
  uint32_t keys = topic == 0 ? KEYS : 20;
  for (uint32_t count = 1 + draw(f, 5); count > 0; count--) {
    uint32_t key = draw(f, keys);
    uint32_t value = f->world->topics[topic].newest[key];
    for (int c = 0; c < CLIENTS && value != 0; c++) {
      fuzz_client_t *client = &f->clients[c];
      if (is_due_last_value(f, client, topic, key)) client->farewell[topic][key] = value;
    }
    if (value != 0) f->forgotten[topic][key] = value;
    (void) state_forget(f->world, topic, key);
  }
}

/* Leave room for a few small blocks at the most. */
static void take_memory(fuzz_t *f) {
  for (size_t size = 65536; size >= 16; size /= 2) {
    while (f->taken < BLOCKS) {
      if (fluxbp__pool_alloc(f->world->fx.pool, FLUXBP__CONTROL, size, &f->blocks[f->taken]) != 0) break;
      f->sizes[f->taken++] = size;
    }
  }
  for (uint32_t i = draw(f, 40); i > 0 && f->taken > 0; i--) {
    f->taken--;
    fluxbp__pool_free(f->world->fx.pool, FLUXBP__CONTROL, f->blocks[f->taken], f->sizes[f->taken]);
  }
}

static void give_memory_back(fuzz_t *f) {
  while (f->taken > 0) {
    f->taken--;
    fluxbp__pool_free(f->world->fx.pool, FLUXBP__CONTROL, f->blocks[f->taken], f->sizes[f->taken]);
  }
}

static void check(fuzz_t *f, const fuzz_client_t *client) {
  for (int topic = 0; topic < STATE_TOPICS; topic++) {
    if (!client->is_subscribed[topic]) continue;
    state_client_has_newest(f->world, topic, client->state);
    if (!client->was_subscribed[topic] && peer_stats(client->state->peer).dropped == 0) /* else it knows of a loss */
      state_client_has_removals(f->world, topic, client->state);
    for (uint32_t key = 0; key < KEYS && client->is_subscribed[topic]; key++) {
      uint32_t value = client->farewell[topic][key];
      if (value == 0 || client->state->seen[topic][key] == value) continue;
      assert_true(peer_stats(client->state->peer).dropped > 0); /* it knows that something is missing */
    }
  }
}

static void drain_all(fuzz_t *f) {
  for (int i = 0; i < CLIENTS; i++) {
    if (f->clients[i].state == NULL) continue;
    state_client_drain(f->clients[i].state);
    if (is_there(&f->clients[i])) check(f, &f->clients[i]);
  }
  fixture_balances(&f->world->fx);
}

/* The allocator fails once, in the middle of it. */
static void work_without_memory(fuzz_t *f) {
  alloc_hook_fail_once(&f->hook, 1 + draw(f, 8));
  publish_some(f);
  fixture_turns(&f->world->fx, 1);
  alloc_hook_heal(&f->hook);
}

static void send_until_refused(const fuzz_client_t *client) {
  static const char data[4096];
  for (int i = 0; i < 100 && is_there(client) && !peer_stats(client->state->peer).is_refused; i++) {
    (void) fixture_send(client->state->peer, data, sizeof data);
    (void) fluxbp_conn_flush(client->state->peer->conn);
  }
}

static void one_client(fuzz_t *f, uint32_t action) {
  fuzz_client_t *client = &f->clients[draw(f, CLIENTS)];
  if (!is_there(client)) {
    if (f->taken == 0) come(f, client);
    return;
  }
  fluxbp_policy_t policy = draw_policy(f);
  fluxbp_conn_t *conn = client->state->peer->conn;
  switch (action) {
  case 0:
    subscribe(f, client);
    break;
  case 1:
    if (draw(f, 4) == 0) unsubscribe(f, client);
    break;
  case 2:
    (void) fluxbp_conn_set_policy(conn, &policy);
    break;
  case 3:
    send_until_refused(client);
    break;
  case 4:
    if (draw(f, 8) == 0) fluxbp_conn_reset(conn);
    break;
  case 5:
    (void) fluxbp_conn_flush(conn);
    break;
  default:
    state_client_read(client->state, 1 + draw(f, 6000));
  }
}

static void step(fuzz_t *f) {
  uint32_t action = draw(f, 100);
  if (action < 35)
    publish_some(f);
  else if (action < 38)
    forget_some(f);
  else if (action < 40)
    remove_some(f);
  else if (action < 48)
    (void) state_log(f->world, draw(f, 300));
  else if (action < 50 && f->taken == 0)
    take_memory(f);
  else if (action < 53)
    give_memory_back(f);
  else if (action < 54)
    work_without_memory(f);
  else if (action < 75)
    fixture_turns(&f->world->fx, 1);
  else
    one_client(f, draw(f, 10));
}

static void is_never_stale(void **state) {
  fuzz_t *f = calloc(1, sizeof *f);
  assert_non_null(f);
  f->world = calloc(1, sizeof *f->world);
  assert_non_null(f->world);
  f->seed = (uint32_t) (uintptr_t) *state;
  fixture_init(&f->world->fx);
  alloc_hook_init(&f->hook);
  f->world->fx.pool_options.max_bytes = BUDGET_BYTES;
  f->world->fx.pool_options.allocator = alloc_hook_allocator(&f->hook);
  state_world_open(f->world, KEYS);
  for (int i = 1; i <= STEPS; i++) {
    step(f);
    if (i % STEPS_TO_A_DRAIN != 0) continue;
    if (draw(f, 2)) give_memory_back(f); /* or what is left of it has to do */
    drain_all(f);
    give_memory_back(f);
  }
  state_world_close(f->world);
  for (int i = 0; i < CLIENTS; i++) state_client_free(f->clients[i].state);
  free(f);
}

int main(int argc, char **argv) {
  static struct CMUnitTest tests[SEEDS];
  static char names[SEEDS][32];
  size_t count = argc > 1 ? 1 : SEEDS;
  for (size_t i = 0; i < count; i++) {
    uintptr_t seed = argc > 1 ? (uintptr_t) strtoul(argv[1], NULL, 10) : i + 1;
    (void) snprintf(names[i], sizeof names[i], "seed_%lu", (unsigned long) seed);
    tests[i] = (struct CMUnitTest){.name = names[i], .test_func = is_never_stale, .initial_state = (void *) seed};
  }
  return _cmocka_run_group_tests("state_fuzz", tests, count, NULL, NULL);
}
