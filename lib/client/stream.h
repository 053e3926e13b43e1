/* SPDX-License-Identifier: MIT */
/*
 * stream: turns the bytes of one connection, split anywhere, into messages and events: lines, length frames, the body
 * of Server-Sent Events, and WebSocket frames. HTTP before them is read by handshake.c.
 *
 * Does no I/O. A message that arrives in one piece isn't copied; memory is allocated only for one that comes in several
 * pieces, is larger than the 4 KiB in which wslay hands payload over, or is written with escapes, and is kept for the
 * next. While the stream is paused it keeps the bytes that it is fed, until fluxbp__stream_continue.
 */
#ifndef FLUXBP_CLIENT_STREAM_H
#define FLUXBP_CLIENT_STREAM_H

#include "buffer.h"
#include "fluxbp/client.h"

#include <stdbool.h>
#include <string.h>

typedef struct fluxbp__stream fluxbp__stream_t;
struct fluxbp__frames;

/** A message or an event; it may stop or pause the stream. */
typedef void (*fluxbp__stream_event_cb)(fluxbp__stream_t *stream, fluxbp_client_event_t *event);

/** A WebSocket control frame: its opcode and payload. */
typedef void (*fluxbp__stream_control_cb)(fluxbp__stream_t *stream, int opcode, const char *data, size_t length);

struct fluxbp__stream {
  fluxbp_client_protocol_t protocol;
  bool is_plain;   /* every line, frame, message and event is a message */
  bool has_ids;    /* ids were asked for: "id topic message", or JSON on WebSocket */
  bool is_stopped; /* by its owner, or because of `problem` */
  bool is_paused;
  bool holds_frames;   /* WebSocket: wslay has more than was told before the pause */
  const char *problem; /* why nothing that follows can be understood, or NULL */
  int close_code;      /* WebSocket: to send for the problem */
  int64_t retry_ms;    /* pause that the server asks for by `retry:` or when it stops; -1: none */
  size_t max_bytes;    /* of a message */
  /* A message with nothing beside it: to clear an event takes longer than to tell one. */
  fluxbp_client_event_t plain;
  fluxbp__stream_event_cb on_event;
  fluxbp__stream_control_cb on_control;
  fluxbp__buffer_t rest;    /* the beginning of something whose end hasn't come */
  fluxbp__buffer_t scratch; /* a message without its escapes */
  fluxbp__buffer_t held;    /* fed while it was paused */
  struct {
    size_t scanned;      /* bytes of `rest` in which the end of the event isn't */
    bool has_line;       /* the line that is being read isn't empty */
    bool is_after_cr;    /* a newline would belong to the line end before */
    bool is_after_begin; /* a byte order mark can't come any more */
  } sse;
  struct fluxbp__frames *frames; /* of WebSocket, made by the first byte */
};

void fluxbp__stream_init(fluxbp__stream_t *stream, fluxbp_client_protocol_t protocol);

/** Free the memory and begin anew, for another connection; its owner's settings stay. */
void fluxbp__stream_reset(fluxbp__stream_t *stream);

/** Take the next bytes. @return false if they are against the protocol: see `problem` */
bool fluxbp__stream_feed(fluxbp__stream_t *stream, const char *data, size_t length);

/** Take the bytes that were fed while it was paused. */
bool fluxbp__stream_continue(fluxbp__stream_t *stream);

/** Whether there is something for fluxbp__stream_continue. */
static inline bool fluxbp__stream_is_holding(const fluxbp__stream_t *stream) {
  return stream->held.length > 0 || stream->holds_frames;
}

/** Whether something has begun that hasn't ended. */
bool fluxbp__stream_is_mid_message(const fluxbp__stream_t *stream);

/* For the readers of the protocols: */

void fluxbp__stream_fail(fluxbp__stream_t *stream, const char *problem, int close_code);

/** Keep more bytes of an unfinished message. @return false: it is too long, or without memory; the stream has failed */
bool fluxbp__stream_keep(fluxbp__stream_t *stream, const char *data, size_t length);

static inline bool fluxbp__stream_is_running(const fluxbp__stream_t *stream) {
  return !stream->is_stopped && !stream->is_paused;
}

/** Take bytes, as long as the stream is running. @return how many were used up */
size_t fluxbp__lines_feed(fluxbp__stream_t *stream, const char *data, size_t length);
size_t fluxbp__length_feed(fluxbp__stream_t *stream, const char *data, size_t length);
size_t fluxbp__sse_feed(fluxbp__stream_t *stream, const char *data, size_t length);
size_t fluxbp__websocket_feed(fluxbp__stream_t *stream, const char *data, size_t length);
void fluxbp__websocket_free(fluxbp__stream_t *stream);

/** Tell the message or notice in a line, a frame, or a WebSocket message. */
void fluxbp__dialect_tell(fluxbp__stream_t *stream, const char *data, size_t length, bool is_binary);

/** Tell an event of Server-Sent Events; its name, id and data are set. */
void fluxbp__dialect_tell_sse(fluxbp__stream_t *stream, fluxbp_client_event_t *event);

/** The oldest id in a sentence such as "too old, oldest is epoch:id"; NULL: there is none. */
const char *fluxbp__dialect_find_oldest(const char *data, size_t length, size_t *id_length);

/** The length of "epoch:id" at the beginning, behind which the text ends or a blank or comma stands; 0: there is
 * none. */
size_t fluxbp__dialect_id_length(const char *data, size_t length);

#endif
