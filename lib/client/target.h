/* SPDX-License-Identifier: MIT */
/*
 * target: where clients connect to or messages are published, from a URL; and what a client says first there.
 *
 *   tcp://HOST:PORT           lines                    tcp-length://HOST:PORT    frames of 4 bytes of length
 *   ws://HOST:PORT[/PATH]     WebSocket                sse://HOST:PORT[/PATH]    Server-Sent Events
 *   http://HOST:PORT[/PATH]   publishing by POST       nats://HOST:PORT[/SUBJECT] publishing to a backbone
 *   -                         publishing to standard output
 */
#ifndef FLUXBP_CLIENT_TARGET_H
#define FLUXBP_CLIENT_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum protocol {
  PROTOCOL_LINES,
  PROTOCOL_LENGTH,
  PROTOCOL_WEBSOCKET,
  PROTOCOL_SSE,
  PROTOCOL_HTTP,
  PROTOCOL_NATS,
  PROTOCOL_STDOUT,
  PROTOCOL_COUNT
};

struct target {
  const char *text; /* as given, to be shown */
  enum protocol protocol;
  struct sockaddr_storage address;
  char host[300]; /* with the port: for Host */
  char path[512]; /* with the query; "" for those without */
};

/** Read a URL; a name is looked up. `text` has to stay. @return NULL, or what is wrong with it */
const char *target_parse(struct target *target, const char *text);

/** Whether clients can get messages there, or messages be published. */
bool target_is_feed(const struct target *target);
bool target_takes_messages(const struct target *target);

/* The key of a handshake has to be random where caches could be fooled by it; with the one of RFC 6455 the right answer
 * is known without a hash. */
#define WEBSOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WEBSOCKET_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* What a client asks for. */
struct wish {
  const char *topic; /* or NULL: what the server gives to everybody */
  const char *token; /* or NULL */
  const char *since; /* resume behind this id, or NULL */
  bool wants_ids;    /* with each message */
  bool wants_answer; /* lines and frames: to something, so that being subscribed is known */
};

#define TARGET_REQUEST_BYTES 2048

/** Write what a client sends first; nothing, for a client of lines that has no wish. @return its length */
size_t target_request(const struct target *target, const struct wish *wish, char request[TARGET_REQUEST_BYTES]);

/** Write one command for lines or frames. @return its length, or 0 if there is no room */
size_t target_command(enum protocol protocol, const char *command, char *out, size_t capacity);

#endif
