/* SPDX-License-Identifier: MIT */
/*
 * policy_sim: the policy over a thousand clients of all kinds, two virtual minutes a seed.
 *
 *   policy_sim_test           the tests
 *   policy_sim_test SEED      one seed: what became of each kind, and the story of whoever was judged wrongly
 *   policy_sim_test SEED N    the same, with the story of consumer N
 */
#include "support/fixture.h"

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = FIXTURE_IS_SANITIZED ? 16 : 200 };

static sim_world_t world;

typedef struct tally {
  uint32_t stays[SIM_MODELS];
  uint32_t stalled[SIM_MODELS];
  uint32_t slow[SIM_MODELS];
  uint32_t unreachable[SIM_MODELS];
  uint32_t soft_limit[SIM_MODELS];
  uint32_t cause_right[SIM_MODELS];
  uint32_t tried[SIM_MODELS]; /* were backpressured, and stayed */
  uint32_t had_to_go;         /* by a time that their numbers told */
  uint32_t unanswered;        /* were closed, since they didn't answer a ping */
  uint32_t late;              /* answers to pings that came after twice the time */
  uint32_t crowds;
} tally_t;

static void count(tally_t *tally) {
  tally->crowds += world.crowd_events;
  for (uint32_t i = 0; i < SIM_CONSUMERS; i++) {
    const sim_consumer_t *consumer = &world.consumers[i];
    bool stays = consumer->reason == FLUXBP_EVICT_NONE;
    tally->stays[consumer->model] += stays;
    tally->tried[consumer->model] += stays && consumer->pressed_since_ms > 0;
    tally->stalled[consumer->model] += consumer->reason == FLUXBP_EVICT_STALLED;
    tally->slow[consumer->model] += consumer->reason == FLUXBP_EVICT_SLOW;
    tally->unreachable[consumer->model] += consumer->reason == FLUXBP_EVICT_UNREACHABLE;
    tally->soft_limit[consumer->model] += consumer->reason == FLUXBP_EVICT_SOFT_LIMIT;
    tally->cause_right[consumer->model] += !stays && sim_is_cause_right(&world, consumer);
    tally->had_to_go += consumer->must_go_by_ms < SIM_DURATION_MS;
    tally->unanswered += consumer->pings.closed_ms > 0;
    tally->late += consumer->pings.late;
  }
}

static void print_tally(const tally_t *tally) {
  for (uint32_t i = 0; i < SIM_MODELS; i++)
    printf("%12s: %6u stay (%5u of them were backpressured), %5u STALLED, %4u SLOW, %4u UNREACHABLE, %4u SOFT_LIMIT; "
           "cause right: %5u\n",
           sim_model_name((sim_model_t) i), tally->stays[i], tally->tried[i], tally->stalled[i], tally->slow[i],
           tally->unreachable[i], tally->soft_limit[i], tally->cause_right[i]);
  printf("%u had to go by a time, %u crowds\n", tally->had_to_go, tally->crowds);
  printf("%u never answered a ping, %u answers were late\n", tally->unanswered, tally->late);
}

/* The index of the first who was judged wrongly, -1 if there is none, SIM_CONSUMERS if it is about all. */
static int first_wrong(const char **complaint, uint32_t *wrong) {
  int first = -1;
  *wrong = 0;
  for (int i = 0; i < SIM_CONSUMERS; i++) {
    const char *about_it = sim_consumer_complaint(&world, &world.consumers[i]);
    if (about_it == NULL) continue;
    ++*wrong;
    if (first < 0) first = i, *complaint = about_it;
  }
  if (first >= 0) return first;
  *complaint = sim_world_complaint(&world);
  return *complaint != NULL ? SIM_CONSUMERS : -1;
}

static void print_world(void) {
  static const char *const kinds[SIM_FEED_KINDS] = {"steady", "on and off", "batches"};
  const sim_feed_t *feed = &world.feed;
  printf("seed %llu: %u slots, stall %u ms, slow %u ms, grace %u ms; feed %s, %u a second of %u bytes",
         (unsigned long long) world.seed, world.policy.set.slots, world.policy.set.stall_ms, world.policy.set.slow_ms,
         world.policy.set.grace_ms, kinds[feed->kind], feed->rate, feed->size);
  if (world.policy.set.soft_bytes > 0)
    printf(", soft limit %llu bytes for %u ms", (unsigned long long) world.policy.set.soft_bytes,
           world.policy.set.soft_ms);
  if (feed->kind == SIM_FEED_ON_OFF) printf(", on %u ms, off %u ms", feed->on_ms, feed->off_ms);
  if (feed->kind == SIM_FEED_BATCHES) printf(", every %u ms", feed->interval_ms);
  if (feed->burst) printf(", a burst of %u from %u to %u ms", feed->burst, feed->burst_ms, feed->burst_end_ms);
  if (world.ping_ms > 0) printf(", a ping every %u ms", world.ping_ms);
  if (world.dead_from_ms < UINT32_MAX) printf(", uplink dead from %u to %u ms", world.dead_from_ms, world.dead_to_ms);
  for (uint32_t i = 0; i < world.stop_count; i++)
    printf(", %s stopped from %u to %u ms", world.stops[i].is_of_host ? "host" : "server", world.stops[i].from_ms,
           world.stops[i].to_ms);
  printf("\n");
}

