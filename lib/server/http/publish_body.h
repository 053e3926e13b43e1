/* SPDX-License-Identifier: MIT */
/*
 * publish_body: from the body of a request to the messages in it. Does no I/O, publishes nothing.
 *
 * The Content-Type says what a body is. A bulk (lines or JSON) is read one message after the other, so that its memory
 * is that of the body and of one message, and what is wrong with a message is known when its turn comes.
 */
#ifndef FLUXBP_SERVER_PUBLISH_BODY_H
#define FLUXBP_SERVER_PUBLISH_BODY_H

#include "http_reader.h"

#include "plain_object.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum publish_body_kind {
  PUBLISH_BODY_BYTES,      /* the message, to the last byte */
  PUBLISH_BODY_TEXT,       /* the message, but for a byte order mark before it and a line end behind it */
  PUBLISH_BODY_LINES,      /* an object on each line */
  PUBLISH_BODY_JSON,       /* an object, or an array of objects */
  PUBLISH_BODY_NOT_HANDLED /* of several parts, in a form that isn't read */
};

/** What a body of that Content-Type is; the request may name a topic in its query. */
enum publish_body_kind publish_body_kind_of(struct http_text type, bool has_topic);

/** The message in a body of bytes or text. */
struct http_text publish_body_message(struct http_text body, enum publish_body_kind kind);

/* A bulk that is being read. */
struct publish_body {
  const char *at, *end;
  size_t max_object_bytes;
  size_t number;       /* of the line, or of the object in the array, that came last: from 1 */
  bool is_lines;       /* or JSON, */
  bool is_array;       /* which is an array */
  bool has_ended;      /* nothing comes any more */
  int err;             /* what is wrong: UV_EINVAL, UV_E2BIG or UV_ENOBUFS, */
  const char *problem; /* in a sentence */
};

/* A message of a bulk. */
struct publish_item {
  const char *topic;
  const char *key; /* or NULL */
  const void *data;
  size_t length;
  struct plain_object plain; /* the texts are this one's, */
  json_t *object;            /* or this one's; NULL: the former */
  void *decoded;             /* data that stood there in another form, or NULL */
  bool unsets;               /* takes the value of the key back, and has no data */
};

enum publish_body_outcome {
  PUBLISH_BODY_ITEM, /* to be freed */
  PUBLISH_BODY_END,
  PUBLISH_BODY_WRONG /* the last outcome: `number`, `err` and `problem` say more */
};

/** Begin with a body of lines or JSON. An object has at most `max_object_bytes`. */
void publish_body_begin(struct publish_body *body, enum publish_body_kind kind, struct http_text text,
                        size_t max_object_bytes);

/** The next message of it; lines without anything are skipped. */
enum publish_body_outcome publish_body_next(struct publish_body *body, struct publish_item *item);

void publish_item_free(struct publish_item *item);

/** The most messages that there can be in the body, counted up to `limit`. */
size_t publish_body_count(enum publish_body_kind kind, struct http_text text, size_t limit);

#endif
