/* SPDX-License-Identifier: MIT */
/*
 * dialects: the gateway's lines, those of pattern_server, Redis (RESP2), and NATS.
 */
#include "dialects.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A topic of each kind, and its length; a client's numbers of its subscriptions have four digits in NATS. */
#define TOPIC "room.%08" PRIu64
#define MATCHED "room.%08" PRIu64 ".x"
#define PATTERN "room.%08" PRIu64 ".*"
enum { LENGTH = DIALECT_MESSAGE_BYTES, NATS_FIRST = 1000 };

__attribute__((format(printf, 2, 3))) static size_t put(char *out, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(out, DIALECT_TEXT_BYTES, format, arguments);
  va_end(arguments);
  return (size_t) length;
}

static size_t put_message(char *out, size_t filled, const char *after) {
  size_t length = strlen(after);
  memset(out + filled, 'm', LENGTH);
  memcpy(out + filled + LENGTH, after, length);
  return filled + LENGTH + length;
}

static size_t say_nothing(char *out) {
  (void) out;
  return 0;
}

/* ---- lines ---- */

static size_t lines_subscribe(char *out, const wish_t *wish) {
  return wish->is_pattern ? put(out, "JOIN " PATTERN "\n", wish->topic) : put(out, "SUB " TOPIC "\n", wish->topic);
}

static size_t lines_unsubscribe(char *out, const wish_t *wish) {
  return wish->is_pattern ? put(out, "PART " PATTERN "\n", wish->topic) : put(out, "UNSUB " TOPIC "\n", wish->topic);
}

static size_t lines_publish(char *out, uint64_t topic, bool is_for_patterns) {
  size_t filled = is_for_patterns ? put(out, "PUB " MATCHED " ", topic) : put(out, "PUB " TOPIC " ", topic);
  return put_message(out, filled, "\n");
}

/* ---- Redis ---- */

static size_t redis_subscribe(char *out, const wish_t *wish) {
  if (wish->is_pattern) return put(out, "*2\r\n$10\r\nPSUBSCRIBE\r\n$15\r\n" PATTERN "\r\n", wish->topic);
  return put(out, "*2\r\n$9\r\nSUBSCRIBE\r\n$13\r\n" TOPIC "\r\n", wish->topic);
}

static size_t redis_unsubscribe(char *out, const wish_t *wish) {
  if (wish->is_pattern) return put(out, "*2\r\n$12\r\nPUNSUBSCRIBE\r\n$15\r\n" PATTERN "\r\n", wish->topic);
  return put(out, "*2\r\n$11\r\nUNSUBSCRIBE\r\n$13\r\n" TOPIC "\r\n", wish->topic);
}

static size_t redis_publish(char *out, uint64_t topic, bool is_for_patterns) {
  size_t filled = is_for_patterns ? put(out, "*3\r\n$7\r\nPUBLISH\r\n$15\r\n" MATCHED "\r\n$128\r\n", topic)
                                  : put(out, "*3\r\n$7\r\nPUBLISH\r\n$13\r\n" TOPIC "\r\n$128\r\n", topic);
  return put_message(out, filled, "\r\n");
}

/* ---- NATS ---- */

static size_t nats_greet(char *out) {
  return put(out, "CONNECT {\"verbose\":false}\r\n");
}

static size_t nats_subscribe(char *out, const wish_t *wish) {
  uint64_t number = NATS_FIRST + wish->place;
  if (wish->is_pattern) return put(out, "SUB " PATTERN " %" PRIu64 "\r\n", wish->topic, number);
  return put(out, "SUB " TOPIC " %" PRIu64 "\r\n", wish->topic, number);
}

static size_t nats_unsubscribe(char *out, const wish_t *wish) {
  return put(out, "UNSUB %" PRIu64 "\r\n", NATS_FIRST + wish->place);
}

static size_t nats_publish(char *out, uint64_t topic, bool is_for_patterns) {
  size_t filled =
      is_for_patterns ? put(out, "PUB " MATCHED " 128\r\n", topic) : put(out, "PUB " TOPIC " 128\r\n", topic);
  return put_message(out, filled, "\r\n");
}

static const dialect_t dialects[] = {
    {"lines", true, false, say_nothing, lines_subscribe, lines_unsubscribe, lines_publish, "PING\n", "+PONG\n",
     "+PONG\n", LENGTH + 1, 0, 0},
    {"patterns", false, true, say_nothing, lines_subscribe, lines_unsubscribe, lines_publish, "PING\n", "+PONG\n",
     "+PONG\n", 0, LENGTH + 1, 0},
    {"redis", true, true, say_nothing, redis_subscribe, redis_unsubscribe, redis_publish, "*1\r\n$4\r\nPING\r\n",
     "$4\r\npong\r\n$0\r\n\r\n", "+PONG\r\n",
     sizeof "*3\r\n$7\r\nmessage\r\n$13\r\nroom.00000000\r\n$128\r\n\r\n" - 1 + LENGTH,
     sizeof "*4\r\n$8\r\npmessage\r\n$15\r\nroom.00000000.*\r\n$15\r\nroom.00000000.x\r\n$128\r\n\r\n" - 1 + LENGTH, 0},
    {"nats", true, true, nats_greet, nats_subscribe, nats_unsubscribe, nats_publish, "PING\r\n", "PONG\r\n", "PONG\r\n",
     sizeof "MSG room.00000000 1000 128\r\n\r\n" - 1 + LENGTH,
     sizeof "MSG room.00000000.x 1000 128\r\n\r\n" - 1 + LENGTH, sizeof "PING\r\n" - 1},
};

const dialect_t *dialect_find(const char *name) {
  for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
    if (strcmp(dialects[i].name, name) == 0) return &dialects[i];
  return NULL;
}
