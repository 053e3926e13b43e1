/* SPDX-License-Identifier: MIT */
/*
 * engine: what the connections of one loop share. The clock, the turn, memory for rings, the codecs, the ledger, and
 * the lists in which connections stand.
 *
 * An engine is the first part of a hub: fluxbp__topics_t begins with the engine, fluxbp_hub_t begins with its topics.
 * So each layer sees its own part and those below, and a pointer to the hub is a pointer to each of them.
 *
 * The engine calls a layer above in few places, each through a pointer that the upper layer sets: `carried` (what a
 * transport tells a connection), `feed` (what a connection wants of its topics), the alarm's on_due (the sweep), and
 * on_conn_gone (the hub).
 */
#ifndef FLUXBP_LIB_ENGINE_H
#define FLUXBP_LIB_ENGINE_H

#include "fluxbp/hub.h"
#include "input_time.h"
#include "ledger.h"
#include "list.h"
#include "policy.h"
#include "ring.h"
#include "turn.h"
#include "uring.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct fluxbp__engine fluxbp__engine_t;

/* What a connection wants of the topics that it is subscribed to. */
typedef struct fluxbp__feed {
  /* Stage what state topics still have for the connection, as far as its ring has room; and what the history has, if
   * the connection has its turn with that. */
  void (*refill)(fluxbp_conn_t *conn, bool has_turn);

  /* Have the connection visited for more of that. */
  void (*wait)(fluxbp_conn_t *conn);

  /* Leave all topics. */
  void (*detach)(fluxbp_conn_t *conn);

  /* Have everything encoded by another codec from now on. 0, or the error of a state topic that has no room for that;
   * then nothing was changed. */
  int (*recode)(fluxbp_conn_t *conn, uint8_t codec);

  /* Remove the values of state topics from the ring which the topics can give it again later. */
  void (*take_values_back)(fluxbp_conn_t *conn);

  /* Bring the values of state topics in the ring up to date, where the connection is behind. */
  void (*refresh)(fluxbp_conn_t *conn);
} fluxbp__feed_t;

struct fluxbp__carried; /* transport.h */

/* Numbers of the built-in transports. */
enum { FLUXBP__TRANSPORT_TCP, FLUXBP__TRANSPORT_PIPE, FLUXBP__TRANSPORTS_BUILT_IN };

/* An origin is the number of an engine, and in so many bits below it the id of a connection. */
enum { FLUXBP__ORIGIN_SHIFT = 44 };

/* A timer that leads to a sweep. */
typedef struct fluxbp__alarm {
  uv_timer_t timer;
  uint64_t due_ms; /* the clock's time at which the timer fires; UINT64_MAX if it isn't running */
  void (*on_due)(fluxbp__engine_t *engine); /* the sweep's */
} fluxbp__alarm_t;

/* The look at TCP connections that aren't refused, in rounds; see patrol.c. */
typedef struct fluxbp__patrol {
  uint64_t open_count; /* TCP connections that are open */
  uint64_t due_ms;     /* the clock's time of the next step; UINT64_MAX: there is no connection to look at */
  size_t next;         /* the round goes on below this index */
  size_t left;         /* connections of the step under way */
} fluxbp__patrol_t;

/* A peer that is gone is found within so long. */
enum { FLUXBP__PATROL_ROUND_MS = 12500 };

/* Connections whose reading is paused; see conn_input.c. */
typedef struct fluxbp__paused {
  fluxbp__link_t conns;  /* by their rare blocks, */
  fluxbp__link_t unseen; /* and those of them that the sweep under way hasn't looked at */
  size_t count;          /* in both lists */
} fluxbp__paused_t;

typedef struct fluxbp__writability {
  size_t holding;           /* connections that hold the publisher up */
  bool is_event_due;        /* the hub has become writable, and the user hasn't been told */
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
  bool is_lent;        /* `bytes` belong to writes that were collected and aren't done, and stay as they are */
  uint64_t generation; /* the pool's: while it stands still, the same addresses are the same frames */
  char bytes[FLUXBP__RUN_BYTES];
} fluxbp__run_t;

/* Dirty connections that are flushed by one call of the kernel; see submission.c. */
typedef struct fluxbp__submission {
  fluxbp__uring_t *uring; /* NULL: not made yet, or not to be had */
  int status;             /* as fluxbp_hub_io_uring */
} fluxbp__submission_t;

/* The newest eviction records. */
typedef struct fluxbp__eviction_log {
  fluxbp_eviction_t *records; /* FLUXBP_EVICTIONS_KEPT, the newest at `count` - 1 modulo that */
  uint64_t count;
  fluxbp_eviction_cb on_eviction;
} fluxbp__eviction_log_t;

struct fluxbp__engine {
  fluxbp__turn_t turn;
  uv_loop_t *loop;
  fluxbp_pool_t *pool;
  fluxbp__policy_t policy; /* of connections without a policy of their own */
  fluxbp__ring_memory_t ring_memory;
  fluxbp__ledger_t ledger;
  const struct fluxbp__carried *carried;
  const fluxbp__feed_t *feed;
  void (*on_conn_gone)(fluxbp__engine_t *engine); /* a connection was removed; the hub's */

