/* SPDX-License-Identifier: MIT */
/*
 * pace: what is due is done at the first visit after its time.
 */
#include "pace.h"

#include "values.h"
#include "worker.h"

#include <math.h>

/* An allowance that isn't used up doesn't grow beyond that of so long a time: reading a backlog at once isn't slow. */
static const uint64_t max_allowance_ns = 200 * NS_PER_MS;

/* Cuts come at any time with the same likelihood, like those of real networks. */
static uint64_t time_to_next_cut(struct client *client) {
  double uniform = (double) (worker_random(client->worker) >> 11) * 0x1p-53;
  return (uint64_t) (-log(1 - uniform) * (double) client->worker->options->mix.reconnect_mean_ns);
}

void pace_begin(struct client *client, uint64_t now_ns) {
  client->due_ns = now_ns;
  if (client->class == CLIENT_BURSTY)
    client->due_ns += worker_random(client->worker) % client->worker->options->mix.bursty_pause_ns;
  if (client->class == CLIENT_RECONNECT) client->due_ns += time_to_next_cut(client);
}

static void visit_slow(struct client *client, uint64_t now_ns) {
  if (client->state != CLIENT_OPEN) return;
  fluxbp_client_stats_t stats;
  uint64_t rate = client->worker->options->mix.slow_bytes_per_second;
  uint64_t most = rate * max_allowance_ns / NS_PER_S + 1;
  uint64_t earned = (uint64_t) ((double) rate * (double) (now_ns - client->due_ns) / 1e9);
  if (earned == 0) return; /* at less than a byte a visit it adds up */
  client->due_ns = now_ns;
  fluxbp_client_get_stats(client->stream, &stats);
  uint64_t allowance = client->may_read - stats.received_bytes + earned;
  if (allowance > most) allowance = most;
  client->may_read = stats.received_bytes + allowance;
  fluxbp_client_resume_read_for(client->stream, allowance);
}

static void visit_bursty(struct client *client, uint64_t now_ns) {
  uint64_t pause_ns = client->worker->options->mix.bursty_pause_ns;
  if (client->state != CLIENT_OPEN || now_ns < client->due_ns) return;
  /* Half to one and a half of it, so that not all of them read at the same time. */
  client->due_ns = now_ns + pause_ns / 2 + worker_random(client->worker) % (pause_ns + 1);
  client->is_reading = !client->is_reading;
  if (client->is_reading)
    fluxbp_client_resume_read(client->stream);
  else
    fluxbp_client_pause_read(client->stream);
}

static void visit_reconnect(struct client *client, uint64_t now_ns) {
  struct worker *worker = client->worker;
  if (client->state != CLIENT_OPEN || now_ns < client->due_ns) return;
  client->due_ns = now_ns + time_to_next_cut(client);
  /* Without a position it couldn't resume, and being cut again before anything came it would never get on. */
  bool can_resume = fluxbp_client_position(client->stream)[0] != '\0' && client->has_got_message;
  if (!can_resume || results_phase(worker->results) != PHASE_RUNNING) return;
  client->results->cuts++;
  client_cut(client, worker_random(worker) % 2 == 0);
}

void pace_visit(struct client *client, uint64_t now_ns) {
  if (client->class == CLIENT_SLOW) visit_slow(client, now_ns);
  if (client->class == CLIENT_BURSTY) visit_bursty(client, now_ns);
  if (client->class == CLIENT_RECONNECT) visit_reconnect(client, now_ns);
}
