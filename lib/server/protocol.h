/* SPDX-License-Identifier: MIT */
/*
 * protocol: what differs between clients that came by different doors. One constant table each; who speaks HTTP may
 * change to another one.
 */
#ifndef FLUXBP_SERVER_PROTOCOL_H
#define FLUXBP_SERVER_PROTOCOL_H

#include "codecs.h"
#include "server/websocket/websocket.h"

#include <fluxbp/server.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest good-bye of any protocol. */
#define GOODBYE_BYTES 512

typedef struct fluxbp_session fluxbp_session_t;
struct too_old;

/* Those that subscribers speak come first: they are counted. protocols has a table for each. */
enum protocol_kind {
  PROTOCOL_LINES,
  PROTOCOL_LENGTH,
  PROTOCOL_WEBSOCKET,
  PROTOCOL_SSE,
  PROTOCOL_SUBSCRIBERS,
  PROTOCOL_HTTP = PROTOCOL_SUBSCRIBERS,
  PROTOCOL_WATCH,
  PROTOCOL_PROXIED, /* by way of a proxy, which has yet to say whose connection it is */
  PROTOCOL_TLS,     /* by a listener that speaks TLS; the handshake hasn't ended */
  PROTOCOL_COUNT    /* below 16: a client has 4 bits for its own */
};

/* What a request waits for whose answer comes later. */
enum protocol_due { DUE_NOTHING, DUE_ANSWER, DUE_ROOM };

struct protocol {
  enum protocol_kind kind;
  const char *name;
  enum codec_kind codec;          /* of a session that begins with it; CODEC_COUNT: bytes go out as they are */
  enum codec_kind codec_with_ids; /* after the command IDS; CODEC_COUNT: the command is for others */
  bool has_reserve;           /* administrators come by it: it has places beyond max_connections, and is closed last */
  bool says_when_it_ends;     /* the client's FIN without a word is no wish for the answers that are due */
  enum codec_kind codec_json; /* for a client that wants JSON; CODEC_COUNT: there is none */
  bool tells_binary;          /* its binary messages are no commands */
  bool answers_quit;          /* the good-bye of a WebSocket is no answer, so there is one before it */

  /* The session begins. `refusal`: why it isn't served, which the client is told; or NULL. */
  void (*begin)(fluxbp_session_t *session, const char *refusal);

  /* Bytes have come. @return how many of them are done with: the rest comes again when it can be done; see intake.h. Of
   * a client that is closing it doesn't matter */
  size_t (*take)(fluxbp_session_t *session, const char *data, size_t length);

  /* Write the answer to a command, a line without its end, as the client gets it. @return its length, as snprintf does;
   * 0: it can't be written. NULL: there are no commands. */
  size_t (*write_answer)(const fluxbp_session_t *session, const char *text, size_t length, char *out, size_t capacity);

  /* What comes from now on is the continuation after `since`. False: it couldn't be queued. */
  bool (*say_resumed)(fluxbp_session_t *session, const char *since);

  /* It can't be continued. It is live behind `too_old->position`. */
  void (*say_too_old)(fluxbp_session_t *session, const struct too_old *too_old);

  /* It has everything of its topics up to that id. False: it couldn't be queued. NULL: it isn't told. */
  bool (*say_position)(fluxbp_session_t *session, const char *id);

  /* A token of the client expires in so many seconds. False: that couldn't be queued. NULL: the client isn't told. */
  bool (*say_expiring)(fluxbp_session_t *session, uint64_t seconds);

  /* The server ends it, `code` being that of a WebSocket: write what is said last. @return its length; 0: nothing is
   * said, as is without this entry */
  size_t (*goodbye)(const fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason,
                    char text[GOODBYE_BYTES]);

  /* It is time to send what shows that the connection is there, with its position if it gets ids. True: the client has
   * to answer. NULL: the kernel's keepalive has to do. */
  bool (*ping)(fluxbp_session_t *session);

  /* The time for the handshake is over. NULL: there is none. */
  void (*end_wait)(fluxbp_session_t *session);

  /* What the answer to a request waits for. NULL: for nothing. */
  enum protocol_due (*due)(const fluxbp_session_t *session);

  /* It is the turn of the client, whose request waits for room (DUE_ROOM). NULL: none does. */
  void (*go_on)(fluxbp_session_t *session);

  /* The server ends, whatever answer is due: say so. NULL: none is. */
  void (*give_up)(fluxbp_session_t *session);

  /* The client has shown a token and may subscribe now: serve it. NULL: every client was served when it came. */
  void (*welcome)(fluxbp_session_t *session);

  /* What the program has put off is decided: go on with it. NULL: there is nothing to decide. */
  void (*decided)(fluxbp_session_t *session);

  /* Free what the protocol holds for the client. */
  void (*end)(fluxbp_session_t *session);
};

extern const struct protocol protocol_lines, protocol_length, protocol_http, protocol_websocket, protocol_sse,
    protocol_watch, protocol_proxied, protocol_tls;

/** The table of one kind. */
extern const struct protocol *const protocols[PROTOCOL_COUNT];

/** Return what is spoken first at an address, or NULL, and whether over TLS. */
const struct protocol *protocol_of_speak(fluxbp_speak_t speak, bool *is_tls);

#endif
