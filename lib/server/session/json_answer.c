/* SPDX-License-Identifier: MIT */
/*
 * json_answer: see the header. What stands behind the verb has the name that it has in docs/protocol.md.
 */
#include "json_answer.h"

#include "server/writer.h"

#include <stdbool.h>
#include <string.h>

static bool begins(const char *text, size_t length, const char *literal) {
  return length >= strlen(literal) && memcmp(text, literal, strlen(literal)) == 0;
}

static const char *name_of(const char *verb, size_t length) {
  static const char *const names[][2] = {{"SUB", "topic"}, {"UNSUB", "topic"}, {"PUB", "id"},
                                         {"SET", "id"},    {"UNSET", "id"},    {"AUTH", "roles"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i][0]) == length && memcmp(names[i][0], verb, length) == 0) return names[i][1];
  return "value";
}

static void write_ok(struct writer *json, const char *verb, size_t length) {
  const char *blank = memchr(verb, ' ', length);
  size_t verb_length = blank != NULL ? (size_t) (blank - verb) : length;
  writer_text(json, "{\"ok\":");
  writer_json_string(json, verb, verb_length);
  if (blank != NULL) {
    writer_text(json, ",\"");
    writer_text(json, name_of(verb, verb_length));
    writer_text(json, "\":");
    writer_json_string(json, blank + 1, length - verb_length - 1);
  }
  writer_text(json, "}");
}

size_t json_answer(const char *text, size_t length, char *out, size_t capacity) {
  static const char ok[] = "+OK ", error[] = "-ERR ";
  struct writer json = {.out = out, .capacity = capacity};
  if (begins(text, length, "+PONG")) {
    write_ok(&json, "PING", 4);
  } else if (begins(text, length, ok)) {
    write_ok(&json, text + sizeof ok - 1, length - (sizeof ok - 1));
  } else {
    size_t skipped = begins(text, length, error) ? sizeof error - 1 : 0;
    writer_text(&json, "{\"error\":");
    writer_json_string(&json, text + skipped, length - skipped);
    writer_text(&json, "}");
  }
  return json.length;
}
