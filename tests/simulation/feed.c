/* SPDX-License-Identifier: MIT */
#include "feed.h"

/* What one publisher may bring up, so that windows that fit into a test's idea of memory are large enough for it. */
static const double BYTES_PER_S_MAX = 600e3;

static uint32_t in_steps(uint32_t ms) {
  return ms - ms % SIM_STEP_MS;
}

void sim_feed_init(sim_feed_t *feed, sim_random_t *random, uint32_t ring_slots, uint64_t ring_bytes) {
  *feed = (sim_feed_t){.kind = (sim_feed_kind_t) sim_random_int(random, 0, SIM_FEED_KINDS - 1)};
  if (sim_random_chance(random, 40)) feed->kind = SIM_FEED_STEADY;
  feed->size = (uint32_t) sim_random_scale(random, 100, 16384);
  feed->rate = (uint32_t) sim_random_scale(random, 2, 600);
  if (feed->rate * (double) feed->size > BYTES_PER_S_MAX) feed->rate = (uint32_t) (BYTES_PER_S_MAX / feed->size);
  feed->on_ms = in_steps(sim_random_int(random, 1000, 10000));
  feed->off_ms = in_steps(sim_random_int(random, 1000, 20000));

  uint32_t ring = (uint32_t) (ring_bytes / feed->size) < ring_slots ? (uint32_t) (ring_bytes / feed->size) : ring_slots;
  uint32_t batch = sim_random_int(random, 1, ring / 4);
  feed->interval_ms = in_steps(batch * 1000 / feed->rate);
  if (feed->interval_ms < 100) feed->interval_ms = 100;
  if (feed->interval_ms > 2000) feed->interval_ms = 2000;

  if (feed->kind == SIM_FEED_STEADY && sim_random_chance(random, 60)) {
    feed->burst = (uint32_t) (ring * sim_random_real(random, 0.5, 1.5));
    feed->burst_ms = in_steps(sim_random_int(random, 15000, 50000));
    feed->burst_end_ms = feed->burst_ms + SIM_STEP_MS * sim_random_int(random, 1, 20);
  }
}

static bool is_publishing(const sim_feed_t *feed, uint32_t now_ms) {
  switch (feed->kind) {
  case SIM_FEED_ON_OFF:
    return now_ms % (feed->on_ms + feed->off_ms) < feed->on_ms;
  case SIM_FEED_BATCHES:
    return now_ms % feed->interval_ms == 0;
  case SIM_FEED_STEADY:
  case SIM_FEED_KINDS:
    break;
  }
  return true;
}

static uint32_t burst_in_step(const sim_feed_t *feed, uint32_t now_ms) {
  if (now_ms < feed->burst_ms || now_ms >= feed->burst_end_ms) return 0;
  uint32_t steps = (feed->burst_end_ms - feed->burst_ms) / SIM_STEP_MS;
  uint32_t step = (now_ms - feed->burst_ms) / SIM_STEP_MS;
  return feed->burst * (step + 1) / steps - feed->burst * step / steps;
}

uint32_t sim_feed_step(sim_feed_t *feed, uint32_t now_ms) {
  uint32_t burst = burst_in_step(feed, now_ms);
  if (!is_publishing(feed, now_ms)) return burst;
  feed->owed += (uint64_t) feed->rate * (feed->kind == SIM_FEED_BATCHES ? feed->interval_ms : SIM_STEP_MS);
  uint32_t messages = (uint32_t) (feed->owed / 1000);
  feed->owed %= 1000;
  return burst + messages;
}

double sim_feed_peak(const sim_feed_t *feed) {
  return (double) feed->rate * feed->size;
}

double sim_feed_mean(const sim_feed_t *feed) {
  double peak = sim_feed_peak(feed);
  return feed->kind == SIM_FEED_ON_OFF ? peak * feed->on_ms / (feed->on_ms + feed->off_ms) : peak;
}