  uint32_t sweep_ms;
  uint32_t patience_ms;
  uint64_t (*clock_ms)(void *clock_arg); /* NULL: the loop's clock */
  void *clock_arg;
  uint64_t observed_ms;   /* the clock without the time in which the server itself was away */
  uint64_t last_clock_ms; /* the clock at the last look */
  fluxbp__alarm_t alarm;

  fluxbp_conn_t **conns; /* dense; a connection knows its index */
  size_t conn_count;
  uint32_t conn_capacity;
  atomic_size_t load;  /* connections, and those on their way here; any thread */
  bool has_arrival;    /* the connection that is made next was on its way, and is in `load` already */
  uint64_t open_count; /* connections that are open */
  uint64_t last_conn_id;
  uint64_t origins; /* the number of this engine in the process, above FLUXBP__ORIGIN_SHIFT: see fluxbp_conn_origin */

  const fluxbp_codec_t *codecs[FLUXBP_CODECS_MAX];
  size_t codec_count;
  const fluxbp_transport_t *transports[FLUXBP_TRANSPORTS_MAX];
  size_t transport_count;

  fluxbp__link_t pressured; /* connections with a pressure block, */
  fluxbp__link_t unswept;   /* and those of them that the sweep under way hasn't visited */
  fluxbp__patrol_t patrol;
  fluxbp__paused_t paused;
  fluxbp__input_t input;
  uint64_t (*input_key)(fluxbp_conn_t *conn); /* NULL: by the address */
  fluxbp__crowd_t crowd;
  fluxbp__writability_t writability;
  fluxbp__eviction_log_t evictions;
  bool is_brimming; /* a ring that waits for its flush has come to its high watermark */
  bool is_closing;

  char *read_buffer;
  size_t read_buffer_bytes;
  uv_buf_t buffers[FLUXBP__BUFFERS_MAX]; /* of the write that is being put together */
  fluxbp__run_t run;
  fluxbp__submission_t submission;
};

/* Return how many bytes are read at a time, at most: what can't be done of a read is kept, so where memory is in use it
 * is little. */
size_t fluxbp__engine_read_bytes(const fluxbp__engine_t *engine);

/* Return the id of the connection with that origin, or 0 if it isn't one of this engine. */
static inline uint64_t fluxbp__engine_conn_id(const fluxbp__engine_t *engine, uint64_t origin) {
  bool is_ours = origin >> FLUXBP__ORIGIN_SHIFT == engine->origins >> FLUXBP__ORIGIN_SHIFT;
  return is_ours ? origin & (((uint64_t) 1 << FLUXBP__ORIGIN_SHIFT) - 1) : 0;
}

/* The hub begins with its engine, which hub.h asserts. */
static inline fluxbp__engine_t *fluxbp__engine_of(const fluxbp_hub_t *hub) {
  return (fluxbp__engine_t *) (uintptr_t) hub; /* the hub isn't what is constant */
}

static inline fluxbp_hub_t *fluxbp__engine_hub(const fluxbp__engine_t *engine) {
  return (fluxbp_hub_t *) (uintptr_t) engine;
}

/* Set up what is empty at first. The caller has set loop, pool, policy, sweep_ms, the clock, and allocated the
 * arrays. */
int fluxbp__engine_init(fluxbp__engine_t *engine);

/* Free the arrays. */
void fluxbp__engine_free(fluxbp__engine_t *engine);

/* Return the clock's time, as the options say. */
uint64_t fluxbp__engine_clock_ms(const fluxbp__engine_t *engine);

/* Return observed time now: of what passed since the last look, at most two sweep intervals count. */
uint64_t fluxbp__engine_observe(fluxbp__engine_t *engine);

/* See to it that a sweep begins by then (the clock's time). */
void fluxbp__engine_sweep_by(fluxbp__engine_t *engine, uint64_t due_ms);

/* See to it that a sweep begins in sweep_ms at the latest, and within the shortest limit of `policy`: a verdict may not
 * wait for a long sweep_ms. */
void fluxbp__engine_sweep_soon(fluxbp__engine_t *engine, const fluxbp__policy_t *policy);

/* Return the index of a codec, which is added if it is new. UV_E2BIG: no more fit. Or as
 * fluxbp__codec_check. */
int fluxbp__engine_codec(fluxbp__engine_t *engine, const fluxbp_codec_t *codec);

/* Add a connection to `conns`, and give it its index. 0 or UV_ENOMEM. */
int fluxbp__engine_add(fluxbp__engine_t *engine, fluxbp_conn_t *conn, uint32_t *index);

/* Take the connection with that index out of `conns`. Returns the connection that has the index now, or NULL. */
fluxbp_conn_t *fluxbp__engine_remove(fluxbp__engine_t *engine, uint32_t index);

/* A TCP connection was opened: have it looked at by the patrol. */
void fluxbp__engine_patrol(fluxbp__engine_t *engine);

/* Keep an eviction record and tell the user. */
void fluxbp__engine_record(fluxbp__engine_t *engine, const fluxbp_eviction_t *record);

#endif
