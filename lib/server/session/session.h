/* SPDX-License-Identifier: MIT */
/*
 * session: what a server keeps of each connection, whatever its protocol: its address, what it may do, what it is
 * subscribed to, and how it ended. Logs evictions. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_SESSION_SESSION_H
#define FLUXBP_SERVER_SESSION_SESSION_H

#include "server/lines/length_splitter.h"
#include "server/lines/line_splitter.h"
#include "server/permissions/peer_address.h"
#include "server/protocol.h"
#include "server/queue.h"
#include "server/server.h"
#include "server/session/cells.h"
#include "server/session/room.h"
#include "server/topics.h"
#include "server/websocket/websocket.h"

#include <fluxbp/fluxbp.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One that the gateway closes has so long to read why. */
#define CLIENT_CLOSE_MS 1000

struct shard;

/* What few sessions have. */
struct session_details {
  void *user;                  /* the program's */
  fluxbp_deferral_t *deferral; /* a decision that was put off; see decisions.c */
  char *name;                  /* what the client calls itself, or NULL */
  char *closing_reason;        /* the program's */
};

/* There is one for each connection, in whose memory it lies (session_conn): every byte counts. Times of 32 bits are
 * compared by their distance, which is never so long that it would matter that they begin anew after 49 days. */
struct fluxbp_session {
  fluxbp_permit_t permit; /* of its door's listener */
  struct peer_address peer;
  uint32_t cell;
  uint64_t since_ms;               /* when it came */
  struct session_details *details; /* what few sessions have; or NULL */
  struct resume *resume;           /* it waits for the hub to come so far, or NULL */
  union {                          /* what it holds; see client_topic */
    fluxbp_topic_t *topic;
    struct topic_list *topics;
  };

  union {
    struct queue_link due;        /* of its next ping, the next look for its pong, or the end of its handshake */
    struct {                      /* once it is closing, when nothing is due any more: */
      const char *closing_reason; /* or NULL */
      uint16_t closing_code;
      uint8_t closing_verdict; /* of an eviction */
    };
  };
  uint32_t due_ms;       /* by the clock below, */
  uint32_t pong_from_ms; /* as is from when on it has the time to answer a ping, if it was sent one; see pong.h */

  struct answer *answers; /* to what it has published, that are due; or NULL. See answers.c */
  struct intake *intake;  /* commands and requests that can't be done yet, while it isn't read; or NULL. See intake.c */
  uint16_t share_ms;      /* the loop's time, its lower bits, in which so many commands were done: */
  uint8_t commands;
  unsigned errors : 4;             /* it has made so far */
  bool is_pinged : 1;              /* nothing has come from it since it was sent a ping */
  enum protocol_kind protocol : 3; /* see client_protocol */
  unsigned listener : 4;           /* by which it came */
  unsigned roles : 3;              /* what it may do */
  unsigned free_roles : 3;         /* what it may do without a token */
  bool is_served : 1;              /* a subscriber: counted */
  bool is_closing : 1;             /* the gateway closes it: nothing it sends matters any more */
  bool ends_when_answered : 1;     /* it sends no more */
  bool quits_when_answered : 1;    /* it has said QUIT: nothing behind that matters */
  bool is_counted : 1;             /* by its address; see server->address_counts */
  bool is_backpressured : 1;       /* the hub has said so */
  bool has_ids : 1;                /* it gets them with its messages; to a WebSocket all is JSON then */
  bool is_json : 1;                /* messages are JSON for it */
  bool is_announced : 1;           /* the program knows of it */
  bool is_allowed : 1;             /* what it publishes next, for which there was no room yet */
  bool has_topic : 1;              /* it holds one, */
  bool has_topic_list : 1;         /* or several */

  union { /* of the protocol */
    struct line_splitter lines;
    struct length_splitter frames;
    struct http_state *http;
    struct proxied_client *proxied;
    struct websocket_reader websocket;
  };
};

/* All clients of one hub. */
struct shard {
  fluxbp_server_t *server;
  fluxbp_hub_t *hub;
  size_t index; /* of the hub */
  struct topics topics;
  fluxbp_topic_t *watch;
  bool hub_is_closing; /* its topics go with it */

  struct cells cells;
  uint32_t served[PROTOCOL_SUBSCRIBERS];

  uint64_t clock_ms; /* the time that the loop was there for: what clients said while it was away, it has yet to read */
  uint64_t ticked_ms;
  uv_timer_t timer;              /* looks at these, each in the order of due_ms: */
  struct queue pings;            /* clients that are to be sent the next ping, */
  struct queue pongs;            /* those that have yet to answer one, */
  struct queue handshakes;       /* those that have yet to say what they want, */
  struct queue short_handshakes; /* the same of those that aren't served, or while the gateway stops, */
  struct queue idles;            /* and those that are between two requests */
  uv_timer_t resume_timer;
  struct queue resumes;

