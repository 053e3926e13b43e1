/* SPDX-License-Identifier: MIT */
/*
 * session: what a server keeps of each connection, whatever its protocol: its address, what it may do, what it is
 * subscribed to, and how it ended. Logs evictions. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_SESSION_SESSION_H
#define FLUXBP_SERVER_SESSION_SESSION_H

#include "server/compression/gzip.h"
#include "server/lines/length_splitter.h"
#include "server/lines/line_splitter.h"
#include "server/permissions/peer_address.h"
#include "server/protocol.h"
#include "server/queue.h"
#include "server/server.h"
#include "server/session/shard.h"
#include "server/websocket/websocket.h"

#include <fluxbp/fluxbp.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A client that the server closes has so long to read why. */
#define CLIENT_CLOSE_MS 1000

struct account;
struct session_grants;
struct http_state;

/* What few sessions have. */
struct session_details {
  void *user;                    /* the program's */
  fluxbp_deferral_t *deferral;   /* a decision that was put off; see decisions.c */
  char *name;                    /* what the client calls itself, or NULL */
  char *closing_reason;          /* the program's */
  struct http_state *kept_http;  /* with the request of a WebSocket that has to show a token first; or NULL */
  struct session_grants *grants; /* of the tokens that the client has shown, or NULL */
  struct grant *certificate;     /* of the certificate that it has shown, which is one of the grants; or NULL */
};

/* There is one for each connection, in whose memory it lies (fluxbp_session_conn): every byte counts. Times of 32 bits
 * are compared by their distance, which is never so long that it would matter that they begin anew after 49 days. */
struct fluxbp_session {
  fluxbp_permit_t permit; /* of its listener */
  struct peer_address peer;
  uint32_t cell;
  uint64_t since_ms;               /* the loop's time when the session began */
  struct session_details *details; /* or NULL */
  struct account *account;         /* of its address, or NULL: its address has none. See session_quotas.h */
  uint64_t full_ns;                /* its bucket; see session_rates.h */
  struct resume *resume;           /* while the session waits to be resumed; or NULL */
  union {                          /* the topics that it holds; see session_topic */
    fluxbp_topic_t *topic;
    struct topic_list *topics;
  };

  union {
    struct queue_link due;        /* its place in one of shard->deadlines */
    struct {                      /* once it is closing, and has no deadlines: */
      const char *closing_reason; /* or NULL */
      uint16_t closing_code;
      uint8_t closing_verdict; /* of an eviction */
    };
  };
  uint32_t due_ms; /* the deadline, by the lower bits of the shard's clock_ms */

  /* By the same clock: the time from which the answer to a ping is awaited (see pong.h); while none is, the time from
   * which the session has had no ping. */
  uint32_t pong_from_ms;

  struct answer *answers;          /* that are due to what the client has published; or NULL. See answers.c */
  struct intake *intake;           /* what can't be done yet, while the client isn't read; or NULL. See intake.c */
  unsigned errors : 4;             /* that the client has made so far */
  bool is_pinged : 1;              /* nothing has come from the client since the last ping */
  enum protocol_kind protocol : 4; /* see session_protocol */
  unsigned listener : 4;           /* by which it came */
  unsigned roles : 3;              /* what the client may do, if only for some topics */
  unsigned free_roles : 3;         /* what it may do without a token here, unless a token is there for that */
  unsigned request_roles : 3;      /* the same of its last request; of other protocols the same as free_roles */
  bool is_served : 1;              /* a subscriber: counted */
  bool is_closing : 1;             /* the server closes it: what the client sends is not read any more */
  bool ends_when_answered : 1;     /* the client has sent its FIN, and answers are due */
  bool quits_when_answered : 1;    /* the client has said QUIT: nothing behind that is done */
  bool is_backpressured : 1;       /* the hub has said so */
  bool waits_for_tokens : 1;       /* nothing is done for the client until there are some */
  bool owes_replays : 1;           /* its bucket is in debt since it was resumed */
  bool has_ids : 1;                /* the client gets ids with its messages; a WebSocket gets all as JSON then */
  bool is_json : 1;                /* messages are JSON for it */
  bool is_compressed : 1;          /* a WebSocket that has agreed on compression, or an event stream */
  bool is_announced : 1;           /* the program knows of it */
  bool is_out_of_time : 1;         /* it has stopped because its turn was over */
  bool is_allowed : 1;             /* what it publishes next, for which there was no room yet */
  enum deadline due_for : 3;       /* the queue of `due`; DEADLINE_NONE: it is in none */
  bool has_ping_due : 1;           /* its next ping comes when the message that has begun is whole */
  bool has_topic : 1;              /* it holds one */
  bool has_topic_list : 1;         /* it holds several */
  bool has_sent : 1;               /* something has come from the client */

