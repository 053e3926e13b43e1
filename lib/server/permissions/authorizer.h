/* SPDX-License-Identifier: MIT */
/*
 * authorizer: asks a backend of the operator's who a client is and what it may do (options.authorize_url), by HTTP.
 *
 * The same question is asked once at a time: all clients that wait for it get the one answer. Answers are kept for as
 * long as they say. The questions under way and those that wait for their turn have limits, and a backend that is out
 * of order isn't asked for a while.
 *
 * Thread: the server's loop, but where that is said.
 */
#ifndef FLUXBP_SERVER_AUTHORIZER_H
#define FLUXBP_SERVER_AUTHORIZER_H

#include "authorizer_question.h"

#include <fluxbp/server/server.h>

#include <stdint.h>

/* The most questions that wait for their turn. */
#define AUTHORIZER_QUEUE_MAX 4096

/* What a client is told while the backend is away. */
#define AUTHORIZER_AWAY_TEXT "permissions can't be checked now; try again later"

struct authorizer_stats {
  uint64_t questions; /* sent to the backend */
  uint64_t refused;   /* of these: the client was refused */
  uint64_t failures;  /* of these: no answer, or one that can't be used */
  uint64_t cached;    /* answered without the backend */
  uint64_t joined;    /* clients that got the answer to another one's question */
  uint64_t unasked;   /* not asked: the backend is out of order, or too many questions wait */
  uint64_t under_way, waiting;
};

struct authorizer;

/** Open the authorizer of a server. @return NULL: out of memory */
struct authorizer *authorizer_create(fluxbp_server_t *server);

/**
 * Ask. Takes the question over; its waiters are told when the answer is there, maybe before this returns.
 *
 * Any thread of the server's shards.
 */
void authorizer_ask(struct authorizer *authorizer, struct authorizer_question *question);

/** Write the figures. */
void authorizer_get_stats(const struct authorizer *authorizer, struct authorizer_stats *stats);

/** Tell all waiters that the backend is away, and close the handles. NULL is allowed. */
void authorizer_close(struct authorizer *authorizer);

/** Free the memory, when the handles are closed and all threads have ended. NULL is allowed. */
void authorizer_free(struct authorizer *authorizer);

#endif
