/* SPDX-License-Identifier: MIT */
/*
 * session_grants: see the header. Most sessions have no token; what tokens take is in memory of its own.
 */
#include "session_grants.h"

#include "server/log.h"
#include "server/permissions/networks.h"
#include "session_quotas.h"
#include "shard.h"
#include "subscriptions.h"

#include <fluxbp/pattern.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A client is told so long before its token expires. */
#define WARNING_S 30

static uint64_t now_s(void) {
  return (uint64_t) time(NULL);
}

static struct session_grants *grants_of(const fluxbp_session_t *session) {
  return session->details != NULL ? session->details->grants : NULL;
}

bool session_has_token(const fluxbp_session_t *session) {
  const struct session_grants *grants = grants_of(session);
  if (grants == NULL || grants->count == 0) return false;
  return grants->count > 1 || grants->list[0] != session->details->certificate || grants->list[0]->roles != 0;
}

/* Roles. */

static unsigned free_roles_of(const fluxbp_session_t *session) {
  return session->request_roles & ~credentials_guarded(&fluxbp_session_server(session)->credentials);
}

static void update_roles(fluxbp_session_t *session) {
  const struct session_grants *grants = grants_of(session);
  unsigned roles = free_roles_of(session);
  if (fluxbp_session_server(session)->options.public_topics.count > 0) roles |= FLUXBP_ROLE_SUBSCRIBE;
  for (uint32_t i = 0; grants != NULL && i < grants->count; i++) roles |= grants->list[i]->roles;
  session->roles = roles & FLUXBP_ROLE_ALL;
}

void session_set_free_roles(fluxbp_session_t *session, unsigned roles) {
  session->request_roles = roles & FLUXBP_ROLE_ALL;
  update_roles(session);
}

static bool is_public(const fluxbp_server_t *server, const char *topic) {
  const fluxbp_text_list_t *patterns = &server->options.public_topics;
  for (size_t i = 0; i < patterns->count; i++)
    if (fluxbp_pattern_matches(patterns->texts[i], topic)) return true;
  return false;
}

bool session_may(const fluxbp_session_t *session, fluxbp_role_t role, const char *topic) {
  const struct session_grants *grants = grants_of(session);
  if ((free_roles_of(session) & (unsigned) role) != 0) return true;
  if (role == FLUXBP_ROLE_SUBSCRIBE && is_public(fluxbp_session_server(session), topic)) return true;
  for (uint32_t i = 0; grants != NULL && i < grants->count; i++)
    if (grant_allows(grants->list[i], role, topic)) return true;
  return false;
}

const char *session_holder(const fluxbp_session_t *session) {
  const struct session_grants *grants = grants_of(session);
  return grants != NULL && grants->count > 0 ? grant_holder(grants->list[grants->count - 1]) : NULL;
}

void fluxbp_session_actor(const fluxbp_session_t *session, fluxbp_role_t role, char text[FLUXBP_ACTOR_TEXT_BYTES]) {
  const struct session_grants *grants = grants_of(session);
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  struct sockaddr_storage address;
  for (uint32_t i = grants != NULL ? grants->count : 0; i > 0; i--) {
    if ((grants->list[i - 1]->roles & (unsigned) role) == 0) continue;
    (void) snprintf(text, FLUXBP_ACTOR_TEXT_BYTES, "%s", grant_holder(grants->list[i - 1]));
    return;
  }
  peer_address_get(&session->peer, &address);
  fluxbp_session_address(session, peer);
  bool is_loopback = network_is_loopback((const struct sockaddr *) &address);
  (void) snprintf(text, FLUXBP_ACTOR_TEXT_BYTES, "%s", is_loopback ? "loopback" : peer);
}

const char *fluxbp_session_subject(const fluxbp_session_t *session) {
  const struct session_grants *grants = grants_of(session);
  for (uint32_t i = grants != NULL ? grants->count : 0; i > 0; i--)
    if (grants->list[i - 1]->subject != NULL) return grants->list[i - 1]->subject;
  return NULL;
}

const char *const role_names[ROLES] = {"subscribe", "publish", "admin"};

static size_t role_place(fluxbp_role_t role) {
  return role == FLUXBP_ROLE_SUBSCRIBE ? 0 : role == FLUXBP_ROLE_PUBLISH ? 1 : 2;
}