static void print_story(uint64_t seed, sim_fault_t fault, int index) {
  sim_run(&world, seed, fault, index);
  const sim_consumer_t *consumer = &world.consumers[index];
  const sim_peer_t *peer = &consumer->peer;
  printf("  consumer %d (%s) opens at %u ms, reads %u bytes a second, link %u, flight %u, window %u in steps of %u, "
         "unsent %u\n",
         index, sim_model_name(consumer->model), consumer->opens_ms, peer->reads * SIM_STEPS_PER_S,
         peer->link * SIM_STEPS_PER_S, peer->flight_max, peer->window, peer->window_step, peer->unsent_max);
  if (peer->pause_at_ms < UINT32_MAX)
    printf("  pauses %u ms every %u ms, next at %u ms\n", peer->pause_ms, peer->pause_every_ms, peer->pause_at_ms);
  if (peer->dead_from_ms < UINT32_MAX) printf("  dead from %u ms\n", peer->dead_from_ms);
  if (consumer->must_go_by_ms < UINT32_MAX) printf("  has to go by %u ms\n", consumer->must_go_by_ms);
  if (world.ping_ms > 0)
    printf("  %s, heard at %llu ms, closed at %llu ms (observed)\n",
           consumer->pings.is_mute ? "never answers" : "answers", (unsigned long long) consumer->pings.heard_told_ms,
           (unsigned long long) consumer->pings.closed_ms);
  printf("  last moved at %llu ms (observed)\n", (unsigned long long) consumer->moved_ms);
}

/* True if all was well. */
static bool run_and_report(uint64_t seed, tally_t *tally) {
  const char *complaint;
  uint32_t wrong;
  sim_run(&world, seed, SIM_FAULT_NONE, -1);
  count(tally);
  int index = first_wrong(&complaint, &wrong);
  if (index < 0) return true;
  print_world();
  printf("  WRONG: %s (%u consumers); to see it again: policy_sim_test %llu\n", complaint, wrong,
         (unsigned long long) seed);
  if (index < SIM_CONSUMERS) print_story(seed, SIM_FAULT_NONE, index);
  return false;
}

static void policy_judges_every_client_rightly(void **state) {
  (void) state;
  tally_t tally = {0};
  uint32_t wrong = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) wrong += !run_and_report(seed, &tally);
  print_tally(&tally);
  assert_int_equal(wrong, 0);

  /* and there was something to judge */
  for (int model = 0; model <= SIM_CONFLATING; model++)
    if (model != SIM_DEEP && model != SIM_TRICKLE && model != SIM_STALLED) assert_true(tally.tried[model] > SEEDS / 8);
  assert_true(tally.stays[SIM_CLOSED] > SEEDS && tally.stays[SIM_DRIP] > SEEDS &&
              tally.stays[SIM_BACK_IN_TIME] > SEEDS);
  assert_true(tally.unreachable[SIM_GONE] > SEEDS && tally.stalled[SIM_GONE] > SEEDS && tally.tried[SIM_LARGE] > SEEDS);
  uint32_t evicted = 0;
  uint32_t right = 0;
  for (int model = 0; model < SIM_MODELS; model++) {
    evicted += tally.stalled[model] + tally.slow[model] + tally.unreachable[model] + tally.soft_limit[model];
    right += tally.cause_right[model];
  }
  printf("%u evicted, the cause right of %.2f %%\n", evicted, 100.0 * right / evicted);
  assert_true(right * 100 >= evicted * 95);
  assert_true(tally.stalled[SIM_TRICKLE] > SEEDS && tally.slow[SIM_TRICKLE] > 0);
  assert_true(tally.stalled[SIM_STALLED] > SEEDS && tally.slow[SIM_SLOW_LINK] > SEEDS);
  assert_true(tally.had_to_go > SEEDS && tally.crowds > 0);
  assert_true(tally.soft_limit[SIM_ABOVE] > SEEDS && tally.stays[SIM_DIPPING] > SEEDS);
  assert_true(tally.unanswered > SEEDS && tally.late > SEEDS);
}

static void policy_of_the_same_seed_has_the_same_trace(void **state) {
  (void) state;
  uint64_t hashes[2][4];
  for (int round = 0; round < 2; round++) {
    for (uint64_t seed = 5; seed < 9; seed++) { /* with a dead uplink, one that is back, and real rings */
      sim_run(&world, seed, SIM_FAULT_NONE, -1);
      hashes[round][seed - 5] = world.hash;
    }
  }
  assert_memory_equal(hashes[0], hashes[1], sizeof hashes[0]);
  for (int i = 1; i < 4; i++) assert_true(hashes[0][i] != hashes[0][i - 1]);
}

/* A simulation that finds nothing wrong has to show that it would. */
static void simulation_finds_every_seeded_fault(void **state) {
  (void) state;
  uint32_t missed = 0;
  for (int fault = SIM_FAULT_NONE + 1; fault < SIM_FAULTS; fault++) {
    const char *complaint = NULL;
    uint32_t wrong;
    uint64_t seed = 0;
    for (; seed < SEEDS; seed++) {
      sim_run(&world, seed, (sim_fault_t) fault, -1);
      if (first_wrong(&complaint, &wrong) >= 0) break;
    }
    printf("%26s: %s, seed %llu\n", sim_fault_name((sim_fault_t) fault), complaint ? complaint : "MISSED",
           (unsigned long long) seed);
    missed += seed == SEEDS;
  }
  assert_int_equal(missed, 0);
}

static int replay(uint64_t seed, int index) {
  tally_t tally = {0};
  bool is_well = run_and_report(seed, &tally);
  if (is_well) print_world();
  if (index >= 0 && index < SIM_CONSUMERS) print_story(seed, SIM_FAULT_NONE, index);
  print_tally(&tally);
  printf("trace %016llx\n", (unsigned long long) world.hash);
  return is_well ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc > 1) return replay(strtoull(argv[1], NULL, 0), argc > 2 ? atoi(argv[2]) : -1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(policy_judges_every_client_rightly),
      cmocka_unit_test(policy_of_the_same_seed_has_the_same_trace),
      cmocka_unit_test(simulation_finds_every_seeded_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
