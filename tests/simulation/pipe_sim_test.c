/* SPDX-License-Identifier: MIT */
/*
 * pipe_sim: patience over clients that pause, stop for good, and stop again and again, while the publisher waits for
 * them; a minute and a half of virtual time a seed. `pipe_sim_test SEED` prints what became of that seed's clients.
 */
#include "pipe.h"

#include "support/fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = FIXTURE_IS_SANITIZED ? 100 : 1000, MIXES = 3 };

typedef enum pipe_model { PAUSING, STEADY, CYCLING, STALLED, MODELS } pipe_model_t;

static const char *const model_names[MODELS] = {"pausing", "steady", "cycling", "stalled"};

static pipe_world_t world;

static uint32_t in_steps(double ms) {
  return (uint32_t) ms / PIPE_STEP_MS * PIPE_STEP_MS;
}

static double some(double least, double most) {
  return sim_random_real(&world.random, least, most);
}

static void choose_world(void) {
  static const uint32_t slots[] = {64, 128, 256, 1024};
  static const uint32_t times_ms[] = {3000, 5000, 8000};
  sim_random_t *random = &world.random;
  fluxbp_policy_t set;
  fluxbp_policy_init(&set);
  set.overflow = FLUXBP_OVERFLOW_EVICT;
  set.slots = slots[sim_random_int(random, 0, 3)];
  set.stall_ms = sim_random_chance(random, 20) ? 0 : times_ms[sim_random_int(random, 0, 2)];
  set.slow_ms = 0;
  set.grace_ms = sim_random_chance(random, 50) ? set.grace_ms : 0;
  set.max_bytes = FLUXBP_RING_BYTES_MAX;
  int err = fluxbp__policy_prepare(&set, &world.policy);
  assert(err == 0);
  (void) err;
  world.patience_ms = times_ms[sim_random_int(random, 0, 2)];
  world.message_bytes = sim_random_int(random, 200, 4000);
  world.messages_per_step = sim_random_int(random, 10, 100);
  fluxbp__patience_start(&world.shared, 0, pipe_bucket_ms(&world), 0);
}

/* A client that takes whatever comes within a moment. */
static void connect_fast_peer(pipe_client_t *client) {
  uint32_t window = sim_random_int(&world.random, 4096, 65536);
  client->peer = (sim_peer_t){
      .reads = 1 << 20,
      .link = 1 << 20,
      .flight_max = 1 << 20,
      .window = window,
      .window_step = window / 4,
      .unsent_max = 16384,
      .pause_at_ms = UINT32_MAX,
      .dead_from_ms = UINT32_MAX,
  };
}

static void pause_peer(sim_peer_t *peer, double pause_ms, double reads_for_ms) {
  peer->pause_ms = in_steps(pause_ms);
  peer->pause_every_ms = peer->pause_ms + in_steps(reads_for_ms) + PIPE_STEP_MS;
  peer->pause_at_ms = in_steps(some(PIPE_STEP_MS, peer->pause_every_ms));
}

/*
 * PAUSING: a pause shorter than the bucket, and then as much time in which the bucket fills up. Or one of at most half
 * of it as often as it likes. Right: it stays.
 */
static void choose_pausing(pipe_client_t *client) {
  double bucket_ms = pipe_bucket_ms(&world);
  double most_ms = bucket_ms - 2 * PIPE_SWEEP_MS;
  bool is_short = sim_random_chance(&world.random, 30);
  double pause_ms = is_short ? some(500, bucket_ms / 2 - 2 * PIPE_SWEEP_MS) : some(900, most_ms);
  connect_fast_peer(client);
  pause_peer(&client->peer, pause_ms, is_short ? some(200, 3000) : pause_ms + some(1000, 5000));
}

/* STEADY: reads all the time, slower than the feed; its window opens in steps. Right: it stays. */
static void choose_steady(pipe_client_t *client) {
  double silence_ms = some(500, pipe_bucket_ms(&world) / 2.0 - 3 * PIPE_SWEEP_MS);
  connect_fast_peer(client);
  sim_peer_t *peer = &client->peer;
  peer->window_step = sim_random_int(&world.random, 16384, 46000);
  peer->window = 2 * peer->window_step;
  peer->reads = (uint32_t) (peer->window_step / (silence_ms / PIPE_STEP_MS)) + 1;
}

/* CYCLING: stops for nearly as long as the bucket lasts, again and again. Right: it may go, and doesn't hold for
 * ever. */
static void choose_cycling(pipe_client_t *client) {
  connect_fast_peer(client);
  pause_peer(&client->peer, pipe_bucket_ms(&world) * some(0.7, 0.9), 200);
}

/* STALLED: reads whatever comes until a moment, and nothing from then on. Right: it goes. */
static void choose_stalled(pipe_client_t *client) {
  connect_fast_peer(client);
  client->peer.dead_from_ms = in_steps(some(0, 20000));
}

/* Few of one kind leave the publisher to the others: a steady reader that sets the pace hides what pauses do. */
static void choose_client(pipe_client_t *client, uint32_t mix) {
  static void (*const choose[MODELS])(pipe_client_t *) = {choose_pausing, choose_steady, choose_cycling,
                                                          choose_stalled};
  static const uint8_t percent[MIXES][MODELS] = {{60, 0, 0, 40}, {30, 40, 0, 30}, {30, 0, 40, 30}};
  uint32_t drawn = sim_random_int(&world.random, 0, 99);
  uint32_t sum = 0;
  for (int model = 0; model < MODELS; model++) {
    sum += percent[mix][model];
    if (drawn < sum) {
      client->model = (uint8_t) model;
      break;
    }
  }
  choose[client->model](client);
  pipe_open(&world, client);
}

