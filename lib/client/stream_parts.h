/* SPDX-License-Identifier: MIT */
/*
 * stream_parts: what the kinds of stream share, and what each of them gives to stream.c.
 */
#ifndef FLUXBP_CLIENT_STREAM_PARTS_H
#define FLUXBP_CLIENT_STREAM_PARTS_H

#include "stream.h"

#include <string.h>

/* Of a line, frame, message or event: more is taken for one that never ends. */
#define STREAM_MAX_BYTES ((size_t) 2 << 20)

/** Stop, and say why. */
void stream_fail(struct stream *stream, const char *problem);

/** Keep more of what hasn't ended yet. @return false: it failed, being too long or out of memory */
bool stream_keep(struct stream *stream, const char *data, size_t length);

static inline void stream_tell(struct stream *stream, enum stream_kind kind, const char *data, size_t length) {
  struct stream_event event = {.kind = kind, .data = data, .length = length};
  stream->on_event(stream, &event);
}

static inline bool stream_begins(const char *data, size_t length, const char *literal, size_t literal_length) {
  return length >= literal_length && memcmp(data, literal, literal_length) == 0;
}

/* Whether these bytes begin with a literal. */
#define STREAM_BEGINS(data, length, literal) stream_begins((data), (length), (literal), sizeof(literal) - 1)

/** What stands between `name` and the next quotation mark, such as `name` = {"resumed":" */
bool stream_find_text(const char *data, size_t length, const char *name, const char **text, size_t *text_length);

/** Tell what one line, frame or text message of the server says. */
void stream_interpret(struct stream *stream, const char *data, size_t length);

/** The same of a WebSocket message, which may be JSON. */
void stream_interpret_json(struct stream *stream, const char *data, size_t length);

void stream_feed_lines(struct stream *stream, const char *data, size_t length);
void stream_feed_length(struct stream *stream, const char *data, size_t length);
void stream_feed_websocket(struct stream *stream, const char *data, size_t length);
void stream_feed_events(struct stream *stream, const char *data, size_t length); /* SSE, the body */

/** Free the frames of a WebSocket. */
void stream_free_websocket(struct stream *stream);

#endif
