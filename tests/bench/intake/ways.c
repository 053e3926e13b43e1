/* SPDX-License-Identifier: MIT */
/*
 * ways: those of the gateway, and the protocols of other servers, of which protocols.h knows how to subscribe. Each way
 * of the gateway has a topic of its own, as one gateway has the subscribers of all.
 */
#include "ways.h"

#include "../peers/protocols.h"

#include <stdio.h>
#include <string.h>

_Static_assert((int) WAYS_MESSAGE_BYTES == (int) PROTOCOLS_MESSAGE_BYTES, "the relay cuts what it gets into these");

static size_t put(char *out, const char *text) {
  size_t length = strlen(text);
  memcpy(out, text, length);
  return length;
}

/* ---- the gateway ---- */

static size_t subscribe_lines(char *out) {
  return put(out, "UNSUB news\nSUB lines\n");
}

static size_t subscribe_bulks(char *out) {
  return put(out, "UNSUB news\nSUB bulks\n");
}

static size_t subscribe_posts(char *out) {
  return put(out, "UNSUB news\nSUB posts\n");
}

static size_t introduce_lines(char *out) {
  return put(out, "UNSUB news\n");
}

/* A command as a frame: its length is below 256. */
static size_t put_frame(char *out, const char *command) {
  memset(out, 0, 3);
  size_t length = put(out + 4, command);
  out[3] = (char) length;
  return 4 + length;
}

static size_t subscribe_frames(char *out) {
  size_t length = put_frame(out, "UNSUB news");
  return length + put_frame(out + length, "SUB frames");
}

static size_t introduce_frames(char *out) {
  return put_frame(out, "UNSUB news");
}

static size_t open_websocket(char *out, const char *topic) {
  return (size_t) snprintf(out, WAYS_TEXT_BYTES,
                           "GET /ws?topic=%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                           topic);
}

static size_t subscribe_websocket(char *out) {
  return open_websocket(out, "websocket");
}

static size_t introduce_websocket(char *out) {
  return open_websocket(out, "nothing");
}

static size_t say_nothing(char *out) {
  (void) out;
  return 0;
}

static size_t begin_bulk(char *out, size_t bytes) {
  return (size_t) snprintf(out, WAYS_BATCH_HEAD_BYTES,
                           "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\n"
                           "Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n",
                           bytes);
}

static const unsigned char mask[WAYS_MASK_BYTES] = {0x37, 0xfa, 0x21, 0x3d};

/* ---- others ---- */

static size_t subscribe_relay(char *out) {
  return protocols_find("relay")->subscribe(out, 0);
}

static size_t subscribe_redis(char *out) {
  return protocols_find("redis")->subscribe(out, 0);
}

static size_t subscribe_nats(char *out) {
  return protocols_find("nats")->subscribe(out, 0);
}

static size_t introduce_nats(char *out) {
  return put(out, "CONNECT {\"verbose\":false}\r\nPING\r\n");
}

static const way_t ways[] = {
    {.name = "lines",
     .subscribe = subscribe_lines,
     .is_subscribed = "+OK SUB lines\n",
     .introduce = introduce_lines,
     .is_introduced = "+OK UNSUB news\n",
     .before = "PUB lines ",
     .after = "\n",
     .got_before = "",
     .got_after = "\n",
     .answer = "+OK PUB "},
    {.name = "frames",
     .subscribe = subscribe_frames,
     .is_subscribed = "+OK SUB frames",
     .introduce = introduce_frames,
     .is_introduced = "+OK UNSUB news",
     .before = "\0\0\0\x8b" /* 139 */ "PUB frames ",
     .before_bytes = 15,
     .after = "",
     .got_before = "\0\0\0\x80",
     .got_before_bytes = 4,
     .got_after = "",
     .answer = "+OK PUB "},
    {.name = "websocket",
     .subscribe = subscribe_websocket,
     .is_subscribed = "\r\n\r\n",
     .introduce = introduce_websocket,
     .is_introduced = "\r\n\r\n",
     .before = "\x81\xfe\0\x8e" /* 142 */ "\x37\xfa\x21\x3d"
               "PUB websocket ",
     .before_bytes = 22,
     .after = "",
     .mask = mask,
     .mask_from = 8,
     .got_before = "\x81\x7e\0\x80",
     .got_before_bytes = 4,
     .got_after = "",
     .answer = "+OK PUB "},
    {.name = "bulks",
     .subscribe = subscribe_bulks,
     .is_subscribed = "+OK SUB bulks\n",
     .introduce = say_nothing,
     .before = "{\"topic\":\"bulks\",\"data\":\"",
     .after = "\"}\n",
     .begin_batch = begin_bulk,
     .got_before = "",
     .got_after = "\n",
     .answer = "HTTP/1.1 200 OK\r\n"},
    {.name = "posts",
     .subscribe = subscribe_posts,
     .is_subscribed = "+OK SUB posts\n",
     .introduce = say_nothing,
     .before = "POST /api/v1/publish?topic=posts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 128\r\n\r\n",
     .after = "",
     .got_before = "",
     .got_after = "\n",
     .answer = "HTTP/1.1 200 OK\r\n"},
    {.name = "relay",
     .subscribe = subscribe_relay,
     .introduce = say_nothing,
     .before = "",
     .after = "",
     .got_before = "",
     .got_after = ""},
    {.name = "redis",
     .subscribe = subscribe_redis,
     .is_subscribed = ":1\r\n",
     .introduce = say_nothing,
     .before = "*3\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n$128\r\n",
     .after = "\r\n",
     .got_before = "*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$128\r\n",
     .got_after = "\r\n",
     .answer = ":1\r\n"},
    {.name = "nats",
     .subscribe = subscribe_nats,
     .is_subscribed = "PONG\r\n",
     .introduce = introduce_nats,
     .is_introduced = "PONG\r\n",
     .before = "PUB t 128\r\n",
     .after = "\r\n",
     .got_before = "MSG t 1 128\r\n",
     .got_after = "\r\n",
     .ping = "PING\r\n",
     .pong = "PONG\r\n"},
};

const way_t *ways_find(const char *name) {
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (strcmp(ways[i].name, name) == 0) return &ways[i];
  return NULL;
}

static void mask_frame(const way_t *way, char *frame, size_t length) {
  for (size_t i = 0; way->mask_from + i < length; i++)
    frame[way->mask_from + i] = (char) ((unsigned char) frame[way->mask_from + i] ^ way->mask[i % WAYS_MASK_BYTES]);
}

size_t ways_write_batch(const way_t *way, const char *messages, size_t count, char *out) {
  size_t before = way->before_bytes > 0 ? way->before_bytes : strlen(way->before), after = strlen(way->after);
  size_t each = before + WAYS_MESSAGE_BYTES + after;
  char *at = out;
  if (way->begin_batch != NULL) at += way->begin_batch(out, count * each);
  for (size_t i = 0; i < count; i++, at += each) {
    memcpy(at, way->before, before);
    memcpy(at + before, messages + i * WAYS_MESSAGE_BYTES, WAYS_MESSAGE_BYTES);
    memcpy(at + before + WAYS_MESSAGE_BYTES, way->after, after);
    if (way->mask != NULL) mask_frame(way, at, each);
  }
  return (size_t) (at - out);
}

size_t ways_answers(const way_t *way, size_t count) {
  if (way->answer == NULL) return 0;
  return way->begin_batch != NULL ? 1 : count;
}
