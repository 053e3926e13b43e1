/* SPDX-License-Identifier: MIT */
/*
 * http_answer: reads the answers to HTTP requests. llhttp parses. Does no I/O.
 */
#ifndef FLUXBP_CLIENT_HTTP_ANSWER_H
#define FLUXBP_CLIENT_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

struct http_answer;

struct http_answer_callbacks {
  void (*on_head)(void *data, int status);                       /* the headers are complete */
  void (*on_body)(void *data, const char *bytes, size_t length); /* a piece of it */
  void (*on_end)(void *data);                                    /* there is all of it; the next one may follow */
};

/** @return NULL: out of memory. The callbacks have to stay. */
struct http_answer *http_answer_create(const struct http_answer_callbacks *callbacks, void *data);
void http_answer_free(struct http_answer *answer);

/**
 * Take the next bytes. Once http_answer_is_upgraded(), `*left` of them, at the end, aren't HTTP any more, and nothing
 * more may be fed.
 *
 * @return NULL, or what is wrong with them
 */
const char *http_answer_feed(struct http_answer *answer, const char *bytes, size_t length, size_t *left);

/** There was an answer of 101: what follows is another protocol. */
bool http_answer_is_upgraded(const struct http_answer *answer);

/** Whether the peer keeps the connection open after this answer. From on_end. */
bool http_answer_keeps_alive(const struct http_answer *answer);

/** In on_head: whether Sec-WebSocket-Accept is this. */
bool http_answer_accepts(const struct http_answer *answer, const char *accept);

#endif
