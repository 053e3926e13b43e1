/* SPDX-License-Identifier: MIT */
/*
 * clients: opens, reads and closes the connections of a run.
 *
 * A healthy client that finds a fault goes on reading, so that the summary counts all there are; only a corrupt line
 * ends it. A stalled one is never given to the loop for reading, so the loop can't tell that it was reset: a poll of
 * all their sockets at once, without waiting, does.
 */
#include "clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The backlog of many servers: requests beyond it are dropped by the kernel, and sent again after a second. */
static const uint32_t max_connecting = 128;

static const uint64_t ramp_interval_ms = 10;
static const size_t read_buffer_bytes = (size_t) 64 * 1024;

static void client_fail(struct client *client, enum client_failure failure) {
  struct clients *clients = client->clients;
  if (client->failure != CLIENT_FAILURE_NONE) return;
  client->failure = failure;
  clients->healthy_clean_left--;
  if (clients->shown_failures_count < CLIENTS_SHOWN_FAILURES)
    clients->shown_failures[clients->shown_failures_count++] = (uint32_t) (client - clients->all);
}

static void client_close(struct client *client) {
  if (client->state == CLIENT_CONNECTING) client->clients->connecting--;
  if (client->state == CLIENT_CONNECTING || client->state == CLIENT_OPEN) uv_close((uv_handle_t *) &client->tcp, NULL);
  client->state = CLIENT_CLOSED;
}

/* A healthy client has seen all it will see. */
static void client_finish(struct client *client) {
  struct clients *clients = client->clients;
  client_close(client);
  client->has_finished = true;
  clients->healthy_left--;
  if (client->failure == CLIENT_FAILURE_NONE) clients->healthy_clean_left--;
  clients->on_change(clients);
}

