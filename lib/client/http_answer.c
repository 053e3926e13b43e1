/* SPDX-License-Identifier: MIT */
/*
 * http_answer: the one header that is looked at is kept; all others are parsed by llhttp, or of no interest.
 */
#include "http_answer.h"

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct text {
  size_t length;
  char bytes[64]; /* what is longer is none of those that are looked for */
};

struct http_answer {
  llhttp_t parser;
  llhttp_settings_t settings;
  const struct http_answer_callbacks *callbacks;
  void *data;
  struct text name, value, accept;
  bool is_upgraded;
};

static void text_append(struct text *text, const char *bytes, size_t length) {
  size_t room = sizeof text->bytes - 1 - text->length;
  memcpy(text->bytes + text->length, bytes, length < room ? length : room);
  text->length += length < room ? length : room;
  text->bytes[text->length] = '\0';
}

static int on_begin(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  answer->name.length = answer->value.length = answer->accept.length = 0;
  return 0;
}

static int on_name(llhttp_t *parser, const char *bytes, size_t length) {
  struct http_answer *answer = parser->data;
  text_append(&answer->name, bytes, length);
  return 0;
}

static int on_value(llhttp_t *parser, const char *bytes, size_t length) {
  struct http_answer *answer = parser->data;
  text_append(&answer->value, bytes, length);
  return 0;
}

static int on_value_complete(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  if (answer->name.length > 0 && strcasecmp(answer->name.bytes, "Sec-WebSocket-Accept") == 0)
    answer->accept = answer->value;
  answer->name.length = answer->value.length = 0;
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  answer->callbacks->on_head(answer->data, parser->status_code);
  return 0;
}

static int on_body(llhttp_t *parser, const char *bytes, size_t length) {
  struct http_answer *answer = parser->data;
  answer->callbacks->on_body(answer->data, bytes, length);
  return 0;
}

static int on_complete(llhttp_t *parser) {
  struct http_answer *answer = parser->data;
  answer->callbacks->on_end(answer->data);
  return 0;
}

struct http_answer *http_answer_create(const struct http_answer_callbacks *callbacks, void *data) {
  struct http_answer *answer = calloc(1, sizeof *answer);
  if (answer == NULL) return NULL;
  llhttp_settings_init(&answer->settings);
  answer->settings.on_message_begin = on_begin;
  answer->settings.on_header_field = on_name;
  answer->settings.on_header_value = on_value;
  answer->settings.on_header_value_complete = on_value_complete;
  answer->settings.on_headers_complete = on_headers_complete;
  answer->settings.on_body = on_body;
  answer->settings.on_message_complete = on_complete;
  llhttp_init(&answer->parser, HTTP_RESPONSE, &answer->settings);
  answer->parser.data = answer;
  answer->callbacks = callbacks;
  answer->data = data;
  return answer;
}

void http_answer_free(struct http_answer *answer) {
  free(answer);
}

const char *http_answer_feed(struct http_answer *answer, const char *bytes, size_t length, size_t *left) {
  *left = 0;
  llhttp_errno_t outcome = llhttp_execute(&answer->parser, bytes, length);
  if (outcome == HPE_PAUSED_UPGRADE) {
    answer->is_upgraded = true;
    *left = length - (size_t) (llhttp_get_error_pos(&answer->parser) - bytes);
    return NULL;
  }
  if (outcome == HPE_OK) return NULL;
  const char *reason = llhttp_get_error_reason(&answer->parser);
  return reason != NULL && *reason != '\0' ? reason : "not an answer of HTTP/1.1";
}

bool http_answer_is_upgraded(const struct http_answer *answer) {
  return answer->is_upgraded;
}

bool http_answer_keeps_alive(const struct http_answer *answer) {
  return llhttp_should_keep_alive(&answer->parser) != 0;
}

bool http_answer_accepts(const struct http_answer *answer, const char *accept) {
  return answer->accept.length > 0 && strcmp(answer->accept.bytes, accept) == 0;
}
