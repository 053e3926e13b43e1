/* SPDX-License-Identifier: MIT */
/*
 * decisions: what the program's handlers say about a client's wishes, at once or later. Thread: the session's.
 *
 * A decision that comes later stops the client where it is: its command or request is kept, and tried again from its
 * beginning when the decision is there. Then the same question takes that decision instead of asking the handler.
 */
#ifndef FLUXBP_SERVER_DECISIONS_H
#define FLUXBP_SERVER_DECISIONS_H

#include "session.h"

#include "server/http/http_client.h"
#include "server/permissions/authorizer_question.h"

/*
 * Each returns FLUXBP_ALLOW; FLUXBP_REFUSE, and then `*reason` is for the client and stays until the next question; or
 * FLUXBP_LATER: the question is to be asked again when the protocol's `decided` is called. The handler may have ended
 *   the
 * session.
 */

/** May the client subscribe at all? `request` is NULL unless it came by HTTP. */
fluxbp_decision_t decisions_connect(fluxbp_session_t *session, const struct http_request *request, const char **reason);

/** May it have that topic? */
fluxbp_decision_t decisions_subscribe(fluxbp_session_t *session, const char *topic, const char **reason);

/** May it publish that? `data` is NULL: take the value of the key back. */
fluxbp_decision_t decisions_publish(fluxbp_session_t *session, const char *topic, const char *key, const void *data,
                                    size_t length, const char **reason);

/** Ask the authorizer what a client may do. Takes the question over, whose answer is a decision that comes later.
 * @return false: out of memory, and nothing was asked */
bool decisions_ask_authorizer(fluxbp_session_t *session, struct authorizer_question *question);

/** Take the authorizer's answer, with its reference to the grant. @return false: none has come */
bool decisions_take_answer(fluxbp_session_t *session, struct authorizer_answer *answer);

/** Keep a reason for the client until the next question. @return the reason, cut to FLUXBP_CLOSE_REASON_BYTES */
const char *decisions_set_reason(fluxbp_session_t *session, const char *reason);

/** Return the close code for the last refusal. */
fluxbp_close_code_t decisions_refusal_code(const fluxbp_session_t *session);

/** Return whether a decision is yet to come: nothing that the client has sent is done meanwhile. */
bool decisions_are_due(const fluxbp_session_t *session);

/** Of a request that asks several questions: which of them the decision is about that is there or yet to come; 0: there
 * is none. */
size_t decisions_place(const fluxbp_session_t *session);

/** A request waits for the decision of its question `place`. When it is there, `decided` is called; or the protocol's
 * `decided`, if the client speaks HTTP no longer. */
void decisions_wait(fluxbp_session_t *session, size_t place, void (*decided)(struct http_due *due));

/** Forget a decision that was put off: the session is gone, or what the decision was about. */
void decisions_forget(fluxbp_session_t *session);

#endif
