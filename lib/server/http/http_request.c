/* SPDX-License-Identifier: MIT */
/*
 * http_request: looking into a request that http_reader has handed out.
 */
#include "http_reader.h"

#include <string.h>
#include <strings.h>

bool http_text_is(struct http_text text, const char *literal) {
  return text.data != NULL && text.length == strlen(literal) && memcmp(text.data, literal, text.length) == 0;
}

bool http_text_is_in_any_case(struct http_text text, const char *literal) {
  return text.data != NULL && text.length == strlen(literal) && strncasecmp(text.data, literal, text.length) == 0;
}

struct http_text http_request_header(const struct http_request *request, const char *name) {
  for (size_t i = 0; i < request->header_count; i++)
    if (http_text_is_in_any_case(request->headers[i].name, name)) return request->headers[i].value;
  return (struct http_text){NULL, 0};
}

struct http_text http_text_trim(struct http_text text) {
  while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
    text.data++;
    text.length--;
  }
  while (text.length > 0 && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) text.length--;
  return text;
}

size_t http_request_count(const struct http_request *request, const char *name) {
  size_t count = 0;
  for (size_t i = 0; i < request->header_count; i++)
    if (http_text_is_in_any_case(request->headers[i].name, name)) count++;
  return count;
}

/* Take the next pair off the value of a Cookie header: name=value pairs, separated by semicolons (RFC 6265, 5.4). A
 * value may be quoted. @return false: there is no more */
static bool next_cookie(struct http_text *rest, struct http_text *name, struct http_text *value) {
  if (rest->length == 0) return false;
  const char *end = memchr(rest->data, ';', rest->length);
  struct http_text pair = {rest->data, end != NULL ? (size_t) (end - rest->data) : rest->length};
  size_t used = end != NULL ? pair.length + 1 : pair.length;
  rest->data += used;
  rest->length -= used;
  const char *equals = memchr(pair.data, '=', pair.length);
  size_t name_length = equals != NULL ? (size_t) (equals - pair.data) : 0;
  size_t skipped = equals != NULL ? name_length + 1 : 0; /* a pair without a '=' is the value of a nameless cookie */
  *name = http_text_trim((struct http_text){pair.data, name_length});
  *value = http_text_trim((struct http_text){pair.data + skipped, pair.length - skipped});
  bool is_quoted = value->length >= 2 && value->data[0] == '"' && value->data[value->length - 1] == '"';
  if (is_quoted) *value = (struct http_text){value->data + 1, value->length - 2};
  return true;
}

/* A browser sends the cookie of the longest path first. */
struct http_text http_request_cookie(const struct http_request *request, const char *name) {
  struct http_text found, value, empty = {NULL, 0};
  for (size_t i = 0; i < request->header_count; i++) {
    struct http_text rest = request->headers[i].value;
    if (!http_text_is_in_any_case(request->headers[i].name, "Cookie")) continue;
    while (next_cookie(&rest, &found, &value)) {
      if (!http_text_is(found, name)) continue;
      if (value.length > 0) return value;
      empty = value;
    }
  }
  return empty;
}

bool http_request_is_forwarded(const struct http_request *request) {
  static const char *const names[] = {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (http_request_count(request, names[i]) > 0) return true;
  return false;
}

/* Cuts `text` at the first `separator`. @return what is before it; *text becomes what is behind it, data NULL at the
 * end */
static struct http_text cut(struct http_text *text, char separator) {
  struct http_text first = *text;
  const char *end = memchr(text->data, separator, text->length);
  if (end == NULL) {
    *text = (struct http_text){NULL, 0};
    return first;
  }
  first.length = (size_t) (end - text->data);
  text->data += first.length + 1;
  text->length -= first.length + 1;
  return first;
}

bool http_text_next(struct http_text *list, struct http_text *element) {
  if (list->data == NULL) return false;
  *element = http_text_trim(cut(list, ','));
  return true;
}

bool http_request_has_token(const struct http_request *request, const char *name, const char *token) {
  for (size_t i = 0; i < request->header_count; i++) {
    struct http_text rest = request->headers[i].value, element;
    if (!http_text_is_in_any_case(request->headers[i].name, name)) continue;
    while (http_text_next(&rest, &element))
      if (http_text_is_in_any_case(element, token)) return true;
  }
  return false;
}

int http_request_first_of(const struct http_request *request, const char *name, const char *const *values) {
  for (size_t i = 0; i < request->header_count; i++) {
    struct http_text rest = request->headers[i].value, element;
    if (!http_text_is_in_any_case(request->headers[i].name, name)) continue;
    while (http_text_next(&rest, &element))
      for (int index = 0; values[index] != NULL; index++)
        if (http_text_is(element, values[index])) return index;
  }
  return -1;
}

static int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/* The next character, decoded; -1 if it isn't well-formed. `text` isn't empty and is moved on. */
static int decode_next(struct http_text *text) {
  size_t used = 1;
  int character = (unsigned char) text->data[0];
  if (character == '+') {
    character = ' ';
  } else if (character == '%') {
    int high = text->length >= 3 ? hex_value(text->data[1]) : -1;
    int low = text->length >= 3 ? hex_value(text->data[2]) : -1;
    if (high < 0 || low < 0) return -1;
    character = high * 16 + low;
    used = 3;
  }
  text->data += used;
  text->length -= used;
  return character;
}

bool http_query_next(struct http_text *query, struct http_text *name, struct http_text *value) {
  do {
    if (query->data == NULL) return false;
    *value = cut(query, '&');
  } while (value->length == 0);
  *name = cut(value, '=');
  return true;
}

bool http_query_decode(struct http_text text, char *out, size_t capacity) {
  size_t length = 0;
  while (text.length > 0) {
    int character = decode_next(&text);
    if (character <= 0 || length + 1 >= capacity) return false;
    out[length++] = (char) character;
  }
  out[length] = '\0';
  return true;
}

static bool decodes_to(struct http_text text, const char *name) {
  for (; text.length > 0; name++)
    if (*name == '\0' || decode_next(&text) != (unsigned char) *name) return false;
  return *name == '\0';
}

enum http_query_outcome http_query(struct http_text query, const char *name, char *out, size_t capacity) {
  struct http_text found, value;
  while (http_query_next(&query, &found, &value))
    if (decodes_to(found, name)) return http_query_decode(value, out, capacity) ? HTTP_QUERY_OK : HTTP_QUERY_WRONG;
  return HTTP_QUERY_NONE;
}
