/* SPDX-License-Identifier: MIT */
/*
 * decisions: see the header.
 *
 * A deferral has two owners, the session and the program, and goes with the second of them. The session's part belongs
 * to its thread; the program's decision comes there as a task. The authorizer's answers take the same way.
 */
#include "decisions.h"

#include "server/http/own_request.h"
#include "server/permissions/authorizer.h"
#include "server/reach.h"
#include "server/websocket/utf8.h"
#include "session_grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fluxbp_deferral {
  struct http_due due; /* of a request that waits */
  struct reach *reach;
  fluxbp_session_t *session; /* NULL: it has gone, or doesn't wait for this any more */
  size_t place;
  bool is_made;
  struct authorizer_waiter waiter; /* of a question to the authorizer, */
  struct authorizer_answer answer; /* and its answer */
  bool is_for_authorizer;
  fluxbp_decision_t decision;
  char reason[FLUXBP_CLOSE_REASON_BYTES + 1];
  atomic_uint owners;
};

static const char not_allowed[] = "not allowed";

static void release_deferral(fluxbp_deferral_t *deferral) {
  if (atomic_fetch_sub(&deferral->owners, 1) > 1) return;
  grant_unref(deferral->answer.grant);
  reach_unref(deferral->reach);
  free(deferral);
}

static fluxbp_deferral_t *deferral_of(const fluxbp_session_t *session) {
  return session->details != NULL ? session->details->deferral : NULL;
}

/* The session wants nothing of it any more. */
static void let_go(fluxbp_session_t *session) {
  fluxbp_deferral_t *deferral = deferral_of(session);
  if (deferral == NULL) return;
  session->details->deferral = NULL;
  deferral->session = NULL;
  release_deferral(deferral);
}

void decisions_forget(fluxbp_session_t *session) {
  let_go(session);
}

bool decisions_are_due(const fluxbp_session_t *session) {
  const fluxbp_deferral_t *deferral = deferral_of(session);
  return deferral != NULL && !deferral->is_made;
}

size_t decisions_place(const fluxbp_session_t *session) {
  const fluxbp_deferral_t *deferral = deferral_of(session);
  return deferral != NULL ? deferral->place : 0;
}

void decisions_wait(fluxbp_session_t *session, size_t place, void (*decided)(struct http_due *due)) {
  fluxbp_deferral_t *deferral = deferral_of(session);
  deferral->place = place;
  deferral->due.decided = decided;
  if (session_protocol(session)->kind == PROTOCOL_HTTP) http_wait(session, &deferral->due);
}

const char *decisions_set_reason(fluxbp_session_t *session, const char *reason) {
  struct shard *shard = session_shard(session);
  size_t length = utf8_cut(reason, strlen(reason), FLUXBP_CLOSE_REASON_BYTES);
  memcpy(shard->refusal, reason, length);
  shard->refusal[length] = '\0';
  shard->refusal_code = FLUXBP_CLOSE_POLICY;
  return shard->refusal;
}

fluxbp_decision_t fluxbp_session_refuse(fluxbp_session_t *session, const char *reason) {
  (void) decisions_set_reason(session, reason != NULL ? reason : not_allowed);
  return FLUXBP_REFUSE;
}

fluxbp_deferral_t *fluxbp_session_defer(fluxbp_session_t *session) {
  let_go(session); /* a handler that asks twice */
  struct session_details *details = session_details(session);
  fluxbp_deferral_t *deferral = details != NULL ? calloc(1, sizeof *deferral) : NULL;
  if (deferral == NULL) return NULL;
  deferral->reach = reach_ref(session_shard(session)->reach);
  deferral->session = session;
  atomic_store(&deferral->owners, 2);
  details->deferral = deferral;
  return deferral;
}

/* On the session's thread. */
static void take_decision(fluxbp_hub_t *hub, void *arg) {
  fluxbp_deferral_t *deferral = arg;
  fluxbp_session_t *session = deferral->session;
  (void) hub;
  deferral->is_made = true;
  if (session != NULL && !session->is_closing) session_protocol(session)->decided(session);
  release_deferral(deferral);
}

void fluxbp_deferral_decide(fluxbp_deferral_t *deferral, fluxbp_decision_t decision, const char *reason) {
  const char *text = reason != NULL ? reason : not_allowed;
  size_t length = utf8_cut(text, strlen(text), FLUXBP_CLOSE_REASON_BYTES);
  memcpy(deferral->reason, text, length);
  deferral->decision = decision == FLUXBP_ALLOW ? FLUXBP_ALLOW : FLUXBP_REFUSE;
  if (reach_post(deferral->reach, take_decision, deferral) != 0) release_deferral(deferral);
}

/* The authorizer. */

static void on_answered(struct authorizer_waiter *waiter, const struct authorizer_answer *answer) {
  fluxbp_deferral_t *deferral = QUEUE_ITEM(waiter, fluxbp_deferral_t, waiter);
  deferral->answer = *answer;
  if (answer->grant != NULL) (void) grant_ref(answer->grant);
  if (reach_post(deferral->reach, take_decision, deferral) != 0) release_deferral(deferral);
}

