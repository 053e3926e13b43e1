/* SPDX-License-Identifier: MIT */
/*
 * Internal side of connections: the struct of one, with what is read from it in place. What is done with a connection
 * is declared in conn_*.h, a header for each file.
 */
#ifndef FLUXBP_LIB_CONN_H
#define FLUXBP_LIB_CONN_H

#include "engine.h"
#include "fluxbp/conn.h"
#include "fluxbp/topic.h"
#include "options.h"
#include "patience.h"
#include "probe.h"
#include "ring.h"

#include <stdalign.h>
#include <stddef.h>

/* docs/ARCHITECTURE.md has the picture. */
typedef enum fluxbp__conn_state {
  FLUXBP__CONN_NEW,       /* created, not started */
  FLUXBP__CONN_OPEN,      /* takes messages */
  FLUXBP__CONN_DOOMED,    /* evicted or failed: the loop will carry it out */
  FLUXBP__CONN_DRAINING,  /* takes no more; the ring is written out */
  FLUXBP__CONN_FINISHING, /* everything is written, FIN is on its way, the peer's is awaited */
  FLUXBP__CONN_CLOSING    /* uv_close was called */
} fluxbp__conn_state_t;

/* What only a connection owns that the kernel refused, whose peer doesn't answer, or that is closing; from the pool,
 * in reach of the sweeper. */
typedef struct fluxbp__pressure {
  union {
    uv_write_t write;       /* of the head's rest */
    uv_shutdown_t shutdown; /* only when nothing is queued */
  } req;
  fluxbp_conn_t *conn;
  fluxbp__link_t sweep;
  fluxbp__link_t event;
  fluxbp__clocks_t clocks;
  fluxbp__patience_t patience;
  fluxbp__sample_t samples[2]; /* the kernel's view, the older one first; taken by the sweeper in turn, */
  uint64_t sampled_ms;         /* the last one at this time */
  uint64_t heard_ms;           /* when its peer had last been heard as of the newer one, by the clock of uv_hrtime */
  uint64_t kernel_bytes;       /* its part of the hub's */
  fluxbp_gap_t gap;            /* to be reported, if its count isn't 0 */
  uint64_t deadline_ms;        /* of closing, by the hub's clock */
  uint8_t shadow_reason;       /* of a verdict that is only reported; told to the user when is_shadow_told */
  bool is_shadow_told;
  bool is_lingering;          /* the deadline was shortened */
  bool reported_backpressure; /* what the user was told last */
  bool has_reply_room;        /* the lane was full, and has room again; the user is to be told */
  bool has_end;               /* the codec was asked for what the connection gets last */
} fluxbp__pressure_t;

/* Replies, which are written before what is in the ring; see conn_reply.h. From the pool, while there are any. */
typedef struct fluxbp__lane {
  fluxbp_frame_t *frames[FLUXBP_REPLIES_MAX]; /* the oldest first */
  uint32_t count;
  uint64_t bytes; /* of them */
} fluxbp__lane_t;

/*
 * What few connections own: those that have lost messages, are behind their log topics, aren't read, wait for their
 * turn, have received bytes that weren't handed over, or have used up patience and are drained. A connection that has
 * lost messages keeps this block until the connection closes; so the block is allocated outside the budget, like the
 * connection.
 */
typedef struct fluxbp__rare {
  uint64_t dropped;
  uint64_t conflated;
  struct fluxbp__replay *replay; /* NULL: its log topics are live */
  uint64_t patience_full_ms;     /* when the bucket will be full again; 0: it is full, or in the pressure block */
  fluxbp__link_t refilling;      /* in the hub's list, while patience_full_ms isn't 0 */
  fluxbp__link_t paused;         /* in the hub's paused list, while reading is paused */
  fluxbp__link_t input;          /* in the turn's list, while the transport is to hand over what it has read and kept */
  fluxbp__fair_item_t turn;      /* in the queue of those that wait for their turn with what they have sent */
  fluxbp_conn_t *conn;           /* the owner, while the block is in one of these lists */
  fluxbp__lane_t *lane;          /* NULL: no replies wait */
  char *preread;                 /* bytes of the program's, of a built-in transport; NULL: there are none */
  size_t preread_length;         /* of them */
} fluxbp__rare_t;

typedef struct fluxbp__subscription {
  struct fluxbp_topic *topic;
  uint32_t index; /* in the topic's members, or in its members that are behind */
  union {
    struct {                   /* of a state topic */
      uint32_t is_behind : 1;  /* see catch_up.c */
      uint32_t is_implied : 1; /* the connection is subscribed to a pattern that matches, and not to the topic itself */
    };
    uint32_t skips; /* of a log topic, while there is a replay: so much from its base on isn't for it */
  };
} fluxbp__subscription_t;

