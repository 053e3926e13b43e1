/* SPDX-License-Identifier: MIT */
/*
 * clients: the connections of a run, from connecting to closing, each behaving as its class does.
 *
 * Everything belongs to the thread of the loop. The run decides when it is over; what happened can be read off the
 * clients until they are freed.
 */
#ifndef LOADCLIENT_CLIENTS_H
#define LOADCLIENT_CLIENTS_H

#include "lines.h"
#include "options.h"

#include <poll.h>
#include <uv.h>

/* How many of the failed clients are remembered to be shown. */
#define CLIENTS_SHOWN_FAILURES 5

enum client_state { CLIENT_UNOPENED, CLIENT_CONNECTING, CLIENT_OPEN, CLIENT_CLOSED };

enum client_failure {
  CLIENT_FAILURE_NONE,
  CLIENT_FAILURE_LINES,        /* see lines.first_fault */
  CLIENT_FAILURE_DISCONNECTED, /* see error */
  CLIENT_FAILURE_TIMEOUT
};

struct client {
  struct clients *clients;
  enum client_class class;
  enum client_state state;
  enum client_failure failure; /* the first one */
  int error;                   /* why it was disconnected */
  bool was_connected;
  bool has_finished;   /* healthy: nothing more is expected of it */
  bool was_evicted;    /* stalled: the server reset it */
  uint64_t evicted_ms; /* since the start of the run */
  struct lines lines;
  uv_tcp_t tcp;
  uv_connect_t connect;
};

struct clients_totals {
  uint32_t connected; /* that ever were */
  uint32_t ok;        /* healthy ones that saw everything */
  uint32_t failed;
  uint32_t evicted; /* stalled ones that the server reset */
  bool is_intact;   /* no healthy one found a fault of the stream itself */
  uint64_t first_evicted_ms, last_evicted_ms;
  uint64_t received, lost, duplicates, disorders, corrupt, gap_notices, error_notices; /* healthy ones */
};

/** A healthy client has finished, or connecting failed: look whether the run is over. May close the clients. */
typedef void (*clients_change_cb)(struct clients *clients);

struct clients {
  uv_loop_t *loop;
  const struct options *options;
  struct client *all; /* options->connections of them, in the order they are opened in */
  clients_change_cb on_change;
  void *data; /* the owner's */

  uv_timer_t ramp;
  uint32_t opened;
  uint32_t connecting;
  int connect_error; /* the first one, or 0 */
  bool is_closed;

  uint32_t healthy_left;       /* neither complete nor disconnected */
  uint32_t healthy_clean_left; /* of these, the ones without a fault */
  uint32_t stalled_left;       /* not reset */
  uint32_t shown_failures[CLIENTS_SHOWN_FAILURES];
  uint32_t shown_failures_count;

  struct pollfd *watched; /* the sockets of the stalled ones that are connected */
  struct client **watched_clients;
  nfds_t watched_count;

  uint64_t start_ms;
  uint64_t progress_ms; /* when a client last connected or saw a new line */
  uint64_t first_line_ms, last_line_ms;
  char *read_buffer; /* one for all */
};

/**
 * Begin to connect to the target; `on_change` is called from the loop alone.
 *
 * @return 0, or UV_ENOMEM: nothing needs to be closed then, but clients_free() is due
 */
int clients_open(struct clients *clients, uv_loop_t *loop, const struct options *options, clients_change_cb on_change);

/** See which of the stalled ones the server has reset since. */
void clients_watch_stalled(struct clients *clients);

/** Note for each healthy client that is still waiting that it has waited in vain. */
void clients_time_out(struct clients *clients);

/** Close all; the loop ends when that is done. May be called twice. */
void clients_close(struct clients *clients);

/** Sum up what there is so far. */
void clients_sum_up(const struct clients *clients, struct clients_totals *totals);

/** After the loop has ended. */
void clients_free(struct clients *clients);

#endif
