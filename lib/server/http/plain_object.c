/* SPDX-License-Identifier: MIT */
/*
 * plain_object: see the header. Strings are looked at eight bytes at a time.
 */
#include "plain_object.h"

#include "server/websocket/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

struct scan {
  const char *at, *end;
};

/* A string without its quotes, as it stands in the text. */
struct string {
  const char *text;
  size_t length;
  size_t escapes;
};

/* The highest bit of each byte that is less than `limit`, and perhaps of bytes behind such a one. */
static uint64_t bytes_below(uint64_t eight, unsigned char limit) {
  return (eight - EACH_BYTE(limit)) & ~eight & EACH_BYTE(0x80);
}

/* Step over bytes that stand for themselves. @return whether one of them isn't ASCII */
static bool skip_plain(struct scan *scan) {
  uint64_t eight, seen = 0;
  while (scan->end - scan->at >= (ptrdiff_t) sizeof eight) {
    memcpy(&eight, scan->at, sizeof eight);
    uint64_t special =
        bytes_below(eight, ' ') | bytes_below(eight ^ EACH_BYTE('"'), 1) | bytes_below(eight ^ EACH_BYTE('\\'), 1);
    if (special != 0) break;
    seen |= eight;
    scan->at += sizeof eight;
  }
  for (; scan->at < scan->end; scan->at++) {
    unsigned char byte = (unsigned char) *scan->at;
    if (byte < ' ' || byte == '"' || byte == '\\') break;
    seen |= byte;
  }
  return (seen & EACH_BYTE(0x80)) != 0;
}

static void skip_blanks(struct scan *scan) {
  while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r' || *scan->at == '\n'))
    scan->at++;
}

static bool take(struct scan *scan, char byte) {
  skip_blanks(scan);
  if (scan->at == scan->end || *scan->at != byte) return false;
  scan->at++;
  return true;
}

static bool is_utf8(const struct string *string) {
  struct utf8 utf8 = {0};
  return utf8_take(&utf8, string->text, string->length) && utf8_is_whole(&utf8);
}

/* The character that an escape stands for; NUL: it isn't one of a single character. */
static char unescape_one(char escape) {
  static const char escapes[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
  const char *place = escape != '\0' ? strchr(escapes, escape) : NULL;
  return place != NULL ? characters[place - escapes] : '\0';
}

static bool take_string(struct scan *scan, struct string *string) {
  if (!take(scan, '"')) return false;
  *string = (struct string){.text = scan->at};
  for (bool is_ascii = true;;) {
    if (skip_plain(scan)) is_ascii = false;
    if (scan->at == scan->end) return false;
    string->length = (size_t) (scan->at - string->text);
    if (*scan->at++ == '"') return is_ascii || is_utf8(string);
    if (scan->at[-1] != '\\' || scan->at == scan->end || unescape_one(*scan->at) == '\0') return false;
    scan->at++;
    string->escapes++;
  }
}

static bool copy(const struct string *string, char text[PLAIN_TEXT_BYTES]) {
  if (string->escapes > 0 || string->length >= PLAIN_TEXT_BYTES) return false;
  memcpy(text, string->text, string->length);
  text[string->length] = '\0';
  return true;
}

static bool unescape(const struct string *string, struct plain_object *object) {
  const char *at = string->text, *end = string->text + string->length;
  char *out = malloc(string->length);
  if (out == NULL) return false;
  object->unescaped = out;
  while (at < end) {
    const char *backslash = memchr(at, '\\', (size_t) (end - at));
    size_t plain = (size_t) ((backslash != NULL ? backslash : end) - at);
    memcpy(out, at, plain);
    out += plain;
    at += plain;
    if (backslash == NULL) break;
    *out++ = unescape_one(at[1]);
    at += 2;
  }
  object->data = object->unescaped;
  object->length = (size_t) (out - object->unescaped);
  return true;
}

static bool is_named(const struct string *name, const char *text) {
  return name->length == strlen(text) && memcmp(name->text, text, name->length) == 0;
}

/* What was read so far. */
struct members {
  bool has_topic, has_data;
  struct string data;
};

static bool take_member(struct scan *scan, struct plain_object *object, struct members *members) {
  struct string name, value;
  if (!take_string(scan, &name) || !take(scan, ':') || !take_string(scan, &value)) return false;
  if (is_named(&name, "data") && !members->has_data) {
    members->data = value;
    return members->has_data = true;
  }
  if (is_named(&name, "topic") && !members->has_topic) return members->has_topic = copy(&value, object->topic);
  if (is_named(&name, "key") && !object->has_key) return object->has_key = copy(&value, object->key);
  return false;
}

bool plain_object_read(const char *text, size_t length, struct plain_object *object) {
  struct scan scan = {text, text + length};
  struct members members = {0};
  object->has_key = false;
  object->unescaped = NULL;
  if (!take(&scan, '{')) return false;
  do {
    if (!take_member(&scan, object, &members)) return false;
  } while (take(&scan, ','));
  if (!take(&scan, '}')) return false;
  skip_blanks(&scan);
  if (scan.at != scan.end || !members.has_topic || !members.has_data) return false;
  if (members.data.escapes > 0) return unescape(&members.data, object);
  object->data = members.data.text;
  object->length = members.data.length;
  return true;
}
