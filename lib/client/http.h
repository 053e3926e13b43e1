/* SPDX-License-Identifier: MIT */
/*
 * http: reads the answers to HTTP/1.1 requests, from bytes that arrive in any pieces: handshakes, streams, and
 * answers one after the other. llhttp parses. Does no I/O, and keeps no body: it is handed on as it comes.
 */
#ifndef FLUXBP_CLIENT_HTTP_H
#define FLUXBP_CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fluxbp__http fluxbp__http_t;

/* The headers that a client looks at, cut to their room; "" where there is none. */
typedef struct fluxbp__http_head {
  int status;
  bool has_extensions;   /* Sec-WebSocket-Extensions */
  int64_t retry_after_s; /* Retry-After in seconds; -1: none, or a date */
  char accept[64];       /* Sec-WebSocket-Accept */
  char subprotocol[64];  /* Sec-WebSocket-Protocol */
  char content_type[64];
  char location[128];
} fluxbp__http_head_t;

typedef struct fluxbp__http_callbacks {
  void (*on_head)(void *user, const fluxbp__http_head_t *head); /* not for 100 Continue and the like */
  void (*on_body)(void *user, const char *data, size_t length);
  void (*on_end)(void *user); /* there is all of it; another one may follow */
} fluxbp__http_callbacks_t;

/** @return NULL: out of memory */
fluxbp__http_t *fluxbp__http_create(const fluxbp__http_callbacks_t *callbacks, size_t max_head_bytes, void *user);
void fluxbp__http_free(fluxbp__http_t *http);

/**
 * Take the next bytes. Once fluxbp__http_is_upgraded, `*left` of them, at the end, are of another protocol, and no more
 * may be fed. A callback may call fluxbp__http_stop, and no further callback comes.
 *
 * @return NULL, or the problem in words
 */
const char *fluxbp__http_feed(fluxbp__http_t *http, const char *data, size_t length, size_t *left);

/** The connection has ended, which ends a body without a length. */
void fluxbp__http_finish(fluxbp__http_t *http);

void fluxbp__http_stop(fluxbp__http_t *http);

/** Put a sentence together that stays as long as `http`. */
const char *fluxbp__http_describe(fluxbp__http_t *http, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The answer was 101. */
bool fluxbp__http_is_upgraded(const fluxbp__http_t *http);

/** Whether the server keeps the connection open after this answer. For on_end. */
bool fluxbp__http_keeps_alive(const fluxbp__http_t *http);

/** The next answer has no body, whatever its headers say: it is to a HEAD. */
void fluxbp__http_expect_no_body(fluxbp__http_t *http, bool expects_none);

#endif
