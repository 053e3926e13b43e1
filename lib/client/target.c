/* SPDX-License-Identifier: MIT */
/*
 * target: URLs and first words. What the gateway of this project understands is in docs/protocol.md; other servers get
 * nothing that they could stumble over, unless asked for: a plain client of lines says nothing at all.
 */
#include "target.h"

#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct scheme {
  const char *prefix;
  const char *default_path; /* NULL: takes none */
};

static const struct scheme schemes[PROTOCOL_COUNT] = {
    [PROTOCOL_LINES] = {"tcp://", NULL},
    [PROTOCOL_LENGTH] = {"tcp-length://", NULL},
    [PROTOCOL_WEBSOCKET] = {"ws://", "/ws"},
    [PROTOCOL_SSE] = {"sse://", "/sse"},
    [PROTOCOL_HTTP] = {"http://", "/api/v1/publish"},
    [PROTOCOL_NATS] = {"nats://", ""},
    [PROTOCOL_STDOUT] = {"-", NULL},
};

/* What becomes part of a request must not be able to end its line. */
static bool is_printable(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char) *text <= ' ' || (unsigned char) *text >= 0x7f) return false;
  return true;
}

static const char *parse_place(struct target *target, const char *place) {
  const struct scheme *scheme = &schemes[target->protocol];
  size_t host_length = strcspn(place, "/?");
  const char *path = place + host_length;
  if (host_length >= sizeof target->host) return "the host is too long";
  if (strlen(path) + 2 > sizeof target->path) return "the path is too long";
  if (!is_printable(path)) return "the path may hold printable ASCII only; write others as %20";
  memcpy(target->host, place, host_length);
  target->host[host_length] = '\0';
  if (scheme->default_path == NULL && *path != '\0' && strcmp(path, "/") != 0) return "takes no path";
  if (scheme->default_path != NULL)
    snprintf(target->path, sizeof target->path, "%s%s", *path == '/' ? "" : scheme->default_path, path);
  const char *problem = address_parse(target->host, &target->address);
  if (problem != NULL) return problem;
  return address_has_port(&target->address) ? NULL : "the port must be a number from 1 to 65535";
}

const char *target_parse(struct target *target, const char *text) {
  memset(target, 0, sizeof *target);
  target->text = text;
  for (int i = 0; i < PROTOCOL_COUNT; i++) {
    size_t length = strlen(schemes[i].prefix);
    if (strncmp(text, schemes[i].prefix, length) != 0) continue;
    target->protocol = (enum protocol) i;
    if (i != PROTOCOL_STDOUT) return parse_place(target, text + length);
    return text[length] == '\0' ? NULL : "standard output is '-' and nothing else";
  }
  return "write it as tcp://HOST:PORT, tcp-length://, ws://, sse://, http:// or nats://, such as tcp://127.0.0.1:9000";
}

bool target_is_feed(const struct target *target) {
  return target->protocol <= PROTOCOL_SSE;
}

bool target_takes_messages(const struct target *target) {
  return target->protocol == PROTOCOL_LINES || target->protocol == PROTOCOL_LENGTH || target->protocol >= PROTOCOL_HTTP;
}

struct text {
  char *data;
  size_t length, capacity;
};

/* What doesn't fit is left out: the parts have limits of their own that add up to less. */
__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text->data + text->length, text->capacity - text->length, format, arguments);
  va_end(arguments);
  if (length > 0 && (size_t) length < text->capacity - text->length) text->length += (size_t) length;
}

size_t target_command(enum protocol protocol, const char *command, char *out, size_t capacity) {
  size_t length = strlen(command);
  size_t needed = length + (protocol == PROTOCOL_LENGTH ? 4 : 1);
  if (needed > capacity) return 0;
  if (protocol == PROTOCOL_LENGTH) {
    uint32_t prefix = htonl((uint32_t) length);
    memcpy(out, &prefix, 4);
    memcpy(out + 4, command, length);
  } else {
    memcpy(out, command, length);
    out[length] = '\n';
  }
  return needed;
}

__attribute__((format(printf, 3, 4))) static void append_command(struct text *text, enum protocol protocol,
                                                                 const char *format, ...) {
  char command[600];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(command, sizeof command, format, arguments);
  va_end(arguments);
  if (length <= 0 || (size_t) length >= sizeof command) return;
  text->length += target_command(protocol, command, text->data + text->length, text->capacity - text->length);
}

static void append_commands(struct text *text, enum protocol protocol, const struct wish *wish) {
  if (wish->token != NULL) append_command(text, protocol, "AUTH %s", wish->token);
  if (wish->topic != NULL) append_command(text, protocol, "SUB %s", wish->topic);
  if (wish->wants_ids) append_command(text, protocol, "IDS");
  if (wish->since != NULL) append_command(text, protocol, "RESUME %s", wish->since);
  if (wish->wants_answer) append_command(text, protocol, "PING");
}

static void append_query(struct text *text, const struct target *target, const struct wish *wish) {
  char mark = strchr(target->path, '?') != NULL ? '&' : '?';
  if (wish->topic != NULL) {
    append(text, "%ctopic=%s", mark, wish->topic);
    mark = '&';
  }
  if (target->protocol != PROTOCOL_WEBSOCKET) return;
  if (wish->wants_ids) {
    append(text, "%cformat=json", mark);
    mark = '&';
  }
  if (wish->since != NULL) append(text, "%csince=%s", mark, wish->since);
}

static void append_http(struct text *text, const struct target *target, const struct wish *wish) {
  append(text, "GET %s", target->path);
  append_query(text, target, wish);
  append(text, " HTTP/1.1\r\nHost: %s\r\n", target->host);
  if (wish->token != NULL) append(text, "Authorization: Bearer %s\r\n", wish->token);
  if (target->protocol == PROTOCOL_WEBSOCKET)
    append(text, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: " WEBSOCKET_KEY "\r\n");
  else
    append(text, "Accept: text/event-stream\r\nCache-Control: no-cache\r\n");
  if (target->protocol == PROTOCOL_SSE && wish->since != NULL) append(text, "Last-Event-ID: %s\r\n", wish->since);
  append(text, "\r\n");
}

size_t target_request(const struct target *target, const struct wish *wish, char request[TARGET_REQUEST_BYTES]) {
  struct text text = {.data = request, .capacity = TARGET_REQUEST_BYTES};
  if (target->protocol == PROTOCOL_LINES || target->protocol == PROTOCOL_LENGTH)
    append_commands(&text, target->protocol, wish);
  else
    append_http(&text, target, wish);
  return text.length;
}