void session_note_not_allowed(const fluxbp_session_t *session, fluxbp_role_t role, const char *topic) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  const char *holder = session_holder(session);
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  atomic_fetch_add(&server->not_allowed[role_place(role)], 1);
  server_log(server, FLUXBP_LOG_WARN, "not_allowed", log_number("conn", fluxbp_session_id(session)),
             log_word("peer", peer), log_phrase("holder", holder != NULL ? holder : ""),
             log_word("role", role_names[role_place(role)]), log_word("topic", topic != NULL ? topic : ""));
}

/* The time at which something is due about the tokens. */

static uint64_t first_expiry_of(const struct session_grants *grants) {
  uint64_t first = UINT64_MAX;
  for (uint32_t i = 0; i < grants->count; i++)
    if (grants->list[i]->expires_s != 0 && grants->list[i]->expires_s < first) first = grants->list[i]->expires_s;
  return first;
}

/* Without memory for its place among the expiries a session ends at once, rather than never. */
static void expect_expiry(struct session_grants *grants) {
  struct expiries *expiries = &session_shard(grants->session)->expiries;
  uint64_t expires_s = first_expiry_of(grants);
  expiries_remove(expiries, &grants->expiry);
  if (expires_s == UINT64_MAX) return;
  uint64_t due_s = grants->is_warned || expires_s <= WARNING_S ? expires_s : expires_s - WARNING_S;
  if (expiries_set(expiries, &grants->expiry, due_s) != 0)
    session_close(grants->session, FLUXBP_CLOSE_TRY_LATER, "the server is out of memory; try again later");
}

static void end_expired(struct session_grants *grants, uint64_t now_s_) {
  fluxbp_session_t *session = grants->session;
  uint64_t expires_s = first_expiry_of(grants);
  bool is_request = session_protocol(session)->kind == PROTOCOL_HTTP; /* the next one is judged by itself */
  if (is_request || session->is_closing) {
    expiries_remove(&session_shard(session)->expiries, &grants->expiry);
  } else if (expires_s <= now_s_) {
    expiries_remove(&session_shard(session)->expiries, &grants->expiry);
    session_close(session, FLUXBP_CLOSE_UNAUTHORIZED, "the token has expired");
  } else {
    grants->is_warned = true;
    const struct protocol *protocol = session_protocol(session);
    if (protocol->say_expiring != NULL) (void) protocol->say_expiring(session, expires_s - now_s_);
    expect_expiry(grants);
  }
}

void session_grants_expire(struct shard *shard, uint64_t now_s_) {
  struct expiry *due;
  while ((due = expiries_first_due(&shard->expiries, now_s_)) != NULL)
    end_expired((struct session_grants *) (void *) due, now_s_);
}

/* Adding and forgetting. */

static struct session_grants *make_grants(fluxbp_session_t *session) {
  struct session_details *details = session_details(session);
  if (details == NULL) return NULL;
  if (details->grants == NULL) details->grants = calloc(1, sizeof *details->grants);
  if (details->grants != NULL) details->grants->session = session;
  return details->grants;
}

/* Two tokens of a file are the same if their text is; two signed ones if they speak for the same subject. */
static bool is_same_holder(const struct grant *a, const struct grant *b) {
  if (a->store_mark != b->store_mark || a->store_mark != 0) return a->store_mark == b->store_mark;
  if (a->subject == NULL || b->subject == NULL) return a->subject == b->subject;
  return strcmp(a->subject, b->subject) == 0;
}

/* Close the session if it has a topic by an older grant that it may have no longer. Topics that the program has given
 * are the program's to take. */
static void check_topics(fluxbp_session_t *session, const struct grant *older) {
  for (size_t place = 0; place < fluxbp_session_topic_count(session); place++) {
    const char *topic = fluxbp_session_topic(session, place);
    if (!grant_allows(older, FLUXBP_ROLE_SUBSCRIBE, topic) || session_may(session, FLUXBP_ROLE_SUBSCRIBE, topic))
      continue;
    session_close(session, FLUXBP_CLOSE_FORBIDDEN, "the token doesn't give all of the client's topics any more");
    return;
  }
}

static void remove_grant(struct session_grants *grants, uint32_t place) {
  grants->count--;
  memmove(&grants->list[place], &grants->list[place + 1], (grants->count - place) * sizeof grants->list[0]);
}

/* Return the place of the token that this one replaces, or the number of tokens: it replaces none. */
static uint32_t find_older(const struct session_grants *grants, const struct grant *grant) {
  uint32_t place = 0;
  while (place < grants->count && !is_same_holder(grants->list[place], grant)) place++;
  return place;
}

