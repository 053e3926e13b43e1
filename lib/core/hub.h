/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the hub: what its connections and topics share. The files that use it: hub.c, topic.c, catch_up.c,
 * conn*.c, sweep.c, patrol.c, valve.c, replay.c, hub_bus.c, inbox.c, workers.c, writability.c, broadcast.c, metrics.c.
 */
#ifndef FLUXBP_LIB_HUB_H
#define FLUXBP_LIB_HUB_H

#include "broadcast.h"
#include "fluxbp/hub.h"
#include "fluxbp/metrics.h"
#include "fluxbp/topic.h"
#include "history.h"
#include "hub_bus.h"
#include "inbox.h"
#include "policy.h"
#include "ring.h"
#include "turn.h"

#include <stdbool.h>

typedef struct fluxbp__topics {
  struct fluxbp_topic **buckets; /* chained, by name */
  size_t bucket_count;
  size_t count;
  size_t dormant;      /* of `count`: destroyed, but the history knows them still */
  uint64_t seed;       /* of the hash */
  uint64_t generation; /* another one after each change of the table */
} fluxbp__topics_t;

typedef struct fluxbp__sweep {
  uv_timer_t timer;
  uint64_t due_ms;          /* the clock's time at which the timer fires; UINT64_MAX if it isn't running */
  uint64_t next_due_ms;     /* collected during a sweep */
  uint64_t begun_ms;        /* observed time at which the last sweep began */
  fluxbp__link_t pressured; /* connections with a pressure block, */
  fluxbp__link_t unswept;   /* and those of them that the sweep under way hasn't visited */
  uint64_t halfway;         /* connections of the sweep under way that are half-way to a verdict, */
  uint64_t halfway_ms;      /* and the longest time that one of these verdicts takes */
  bool is_under_way;
} fluxbp__sweep_t;

/* The look at all other TCP connections, in rounds. */
typedef struct fluxbp__patrol {
  uint64_t open_count; /* TCP connections that are open */
  uint64_t due_ms;     /* the clock's time of the next step; UINT64_MAX: there is nobody to look at */
  size_t next;         /* the round goes on below this index */
  size_t left;         /* connections of the step under way */
} fluxbp__patrol_t;

/* Connections whose reading is paused; see conn_read.c. */
typedef struct fluxbp__paused {
  fluxbp__link_t conns;  /* by their rare blocks, */
  fluxbp__link_t unseen; /* and those of them that the sweep under way hasn't looked at */
  size_t count;          /* in both lists */
} fluxbp__paused_t;

typedef struct fluxbp__writability {
  size_t holding;           /* connections that hold the publisher up */
  bool is_event_due;        /* it has become writable, the user hasn't been told */
  fluxbp__link_t refilling; /* rare blocks of connections whose bucket of patience isn't full yet */
} fluxbp__writability_t;

/* What one writev takes (IOV_MAX on Linux); a longer ring is written by several. */
enum { FLUXBP__BUFFERS_MAX = 1024 };

/* What a connection was due at its last flush: several frames, which others are due as well after a burst. */
enum { FLUXBP__RUN_FRAMES = 256, FLUXBP__RUN_BYTES = 65536 };

typedef struct fluxbp__run {
  const fluxbp_frame_t *frames[FLUXBP__RUN_FRAMES];
  uint32_t count;
  bool is_copied;      /* into `bytes` */
  uint64_t generation; /* the pool's: while it is that, the same addresses are the same frames */
  char bytes[FLUXBP__RUN_BYTES];
} fluxbp__run_t;

/* What has become of messages. */
typedef struct fluxbp__books {
  uint64_t written;
  uint64_t dropped;
  uint64_t conflated;
  uint64_t discarded;
} fluxbp__books_t;

struct fluxbp_hub {
  fluxbp__turn_t turn;
  fluxbp_hub_options_t options;
  fluxbp_pool_t *pool;
  uv_loop_t *loop;
  fluxbp__policy_t policy;
  fluxbp__ring_memory_t ring_memory;

  fluxbp_conn_t **conns; /* dense; a connection knows its index */
  size_t conn_count;
  uint32_t conn_capacity;
  atomic_size_t load;  /* connections, and those on their way here; any thread */
  bool has_arrival;    /* the connection that is made next was on its way, and is in `load` already */
  uint64_t open_count; /* connections that are open */
  uint64_t last_conn_id;
  uint64_t last_id; /* of a publication */

  const fluxbp_codec_t *codecs[FLUXBP_CODECS_MAX];
  size_t codec_count;

  fluxbp__topics_t topics;
  uint64_t last_state_topic; /* number of the newest state topic */
  uint64_t last_change;      /* number of the newest publication on a state topic */
  uint64_t epoch;            /* of the ids */
  fluxbp__history_t history;
  fluxbp__link_t replays; /* connections that read from it */
  fluxbp__inbox_t inbox;
  fluxbp__hub_bus_t bus;
  fluxbp__sweep_t sweep;
  fluxbp__patrol_t patrol;
  fluxbp__paused_t paused;
  fluxbp__crowd_t crowd;
  fluxbp__writability_t writability;
  fluxbp__broadcast_t broadcast;