  struct reach *reach;
  char refusal[FLUXBP_CLOSE_REASON_BYTES + 1]; /* why a handler refuses, until the next one is asked */
  struct room room;
  size_t state_frame_bytes; /* that the server knows of */
  size_t answers_due;       /* to clients, see answers.h */
  uint64_t commands_total;
  fluxbp_metrics_t figures; /* as of the last look */
  uint64_t pauses_total;    /* times that a client was not read for a while, see intake.h */
};

/* A connection as the listener accepted it. */
struct arrival {
  fluxbp_permit_t permit;
  uv_os_sock_t fd;
  struct peer_address peer;
  const struct listener *listener; /* by which it came */
  const char *refusal;             /* why it isn't served, or NULL */
};

/** Server, index, on_connected and user were set. @return 0 or a libuv error */
int shard_init(struct shard *shard, fluxbp_hub_t *hub);

/** The hub is about to be closed, its clients with it. */
void shard_stop(struct shard *shard);

/** Tell all of them that the gateway stops; the hub is to be drained now. */
void shard_say_goodbye(struct shard *shard);

/** Serve it, or tell it why not. Its descriptor and permit are given back in any case. */
void shard_take(struct shard *shard, const struct arrival *arrival);

/** There is nobody to take it. */
void arrival_give_up(fluxbp_server_t *server, const struct arrival *arrival);

/** The client that has that cell, as all hubs count them, or NULL. */
fluxbp_session_t *shard_session_at(struct shard *shard, uint64_t cell);

/** Return what few sessions have, made if need be. @return NULL: out of memory */
struct session_details *session_details(fluxbp_session_t *session);

/** Its connection, all clients of its hub, what all hubs share, and how it is spoken with. */
struct shard *session_shard(const fluxbp_session_t *session);
const struct protocol *session_protocol(const fluxbp_session_t *session);

/** Return what the answer to its request waits for. */
enum protocol_due session_due(const fluxbp_session_t *session);

/** Return a codec of its server. */
const fluxbp_codec_t *session_codec(const fluxbp_session_t *session, enum codec_kind kind);

/** Unlike a connection's own id, these are unique among all hubs. */
uint64_t session_id_of(const struct shard *shard, uint64_t conn_id);
uint64_t session_cell(const fluxbp_session_t *session);

/** It begins to be a subscriber: count it, give it a cell. @return 0, or UV_ENOMEM, UV_ENOSPC (there are enough) */
int session_serve(fluxbp_session_t *session);

/**
 * Its address is known: let it begin in the protocol of its door, or tell it why not.
 *
 * @param counts  towards --max-per-address, where proxies keep the listener from doing so
 * @param refusal  of its arrival, or NULL
 */
void session_admit(fluxbp_session_t *session, bool counts, const char *refusal);

/** Change to another protocol; what the former holds must be freed already. Its deadline is that of pings from now on. */
void session_become(fluxbp_session_t *session, const struct protocol *protocol);

/** Send bytes as they are, or for lines and frames as one. @return whether they were queued */
bool session_send(fluxbp_session_t *session, const void *data, size_t length);

/**
 * Say good-bye in its protocol's words, behind all that is queued and however much that is, and close it politely; `reason`
 * is a literal, and logged.
 */
void session_close(fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason);

/** The same in words that the protocol has put together already; without any if `length` is 0. */
void session_close_with(fluxbp_session_t *session, fluxbp_close_code_t code, const void *words, size_t length,
                        const char *reason);

/** Write the good-bye of the session's protocol. @return its length; 0: there is none */
size_t session_goodbye(const fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason,
                       char text[GOODBYE_BYTES]);

/** Close the connection behind these words; without them if there is no memory, or none of them. */
void session_drain_with(fluxbp_session_t *session, const void *words, size_t length, uint32_t deadline_ms);

/** Close it politely without a word; `reason` as before. */
void session_end(fluxbp_session_t *session, const char *reason);

/** The same behind an answer, for which it has asked: it has --handshake for reading it, unless the gateway stops. */
void session_end_answered(fluxbp_session_t *session);

/** Reset it; `reason` as before. */
void session_cut_off(fluxbp_session_t *session, const char *reason);

/** Reset it: what it should have got can't be queued. */
void session_lose(fluxbp_session_t *session);

/** Serve a client on lines or frames that may subscribe, and give it the default topic. */
void session_welcome(fluxbp_session_t *session);

/** It has shown a token: see what it may do now. @return the token's roles */
unsigned session_show_token(fluxbp_session_t *session, const char *token, size_t length);

#endif
