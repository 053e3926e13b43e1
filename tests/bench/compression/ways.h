/* SPDX-License-Identifier: MIT */
/*
 * ways: how a client of each kind asks for messages, whether it gets them compressed, and where one of them ends; and
 * how messages are published at its server. A further kind of client is a row of the table, and a name in
 * compression.sh, which starts a server for it.
 */
#ifndef FLUXBP_TESTS_BENCH_COMPRESSION_WAYS_H
#define FLUXBP_TESTS_BENCH_COMPRESSION_WAYS_H

#include <stddef.h>

/* Room for a request, and for a command that publishes. */
enum { WAYS_TEXT_BYTES = 6000 };

typedef struct way_kind {
  const char *name;
  const char *request; /* what a subscriber says first */
  const char *agreed;  /* what the head of the answer has in it */

  size_t greetings; /* messages that come before what is published: JSON has a position, and an event stream two */

  /* The length of the message that these bytes begin with; 0: it isn't whole. */
  size_t (*whole)(const char *bytes, size_t length);

  const char *publisher;      /* what a publisher says first */
  const char *publish_prefix; /* of a message, which is sent in a WebSocket's frame */

  const char *plain; /* the kind that it is compared with; NULL: it isn't compressed */
} way_kind_t;

/* NULL: there is none of that name. */
const way_kind_t *ways_find(const char *name);

/* Write the command that publishes a message: a frame of a WebSocket. Returns its length. */
size_t ways_publish(const way_kind_t *kind, const char *message, size_t length, char *out);

#endif