  uint64_t observed_ms;   /* the clock without the time in which the server itself was away */
  uint64_t last_clock_ms; /* the clock at the last look */

  fluxbp_metrics_t totals;      /* counters, queued, queued_bytes, kernel_bytes, refused, backpressured; the rest at a
                                   snapshot */
  fluxbp__books_t gone;         /* the part in `totals` of connections that were closed: for the audit */
  fluxbp_eviction_t *evictions; /* FLUXBP_EVICTIONS_KEPT, the newest at eviction_count - 1 modulo that */
  uint64_t eviction_count;

  char *read_buffer;
  uv_buf_t buffers[FLUXBP__BUFFERS_MAX]; /* of the write that is being put together */
  fluxbp__run_t run;
  fluxbp_hub_cb drain_cb;
  fluxbp_hub_cb close_cb;
  int open_handles;
  bool owns_pool;
  bool is_draining;
  bool is_closing;
};

static inline fluxbp_hub_t *fluxbp__hub_of_turn(fluxbp__turn_t *turn) {
  return FLUXBP__CONTAINER(turn, fluxbp_hub_t, turn);
}

/* The clock, as the options say. */
uint64_t fluxbp__hub_clock_ms(const fluxbp_hub_t *hub);

/* Observed time now: of what passed since the last look, at most two sweep intervals count. */
uint64_t fluxbp__hub_observe(fluxbp_hub_t *hub);

/* The index of a codec, which is added if it is new. UV_E2BIG: no more fit. */
int fluxbp__hub_codec(fluxbp_hub_t *hub, const fluxbp_codec_t *codec);

/* How much it has to do compared with others. Any thread. */
static inline size_t fluxbp__hub_load(const fluxbp_hub_t *hub) {
  return atomic_load_explicit(&hub->load, memory_order_relaxed);
}

/* For connections that come and go. */
int fluxbp__hub_add(fluxbp_hub_t *hub, fluxbp_conn_t *conn);
void fluxbp__hub_remove(fluxbp_hub_t *hub, fluxbp_conn_t *conn);

/* Keep a record and tell the user. */
void fluxbp__hub_record(fluxbp_hub_t *hub, const fluxbp_eviction_t *record);

/* topic.c: forget all topics of a hub whose connections are gone. */
void fluxbp__topics_destroy(fluxbp_hub_t *hub);

/* sweep.c */
int fluxbp__sweep_init(fluxbp_hub_t *hub);
void fluxbp__sweep_by(fluxbp_hub_t *hub, uint64_t due_ms); /* see to it that one begins by then (the clock's time) */
/* In sweep_ms at the latest, and within the shortest limit of `policy`: a verdict may not wait for a long sweep_ms. */
void fluxbp__sweep_soon(fluxbp_hub_t *hub, const fluxbp__policy_t *policy);
bool fluxbp__sweep_continue(fluxbp_hub_t *hub); /* true: some of it is left */
void fluxbp__sweep_now(fluxbp_hub_t *hub);      /* all of it, without a budget; for tests, with their clock */

/* Of the connections with a pressure block: the one after `conn`, or the first for NULL. NULL: there is no more. */
fluxbp_conn_t *fluxbp__sweep_next(const fluxbp_hub_t *hub, const fluxbp_conn_t *conn);

/* patrol.c */
void fluxbp__patrol_add(fluxbp_hub_t *hub);   /* a TCP connection was opened */
void fluxbp__patrol_begin(fluxbp_hub_t *hub); /* the step that is due, if one is, is under way from now on */
/* True: the step under way is done. `within_budget`: as far as the iteration's goes. */
bool fluxbp__patrol_continue(fluxbp_hub_t *hub, bool within_budget);

/* conn_read.c: the sweep looks at the paused connections. A look that begins takes all of them; false: some are left, as the
 * sweep's share of the iteration is used up. */
void fluxbp__paused_init(fluxbp_hub_t *hub);
bool fluxbp__paused_is_empty(const fluxbp_hub_t *hub);
void fluxbp__paused_begin_look(fluxbp_hub_t *hub);
bool fluxbp__paused_look(fluxbp_hub_t *hub, bool within_budget);

/* valve.c: evict while memory is tight; true: there is more to do. */
bool fluxbp__valve_continue(fluxbp_hub_t *hub);

/* metrics.c */

/* Add what a connection has in its books. */
void fluxbp__books_add(fluxbp__books_t *books, const fluxbp_conn_t *conn);

/* Recount everything from connections and rings; false, with a line on standard error, if the books don't balance. */
bool fluxbp__hub_accounts_balance(const fluxbp_hub_t *hub);

#endif
