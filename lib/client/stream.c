/* SPDX-License-Identifier: MIT */
/*
 * stream: which protocol takes the bytes, the HTTP around WebSocket and SSE, and what servers say in words.
 */
#define _GNU_SOURCE /* memmem */
#include "stream_parts.h"

#include "http_answer.h"

#include <jansson.h>
#include <stdlib.h>

#define EPOCH_DIGITS 16
#define ID_BYTES_MAX 40

static const size_t least_capacity = 512;

void stream_init(struct stream *stream, enum protocol protocol, stream_event_cb on_event) {
  *stream = (struct stream){.protocol = protocol, .on_event = on_event};
}

void stream_reset(struct stream *stream) {
  free(stream->rest.data);
  stream->rest = (struct stream_rest){0};
  http_answer_free(stream->http);
  stream->http = NULL;
  stream_free_websocket(stream);
}

void stream_fail(struct stream *stream, const char *problem) {
  stream->problem = problem;
  stream_stop(stream);
}

bool stream_keep(struct stream *stream, const char *data, size_t length) {
  struct stream_rest *rest = &stream->rest;
  size_t needed = rest->length + length;
  if (needed > STREAM_MAX_BYTES) {
    stream_fail(stream, "a message that doesn't end");
    return false;
  }
  if (needed > rest->capacity) {
    size_t capacity = rest->capacity > 0 ? rest->capacity : least_capacity;
    while (capacity < needed) capacity *= 2;
    char *grown = realloc(rest->data, capacity);
    if (grown == NULL) {
      stream_fail(stream, "out of memory");
      return false;
    }
    rest->data = grown;
    rest->capacity = capacity;
  }
  if (length > 0) memcpy(rest->data + rest->length, data, length);
  rest->length = needed;
  return true;
}

bool stream_is_between_messages(const struct stream *stream) {
  return stream->rest.length == 0;
}

bool stream_find_text(const char *data, size_t length, const char *name, const char **text, size_t *text_length) {
  const char *found = memmem(data, length, name, strlen(name));
  if (found == NULL) return false;
  const char *begin = found + strlen(name);
  const char *end = memchr(begin, '"', (size_t) (data + length - begin));
  if (end == NULL) return false;
  *text = begin;
  *text_length = (size_t) (end - begin);
  return true;
}

static void tell_with_id(struct stream *stream, enum stream_kind kind, const char *id, size_t id_length,
                         const char *data, size_t length) {
  struct stream_event event = {.kind = kind, .data = data, .length = length, .id = id, .id_length = id_length};
  stream->on_event(stream, &event);
}

/* The length of "epoch:id" at the beginning, which a blank or the end follows; 0 if there is none. */
static size_t id_length_of(const char *data, size_t length) {
  if (length <= EPOCH_DIGITS + 1 || data[EPOCH_DIGITS] != ':') return 0;
  for (size_t i = 0; i < EPOCH_DIGITS; i++) {
    bool is_digit = (data[i] >= '0' && data[i] <= '9') || (data[i] >= 'a' && data[i] <= 'f');
    if (!is_digit) return 0;
  }
  size_t end = EPOCH_DIGITS + 1;
  while (end < length && data[end] >= '0' && data[end] <= '9') end++;
  bool is_one = end > EPOCH_DIGITS + 1 && end < ID_BYTES_MAX && (end == length || data[end] == ' ');
  return is_one ? end : 0;
}

/* "id topic message", as asked for by IDS. */
static bool interpret_with_id(struct stream *stream, const char *data, size_t length) {
  size_t id_length = id_length_of(data, length);
  if (id_length == 0 || id_length == length) return false;
  const char *topic = data + id_length + 1;
  const char *blank = memchr(topic, ' ', (size_t) (data + length - topic));
  if (blank == NULL) return false;
  tell_with_id(stream, STREAM_MESSAGE, data, id_length, blank + 1, (size_t) (data + length - blank - 1));
  return true;
}

static void interpret_answer(struct stream *stream, const char *data, size_t length) {
  static const char ids[] = "+OK IDS ";
  if (STREAM_BEGINS(data, length, ids)) {
    const char *id = data + sizeof ids - 1;
    size_t id_length = id_length_of(id, length - (sizeof ids - 1));
    if (id_length > 0) tell_with_id(stream, STREAM_POSITION, id, id_length, data, length);
  } else if (STREAM_BEGINS(data, length, "+OK RESUMED")) {
    stream_tell(stream, STREAM_RESUMED, data, length);
  } else if (STREAM_BEGINS(data, length, "+OK") || STREAM_BEGINS(data, length, "+PONG")) {
    stream_tell(stream, STREAM_ANSWER, data, length);
  } else {
    stream_tell(stream, STREAM_MESSAGE, data, length);
  }
}

static void interpret_error(struct stream *stream, const char *data, size_t length) {
  if (STREAM_BEGINS(data, length, "-ERR too old") || STREAM_BEGINS(data, length, "-ERR unknown epoch"))
    stream_tell(stream, STREAM_TOO_OLD, data, length);
  else
    stream_tell(stream, STREAM_BEGINS(data, length, "-ERR") ? STREAM_ERROR : STREAM_MESSAGE, data, length);
}

