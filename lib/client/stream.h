/* SPDX-License-Identifier: MIT */
/*
 * stream: turns the bytes of one connection, split anywhere, into what they say: messages, and what the server tells
 * about itself. One kind for each protocol; docs/protocol.md has the formats. Does no I/O, never copies a message that
 * arrives in one piece, and allocates only for one that doesn't.
 */
#ifndef FLUXBP_CLIENT_STREAM_H
#define FLUXBP_CLIENT_STREAM_H

#include "target.h"

#include <stdint.h>

enum stream_kind {
  STREAM_MESSAGE,  /* data; with its id, if it has one */
  STREAM_OPENED,   /* WebSocket, SSE: the server has agreed */
  STREAM_ANSWER,   /* +OK, +PONG: data is the whole of it */
  STREAM_POSITION, /* up to its id there is nothing more to come */
  STREAM_RESUMED,  /* from here on comes what was missed */
  STREAM_TOO_OLD,  /* it can't be resumed from there: what comes is live */
  STREAM_ERROR,    /* -ERR: data is the whole of it */
  STREAM_UNSET,    /* the value of a state topic's key was taken back; data says which */
  STREAM_GAP,      /* the server dropped messages for this client */
  STREAM_EVICTED,  /* the server closes because the client is too slow; data is what it says */
  STREAM_CLOSING,  /* the server stops */
  STREAM_CLOSED,   /* WebSocket: a close frame with any other `code` */
  STREAM_PING      /* WebSocket: to be answered with a pong of the same data */
};

struct stream_event {
  enum stream_kind kind;
  const char *data; /* valid in the callback only, like the id */
  size_t length;
  const char *id; /* epoch:id, or NULL */
  size_t id_length;
  int code;
};

struct stream;
typedef void (*stream_event_cb)(struct stream *stream, const struct stream_event *event);

/* The beginning of something whose end hasn't come yet. */
struct stream_rest {
  char *data;
  size_t length, capacity;
};

struct stream {
  enum protocol protocol;
  bool has_ids;        /* lines and frames: asked for, so "id topic message" may come */
  bool is_stopped;     /* by stream_stop(), or because nothing that follows could be understood */
  const char *problem; /* why, or NULL */
  stream_event_cb on_event;
  void *data; /* the owner's */
  struct stream_rest rest;
  struct http_answer *http;           /* of WebSocket and SSE */
  struct websocket_frames *websocket; /* after the handshake */
};

void stream_init(struct stream *stream, enum protocol protocol, stream_event_cb on_event);

/** Free the memory; what was stopped stays so. */
void stream_reset(struct stream *stream);

/** Take the next bytes. @return false if they are against the protocol: see `problem` */
bool stream_feed(struct stream *stream, const char *data, size_t length);

/** In a callback: nothing more is wanted. */
static inline void stream_stop(struct stream *stream) {
  stream->is_stopped = true;
}

/** Nothing has begun that hasn't ended. */
bool stream_is_between_messages(const struct stream *stream);

/** Write a masked frame, as clients have to. @return its length, or 0 if it has no room */
size_t stream_websocket_frame(int opcode, const char *data, size_t length, char *out, size_t capacity);

#define STREAM_WEBSOCKET_CLOSE 8
#define STREAM_WEBSOCKET_PONG 10

/* Codes of a close frame. */
#define STREAM_WEBSOCKET_NORMAL 1000
#define STREAM_WEBSOCKET_NO_CODE 1005 /* never sent: it had none */

#endif
