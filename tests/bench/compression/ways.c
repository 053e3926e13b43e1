/* SPDX-License-Identifier: MIT */
/*
 * ways: see the header.
 */
#define _GNU_SOURCE /* memmem */
#include "ways.h"

#include <stdint.h>
#include <string.h>

#define REQUEST(path, more)                                                                                            \
  "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                          \
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"
#define OFFER "Sec-WebSocket-Extensions: permessage-deflate\r\n"

#define EVENTS(path, more) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n" more "\r\n"
#define GZIP "Accept-Encoding: gzip\r\n"

#define PUBLISHER .publisher = REQUEST("/ws?topic=quiet", ""), .publish_prefix = "PUB news "
#define GATEWAY PUBLISHER, .whole = whole_frame

/* An event stream begins with the time to wait, and the position. */
#define STREAM PUBLISHER, .greetings = 2
#define UWEBSOCKETS .publisher = REQUEST("/publish", ""), .publish_prefix = "", .whole = whole_frame

enum { LENGTH_16 = 126, LENGTH_64 = 127, MASKED = 0x80, TEXT_FRAME = 0x81, MASK_BYTES = 4 };

/* A frame of a server. */
static size_t whole_frame(const char *bytes, size_t length) {
  const unsigned char *header = (const unsigned char *) bytes;
  if (length < 4) return 0;
  size_t whole = 2 + (size_t) header[1];
  if (header[1] == LENGTH_16) whole = 4 + ((size_t) header[2] << 8 | header[3]);
  return header[1] == LENGTH_64 || whole > length ? 0 : whole;
}

/* Up to these bytes. */
static size_t whole_until(const char *bytes, size_t length, const char *end, size_t end_length) {
  const char *found = memmem(bytes, length, end, end_length);
  return found != NULL ? (size_t) (found - bytes) + end_length : 0;
}

static size_t whole_event(const char *bytes, size_t length) {
  return whole_until(bytes, length, "\n\n", 2);
}

/* Each event of a compressed stream ends with an empty stored block. */
static size_t whole_piece(const char *bytes, size_t length) {
  return whole_until(bytes, length, "\0\0\xff\xff", 4);
}

static const way_kind_t kinds[] = {
    {.name = "ws", GATEWAY, .request = REQUEST("/ws?topic=news&format=raw", ""), .agreed = "101 "},
    {.name = "ws-deflate",
     GATEWAY,
     .request = REQUEST("/ws?topic=news&format=raw", OFFER),
     .agreed = "permessage-deflate",
     .plain = "ws"},
    {.name = "ws-deflate-all", /* of a gateway that compresses short messages, too */
     GATEWAY,
     .request = REQUEST("/ws?topic=news&format=raw", OFFER),
     .agreed = "permessage-deflate",
     .plain = "ws"},
    {.name = "ws-json",
     GATEWAY,
     .request = REQUEST("/ws?topic=news&format=json", ""),
     .agreed = "101 ",
     .greetings = 1},
    {.name = "ws-json-deflate",
     GATEWAY,
     .request = REQUEST("/ws?topic=news&format=json", OFFER),
     .agreed = "permessage-deflate",
     .greetings = 1,
     .plain = "ws-json"},
    {.name = "sse", STREAM, .whole = whole_event, .request = EVENTS("/sse?topic=news", ""), .agreed = " 200 "},
    {.name = "sse-gzip",
     STREAM,
     .whole = whole_piece,
     .request = EVENTS("/sse?topic=news", GZIP),
     .agreed = "Content-Encoding: gzip",
     .plain = "sse"},
    {.name = "sse-json",
     STREAM,
     .whole = whole_event,
     .request = EVENTS("/sse?topic=news&format=json", ""),
     .agreed = " 200 "},
    {.name = "sse-json-gzip",
     STREAM,
     .whole = whole_piece,
     .request = EVENTS("/sse?topic=news&format=json", GZIP),
     .agreed = "Content-Encoding: gzip",
     .plain = "sse-json"},
    {.name = "uws", UWEBSOCKETS, .request = REQUEST("/plain", ""), .agreed = "101 "},
    {.name = "uws-deflate",
     UWEBSOCKETS,
     .request = REQUEST("/shared", OFFER),
     .agreed = "permessage-deflate",
     .plain = "uws"},
    {.name = "uws-prepared",
     UWEBSOCKETS,
     .request = REQUEST("/prepared", OFFER),
     .agreed = "permessage-deflate",
     .plain = "uws"},
};

const way_kind_t *ways_find(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  return NULL;
}

/* Masked with zeros, which is as good as any here. */
size_t ways_publish(const way_kind_t *kind, const char *message, size_t length, char *out) {
  size_t prefix = strlen(kind->publish_prefix), payload = prefix + length, header = 0;
  out[header++] = (char) TEXT_FRAME;
  out[header++] = (char) (MASKED | (payload < LENGTH_16 ? payload : LENGTH_16));
  if (payload >= LENGTH_16) {
    out[header++] = (char) (payload >> 8);
    out[header++] = (char) payload;
  }
  memset(out + header, 0, MASK_BYTES);
  header += MASK_BYTES;
  memcpy(out + header, kind->publish_prefix, prefix);
  memcpy(out + header + prefix, message, length);
  return header + payload;
}