_Static_assert(sizeof(void *) != 8 || sizeof(fluxbp__subscription_t) == 16, "every connection has one");

_Static_assert(FLUXBP_SLOTS_MAX <= UINT16_MAX / 2 + 1, "`discarded` of a connection has 16 bits");

/* What staging and flushing touch stands together, right before the stream: with what uv_try_write looks at there, six
 * or seven cache lines for a connection that keeps up. */
struct fluxbp_conn {
  fluxbp__rare_t
      *rare; /* NULL: nothing is lost or missing, no replay, no pause; see fluxbp__conn_dropped and the next ones */
  uint64_t id;
  const fluxbp_conn_handlers_t *handlers;
  union { /* see fluxbp__conn_subscriptions */
    fluxbp__subscription_t subscription;
    fluxbp__subscription_t *subscriptions;
  };
  uint32_t subscription_count;
  uint32_t index;         /* in engine->conns */
  uint32_t grace_from_ms; /* see fluxbp__conn_begin_grace */
  uint16_t user_bytes;    /* before it; 0: a pointer */
  uint16_t discarded;     /* only when it ends: a ring's worth, and a few */

  const fluxbp__policy_t *policy; /* the hub's, or its own */
  fluxbp__pressure_t *pressure;   /* NULL: neither refused nor silent nor closing */
  fluxbp__link_t due;             /* in the turn's dirty list or verdicts */
  uint8_t state;
  uint8_t codec;
  bool is_writing;          /* a uv_write is on its way: refused */
  bool is_holding : 1;      /* the publisher waits for it */
  bool has_peer_closed : 1; /* its FIN has come */
  bool has_said_fin : 1;
  bool was_started : 1;
  bool has_lost_patience : 1;     /* there was no memory to keep its bucket: it is taken for empty */
  bool is_read_paused : 1;        /* for one of these reasons: */
  bool is_pause_wanted : 1;       /* the user's */
  bool is_lane_full : 1;          /* there is no place for another reply */
  bool has_subscription_list : 1; /* else there is room for one */
  bool is_held : 1;               /* it waits for its turn to be read */
  bool wants_turn : 1;            /* the user waits for its turn */
  bool has_notes : 1;             /* its codec is told what was written */
  uint8_t reason : 4;             /* of the eviction */
  uint8_t transport : 4;          /* its number in the engine */
  union {
    int16_t status;         /* for on_close: 0 or an error of libuv's; once it isn't open any more */
    uint16_t acked_imprint; /* while it is open: of written bytes that were all acknowledged (patrol.c); 0: none */
  };
  uint32_t
      head_written; /* bytes of the ring's head that the kernel has, or libuv's queue had when uv_write was called */
  uint32_t catching_up; /* state topics that it is behind; one more for a replay, and one for a lane */
  uint64_t written;
  uint64_t written_bytes;
  uint64_t last_id;
  fluxbp__ring_t ring;

  union { /* its `data`: see fluxbp__conn_engine */
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe; /* the largest: last, as the others aren't given room for it (fluxbp__conn_size) */
  } uv;
};

_Static_assert(sizeof(void *) != 8 || offsetof(fluxbp_conn_t, uv) == 160, "each of these bytes is there for everybody");

/*
 * What the user has of it stands before it, at the beginning of their piece of memory: so it is aligned for any type,
 * and its distance is the same for all transports. This is how much of the piece it takes: a pointer if it has no
 * bytes.
 */
static inline size_t fluxbp__conn_user_size(size_t user_bytes) {
  if (user_bytes == 0) user_bytes = sizeof(void *);
  return (user_bytes + alignof(fluxbp_conn_t) - 1) / alignof(fluxbp_conn_t) * alignof(fluxbp_conn_t);
}

