/* SPDX-License-Identifier: MIT */
/*
 * publish_body: see the header. The body is cut into objects first; one of them at a time is read, by plain_object, or
 * by jansson if that can't. Cutting an array takes no more than counting brackets outside of strings: whatever is wrong
 * between two commas is found by jansson.
 */
#include "publish_body.h"

#include "server/lines/line_text.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* The most values of an object, counted by what stands between them. A message has five members, and a parser takes a
 * hundred times as long for a value as for a byte of text. */
#define VALUES_MAX 1000

/* What may stand around a JSON value. */
#define BLANKS " \t\r\n"

/* ---- what a body is ---- */

struct media_type {
  const char *name; /* with a '*' at its end or its beginning for any others */
  enum publish_body_kind kind;
};

static const struct media_type media_types[] = {
    {"application/x-ndjson", PUBLISH_BODY_LINES},
    {"application/ndjson", PUBLISH_BODY_LINES},
    {"application/jsonl", PUBLISH_BODY_LINES},
    {"application/x-jsonl", PUBLISH_BODY_LINES},
    {"application/jsonlines", PUBLISH_BODY_LINES},
    {"application/x-jsonlines", PUBLISH_BODY_LINES},
    {"application/json", PUBLISH_BODY_JSON},
    {"application/x-www-form-urlencoded", PUBLISH_BODY_TEXT}, /* what curl -d says of anything */
    {"text/*", PUBLISH_BODY_TEXT},
    {"application/xml", PUBLISH_BODY_TEXT},
    {"*+json", PUBLISH_BODY_TEXT},
    {"*+xml", PUBLISH_BODY_TEXT},
    {"application/json-seq", PUBLISH_BODY_NOT_HANDLED},
    {"multipart/*", PUBLISH_BODY_NOT_HANDLED},
};

static bool is_same(struct http_text text, const char *name, size_t length) {
  return text.length == length && strncasecmp(text.data, name, length) == 0;
}

static bool matches(struct http_text type, const char *name) {
  size_t length = strlen(name);
  if (name[0] == '*') {
    if (type.length < length) return false;
    return is_same((struct http_text){type.data + type.length - (length - 1), length - 1}, name + 1, length - 1);
  }
  if (name[length - 1] != '*') return is_same(type, name, length);
  if (type.length < length) return false;
  return is_same((struct http_text){type.data, length - 1}, name, length - 1);
}

/* "text/plain; charset=utf-8" without its parameters */
static struct http_text without_parameters(struct http_text type) {
  const char *semicolon = type.data != NULL ? memchr(type.data, ';', type.length) : NULL;
  if (semicolon != NULL) type.length = (size_t) (semicolon - type.data);
  return http_text_trim(type);
}

enum publish_body_kind publish_body_kind_of(struct http_text type, bool has_topic) {
  type = without_parameters(type);
  if (type.length == 0) return PUBLISH_BODY_BYTES;
  for (size_t i = 0; i < sizeof media_types / sizeof media_types[0]; i++) {
    if (!matches(type, media_types[i].name)) continue;
    bool is_message = media_types[i].kind == PUBLISH_BODY_JSON && has_topic;
    return is_message ? PUBLISH_BODY_TEXT : media_types[i].kind;
  }
  return PUBLISH_BODY_BYTES;
}

struct http_text publish_body_message(struct http_text body, enum publish_body_kind kind) {
  if (kind != PUBLISH_BODY_TEXT || body.length == 0) return body;
  size_t mark = line_text_mark(body.data, body.length);
  body.length = line_text_trimmed(body.data + mark, body.length - mark);
  body.data += mark;
  return body;
}

/* ---- cutting it into objects ---- */

static bool is_blank(char byte) {
  return byte != '\0' && strchr(BLANKS, byte) != NULL;
}

static struct http_text trim(const char *begin, const char *end) {
  begin += line_text_mark(begin, (size_t) (end - begin));
  while (begin < end && is_blank(*begin)) begin++;
  while (begin < end && is_blank(end[-1])) end--;
  return (struct http_text){begin, (size_t) (end - begin)};
}

static enum publish_body_outcome go_wrong(struct publish_body *body, int err, const char *problem) {
  body->err = err;
  body->problem = problem;
  body->has_ended = true;
  return PUBLISH_BODY_WRONG;
}

