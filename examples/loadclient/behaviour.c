/* SPDX-License-Identifier: MIT */
/*
 * behaviour: the clients that don't simply read. Slow clients get an allowance of bytes at each visit, bursty ones read
 * and pause in turns, reconnecting ones are cut and come back. Stalled ones never read and are not given to the loop,
 * which so can't see their reset: at each visit their socket is asked how much has arrived. The last growth of that is
 * the time when a client stalled, so a time from stall to eviction errs by one interval of the visits.
 */
#define _GNU_SOURCE /* POLLRDHUP */
#include "worker.h"

#include "common/random.h"
#include "common/units.h"

#include <math.h>
#include <poll.h>
#include <sys/ioctl.h>

/* After a pause of the loop a client gets no more than the allowance of so long: reading all at once isn't slow. */
static const uint64_t max_allowance_ns = 200 * NS_PER_MS;

/* Cuts come at any time with the same likelihood, like those of real networks. */
static uint64_t time_to_next_cut(struct client *client) {
  double uniform = (double) (random_bits(&client->worker->random) >> 11) * 0x1p-53;
  return (uint64_t) (-log(1 - uniform) * (double) client->worker->options->mix.how[CLIENT_RECONNECT]);
}

void behaviour_begin(struct client *client, uint64_t now_ns) {
  client->due_ns = now_ns;
  if (client->class == CLIENT_BURSTY)
    client->due_ns += random_bits(&client->worker->random) % client->worker->options->mix.how[CLIENT_BURSTY];
  if (client->class == CLIENT_RECONNECT) client->due_ns += time_to_next_cut(client);
}

static void visit_slow(struct client *client, uint64_t now_ns) {
  uint64_t passed_ns = now_ns - client->due_ns < max_allowance_ns ? now_ns - client->due_ns : max_allowance_ns;
  uint64_t allowance = client->worker->options->mix.how[CLIENT_SLOW] * passed_ns / NS_PER_S;
  if (allowance == 0) return; /* at less than a byte a visit it adds up */
  client->due_ns = now_ns;
  fluxbp_client_resume_read_for(client->stream, allowance);
}

static void visit_bursty(struct client *client, uint64_t now_ns) {
  uint64_t pause_ns = client->worker->options->mix.how[CLIENT_BURSTY];
  /* Half to one and a half of it, so that not all of them read at the same time. */
  client->due_ns = now_ns + pause_ns / 2 + random_bits(&client->worker->random) % (pause_ns + 1);
  client->is_reading = !client->is_reading;
  if (client->is_reading)
    fluxbp_client_resume_read(client->stream);
  else
    fluxbp_client_pause_read(client->stream);
}

static void visit_reconnect(struct client *client, uint64_t now_ns) {
  struct worker *worker = client->worker;
  client->due_ns = now_ns + time_to_next_cut(client);
  /* Without a position it couldn't resume, and being cut again before anything came it would never get on. */
  bool can_resume = fluxbp_client_position(client->stream)[0] != '\0' && client->has_got_message;
  if (!can_resume || results_phase(worker->results) != PHASE_RUNNING) return;
  client->results->cuts++;
  fluxbp_client_reconnect(client->stream, random_bits(&worker->random) % 2 == 0);
}

#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

/* A client whose connection was reset or closed counts as evicted, and is finished. */
static void visit_stalled(struct client *client, uint64_t now_ns) {
  struct pollfd socket = {.events = POLLRDHUP}; /* a FIN, without having to read up to it */
  int unread;
  if (fluxbp_client_fileno(client->stream, &socket.fd) != 0) return;
  if (ioctl(socket.fd, FIONREAD, &unread) == 0 && unread > client->unread_bytes) {
    client->results->bytes += (uint64_t) (unread - client->unread_bytes);
    client->unread_bytes = unread;
    client->due_ns = now_ns;
  }
  if (poll(&socket, 1, 0) <= 0) return;
  client->results->evicted++;
  if (client->worker->process->unfinished == 0) client->worker->process->progress_ns = now_ns;
  histogram_record(&client->times->eviction, now_ns - client->due_ns);
  client_finish(client, CLIENT_NO_FAILURE);
}

void behaviour_visit(struct client *client, uint64_t now_ns) {
  if (client->state != CLIENT_OPEN) return;
  if (client->class == CLIENT_SLOW) visit_slow(client, now_ns);
  if (client->class == CLIENT_STALLED) visit_stalled(client, now_ns);
  if (now_ns < client->due_ns) return;
  if (client->class == CLIENT_BURSTY) visit_bursty(client, now_ns);
  if (client->class == CLIENT_RECONNECT) visit_reconnect(client, now_ns);
}