  union { /* of the protocol */
    struct line_splitter lines;
    struct length_splitter frames;
    struct http_state *http;
    struct proxied_client *proxied;
    const char *tls_refusal; /* that the client is told behind the handshake, or NULL */
    struct websocket_reader websocket;
    struct gzip_sum gzip; /* of an event stream that is compressed: of everything that was written to it */
  };
};

/** Return what few sessions have, made if need be. @return NULL: out of memory */
struct session_details *session_details(fluxbp_session_t *session);

/** Return the shard of a session, and the protocol that its client speaks now. */
struct shard *session_shard(const fluxbp_session_t *session);
const struct protocol *session_protocol(const fluxbp_session_t *session);

/** Return what the answer to its request waits for. */
enum protocol_due session_due(const fluxbp_session_t *session);

/** Return the kind of codec by which a client that has left the handshake behind gets messages, if it speaks HTTP. */
enum codec_kind session_codec_kind(const fluxbp_session_t *session);

/** Return a codec of its server. */
const fluxbp_codec_t *session_codec(const fluxbp_session_t *session, enum codec_kind kind);

/** Return the number of a session by the id of its connection; and the number of its cell. Both count all shards. */
uint64_t session_id_of(const struct shard *shard, uint64_t conn_id);
uint64_t session_cell(const fluxbp_session_t *session);

/** Make the session a subscriber: count it, give it a cell, and call on_open. @return 0, UV_ENOMEM, or UV_ENOSPC:
 * enough are there */
int session_serve(fluxbp_session_t *session);

/** Return the key of the session's address, whose clients share their turns: for fluxbp_hub_options_t.input_key. */
uint64_t session_input_key(fluxbp_conn_t *conn);

/**
 * Let a client whose address is known begin in the protocol of its listener, or tell it why not.
 *
 * @param is_named_by_proxy whether a proxy has said the address
 * @param refusal           of its arrival, or NULL
 */
void session_admit(fluxbp_session_t *session, bool is_named_by_proxy, const char *refusal);

/** Have a client begin in the protocol of its listener, or tell it there why it isn't served. */
void session_begin(fluxbp_session_t *session, const char *refusal);

/** Change to another protocol. What the former one holds must be freed already. The deadline is that of pings from now
 * on. */
void session_become(fluxbp_session_t *session, const struct protocol *protocol);

/** Queue bytes as they are, in the form of the session's protocol. @return whether they were queued */
bool session_send(fluxbp_session_t *session, const void *data, size_t length);

/*
 * Ending. A `reason` is a literal, or lives as long as the session; it is logged. NULL leaves the reason that was given
 * before.
 */

/** Close the session politely, behind all that is queued, with its protocol's good-bye. */
void session_close(fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason);

/** The same with a good-bye that the protocol has put together already; without one if `length` is 0. */
void session_close_with(fluxbp_session_t *session, fluxbp_close_code_t code, const void *words, size_t length,
                        const char *reason);

/** Write the good-bye of the session's protocol. @return its length; 0: there is none */
size_t session_goodbye(const fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason,
                       char text[GOODBYE_BYTES]);

/** Close the connection behind these words; without them if there is no memory, or none of them. */
void session_drain_with(fluxbp_session_t *session, const void *words, size_t length, uint32_t deadline_ms);

/** Close the session politely without a word. */
void session_end(fluxbp_session_t *session, const char *reason);

/** The same behind an answer that the client has asked for: it has handshake_ms to read it, unless the server stops. */
void session_end_answered(fluxbp_session_t *session);

/** Reset the session. */
void session_cut_off(fluxbp_session_t *session, const char *reason);

/** Reset a session for which something could not be queued that its client must get. */
void session_lose(fluxbp_session_t *session);

/** Serve a client on lines or frames that may subscribe, and give it the default topic; or wait for the program's
 * decision. */
void session_welcome(fluxbp_session_t *session);

#endif