/* Return why a session can't have one more token, which replaces the one at `place`; NULL: it can, and is counted for
 * the subject. */
static const char *check_grant(fluxbp_session_t *session, const struct grant *grant, uint32_t place) {
  if (place == SESSION_GRANTS_MAX) return "too many tokens for one connection";
  return grant->subject != NULL ? session_join_subject(session, grant->subject) : NULL;
}

bool session_take_grant(fluxbp_session_t *session, struct grant *grant, const char **problem) {
  struct session_grants *grants = make_grants(session);
  struct grant *older = NULL;
  uint32_t place = grants != NULL ? find_older(grants, grant) : 0;
  *problem = grants != NULL ? check_grant(session, grant, place) : "the server is out of memory; try again later";
  if (*problem != NULL) {
    grant_unref(grant);
    return false;
  }
  if (place < grants->count) {
    older = grants->list[place];
    remove_grant(grants, place);
  }
  grants->list[grants->count++] = grant;
  grants->is_warned = false;
  update_roles(session);
  expect_expiry(grants);
  if (older != NULL && !session->is_closing) check_topics(session, older);
  grant_unref(older);
  return true;
}

void session_end_grants(fluxbp_session_t *session) {
  struct session_grants *grants = grants_of(session);
  if (grants == NULL) return;
  session_leave_subject(session);
  expiries_remove(&session_shard(session)->expiries, &grants->expiry);
  for (uint32_t i = 0; i < grants->count; i++) grant_unref(grants->list[i]);
  free(grants);
  session->details->grants = NULL;
  update_roles(session);
}

/* A certificate whose subject has no place in its quota now is tried again with the next request. */
void session_forget_grants(fluxbp_session_t *session) {
  const struct session_grants *grants = grants_of(session);
  struct grant *certificate = session->details != NULL ? session->details->certificate : NULL;
  const char *problem;
  if (certificate != NULL && grants != NULL && grants->count == 1 && grants->list[0] == certificate) return;
  session_end_grants(session);
  if (certificate != NULL) (void) session_take_grant(session, grant_ref(certificate), &problem);
}

bool session_take_certificate(fluxbp_session_t *session, const char **problem) {
  char name[FLUXBP_TLS_NAME_BYTES];
  size_t length = fluxbp_tls_client_name(fluxbp_session_conn(session), name);
  if (length == 0) return true;
  struct credentials *credentials = &fluxbp_session_server(session)->credentials;
  struct session_details *details = session_details(session);
  struct grant *grant = details != NULL ? credentials_certificate(credentials, name, length) : NULL;
  *problem = "the server is out of memory; try again later";
  if (grant == NULL) return false;
  if (revocations_hold_for(credentials->revocations, grant, now_s())) {
    grant_unref(grant);
    *problem = "the certificate was revoked";
    return false;
  }
  details->certificate = grant_ref(grant);
  return session_take_grant(session, grant, problem);
}

/* What was taken back. */

void session_check_revoked(fluxbp_session_t *session) {
  struct revocations *revocations = fluxbp_session_server(session)->credentials.revocations;
  const struct session_grants *grants = grants_of(session);
  bool is_revoked = false;
  for (uint32_t i = 0; grants != NULL && i < grants->count; i++)
    is_revoked = is_revoked || revocations_hold_for(revocations, grants->list[i], now_s());
  if (is_revoked) session_close(session, FLUXBP_CLOSE_UNAUTHORIZED, "the token was revoked");
}

void session_renew_grants(fluxbp_session_t *session) {
  struct session_grants *grants = grants_of(session);
  for (uint32_t i = 0; grants != NULL && i < grants->count && !session->is_closing; i++) {
    struct grant *older = grants->list[i];
    if (older->store_mark == 0) continue;
    struct grant *renewed = credentials_renew(&fluxbp_session_server(session)->credentials, older);
    if (renewed == NULL) {
      session_close(session, FLUXBP_CLOSE_UNAUTHORIZED, "the token was withdrawn");
      return;
    }
    grants->list[i] = renewed;
    if (session->details->certificate == older) {
      session->details->certificate = grant_ref(renewed);
      grant_unref(older);
    }
    update_roles(session);
    check_topics(session, older);
    grant_unref(older);
  }
  update_roles(session);
}

void session_end_token_wait(fluxbp_session_t *session) {
  session_close(session, FLUXBP_CLOSE_UNAUTHORIZED, "no token came in time: AUTH token first");
}
