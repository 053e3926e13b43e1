/* SPDX-License-Identifier: MIT */
/*
 * identify: see the header.
 *
 * The authorizer is asked about headers: the token as "Authorization: Bearer", or else the request's own Authorization;
 * the cookies of a page that may use them; Origin; and the client's address. A client that shows neither a token, nor
 * an Authorization, nor cookies isn't asked about.
 */
#include "identify.h"

#include "decisions.h"
#include "server/address.h"
#include "server/http/request_token.h"
#include "server/log.h"
#include "server/permissions/authorizer.h"
#include "session_grants.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t now_s(void) {
  return (uint64_t) time(NULL);
}

/* Wrong tokens of an address. */

static uint64_t guesses_now_ms(void) {
  return uv_hrtime() / 1000000;
}

uint32_t session_token_wait_s(const fluxbp_session_t *session) {
  struct token_guesses *guesses = fluxbp_session_server(session)->token_guesses;
  struct sockaddr_storage address;
  if (guesses == NULL) return 0;
  peer_address_get(&session->peer, &address);
  return token_guesses_wait_s(guesses, (const struct sockaddr *) &address, guesses_now_ms());
}

/* @return false: it has to wait, and was counted */
static bool may_show_token(fluxbp_session_t *session, const char **problem) {
  char text[FLUXBP_CLOSE_REASON_BYTES + 1];
  uint32_t wait_s = session_token_wait_s(session);
  if (wait_s == 0) return true;
  atomic_fetch_add(&fluxbp_session_server(session)->slowed_tokens, 1);
  (void) snprintf(text, sizeof text, "too many wrong tokens from your address; wait %" PRIu32 " s", wait_s);
  *problem = decisions_set_reason(session, text);
  return false;
}

static void note_wrong_token(fluxbp_session_t *session) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct sockaddr_storage address;
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  atomic_fetch_add(&server->wrong_tokens, 1);
  if (server->token_guesses == NULL) return;
  peer_address_get(&session->peer, &address);
  token_guesses_note(server->token_guesses, (const struct sockaddr *) &address, guesses_now_ms());
  if (session_token_wait_s(session) == 0) return;
  fluxbp_session_address(session, peer);
  server_log(server, FLUXBP_LOG_WARN, "tokens_slowed", log_number("conn", fluxbp_session_id(session)),
             log_word("peer", peer));
}

/* What the client shows. */

static struct http_text authorization_of(const struct shown *shown) {
  if (shown->request == NULL) return (struct http_text){NULL, 0};
  return http_request_header(shown->request, "Authorization");
}

/* Return whether a client could guess what it shows. Cookies need not be for the server. */
static bool shows_secret(const struct shown *shown) {
  return shown->token != NULL || authorization_of(shown).length > 0;
}

static bool shows_cookies(const fluxbp_session_t *session, const struct shown *shown) {
  const struct origins *origins = &fluxbp_session_server(session)->origins;
  return shown->request != NULL && http_request_count(shown->request, "Cookie") > 0 &&
         request_token_cookies_count(shown->request, origins);
}

static enum identity add_grant(fluxbp_session_t *session, struct grant *grant, unsigned *roles, const char **problem) {
  *roles = grant->roles;
  return session_take_grant(session, grant, problem) ? IDENTITY_KNOWN : IDENTITY_REFUSED;
}

/* Asking the authorizer. */

/* A token of the query or of a command may have any bytes. */
static bool is_visible(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] <= ' ' || text[i] == '\x7f') return false;
  return length > 0;
}

static bool add_secret(struct authorizer_lines *lines, const struct shown *shown) {
  static const char name[] = "Authorization";
  struct http_text authorization = authorization_of(shown);
  if (shown->token != NULL)
    return is_visible(shown->token, shown->token_length) &&
           authorizer_lines_add(lines, name, "Bearer ", shown->token, shown->token_length);
  return authorization.length == 0 || authorizer_lines_add(lines, name, "", authorization.data, authorization.length);
}

