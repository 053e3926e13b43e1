/* SPDX-License-Identifier: MIT */
/*
 * behaviour: the clients that don't simply read. Slow clients get an allowance of bytes at each visit, bursty ones read
 * and pause in turns, reconnecting ones are cut and come back. Stalled ones never read and are not given to the loop,
 * which so can't see their reset: all of their sockets are polled at once, without waiting, and asked how much has
 * arrived. The last growth of that is the time when a client stalled.
 *
 * A look at the stalled clients costs one poll and an ioctl for each. Bytes that arrived since the look before count as
 * just arrived, so a time from stall to eviction errs by one interval of the looks.
 */
#define _GNU_SOURCE /* POLLRDHUP */
#include "worker.h"

#include "values.h"

#include <math.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* An allowance that isn't used up doesn't grow beyond that of so long a time: reading a backlog at once isn't slow. */
static const uint64_t max_allowance_ns = 200 * NS_PER_MS;

/* Cuts come at any time with the same likelihood, like those of real networks. */
static uint64_t time_to_next_cut(struct client *client) {
  double uniform = (double) (values_random(&client->worker->random) >> 11) * 0x1p-53;
  return (uint64_t) (-log(1 - uniform) * (double) client->worker->options->mix.reconnect_mean_ns);
}

void behaviour_begin(struct client *client, uint64_t now_ns) {
  client->due_ns = now_ns;
  if (client->class == CLIENT_BURSTY)
    client->due_ns += values_random(&client->worker->random) % client->worker->options->mix.bursty_pause_ns;
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
  client->due_ns = now_ns + pause_ns / 2 + values_random(&client->worker->random) % (pause_ns + 1);
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
  client_cut(client, values_random(&worker->random) % 2 == 0);
}

void behaviour_visit(struct client *client, uint64_t now_ns) {
  if (client->class == CLIENT_SLOW) visit_slow(client, now_ns);
  if (client->class == CLIENT_BURSTY) visit_bursty(client, now_ns);
  if (client->class == CLIENT_RECONNECT) visit_reconnect(client, now_ns);
}

#ifdef POLLRDHUP
static const short closed_by_peer = POLLRDHUP; /* a FIN, without having to read up to it */
#else
static const short closed_by_peer = 0;
#endif

bool stalled_init(struct stalled *stalled, uint32_t capacity) {
  size_t room = (size_t) capacity + 1; /* never none */
  *stalled = (struct stalled){.sockets = calloc(room, sizeof *stalled->sockets),
                              .entries = calloc(room, sizeof *stalled->entries)};
  return stalled->sockets != NULL && stalled->entries != NULL;
}

void stalled_free(struct stalled *stalled) {
  free(stalled->sockets);
  free(stalled->entries);
}

void stalled_add(struct stalled *stalled, struct client *client, uint64_t now_ns) {
  uv_os_fd_t fd;
  if (fluxbp_client_fileno(client->stream, &fd) != 0) return;
  stalled->sockets[stalled->count] = (struct pollfd){.fd = fd, .events = closed_by_peer};
  stalled->entries[stalled->count] = (struct stalled_entry){.client = client, .grew_ns = now_ns};
  stalled->count++;
}

static void look_at_unread(struct stalled_entry *entry, int fd, uint64_t now_ns) {
  int unread;
  if (ioctl(fd, FIONREAD, &unread) != 0 || unread <= entry->unread_bytes) return;
  entry->client->results->bytes += (uint64_t) (unread - entry->unread_bytes);
  entry->unread_bytes = unread;
  entry->grew_ns = now_ns;
}

static void evict(struct stalled_entry *entry, uint64_t now_ns) {
  struct class_results *results = entry->client->results;
  results->evicted++;
  if (entry->client->worker->process->unfinished == 0) entry->client->worker->process->progress_ns = now_ns;
  histogram_record(&results->eviction, now_ns - entry->grew_ns);
  client_finish(entry->client, CLIENT_NO_FAILURE);
}

void stalled_look(struct stalled *stalled, uint64_t now_ns) {
  if (stalled->count == 0) return;
  int found = poll(stalled->sockets, stalled->count, 0);
  for (nfds_t i = stalled->count; i-- > 0;) { /* backwards, as the last one takes the place of a removed one */
    if (found <= 0 || stalled->sockets[i].revents == 0) {
      look_at_unread(&stalled->entries[i], stalled->sockets[i].fd, now_ns);
      continue;
    }
    evict(&stalled->entries[i], now_ns);
    stalled->count--;
    stalled->sockets[i] = stalled->sockets[stalled->count];
    stalled->entries[i] = stalled->entries[stalled->count];
  }
}