static void client_disconnected(struct client *client, int error) {
  const struct lines *lines = &client->lines;
  client->error = error;
  /* Without --until an orderly close after some line is the end of the feed. */
  bool is_end = error == UV_EOF && lines->until == 0 && lines->received > 0 && lines->state == LINES_AT_START;
  if (!is_end) client_fail(client, CLIENT_FAILURE_DISCONNECTED);
  client_finish(client);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  struct client *client = handle->data;
  (void) suggested;
  *buffer = uv_buf_init(client->clients->read_buffer, (unsigned) read_buffer_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  struct client *client = stream->data;
  struct clients *clients = client->clients;
  struct lines *lines = &client->lines;
  if (length == 0) return;
  if (length < 0) {
    client_disconnected(client, (int) length);
    return;
  }
  uint64_t expected = lines->expected, received = lines->received, now = uv_now(clients->loop);
  lines_feed(lines, buffer->base, (size_t) length);
  if (lines->received != received) {
    clients->last_line_ms = now;
    if (clients->first_line_ms == 0) clients->first_line_ms = now;
  }
  if (lines->expected != expected) /* the same line again and again is no progress */
    clients->progress_ms = now;
  if (lines->first_fault != LINES_FAULT_NONE) client_fail(client, CLIENT_FAILURE_LINES);
  if (lines_is_complete(lines) || lines->state == LINES_UNREADABLE) client_finish(client);
}

/* The few bytes always fit into the send buffer of a new connection. */
static int client_subscribe(struct client *client) {
  char command[300];
  int length = snprintf(command, sizeof command, "SUB %s\n", client->clients->options->topic);
  uv_buf_t buffer = uv_buf_init(command, (unsigned) length);
  int written = uv_try_write((uv_stream_t *) &client->tcp, &buffer, 1);
  if (written < 0) return written;
  return written == length ? 0 : UV_ENOBUFS;
}

static void client_watch(struct client *client) {
  struct clients *clients = client->clients;
  uv_os_fd_t fd;
  if (uv_fileno((uv_handle_t *) &client->tcp, &fd) != 0) return;
  clients->watched[clients->watched_count] = (struct pollfd){.fd = fd};
  clients->watched_clients[clients->watched_count] = client;
  clients->watched_count++;
}

static void client_connected(struct client *client) {
  struct clients *clients = client->clients;
  client->state = CLIENT_OPEN;
  client->was_connected = true;
  clients->connecting--;
  clients->progress_ms = uv_now(clients->loop);
  int error = clients->options->topic != NULL ? client_subscribe(client) : 0;
  if (client->class == CLIENT_STALLED) { /* whatever the error, the watch finds it */
    client_watch(client);
    return;
  }
  if (error == 0) error = uv_read_start((uv_stream_t *) &client->tcp, lend_buffer, on_read);
  if (error != 0) client_disconnected(client, error);
}

static void connecting_failed(struct clients *clients, int error) {
  if (clients->connect_error == 0) clients->connect_error = error;
  clients->on_change(clients);
}

static void open_more(struct clients *clients);

static void on_connect(uv_connect_t *request, int status) {
  struct client *client = request->data;
  struct clients *clients = client->clients;
  if (status == UV_ECANCELED) /* closed meanwhile */
    return;
  if (status != 0) {
    client_close(client);
    connecting_failed(clients, status);
    return;
  }
  client_connected(client);
  open_more(clients);
}

static int client_open(struct client *client) {
  struct clients *clients = client->clients;
  /* The socket is wanted now: the receive buffer decides about the window that the connection begins with. */
  int status = uv_tcp_init_ex(clients->loop, &client->tcp, clients->options->address.ss_family);
  if (status != 0) return status;
  client->tcp.data = client->connect.data = client;
  client->state = CLIENT_CONNECTING;
  clients->connecting++;
  int rcvbuf_bytes = clients->options->stalled_rcvbuf_bytes;
  if (client->class == CLIENT_STALLED && rcvbuf_bytes > 0)
    status = uv_recv_buffer_size((uv_handle_t *) &client->tcp, &rcvbuf_bytes);
  const struct sockaddr *address = (const struct sockaddr *) &clients->options->address;
  if (status == 0) status = uv_tcp_connect(&client->connect, &client->tcp, address, on_connect);
  if (status != 0) client_close(client);
  return status;
}

/* Opens as many as the ramp and the backlog of the server allow by now. */
static void open_more(struct clients *clients) {
  uint32_t allowed = clients->options->connections;
  uint64_t per_second = clients->options->ramp_per_second;
  if (per_second > 0) {
    uint64_t due = 1 + (uv_now(clients->loop) - clients->start_ms) * per_second / 1000;
    if (due < allowed) allowed = (uint32_t) due;
  }
  while (!clients->is_closed && clients->opened < allowed && clients->connecting < max_connecting) {
    int status = client_open(&clients->all[clients->opened]);
    if (status != 0) {
      connecting_failed(clients, status);
      return;
    }
    clients->opened++;
  }
  if (clients->opened == clients->options->connections) uv_timer_stop(&clients->ramp);
}

static void on_ramp(uv_timer_t *timer) {
  open_more(timer->data);
}

/* Spreads the classes evenly over the order of opening, so that the mix is right at any time of a ramp. */
static void assign_classes(struct clients *clients) {
  const struct options *options = clients->options;
  uint64_t assigned[CLIENT_CLASSES] = {0};
  for (uint32_t i = 0; i < options->connections; i++) {
    struct client *client = &clients->all[i];
    int64_t most = INT64_MIN;
    for (int j = 0; j < CLIENT_CLASSES; j++) {
      int64_t due = (int64_t) ((uint64_t) options->share[j] * (i + 1));
      int64_t behind = due - (int64_t) (assigned[j] * options->connections);
      if (assigned[j] < options->share[j] && behind > most) {
        most = behind;
        client->class = (enum client_class) j;
      }
    }
    assigned[client->class]++;
    client->clients = clients;
    lines_init(&client->lines, options->until);
  }
}

int clients_open(struct clients *clients, uv_loop_t *loop, const struct options *options, clients_change_cb on_change) {
  uint32_t stalled = options->share[CLIENT_STALLED];
  clients->loop = loop;
  clients->options = options;
  clients->on_change = on_change;
  clients->healthy_left = clients->healthy_clean_left = options->share[CLIENT_HEALTHY];
  clients->stalled_left = stalled;
  clients->all = calloc(options->connections, sizeof *clients->all);
  clients->watched = calloc((size_t) stalled + 1, sizeof(struct pollfd));
  clients->watched_clients = calloc((size_t) stalled + 1, sizeof(struct client *));
  clients->read_buffer = malloc(read_buffer_bytes);
  if (clients->all == NULL || clients->watched == NULL || clients->watched_clients == NULL ||
      clients->read_buffer == NULL)
    return UV_ENOMEM;
  assign_classes(clients);

  uv_update_time(loop);
  clients->start_ms = clients->progress_ms = uv_now(loop);
  uv_timer_init(loop, &clients->ramp);
  clients->ramp.data = clients;
  return uv_timer_start(&clients->ramp, on_ramp, 0, ramp_interval_ms);
}

void clients_watch_stalled(struct clients *clients) {
  if (clients->watched_count == 0 || poll(clients->watched, clients->watched_count, 0) <= 0) return;
  uint64_t now = uv_now(clients->loop);
  for (nfds_t i = clients->watched_count; i-- > 0;) { /* backwards, as the last one takes the place of a removed one */
    if (clients->watched[i].revents == 0) continue;
    struct client *client = clients->watched_clients[i];
    client->was_evicted = true;
    client->evicted_ms = now - clients->start_ms;
    client_close(client);
    clients->stalled_left--;
    clients->watched_count--;
    clients->watched[i] = clients->watched[clients->watched_count];
    clients->watched_clients[i] = clients->watched_clients[clients->watched_count];
    if (clients->options->share[CLIENT_HEALTHY] == 0) clients->progress_ms = now;
  }
}

void clients_time_out(struct clients *clients) {
  if (clients->connecting > 0 && clients->connect_error == 0) clients->connect_error = UV_ETIMEDOUT;
  for (uint32_t i = 0; i < clients->options->connections; i++) {
    struct client *client = &clients->all[i];
    if (client->class == CLIENT_HEALTHY && client->state != CLIENT_CLOSED) client_fail(client, CLIENT_FAILURE_TIMEOUT);
  }
}

void clients_close(struct clients *clients) {
  if (clients->is_closed) return;
  clients->is_closed = true;
  uv_close((uv_handle_t *) &clients->ramp, NULL);
  for (uint32_t i = 0; i < clients->opened; i++) client_close(&clients->all[i]);
  clients->watched_count = 0;
}

static void add_healthy(struct clients_totals *totals, const struct client *client) {
  const struct lines *lines = &client->lines;
  totals->ok += client->has_finished && client->failure == CLIENT_FAILURE_NONE;
  totals->failed += client->failure != CLIENT_FAILURE_NONE;
  totals->is_intact = totals->is_intact && lines_is_intact(lines);
  totals->received += lines->received;
  totals->lost += lines->lost;
  totals->duplicates += lines->duplicates;
  totals->disorders += lines->disorders;
  totals->corrupt += lines->corrupt;
  totals->gap_notices += lines->gap_notices;
  totals->error_notices += lines->error_notices;
}

static void add_stalled(struct clients_totals *totals, const struct client *client) {
  if (!client->was_evicted) return;
  if (totals->evicted == 0 || client->evicted_ms < totals->first_evicted_ms)
    totals->first_evicted_ms = client->evicted_ms;
  if (client->evicted_ms > totals->last_evicted_ms) totals->last_evicted_ms = client->evicted_ms;
  totals->evicted++;
}

void clients_sum_up(const struct clients *clients, struct clients_totals *totals) {
  *totals = (struct clients_totals){.is_intact = true};
  for (uint32_t i = 0; i < clients->options->connections; i++) {
    const struct client *client = &clients->all[i];
    totals->connected += client->was_connected;
    if (client->class == CLIENT_HEALTHY)
      add_healthy(totals, client);
    else
      add_stalled(totals, client);
  }
}

void clients_free(struct clients *clients) {
  for (uint32_t i = 0; clients->all != NULL && i < clients->options->connections; i++)
    lines_free(&clients->all[i].lines);
  free(clients->all);
  free(clients->watched);
  free(clients->watched_clients);
  free(clients->read_buffer);
}
