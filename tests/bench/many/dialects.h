/* SPDX-License-Identifier: MIT */
/*
 * dialects: how a client of each kind of server subscribes to one of many topics, publishes on it, and finds out that
 * all of that is done. All texts of one kind have the same length, so that what a client has received can be counted.
 */
#ifndef FLUXBP_TESTS_BENCH_MANY_DIALECTS_H
#define FLUXBP_TESTS_BENCH_MANY_DIALECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIALECT_MESSAGE_BYTES = 128, DIALECT_TEXT_BYTES = 320, DIALECT_TOPICS_MAX = 100000000 };

/* A subscription of a client: a topic, or a pattern that matches this topic alone. */
typedef struct wish {
  uint64_t topic;
  uint64_t place; /* among those of its client, below 1 000 */
  bool is_pattern;
} wish_t;

typedef struct dialect {
  const char *name;
  bool has_topics;   /* its clients may subscribe to topics, */
  bool has_patterns; /* and to patterns */

  /* Each writes at most DIALECT_TEXT_BYTES, and returns how many. */
  size_t (*greet)(char *out); /* what a client says first; 0: nothing */
  size_t (*subscribe)(char *out, const wish_t *wish);
  size_t (*unsubscribe)(char *out, const wish_t *wish);
  size_t (*publish)(char *out, uint64_t topic, bool is_for_patterns);
  const char *ping;
  const char *subscriber_pong; /* the last bytes of the answer to a ping, of a client that is subscribed, */
  const char *pong;            /* and of one that isn't */
  size_t received_bytes;       /* what a subscriber gets for one message, */
  size_t matched_bytes;        /* and by a pattern */
  size_t own_bytes;            /* what a client gets now and then though nothing was published; 0: nothing */
} dialect_t;

/* NULL: there is none of that name. */
const dialect_t *dialect_find(const char *name);

#endif