/* A proxy that translates HTTP/2 may pass cookies on in several headers; of HTTP/1.1 there is one. */
static bool add_cookies(struct authorizer_lines *lines, const struct http_request *request) {
  char text[HTTP_HEAD_BYTES];
  size_t length = 0;
  for (size_t i = 0; i < request->header_count; i++) {
    struct http_text value = request->headers[i].value;
    if (!http_text_is_in_any_case(request->headers[i].name, "Cookie") || value.length == 0) continue;
    int written =
        snprintf(text + length, sizeof text - length, "%s%.*s", length > 0 ? "; " : "", (int) value.length, value.data);
    if (written < 0 || (size_t) written >= sizeof text - length) return false;
    length += (size_t) written;
  }
  return length == 0 || authorizer_lines_add(lines, "Cookie", "", text, length);
}

static bool add_origin(struct authorizer_lines *lines, const struct http_request *request) {
  struct http_text origin = http_request_header(request, "Origin");
  return origin.length == 0 || authorizer_lines_add(lines, "Origin", "", origin.data, origin.length);
}

static bool add_address(struct authorizer_lines *lines, const fluxbp_session_t *session) {
  struct sockaddr_storage address;
  char text[INET6_ADDRSTRLEN];
  peer_address_get(&session->peer, &address);
  if (uv_ip_name((const struct sockaddr *) &address, text, sizeof text) != 0) return true; /* it has none */
  return authorizer_lines_add(lines, "X-Forwarded-For", "", text, strlen(text));
}

static bool write_question(struct authorizer_lines *lines, const fluxbp_session_t *session, const struct shown *shown) {
  lines->length = 0;
  if (!add_secret(lines, shown) || !add_address(lines, session)) return false;
  if (shown->request == NULL) return true;
  if (shows_cookies(session, shown) && !add_cookies(lines, shown->request)) return false;
  return add_origin(lines, shown->request);
}

static enum identity ask_authorizer(fluxbp_session_t *session, const struct shown *shown, const char **problem) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct authorizer_lines lines;
  if (!write_question(&lines, session, shown)) {
    *problem = "the token, or a header of the request, has bytes that can't be passed on";
    if (shows_secret(shown)) note_wrong_token(session);
    return IDENTITY_REFUSED;
  }
  *problem = AUTHORIZER_AWAY_TEXT;
  struct authorizer_question *question = authorizer_question_create(&server->memory, &server->hash, &lines);
  if (question == NULL || !decisions_ask_authorizer(session, question)) return IDENTITY_AWAY;
  return IDENTITY_LATER;
}

static enum identity take_answer(fluxbp_session_t *session, const struct shown *shown,
                                 const struct authorizer_answer *answer, unsigned *roles, const char **problem) {
  struct revocations *revocations = fluxbp_session_server(session)->credentials.revocations;
  switch (answer->outcome) {
  case AUTHORIZER_GIVES:
    if (!revocations_hold_for(revocations, answer->grant, now_s()))
      return add_grant(session, answer->grant, roles, problem);
    grant_unref(answer->grant);
    *problem = "the token was revoked";
    break;
  case AUTHORIZER_REFUSES:
    *problem = shown->token != NULL ? "unknown token" : "these credentials are refused";
    break;
  case AUTHORIZER_AWAY:
    *problem = AUTHORIZER_AWAY_TEXT;
    return IDENTITY_AWAY;
  }
  if (shows_secret(shown)) note_wrong_token(session);
  return IDENTITY_REFUSED;
}

enum identity session_identify(fluxbp_session_t *session, const struct shown *shown, unsigned *roles,
                               const char **problem) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct authorizer_answer answer;
  bool is_revoked = false;
  *roles = 0;
  if (decisions_take_answer(session, &answer)) return take_answer(session, shown, &answer, roles, problem);
  bool is_guess = server->authorizer != NULL ? shows_secret(shown) : shown->token != NULL;
  if (is_guess && !may_show_token(session, problem)) return IDENTITY_REFUSED;
  if (shown->token != NULL) {
    struct grant *grant =
        credentials_check(&server->credentials, shown->token, shown->token_length, now_s(), &is_revoked, problem);
    if (grant != NULL) return add_grant(session, grant, roles, problem);
  }
  if (server->authorizer != NULL && !is_revoked && (is_guess || shows_cookies(session, shown)))
    return ask_authorizer(session, shown, problem);
  if (shown->token == NULL) return IDENTITY_NONE;
  note_wrong_token(session);
  return IDENTITY_REFUSED;
}
