/* SPDX-License-Identifier: MIT */
/*
 * authorizer_question: what a backend is asked about one client: lines of HTTP headers with what the client has shown.
 * Two questions with the same lines have the same answer. Does no I/O.
 *
 * Thread: any; a question belongs to one thread at a time.
 */
#ifndef FLUXBP_SERVER_AUTHORIZER_QUESTION_H
#define FLUXBP_SERVER_AUTHORIZER_QUESTION_H

#include "authorizer_answer.h"
#include "server/memory.h"
#include "server/secret_hash.h"

#include <stdbool.h>
#include <stddef.h>

/* Room for the lines of one question. The head of a request has 8 KiB. */
#define AUTHORIZER_LINES_BYTES 10240

/* What waits for an answer; a part of whatever asks. */
struct authorizer_waiter {
  struct authorizer_waiter *next;

  /* The answer is there, on the thread of the server's loop, or on the asker's own one. The grant is borrowed. */
  void (*answered)(struct authorizer_waiter *waiter, const struct authorizer_answer *answer);
};

struct authorizer_question {
  unsigned char key[SECRET_HASH_DIGEST_BYTES]; /* of the lines */
  struct authorizer_waiter *waiters;
  struct authorizer *authorizer;
  struct authorizer_question *next;         /* of those that have to wait */
  struct authorizer_question *next_of_kind; /* of those with similar keys */
  uint64_t asked_s;                         /* Unix time at which it was sent */
  uint64_t due_ms;                          /* the loop's time until which it may wait for its turn */
  size_t length;
  char lines[]; /* "Name: value", each with a NUL */
};

/* Lines that are being put together. */
struct authorizer_lines {
  size_t length;
  char text[AUTHORIZER_LINES_BYTES];
};

/** Add a header. @return false: the value has a control character, or there is no room */
bool authorizer_lines_add(struct authorizer_lines *lines, const char *name, const char *prefix, const char *value,
                          size_t length);

/** Make a question. @return NULL: there is no memory */
struct authorizer_question *authorizer_question_create(struct memory *memory, const struct secret_hash *hash,
                                                       const struct authorizer_lines *lines);

/** Return whether two questions are the same. */
bool authorizer_question_is(const struct authorizer_question *a, const struct authorizer_question *b);

/** Free a question. Its waiters are their owners'. */
void authorizer_question_free(struct authorizer_question *question);

/** Tell all waiters of a question, and free it. */
void authorizer_question_end(struct authorizer_question *question, const struct authorizer_answer *answer);

#endif