/* The comma or the bracket that ends what begins here, an element of an array; NULL without one. */
static const char *find_element_end(const char *at, const char *end) {
  size_t depth = 0;
  bool is_in_string = false;
  for (; at < end; at++) {
    if (is_in_string) {
      if (*at == '\\' && end - at > 1)
        at++;
      else if (*at == '"')
        is_in_string = false;
      continue;
    }
    if (depth == 0 && (*at == ',' || *at == ']')) return at;
    if (*at == '"') is_in_string = true;
    if (*at == '{' || *at == '[') depth++;
    if ((*at == '}' || *at == ']') && depth > 0) depth--;
  }
  return NULL;
}

static enum publish_body_outcome next_line(struct publish_body *body, struct http_text *object) {
  while (body->at < body->end) {
    const char *newline = memchr(body->at, '\n', (size_t) (body->end - body->at));
    *object = trim(body->at, newline != NULL ? newline : body->end);
    body->at = newline != NULL ? newline + 1 : body->end;
    body->number++;
    if (object->length > 0) return PUBLISH_BODY_ITEM;
  }
  return PUBLISH_BODY_END;
}

static enum publish_body_outcome next_element(struct publish_body *body, struct http_text *object) {
  const char *element_end = find_element_end(body->at, body->end);
  body->number++;
  if (element_end == NULL) return go_wrong(body, UV_EINVAL, "the array has no end");
  *object = trim(body->at, element_end);
  body->at = element_end + 1;
  if (*element_end == ']') {
    body->has_ended = true;
    if (trim(body->at, body->end).length > 0)
      return go_wrong(body, UV_EINVAL, "there is more behind the end of the array");
    if (object->length == 0 && body->number == 1) return PUBLISH_BODY_END;
  }
  if (object->length == 0) return go_wrong(body, UV_EINVAL, "a comma of the array has nothing beside it");
  return PUBLISH_BODY_ITEM;
}

static enum publish_body_outcome only_object(struct publish_body *body, struct http_text *object) {
  *object = (struct http_text){body->at, (size_t) (body->end - body->at)};
  body->number = 1;
  body->has_ended = true;
  return PUBLISH_BODY_ITEM;
}

static enum publish_body_outcome next_object(struct publish_body *body, struct http_text *object) {
  if (body->is_lines) return next_line(body, object);
  return body->is_array ? next_element(body, object) : only_object(body, object);
}

void publish_body_begin(struct publish_body *body, enum publish_body_kind kind, struct http_text text,
                        size_t max_object_bytes) {
  *body = (struct publish_body){
      .at = text.data,
      .end = text.data + text.length,
      .max_object_bytes = max_object_bytes,
      .is_lines = kind == PUBLISH_BODY_LINES,
  };
  if (body->is_lines) return;
  text = trim(body->at, body->end);
  body->is_array = text.length > 0 && text.data[0] == '[';
  body->at = text.data + body->is_array;
  body->end = text.data + text.length;
}

size_t publish_body_count(enum publish_body_kind kind, struct http_text text, size_t limit) {
  char separator = kind == PUBLISH_BODY_LINES ? '\n' : ',';
  size_t count = 1;
  for (size_t i = 0; i < text.length && count < limit; i++) count += text.data[i] == separator;
  return count;
}

/* ---- reading an object ---- */

static const char no_memory[] = "out of memory; try again later";

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* @return 0, or what is wrong, with its problem */
static int decode_base64(struct publish_item *item, const json_t *base64, const char **problem) {
  const char *text = json_string_value(base64);
  size_t length = json_string_length(base64);
  size_t digits = strspn(text, base64_digits);
  *problem = "\"base64\" isn't base64";
  if (length == 0 || length % 4 != 0 || digits + 2 < length || strspn(text + digits, "=") != length - digits)
    return UV_EINVAL;
  item->decoded = malloc(length / 4 * 3);
  if (item->decoded == NULL) {
    *problem = no_memory;
    return UV_ENOBUFS;
  }
  int bytes = EVP_DecodeBlock(item->decoded, (const unsigned char *) text, (int) length);
  if (bytes < 0) return UV_EINVAL;
  for (size_t i = length; i > length - 2 && text[i - 1] == '='; i--) bytes--;
  item->data = item->decoded;
  item->length = (size_t) bytes;
  return 0;
}