static void run(uint64_t seed, pipe_fault_t fault) {
  memset(&world, 0, sizeof world);
  world.random.state = seed;
  world.fault = fault;
  choose_world();
  uint32_t mix = (uint32_t) (seed % MIXES);
  uint32_t clients = sim_random_int(&world.random, 2, PIPE_CLIENTS);
  for (uint32_t i = 0; i < clients; i++) choose_client(&world.clients[i], mix);
  pipe_run(&world);
}

/* What is wrong with what became of it, or NULL. */
static const char *complaint_about(const pipe_client_t *client) {
  const uint64_t slack_ms = 2 * PIPE_SWEEP_MS;
  uint64_t bucket_ms = pipe_bucket_ms(&world);
  uint64_t end_ms = client->is_open ? world.now_ms : client->evicted_ms;
  bool is_healthy = client->model == PAUSING || client->model == STEADY;
  if (is_healthy && client->reason != FLUXBP_EVICT_NONE) return "evicted, and should stay";
  if (client->reason == FLUXBP_EVICT_OVERFLOW) return "OVERFLOW, though the publisher waits";
  if (client->longest_held_ms > bucket_ms + slack_ms) return "holds the publisher up for longer than its patience";
  if (client->long_held_ms > (bucket_ms + end_ms) / 2 + bucket_ms) return "holds the publisher up most of the time";
  bool has_to_go = client->model == STALLED && world.policy.set.stall_ms != 0 && client->is_refused;
  if (has_to_go && end_ms - client->moved_ms > world.policy.set.stall_ms + slack_ms) return "stays, and should go";
  return NULL;
}

static const char *first_complaint(int *index) {
  for (*index = 0; *index < PIPE_CLIENTS; ++*index) {
    const char *complaint = complaint_about(&world.clients[*index]);
    if (complaint != NULL) return complaint;
  }
  return NULL;
}

static void print_world(uint64_t seed) {
  printf("seed %llu: %u slots, stall %u ms, patience %u ms, grace %u ms, messages of %u bytes; %llu published\n",
         (unsigned long long) seed, world.policy.set.slots, world.policy.set.stall_ms, world.patience_ms,
         world.policy.set.grace_ms, world.message_bytes, (unsigned long long) world.published);
  for (int i = 0; i < PIPE_CLIENTS; i++) {
    const pipe_client_t *client = &world.clients[i];
    const char *complaint = complaint_about(client);
    printf(
        "  client %2d (%s): reason %d at %llu ms, pauses %u ms every %u ms, held %llu ms at most, %llu ms in all%s%s\n",
        i, model_names[client->model], client->reason, (unsigned long long) client->evicted_ms, client->peer.pause_ms,
        client->peer.pause_every_ms, (unsigned long long) client->longest_held_ms,
        (unsigned long long) client->long_held_ms, complaint != NULL ? "; WRONG: " : "",
        complaint != NULL ? complaint : "");
  }
}

static void each_client_has_its_own_patience(void **state) {
  uint32_t gone[MODELS] = {0};
  uint32_t clients[MODELS] = {0};
  uint32_t held_long[MODELS] = {0};
  uint32_t wrong = 0;
  uint64_t published = 0;
  (void) state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    int index;
    run(seed, PIPE_FAULT_NONE);
    published += world.published;
    if (first_complaint(&index) != NULL) {
      print_world(seed);
      wrong++;
    }
    for (int i = 0; i < PIPE_CLIENTS; i++) {
      const pipe_client_t *client = &world.clients[i];
      clients[client->model]++;
      gone[client->model] += client->reason != FLUXBP_EVICT_NONE;
      held_long[client->model] += client->long_held_ms > 0;
    }
  }
  for (int i = 0; i < MODELS; i++)
    printf("%10s: %5u of %5u go, %5u held the publisher up in long silences\n", model_names[i], gone[i], clients[i],
           held_long[i]);
  printf("%llu messages a seed\n", (unsigned long long) (published / SEEDS));
  assert_int_equal(wrong, 0);
  /* and there was something to judge */
  assert_true(held_long[PAUSING] > SEEDS / 4 && gone[STALLED] > SEEDS && gone[CYCLING] > SEEDS / 4);
}

/* A simulation that finds nothing wrong has to show that it would. */
static void simulation_finds_every_seeded_fault(void **state) {
  static const char *const names[PIPE_FAULTS] = {"none", "shared bucket", "full on drain", "steps count",
                                                 "never empty"};
  uint32_t missed = 0;
  (void) state;
  for (int fault = PIPE_FAULT_NONE + 1; fault < PIPE_FAULTS; fault++) {
    const char *complaint = NULL;
    uint64_t seed = 0;
    for (int index; seed < SEEDS && complaint == NULL; seed++) {
      run(seed, (pipe_fault_t) fault);
      complaint = first_complaint(&index);
    }
    printf("%14s: %s, seed %llu\n", names[fault], complaint != NULL ? complaint : "MISSED",
           (unsigned long long) seed - 1);
    missed += complaint == NULL;
  }
  assert_int_equal(missed, 0);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    run(strtoull(argv[1], NULL, 0), argc > 2 ? (pipe_fault_t) atoi(argv[2]) : PIPE_FAULT_NONE);
    print_world(strtoull(argv[1], NULL, 0));
    return 0;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_client_has_its_own_patience),
      cmocka_unit_test(simulation_finds_every_seeded_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
