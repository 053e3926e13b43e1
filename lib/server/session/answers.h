/* SPDX-License-Identifier: MIT */
/*
 * answers: those to what a client on lines, frames or a WebSocket publishes by way of the backbone. They come when the
 * backbone has the message, or has not, in the order of the publishes. Thread: the hub's.
 *
 * While one is due, what else is said in turn waits behind it. So does any answer that the client has no room for: the
 * line is *stuck* then, and the client isn't read until it has gone. Publishes of one hub that wait for their answer
 * are at most 4096; more are not made until there is room.
 */
#ifndef FLUXBP_SERVER_ANSWERS_H
#define FLUXBP_SERVER_ANSWERS_H

#include "server/waiter.h"
#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The answer to a verb that has published a message, with a NUL: "+OK UNSET epoch:id" is the longest. */
enum { ANSWERS_PUBLISHED_BYTES = 64 };

struct answer;

/** Before publishing: what its answer will be made of. `verb` is a literal. @return NULL: too many are due, or no
 * memory */
struct answer *answer_create(fluxbp_session_t *session, const char *verb);

/** The waiter of the message that is published: by it the answer is known. */
struct waiter *answer_waiter(struct answer *answer);

/** It was taken: its answer is due. */
void answer_expect(struct answer *answer);

/** It wasn't taken. Of NULL nothing. */
void answer_discard(struct answer *answer);

/** Whether the client is due any. */
static inline bool answers_are_due(const fluxbp_session_t *session) {
  return session->answers != NULL;
}

/** Queue a line for the client, whatever is due. @return whether it was queued */
bool answers_send(fluxbp_session_t *session, const char *text, size_t length);

/** Say a line in turn: now, or behind what is due. */
void answers_say(fluxbp_session_t *session, const char *text, size_t length);

/** Say a line before what is due, unless there is no room for it now. */
void answers_say_at_once(fluxbp_session_t *session, const char *text, size_t length);

/** Say in the same way that `verb` has published a message, and its id. */
void answers_say_published(fluxbp_session_t *session, const char *verb, uint64_t id);

/** Write the beginning of the answer to `verb`, up to the number of the message; and behind that the number. Without a
 * NUL.
 * @return the length so far */
size_t answers_begin_published(const fluxbp_session_t *session, const char *verb, char text[ANSWERS_PUBLISHED_BYTES]);
size_t answers_end_published(char text[ANSWERS_PUBLISHED_BYTES], size_t begun, uint64_t id);

/** Whether the client's ring has room for more than one answer. May offer the kernel what is in it. */
bool answers_have_room(const fluxbp_session_t *session);

/** Whether the first of the line is known, and could not be said. */
bool answers_are_stuck(const fluxbp_session_t *session);

/** Say what is known, in order. @return false: the line is stuck */
bool answers_flush(fluxbp_session_t *session);

/** Close a client that has said QUIT or sends no more, if everything that it sent is done and answered. */
void answers_end_if_wanted(fluxbp_session_t *session);

/** Close it by QUIT, behind all that is due or said in turn; nothing that it sends matters any more. */
void answers_quit(fluxbp_session_t *session);

/** The server ends, whatever is due: say so. */
void answers_give_up(fluxbp_session_t *session);

/** The client has gone. */
void answers_forget(fluxbp_session_t *session);

#endif