bool decisions_ask_authorizer(fluxbp_session_t *session, struct authorizer_question *question) {
  fluxbp_deferral_t *deferral = fluxbp_session_defer(session);
  if (deferral == NULL) {
    authorizer_question_free(question);
    return false;
  }
  deferral->is_for_authorizer = true;
  deferral->waiter.answered = on_answered;
  question->waiters = &deferral->waiter;
  authorizer_ask(fluxbp_session_server(session)->authorizer, question);
  return true;
}

bool decisions_take_answer(fluxbp_session_t *session, struct authorizer_answer *answer) {
  fluxbp_deferral_t *deferral = deferral_of(session);
  if (deferral == NULL || !deferral->is_for_authorizer || !deferral->is_made) return false;
  *answer = deferral->answer;
  deferral->answer.grant = NULL;
  let_go(session);
  return true;
}

/* The questions. */

/* @return whether there is a decision that was put off, for the question that is asked again */
static bool take_made(fluxbp_session_t *session, fluxbp_decision_t *decision, const char **reason) {
  const fluxbp_deferral_t *deferral = deferral_of(session);
  if (deferral == NULL || deferral->is_for_authorizer || !deferral->is_made) return false;
  *decision = deferral->decision;
  (void) decisions_set_reason(session, deferral->reason);
  *reason = session_shard(session)->refusal;
  let_go(session);
  return true;
}

/* What a handler has returned. */
static fluxbp_decision_t check_decision(fluxbp_session_t *session, fluxbp_decision_t said, const char **reason) {
  *reason = session_shard(session)->refusal;
  if (said == FLUXBP_LATER && decisions_are_due(session)) return FLUXBP_LATER;
  let_go(session); /* it was decided at once after all */
  return said == FLUXBP_ALLOW ? FLUXBP_ALLOW : FLUXBP_REFUSE;
}

/* The server's own answer to a question, before the program is asked. */
static bool check_permission(fluxbp_session_t *session, fluxbp_role_t role, const char *topic, const char **reason) {
  char text[FLUXBP_CLOSE_REASON_BYTES + 1];
  if (session_may(session, role, topic)) return true;
  (void) snprintf(text, sizeof text, "%s may not %s '%s'",
                  session_holder(session) != NULL ? "this token" : "without a token a client",
                  role == FLUXBP_ROLE_SUBSCRIBE ? "subscribe to" : "publish on", topic);
  (void) decisions_set_reason(session, text);
  session_shard(session)->refusal_code = FLUXBP_CLOSE_FORBIDDEN;
  *reason = session_shard(session)->refusal;
  session_note_not_allowed(session, role, topic);
  return false;
}

fluxbp_decision_t decisions_connect(fluxbp_session_t *session, const struct http_request *request,
                                    const char **reason) {
  const fluxbp_server_handlers_t *handlers = &fluxbp_session_server(session)->handlers;
  fluxbp_decision_t decision = FLUXBP_ALLOW;
  if (handlers->on_connect == NULL || take_made(session, &decision, reason)) return decision;
  (void) decisions_set_reason(session, not_allowed);
  session->is_announced = true;
  struct fluxbp_request shown = {.session = session, .http = request, .roles = session->roles};
  return check_decision(session, handlers->on_connect(session, request != NULL ? &shown : NULL), reason);
}

fluxbp_decision_t decisions_subscribe(fluxbp_session_t *session, const char *topic, const char **reason) {
  const fluxbp_server_handlers_t *handlers = &fluxbp_session_server(session)->handlers;
  fluxbp_decision_t decision = FLUXBP_ALLOW;
  if (!check_permission(session, FLUXBP_ROLE_SUBSCRIBE, topic, reason)) return FLUXBP_REFUSE;
  if (handlers->on_subscribe == NULL || take_made(session, &decision, reason)) return decision;
  (void) decisions_set_reason(session, not_allowed);
  return check_decision(session, handlers->on_subscribe(session, topic), reason);
}

fluxbp_decision_t decisions_publish(fluxbp_session_t *session, const char *topic, const char *key, const void *data,
                                    size_t length, const char **reason) {
  const fluxbp_server_handlers_t *handlers = &fluxbp_session_server(session)->handlers;
  fluxbp_decision_t decision = FLUXBP_ALLOW;
  if (!check_permission(session, FLUXBP_ROLE_PUBLISH, topic, reason)) return FLUXBP_REFUSE;
  if (handlers->on_publish == NULL || take_made(session, &decision, reason)) return decision;
  (void) decisions_set_reason(session, not_allowed);
  return check_decision(session, handlers->on_publish(session, topic, key, data, length), reason);
}

fluxbp_close_code_t decisions_refusal_code(const fluxbp_session_t *session) {
  return session_shard(session)->refusal_code;
}