static void interpret_object(struct stream *stream, const char *data, size_t length) {
  const char *id;
  size_t id_length;
  if (STREAM_BEGINS(data, length, "{\"gap\":"))
    stream_tell(stream, STREAM_GAP, data, length);
  else if (STREAM_BEGINS(data, length, "{\"unset\":"))
    stream_tell(stream, STREAM_UNSET, data, length);
  else if (STREAM_BEGINS(data, length, "{\"evicted\":"))
    stream_tell(stream, STREAM_EVICTED, data, length);
  else if (STREAM_BEGINS(data, length, "{\"closing\":"))
    stream_tell(stream, STREAM_CLOSING, data, length);
  else if (STREAM_BEGINS(data, length, "{\"resumed\":"))
    stream_tell(stream, STREAM_RESUMED, data, length);
  else if (stream->has_ids && STREAM_BEGINS(data, length, "{\"at\":\"") &&
           stream_find_text(data, length, "{\"at\":\"", &id, &id_length))
    tell_with_id(stream, STREAM_POSITION, id, id_length, data, length);
  else if (stream->has_ids && STREAM_BEGINS(data, length, "{\"ok\":"))
    stream_tell(stream, STREAM_ANSWER, data, length);
  else if (stream->has_ids && STREAM_BEGINS(data, length, "{\"error\":"))
    stream_tell(stream, STREAM_ERROR, data, length);
  else
    stream_tell(stream, STREAM_MESSAGE, data, length);
}

void stream_interpret(struct stream *stream, const char *data, size_t length) {
  char first = length > 0 ? *data : '\0';
  if (first == '{')
    interpret_object(stream, data, length);
  else if (first == '+')
    interpret_answer(stream, data, length);
  else if (first == '-')
    interpret_error(stream, data, length);
  else if (!stream->has_ids || !interpret_with_id(stream, data, length))
    stream_tell(stream, STREAM_MESSAGE, data, length);
}

/* What our publisher makes up needs no escapes; lines of somebody's standard input may. */
static bool interpret_escaped(struct stream *stream, const char *data, size_t length, const char *id,
                              size_t id_length) {
  json_t *object = json_loadb(data, length, 0, NULL);
  json_t *text = json_object_get(object, "data");
  bool is_string = json_is_string(text);
  if (is_string) tell_with_id(stream, STREAM_MESSAGE, id, id_length, json_string_value(text), json_string_length(text));
  json_decref(object);
  return is_string;
}

/* {"topic":"prices","key":"...","unset":true} */
static bool is_unset(const char *data, size_t length) {
  static const char end[] = ",\"unset\":true}";
  size_t end_length = sizeof end - 1;
  return STREAM_BEGINS(data, length, "{\"topic\":") && length > end_length &&
         memcmp(data + length - end_length, end, end_length) == 0;
}

/* {"id":"epoch:id","topic":"news","data":"..."} */
void stream_interpret_json(struct stream *stream, const char *data, size_t length) {
  const char *id = NULL, *text;
  size_t id_length = 0, text_length;
  bool has_id = STREAM_BEGINS(data, length, "{\"id\":");
  if (has_id) stream_find_text(data, length, "\"id\":\"", &id, &id_length);
  bool has_data = (has_id || STREAM_BEGINS(data, length, "{\"topic\":")) &&
                  stream_find_text(data, length, "\"data\":\"", &text, &text_length);
  if (!has_data && is_unset(data, length))
    stream_tell(stream, STREAM_UNSET, data, length);
  else if (!has_data)
    stream_interpret(stream, data, length);
  else if (memchr(text, '\\', text_length) == NULL)
    tell_with_id(stream, STREAM_MESSAGE, id, id_length, text, text_length);
  else if (!interpret_escaped(stream, data, length, id, id_length))
    stream_fail(stream, "a message that isn't JSON");
}

/* HTTP around the stream */

static void on_head(void *data, int status) {
  struct stream *stream = data;
  bool is_websocket = stream->protocol == PROTOCOL_WEBSOCKET;
  if (status != (is_websocket ? 101 : 200)) {
    struct stream_event event = {.kind = STREAM_CLOSED, .code = status};
    stream->on_event(stream, &event);
    stream_fail(stream, "the server refused in HTTP");
  } else if (is_websocket && !http_answer_accepts(stream->http, WEBSOCKET_ACCEPT)) {
    stream_fail(stream, "a wrong Sec-WebSocket-Accept");
  } else {
    stream_tell(stream, STREAM_OPENED, NULL, 0);
  }
}

static void on_body(void *data, const char *bytes, size_t length) {
  struct stream *stream = data;
  if (!stream->is_stopped) stream_feed_events(stream, bytes, length);
}

static void on_end(void *data) {
  (void) data;
}

static void feed_http(struct stream *stream, const char *data, size_t length) {
  static const struct http_answer_callbacks callbacks = {on_head, on_body, on_end};
  if (stream->http == NULL) stream->http = http_answer_create(&callbacks, stream);
  if (stream->http == NULL) {
    stream_fail(stream, "out of memory");
    return;
  }
  size_t left;
  const char *problem = http_answer_feed(stream->http, data, length, &left);
  if (stream->is_stopped) return;
  if (problem != NULL)
    stream_fail(stream, problem);
  else if (http_answer_is_upgraded(stream->http))
    stream_feed_websocket(stream, data + length - left, left);
}

bool stream_feed(struct stream *stream, const char *data, size_t length) {
  if (stream->is_stopped) return stream->problem == NULL;
  switch (stream->protocol) {
  case PROTOCOL_LINES:
    stream_feed_lines(stream, data, length);
    break;
  case PROTOCOL_LENGTH:
    stream_feed_length(stream, data, length);
    break;
  default:
    if (stream->websocket != NULL)
      stream_feed_websocket(stream, data, length);
    else
      feed_http(stream, data, length);
    break;
  }
  return stream->problem == NULL;
}