/* Where the transport's own bytes are in the piece: behind the stream, aligned for any type. */
static inline size_t fluxbp__conn_data_offset(const fluxbp_transport_t *transport, size_t user_bytes) {
  size_t stream_size = transport->stream == FLUXBP_STREAM_TCP ? sizeof(uv_tcp_t) : sizeof(uv_pipe_t);
  size_t end = fluxbp__conn_user_size(user_bytes) + offsetof(fluxbp_conn_t, uv) + stream_size;
  if (transport->data_bytes == 0) return end;
  return (end + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

/* The whole piece. */
static inline size_t fluxbp__conn_size(const fluxbp_transport_t *transport, size_t user_bytes) {
  return fluxbp__conn_data_offset(transport, user_bytes) + transport->data_bytes;
}

/* Where it begins. */
static inline void *fluxbp__conn_memory(const fluxbp_conn_t *conn) {
  return (char *) (uintptr_t) conn - fluxbp__conn_user_size(conn->user_bytes); /* it isn't what is constant */
}

/* The handle has a place for a pointer, which is the first thing in it: right behind the ring. */
static inline fluxbp__engine_t *fluxbp__conn_engine(const fluxbp_conn_t *conn) {
  return conn->uv.handle.data;
}

/* See fluxbp_conn_origin. */
static inline uint64_t fluxbp__conn_origin(const fluxbp_conn_t *conn) {
  return fluxbp__conn_engine(conn)->origins | conn->id;
}

static inline const fluxbp_transport_t *fluxbp__conn_transport(const fluxbp_conn_t *conn) {
  return fluxbp__conn_engine(conn)->transports[conn->transport];
}

/* Whether the patrol looks at the connection: there is a TCP socket about which the kernel can be asked. */
static inline bool fluxbp__conn_is_patrolled(const fluxbp_conn_t *conn) {
  const fluxbp_transport_t *transport = fluxbp__conn_transport(conn);
  return transport->stream == FLUXBP_STREAM_TCP || transport->fd != NULL;
}

/* Start the connection, whose socket the program has read `length` bytes from. As fluxbp_conn_start, or what the
 * transport's `preread` returned, or UV_ENOTSUP: it has none. */
int fluxbp__conn_start(fluxbp_conn_t *conn, const void *data, size_t length);

static inline fluxbp_conn_t *fluxbp__conn_of(void *handle) {
  return FLUXBP__CONTAINER(handle, fluxbp_conn_t, uv);
}

/* All of its subscriptions, see subscriptions.c. Most connections have one, which needs no memory. */
static inline fluxbp__subscription_t *fluxbp__conn_subscriptions(const fluxbp_conn_t *conn) {
  if (conn->has_subscription_list) return conn->subscriptions;
  return (fluxbp__subscription_t *) (uintptr_t) &conn->subscription; /* they aren't what is constant */
}

/* Have everything encoded by the codec of that number in the engine from now on. */
static inline void fluxbp__conn_use_codec(fluxbp_conn_t *conn, uint8_t codec) {
  conn->codec = codec;
  conn->has_notes = FLUXBP__ENTRY(fluxbp__conn_engine(conn)->codecs[codec], written) != NULL;
}

/* Have the connection visited by the next flush. */
static inline void fluxbp__conn_mark_dirty(fluxbp_conn_t *conn) {
  if (!fluxbp__link_is_linked(&conn->due))
    fluxbp__turn_add(&fluxbp__conn_engine(conn)->turn, FLUXBP__DUE_FLUSH, &conn->due);
}

static inline uint64_t fluxbp__conn_dropped(const fluxbp_conn_t *conn) {
  return conn->rare != NULL ? conn->rare->dropped : 0;
}

static inline uint64_t fluxbp__conn_conflated(const fluxbp_conn_t *conn) {
  return conn->rare != NULL ? conn->rare->conflated : 0;
}

static inline struct fluxbp__replay *fluxbp__conn_replay(const fluxbp_conn_t *conn) {
  return conn->rare != NULL ? conn->rare->replay : NULL;
}

static inline fluxbp__lane_t *fluxbp__conn_lane(const fluxbp_conn_t *conn) {
  return conn->rare != NULL ? conn->rare->lane : NULL;
}

/* Messages and notices that wait: in the ring, and in the lane. */
static inline uint64_t fluxbp__conn_queued(const fluxbp_conn_t *conn) {
  const fluxbp__lane_t *lane = fluxbp__conn_lane(conn);
  return fluxbp__ring_messages(&conn->ring) + (lane != NULL ? lane->count : 0);
}

/* Bytes of them, `head_written` of which the kernel has taken. */
static inline uint64_t fluxbp__conn_queued_bytes(const fluxbp_conn_t *conn, uint32_t head_written) {
  const fluxbp__lane_t *lane = fluxbp__conn_lane(conn);
  return conn->ring.bytes - head_written + (lane != NULL ? lane->bytes : 0);
}

/* Return the number of state topics that the connection is behind. */
static inline uint32_t fluxbp__conn_behind_count(const fluxbp_conn_t *conn) {
  uint32_t others = (fluxbp__conn_replay(conn) != NULL ? 1U : 0U) + (fluxbp__conn_lane(conn) != NULL ? 1U : 0U);
  return conn->catching_up - others;
}

/* Messages that were meant for it: each of them is counted where it has come to. */
static inline uint64_t fluxbp__conn_accepted(const fluxbp_conn_t *conn) {
  return conn->written + fluxbp__conn_dropped(conn) + fluxbp__conn_conflated(conn) + conn->discarded +
         fluxbp__conn_queued(conn);
}

/* Return the handler of that name, or NULL. on_data is called without this macro: every table has it. */
#define FLUXBP__HANDLER(conn, name) ((conn)->handlers != NULL ? FLUXBP__ENTRY((conn)->handlers, name) : NULL)

#endif
