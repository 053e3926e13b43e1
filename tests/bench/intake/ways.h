/* SPDX-License-Identifier: MIT */
/*
 * ways: how messages are published on each kind of server, and what its subscriber gets, as the bytes around a message.
 */
#ifndef FLUXBP_TESTS_BENCH_INTAKE_WAYS_H
#define FLUXBP_TESTS_BENCH_INTAKE_WAYS_H

#include <stddef.h>
#include <stdint.h>

enum {
  WAYS_MESSAGE_BYTES = 128,
  WAYS_BATCH_MAX = 1000,
  WAYS_AROUND_BYTES = 256,     /* around one message, at most */
  WAYS_BATCH_HEAD_BYTES = 256, /* before a batch, at most */
  WAYS_TEXT_BYTES = 512,       /* of what is said first, at most */
  WAYS_MASK_BYTES = 4
};

typedef struct way {
  const char *name;

  /* What the subscriber says first, and a publisher; each returns the length, which may be 0. The last thing that the
   * server answers to it; NULL: nothing. */
  size_t (*subscribe)(char *out);
  const char *is_subscribed;
  size_t (*introduce)(char *out);
  const char *is_introduced;

  /* What stands around a message that is published; those of a batch follow each other. */
  const char *before, *after;
  size_t before_bytes; /* 0: of strlen */

  /* What comes before all messages of a batch, NULL: nothing. `bytes` follow. Returns the length. */
  size_t (*begin_batch)(char *out, size_t bytes);

  const unsigned char
      *mask; /* of a WebSocket's frame, whose payload begins `mask_from` bytes behind its first; or NULL */
  size_t mask_from;

  const char *got_before, *got_after; /* what stands around a message for the subscriber */
  size_t got_before_bytes;            /* 0: of strlen */

  const char *ping, *pong; /* what the server may send a subscriber between two messages, and the answer; or NULL */

  const char *answer; /* in each answer to the publisher, once; NULL: there are none */
} way_t;

/* NULL: there is none of that name. */
const way_t *ways_find(const char *name);

/* Write the batch that publishes `count` messages of WAYS_MESSAGE_BYTES, which follow each other at `messages`. `out`
 * has room for WAYS_BATCH_HEAD_BYTES, and for each message for WAYS_AROUND_BYTES more than itself. Returns the
 * length. */
size_t ways_write_batch(const way_t *way, const char *messages, size_t count, char *out);

/* How many answers a batch of `count` messages gets. */
size_t ways_answers(const way_t *way, size_t count);

#endif
