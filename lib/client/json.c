/* SPDX-License-Identifier: MIT */
/*
 * json: quotation marks are found by memchr, so a string without escapes costs two searches.
 */
#include "json.h"

#include <string.h>

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

/* `at` is behind the first quotation mark. @return the place behind the second one, or NULL */
static const char *read_string(const char *at, const char *end, fluxbp__json_value_t *value) {
  const char *quote = memchr(at, '"', (size_t) (end - at));
  if (quote == NULL) return NULL;
  const char *backslash = memchr(at, '\\', (size_t) (quote - at));
  *value = (fluxbp__json_value_t){.text = at, .is_string = true, .has_escapes = backslash != NULL};
  if (backslash != NULL)
    for (quote = backslash; quote < end && *quote != '"'; quote++)
      if (*quote == '\\') quote++;
  if (quote >= end) return NULL;
  value->length = (size_t) (quote - at);
  return quote + 1;
}

/* An object or an array, with everything in it. */
static const char *skip_nested(const char *at, const char *end) {
  fluxbp__json_value_t string;
  size_t depth = 0;
  while (at != NULL && at < end) {
    char byte = *at++;
    if (byte == '"') at = read_string(at, end, &string);
    if (byte == '{' || byte == '[') depth++;
    if ((byte == '}' || byte == ']') && --depth == 0) return at;
  }
  return NULL;
}

static const char *read_value(const char *at, const char *end, fluxbp__json_value_t *value) {
  if (at == end) return NULL;
  if (*at == '"') return read_string(at + 1, end, value);
  const char *behind = at;
  if (*at == '{' || *at == '[')
    behind = skip_nested(at, end);
  else
    while (behind < end && strchr(",} \t\r\n", *behind) == NULL) behind++;
  if (behind == NULL) return NULL;
  *value = (fluxbp__json_value_t){.text = at, .length = (size_t) (behind - at)};
  return behind;
}

bool fluxbp__json_next(fluxbp__json_walk_t *walk, fluxbp__json_value_t *name, fluxbp__json_value_t *value) {
  const char *at = skip_blanks(walk->at, walk->end);
  if (at == walk->end || *at != (walk->has_begun ? ',' : '{')) return false;
  walk->has_begun = true;
  at = skip_blanks(at + 1, walk->end);
  if (at == walk->end || *at != '"') return false;
  at = read_string(at + 1, walk->end, name);
  if (at == NULL) return false;
  at = skip_blanks(at, walk->end);
  if (at == walk->end || *at != ':') return false;
  at = read_value(skip_blanks(at + 1, walk->end), walk->end, value);
  if (at == NULL) return false;
  walk->at = at;
  return true;
}

uint64_t fluxbp__json_number(const fluxbp__json_value_t *value) {
  uint64_t number = 0;
  for (size_t i = 0; i < value->length; i++) {
    if (value->text[i] < '0' || value->text[i] > '9' || number > UINT64_MAX / 10 - 1) return 0;
    number = number * 10 + (uint64_t) (value->text[i] - '0');
  }
  return number;
}

/* Four digits. @return UINT32_MAX: they aren't */
static uint32_t read_hex4(const char *at, const char *end) {
  static const char digits[] = "0123456789abcdef0123456789ABCDEF";
  uint32_t value = 0;
  if (end - at < 4) return UINT32_MAX;
  for (int i = 0; i < 4; i++) {
    const char *digit = at[i] != '\0' ? strchr(digits, at[i]) : NULL;
    if (digit == NULL) return UINT32_MAX;
    value = value << 4 | ((uint32_t) (digit - digits) & 15);
  }
  return value;
}

static size_t encode_utf8(uint32_t code, char *out) {
  size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
  out[0] = (char) (first[more] | code >> 6 * more);
  for (size_t i = 1; i <= more; i++) out[i] = (char) (0x80 | (code >> 6 * (more - i) & 0x3f));
  return more + 1;
}

/* `*at` is behind the u. Two halves of a pair make one character. @return its length in `out`, or 0 */
static size_t unescape_unicode(const char **at, const char *end, char *out) {
  uint32_t code = read_hex4(*at, end);
  if (code == UINT32_MAX || (code >= 0xdc00 && code < 0xe000)) return 0;
  *at += 4;
  if (code >= 0xd800 && code < 0xdc00) {
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return 0;
    uint32_t low = read_hex4(*at + 2, end);
    if (low < 0xdc00 || low >= 0xe000) return 0;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    *at += 6;
  }
  return encode_utf8(code, out);
}

bool fluxbp__json_unescape(const fluxbp__json_value_t *value, fluxbp__buffer_t *out) {
  static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
  const char *at = value->text, *end = at + value->length;
  if (!fluxbp__buffer_reserve(out, value->length)) return false; /* no escape is shorter than its character */
  while (at < end) {
    const char *backslash = memchr(at, '\\', (size_t) (end - at));
    size_t plain = (size_t) ((backslash != NULL ? backslash : end) - at);
    fluxbp__buffer_append(out, at, plain);
    if (backslash == NULL) return true;
    at = backslash + 1;
    if (at == end) return false;
    char name = *at++;
    const char *found = name != '\0' ? strchr(names, name) : NULL;
    if (found != NULL) {
      out->data[out->length++] = bytes[found - names];
    } else {
      size_t length = name == 'u' ? unescape_unicode(&at, end, out->data + out->length) : 0;
      if (length == 0) return false;
      out->length += length;
    }
  }
  return true;
}