/* A string without a NUL in it. */
static bool is_text(const json_t *value) {
  return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

/* A member, or NULL; one that is null isn't there. */
static const json_t *member_of(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  return json_is_null(value) ? NULL : value;
}

static int read_members(struct publish_item *item, const char **problem) {
  const json_t *topic = member_of(item->object, "topic");
  const json_t *key = member_of(item->object, "key");
  const json_t *data = member_of(item->object, "data");
  const json_t *base64 = member_of(item->object, "base64");
  item->unsets = json_is_true(member_of(item->object, "unset"));
  item->topic = json_string_value(topic);
  item->key = json_string_value(key);
  if (!is_text(topic))
    *problem = "a message is an object with a \"topic\"";
  else if (key != NULL && !is_text(key))
    *problem = "\"key\" is a string";
  else if (item->unsets && (data != NULL || base64 != NULL))
    *problem = "a message with \"unset\" has no data";
  else if (item->unsets)
    return 0;
  else if (data != NULL && !json_is_string(data))
    *problem = "\"data\" is a string: put JSON into it as text";
  else if (json_is_string(data) == json_is_string(base64))
    *problem = "a message has a string \"data\", or \"base64\"";
  if (*problem != NULL) return UV_EINVAL;
  if (data == NULL) return decode_base64(item, base64, problem);
  item->data = json_string_value(data);
  item->length = json_string_length(data);
  return 0;
}

static const char *problem_of(enum json_error_code code) {
  switch (code) {
  case json_error_invalid_utf8:
    return "the JSON isn't UTF-8";
  case json_error_premature_end_of_input:
    return "the JSON ends too early";
  case json_error_end_of_input_expected:
    return "one JSON object is expected here, and there is more; several in one request are an array, or each on a "
           "line of application/x-ndjson";
  case json_error_duplicate_key:
    return "an object has the same member twice";
  case json_error_numeric_overflow:
    return "the JSON has a number that is too large";
  default:
    return "a message is a JSON object, and this isn't one";
  }
}

/* Return whether an object has more than VALUES_MAX values: if it does, the look ends with the first of these. */
static bool has_too_many_values(struct http_text text) {
  size_t count = 0;
  bool is_in_string = false;
  for (size_t i = 0; i < text.length; i++) {
    char byte = text.data[i];
    if (byte == '"') {
      is_in_string = !is_in_string;
    } else if (is_in_string) {
      i += byte == '\\';
    } else if (byte == ',' || byte == ':' || byte == '[' || byte == '{') {
      if (++count > VALUES_MAX) return true;
    }
  }
  return false;
}

/* @return whether the object is one of those that take no parser */
static bool read_plain(struct publish_item *item, struct http_text text) {
  struct plain_object *plain = &item->plain;
  if (!plain_object_read(text.data, text.length, plain)) return false;
  item->topic = plain->topic;
  item->key = plain->has_key ? plain->key : NULL;
  item->data = plain->data;
  item->length = plain->length;
  item->decoded = plain->unescaped;
  return true;
}

static void clear_item(struct publish_item *item) {
  item->topic = item->key = NULL;
  item->data = NULL;
  item->length = 0;
  item->object = NULL;
  item->decoded = NULL;
  item->unsets = false;
}

static int read_object(struct publish_item *item, struct http_text text, const char **problem) {
  json_error_t error;
  if (read_plain(item, text)) return 0;
  if (has_too_many_values(text)) {
    *problem = "the JSON has more than 1000 values: a message has few members, and what isn't for the server is text "
               "in \"data\"";
    return UV_EINVAL;
  }
  /* numbers are of no use here, and may be larger than an integer */
  item->object =
      json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
  if (item->object == NULL) {
    bool is_out_of_memory = json_error_code(&error) == json_error_out_of_memory;
    *problem = is_out_of_memory ? no_memory : problem_of(json_error_code(&error));
    return is_out_of_memory ? UV_ENOBUFS : UV_EINVAL;
  }
  if (json_is_object(item->object)) return read_members(item, problem);
  *problem = problem_of(json_error_unknown);
  return UV_EINVAL;
}

enum publish_body_outcome publish_body_next(struct publish_body *body, struct publish_item *item) {
  struct http_text object;
  clear_item(item);
  if (body->has_ended) return body->problem != NULL ? PUBLISH_BODY_WRONG : PUBLISH_BODY_END;
  enum publish_body_outcome outcome = next_object(body, &object);
  if (outcome != PUBLISH_BODY_ITEM) return outcome;
  if (object.length > body->max_object_bytes)
    return go_wrong(body, UV_E2BIG, "the object is too long for this server's limit of bytes per message");
  const char *problem = NULL;
  int err = read_object(item, object, &problem);
  if (err == 0) return PUBLISH_BODY_ITEM;
  publish_item_free(item);
  return go_wrong(body, err, problem);
}

void publish_item_free(struct publish_item *item) {
  free(item->decoded);
  json_decref(item->object);
  clear_item(item);
}
