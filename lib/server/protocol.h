/* SPDX-License-Identifier: MIT */
/*
 * protocol: what differs between clients that came by different doors. One constant table each; who speaks HTTP may change
 * to another one.
 */
#ifndef FLUXBP_SERVER_PROTOCOL_H
#define FLUXBP_SERVER_PROTOCOL_H

#include "codecs.h"
#include "server/websocket/websocket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest good-bye of any protocol. */
#define GOODBYE_BYTES 512

typedef struct fluxbp_session fluxbp_session_t;
struct too_old;

/* Those that subscribers speak come first: they are counted. */
enum protocol_kind {
  PROTOCOL_LINES,
  PROTOCOL_LENGTH,
  PROTOCOL_WEBSOCKET,
  PROTOCOL_SSE,
  PROTOCOL_SUBSCRIBERS,
  PROTOCOL_HTTP = PROTOCOL_SUBSCRIBERS,
  PROTOCOL_WATCH,
  PROTOCOL_PROXIED, /* by way of a proxy, which has yet to say whose connection it is */
  PROTOCOL_COUNT    /* at most 8: a client has 3 bits for its own */
};

struct protocol {
  enum protocol_kind kind;
  const char *name;

  /* Bytes have come. @return how many of them are done with: the rest comes again when it can be done; see intake.h. Of a
   * client that is closing it doesn't matter */
  size_t (*take)(fluxbp_session_t *session, const char *data, size_t length);

  /* The answer to a command: a line without its end. False: it couldn't be queued. NULL: there are no commands. */
  bool (*answer)(fluxbp_session_t *session, const char *text, size_t length);

  /* What comes from now on is the continuation after `since`. False: it couldn't be queued. */
  bool (*say_resumed)(fluxbp_session_t *session, const char *since);

  /* It can't be continued. It is live behind `too_old->position`. */
  void (*say_too_old)(fluxbp_session_t *session, const struct too_old *too_old);

  /* It has everything of its topics up to that id. False: it couldn't be queued. NULL: it isn't told. */
  bool (*say_position)(fluxbp_session_t *session, const char *id);

  /* The gateway ends it, `code` being that of a WebSocket: write what is said last. @return its length; 0: nothing is said,
   * as is without this entry */
  size_t (*goodbye)(const fluxbp_session_t *session, enum websocket_code code, const char *reason,
                    char text[GOODBYE_BYTES]);

  /* It is time to send what shows that the connection is there, with its position if it gets ids. True: the client has to
   * answer. NULL: the kernel's keepalive has to do. */
  bool (*ping)(fluxbp_session_t *session);

  /* The time for the handshake is over. NULL: there is none. */
  void (*is_late)(fluxbp_session_t *session);

  /* Free what the protocol holds for the client. */
  void (*end)(fluxbp_session_t *session);
};

extern const struct protocol protocol_lines, protocol_length, protocol_http, protocol_websocket, protocol_sse,
    protocol_watch, protocol_proxied;

#endif
