/* SPDX-License-Identifier: MIT */
/*
 * shard: all sessions of one hub, and what they share. Thread: the hub's, but where that is said.
 */
#ifndef FLUXBP_SERVER_SHARD_H
#define FLUXBP_SERVER_SHARD_H

#include "server/codecs.h"
#include "server/compression/inflater.h"
#include "server/permissions/peer_address.h"
#include "server/protocol.h"
#include "server/queue.h"
#include "server/server.h"
#include "server/session/cells.h"
#include "server/session/delays.h"
#include "server/session/expiries.h"
#include "server/session/resume_turns.h"
#include "server/session/room.h"
#include "server/topics.h"

#include <fluxbp/fluxbp.h>
#include <fluxbp/server.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a shard, as of the last look, by which the server's loop gets them; see closing.c. */
struct shard_figures {
  fluxbp_metrics_t metrics;
  uint64_t commands, pauses;
};

/* What a session is waited for: one thing at a time. */
enum deadline {
  DEADLINE_NONE,
  DEADLINE_PING,            /* the next ping is due */
  DEADLINE_PONG,            /* the client has not answered a ping yet */
  DEADLINE_MESSAGE,         /* a message of the client has begun, and isn't whole */
  DEADLINE_HANDSHAKE,       /* the first request, or the token, has not come yet */
  DEADLINE_SHORT_HANDSHAKE, /* the same of sessions that are not served, and of all while the server stops */
  DEADLINE_IDLE,            /* between two requests */
  DEADLINE_COUNT            /* at most 8: a session has 3 bits for its own */
};

struct shard {
  fluxbp_server_t *server;
  fluxbp_hub_t *hub;
  size_t index;                /* among the server's shards */
  fluxbp_tls_transport_t *tls; /* of listeners that speak TLS; NULL: there are none */
  struct codecs codecs;        /* of its connections */
  struct inflater *inflater;   /* of what clients have compressed; NULL: none has asked for it */
  struct topics topics;
  fluxbp_topic_t *watch; /* WATCH_TOPIC of this hub */
  bool hub_is_closing;   /* the hub destroys its topics by itself */

  struct cells cells;                    /* of subscribers */
  uint32_t served[PROTOCOL_SUBSCRIBERS]; /* subscribers by protocol */

  /* The clock of deadlines: it stands still while the loop is held up, since what clients sent meanwhile is yet to be
   * read. */
  uint64_t clock_ms;
  uint64_t ticked_ms;                     /* the loop's time at the last tick */
  uv_timer_t timer;                       /* looks at the queues of deadlines */
  struct queue deadlines[DEADLINE_COUNT]; /* sessions by what they are waited for, in the order of due_ms */
  uv_timer_t resume_timer;
  struct queue resumes; /* sessions that wait to be resumed; see resume.c */

  struct reach *reach;                         /* by which other threads post to the hub */
  char refusal[FLUXBP_CLOSE_REASON_BYTES + 1]; /* why a handler refuses; until the next handler is asked */
  fluxbp_close_code_t refusal_code;            /* for that */
  struct expiries expiries;                    /* of sessions with tokens; see session_grants.c */
  struct room room;                 /* the queue of sessions that wait for room on the bus or in the budget */
  struct resume_turns resume_turns; /* of sessions that are to be resumed */
  struct delays delays;             /* of sessions whose clients are too fast */
  size_t state_frame_bytes;         /* in frames of state topics, as the server was told last */
  size_t answers_due;               /* to sessions; see answers.h */
  struct shard_figures figures;
  uint64_t commands_total;
  uint64_t pauses_total; /* times that a session was not read for a while; see intake.h */
};

/* A connection as the listener, or the program, has accepted it. */
struct arrival {
  fluxbp_permit_t permit; /* of the listener; 0: the program has accepted the socket */
  uv_os_sock_t fd;
  struct peer_address peer;
  const struct listener *listener; /* that accepted it, or stands for such clients */
  const char *refusal;             /* why the connection is not served; a literal. NULL: it is */
  void *data;                      /* what the program has read from the socket, to be freed; or NULL */
  size_t length;                   /* of it */
};

/** Prepare a shard; server and index were set. @return 0 or a libuv error, after which nothing is to be undone */
int shard_init(struct shard *shard, fluxbp_hub_t *hub);

/** Close the handles of a shard, whose hub is closed next. */
void shard_stop(struct shard *shard);

/** Tell all clients that the server stops. The hub is drained next. */
void shard_say_goodbye(struct shard *shard);

/** Begin a session, or tell the client why it is not served. Descriptor and permit are given back in any case. */
void shard_take(struct shard *shard, const struct arrival *arrival);

/** Close an arrival that no shard takes. */
void arrival_give_up(fluxbp_server_t *server, const struct arrival *arrival);

/** Return the session with a cell, by its number among all shards; NULL if there is none. */
fluxbp_session_t *shard_session_at(struct shard *shard, uint64_t cell);

#endif
