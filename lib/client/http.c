/* SPDX-License-Identifier: MIT */
/*
 * http: the callbacks of llhttp. A header's name and value may come in pieces and are put together first.
 */
#include "http.h"

#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct fluxbp__http {
  llhttp_t parser;
  const fluxbp__http_callbacks_t *callbacks;
  void *user;
  fluxbp__http_head_t head;
  size_t head_bytes, max_head_bytes;
  size_t name_length, value_length; /* of the header that is being read, cut to their room */
  char name[32], value[128];
  bool is_upgraded, is_stopped, expects_no_body;
  char *sentence; /* of fluxbp__http_describe, or NULL */
};

#define SENTENCE_BYTES 192
#define LINE_SIGNS 4 /* of a header: colon, blank, line end */

static const char too_long[] = "the headers of the answer are too long";

static void copy_text(char *text, size_t size, const char *value) {
  size_t length = strlen(value);
  if (length >= size) length = size - 1;
  memcpy(text, value, length);
  text[length] = '\0';
}

static int64_t read_seconds(const char *text) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 9 || text[digits] != '\0') return -1;
  return strtol(text, NULL, 10);
}

static int on_begin(llhttp_t *parser) {
  fluxbp__http_t *http = parser->data;
  http->head = (fluxbp__http_head_t){.retry_after_s = -1};
  http->head_bytes = http->name_length = http->value_length = 0;
  return 0;
}

/* Status texts, names and values count against the limit. */
static int count_head(fluxbp__http_t *http, size_t length) {
  http->head_bytes += length;
  if (http->head_bytes <= http->max_head_bytes) return 0;
  llhttp_set_error_reason(&http->parser, too_long);
  return HPE_USER;
}

static int on_status(llhttp_t *parser, const char *data, size_t length) {
  (void) data;
  return count_head(parser->data, length);
}

static int append_piece(fluxbp__http_t *http, char *text, size_t size, size_t *text_length, const char *data,
                        size_t length) {
  size_t room = size - 1 - *text_length;
  size_t taken = length < room ? length : room;
  memcpy(text + *text_length, data, taken);
  *text_length += taken;
  text[*text_length] = '\0';
  return count_head(http, length);
}

static int on_name(llhttp_t *parser, const char *data, size_t length) {
  fluxbp__http_t *http = parser->data;
  return append_piece(http, http->name, sizeof http->name, &http->name_length, data, length);
}

static int on_value(llhttp_t *parser, const char *data, size_t length) {
  fluxbp__http_t *http = parser->data;
  return append_piece(http, http->value, sizeof http->value, &http->value_length, data, length);
}

static bool is_name(const fluxbp__http_t *http, const char *name) {
  return strcasecmp(http->name, name) == 0;
}

static int on_value_complete(llhttp_t *parser) {
  fluxbp__http_t *http = parser->data;
  fluxbp__http_head_t *head = &http->head;
  if (http->value_length == 0) http->value[0] = '\0';
  if (is_name(http, "Sec-WebSocket-Accept")) copy_text(head->accept, sizeof head->accept, http->value);
  if (is_name(http, "Sec-WebSocket-Protocol")) copy_text(head->subprotocol, sizeof head->subprotocol, http->value);
  if (is_name(http, "Sec-WebSocket-Extensions")) head->has_extensions = true;
  if (is_name(http, "Content-Type")) copy_text(head->content_type, sizeof head->content_type, http->value);
  if (is_name(http, "Location")) copy_text(head->location, sizeof head->location, http->value);
  if (is_name(http, "Retry-After")) head->retry_after_s = read_seconds(http->value);
  http->name_length = http->value_length = 0;
  return count_head(http, LINE_SIGNS);
}

/* 100 Continue, 103 Early Hints: the answer is still to come. */
static bool is_provisional(int status) {
  return status >= 100 && status < 200 && status != 101;
}

static int on_headers_complete(llhttp_t *parser) {
  fluxbp__http_t *http = parser->data;
  http->head.status = parser->status_code;
  if (!http->is_stopped && !is_provisional(http->head.status)) http->callbacks->on_head(http->user, &http->head);
  return http->expects_no_body ? 1 : 0;
}

static int on_body(llhttp_t *parser, const char *data, size_t length) {
  fluxbp__http_t *http = parser->data;
  if (!http->is_stopped && length > 0) http->callbacks->on_body(http->user, data, length);
  return 0;
}

static int on_complete(llhttp_t *parser) {
  fluxbp__http_t *http = parser->data;
  if (!http->is_stopped && !is_provisional(http->head.status) && http->head.status != 101)
    http->callbacks->on_end(http->user);
  return 0;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_status = on_status,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

fluxbp__http_t *fluxbp__http_create(const fluxbp__http_callbacks_t *callbacks, size_t max_head_bytes, void *user) {
  fluxbp__http_t *http = calloc(1, sizeof *http);
  if (http == NULL) return NULL;
  llhttp_init(&http->parser, HTTP_RESPONSE, &settings);
  http->parser.data = http;
  http->callbacks = callbacks;
  http->max_head_bytes = max_head_bytes;
  http->user = user;
  return http;
}

void fluxbp__http_free(fluxbp__http_t *http) {
  if (http != NULL) free(http->sentence);
  free(http);
}

const char *fluxbp__http_feed(fluxbp__http_t *http, const char *data, size_t length, size_t *left) {
  *left = 0;
  llhttp_errno_t outcome = llhttp_execute(&http->parser, data, length);
  if (http->is_stopped || outcome == HPE_OK) return NULL;
  if (outcome == HPE_PAUSED_UPGRADE) {
    http->is_upgraded = true;
    *left = length - (size_t) (llhttp_get_error_pos(&http->parser) - data);
    return NULL;
  }
  return outcome == HPE_USER ? too_long : "what answers there does not speak HTTP/1.1";
}

void fluxbp__http_finish(fluxbp__http_t *http) {
  if (!http->is_stopped) llhttp_finish(&http->parser);
}

void fluxbp__http_stop(fluxbp__http_t *http) {
  http->is_stopped = true;
}

const char *fluxbp__http_describe(fluxbp__http_t *http, const char *format, ...) {
  va_list arguments;
  free(http->sentence);
  http->sentence = malloc(SENTENCE_BYTES);
  if (http->sentence == NULL) return "out of memory";
  va_start(arguments, format);
  vsnprintf(http->sentence, SENTENCE_BYTES, format, arguments);
  va_end(arguments);
  return http->sentence;
}

bool fluxbp__http_is_upgraded(const fluxbp__http_t *http) {
  return http->is_upgraded;
}

bool fluxbp__http_keeps_alive(const fluxbp__http_t *http) {
  return llhttp_should_keep_alive(&http->parser) != 0;
}

void fluxbp__http_expect_no_body(fluxbp__http_t *http, bool expects_none) {
  http->expects_no_body = expects_none;
}
