/* SPDX-License-Identifier: MIT */
/*
 * answers: those to what a client on lines, frames or a WebSocket publishes by way of the backbone. They come when the
 * backbone has the message, or has not, in the order of the publishes. Thread: the hub's.
 *
 * While one is due, what else is said in turn waits behind it. All of one hub's together are at most 4096; what doesn't fit is
 * an answer that is lost, and counted so.
 */
#ifndef FLUXBP_SERVER_ANSWERS_H
#define FLUXBP_SERVER_ANSWERS_H

#include "clients.h"
#include "server/waiter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer;

/** Before publishing: what its answer will be made of. `verb` is a literal. @return NULL: too many are due, or no memory */
struct answer *answer_create(struct client *client, const char *verb);

/** What learns what becomes of the message. */
struct waiter *answer_waiter(struct answer *answer);

/** It was taken: its answer is due. */
void answer_expect(struct answer *answer);

/** It wasn't taken. Of NULL nothing. */
void answer_discard(struct answer *answer);

/** Whether the client is due any. */
static inline bool answers_are_due(const struct client *client) {
  return client->answers != NULL;
}

/** Say a line in turn: now, or behind what is due. `lost`: of so many commands it tells that they were lost; mostly 0. */
void answers_say(struct client *client, const char *text, size_t length, uint32_t lost);

/** Close it by QUIT, behind all that is due or said in turn; nothing that it sends matters any more. */
void answers_quit(struct client *client);

/** A command, or the answer to it, is lost: the client will be told. */
void answers_count_lost(struct client *client);

/** The gateway ends, whatever is due: say so. */
void answers_give_up(struct client *client);

/** The client has gone. */
void answers_forget(struct client *client);

#endif
