/* SPDX-License-Identifier: MIT */
/*
 * login: see the header. The user of a session is the serial of its login.
 */
#include "login.h"

#include "common/log.h"
#include "dashboard.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char login_first[] = "Log in first.";
static const char no_memory[] = "The dashboard is out of memory.";

/* A token that gateways are asked about, one after the other. */
struct question {
  struct dashboard *dashboard;
  fluxbp_request_t *request;
  size_t gateway;              /* the one that is asked */
  bool is_right[GATEWAYS_MAX]; /* these gateways have said so */
  int failure;                 /* status of a gateway that could not be asked, or 0 */
  bool is_secure;              /* the browser came by https */
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  char token[TOKEN_BYTES];
};

struct dashboard *dashboard_of(const fluxbp_session_t *session) {
  return fluxbp_server_user(fluxbp_session_server(session));
}

static struct dashboard *dashboard_of_request(const fluxbp_request_t *request) {
  return dashboard_of(fluxbp_request_session(request));
}

/* Rights. */

static bool login_is_needed(const struct dashboard *dashboard) {
  bool is_needed = dashboard->options->login_token[0] != '\0';
  for (size_t i = 0; i < dashboard->gateway_count; i++) is_needed |= dashboard->gateways[i].is_token_needed;
  return is_needed;
}

uint64_t login_of(const fluxbp_request_t *request) {
  const struct dashboard *dashboard = dashboard_of_request(request);
  fluxbp_text_t cookie = fluxbp_request_cookie(request, dashboard->cookie);
  return fluxbp_logins_find(dashboard->logins, cookie.data, cookie.length, uv_now(&dashboard->loop));
}

/* The server gives the role of an administrator to browsers of this machine if --trust-loopback says so, unless a proxy
 * passes the request on. */
enum right login_right_of(const fluxbp_request_t *request) {
  const struct dashboard *dashboard = dashboard_of_request(request);
  const struct options *options = dashboard->options;
  if (login_of(request) != 0) return RIGHT_ACT;
  if (login_is_needed(dashboard)) return RIGHT_NONE;
  bool everybody_may = options->everybody_may_act && options->is_on_loopback;
  return everybody_may || (fluxbp_request_roles(request) & FLUXBP_ROLE_ADMIN) != 0 ? RIGHT_ACT : RIGHT_WATCH;
}

bool login_admit(fluxbp_request_t *request, enum right right) {
  const char *beyond_loopback =
      "This dashboard only shows: it listens beyond loopback and has no login. To evict and change the policy start it "
      "with --login-token FILE.";
  const char *on_loopback =
      "This dashboard only shows. To evict and change the policy start it with --login-token FILE, on a machine "
      "without "
      "a proxy with --trust-loopback, or, behind a proxy that asks for a password, with --actions.";
  enum right given = login_right_of(request);
  if (given >= right) return true;
  if (given == RIGHT_NONE) {
    (void) fluxbp_request_add_header(request, "WWW-Authenticate", "Login");
    fluxbp_request_refuse(request, 401, login_first);
  } else {
    bool is_on_loopback = dashboard_of_request(request)->options->is_on_loopback;
    fluxbp_request_refuse(request, 403, is_on_loopback ? on_loopback : beyond_loopback);
  }
  return false;
}

fluxbp_decision_t login_decide(fluxbp_session_t *session, const fluxbp_request_t *request) {
  uint64_t serial = login_of(request);
  if (serial == 0 && login_is_needed(dashboard_of(session))) return fluxbp_session_refuse(session, login_first);
  int err = fluxbp_session_set_user(session, (void *) (uintptr_t) serial);
  return err == 0 ? FLUXBP_ALLOW : fluxbp_session_refuse(session, no_memory);
}

static void close_stream_without_login(fluxbp_session_t *session, void *arg) {
  const struct dashboard *dashboard = arg;
  uint64_t serial = (uintptr_t) fluxbp_session_user(session);
  if (login_is_needed(dashboard) && !fluxbp_logins_has(dashboard->logins, serial))
    fluxbp_session_close(session, FLUXBP_CLOSE_UNAUTHORIZED, "logged out");
}

/* Where a request comes from. */

static bool is_from_trusted_proxy(const fluxbp_request_t *request) {
  const struct options *options = dashboard_of_request(request)->options;
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(fluxbp_request_session(request), peer);
  for (size_t i = 0; i < options->proxies.count; i++)
    if (fluxbp_network_has(options->proxies.texts[i], peer)) return true;
  return false;
}

/* Write the browser's address: the last one that a trusted proxy gives, or that of the connection. With two headers it
 * is open which one is the proxy's. */
static void find_peer(const fluxbp_request_t *request, char peer[FLUXBP_ADDRESS_TEXT_BYTES]) {
  static const char name[] = "X-Forwarded-For";
  fluxbp_text_t list = fluxbp_request_header(request, name);
  size_t begin = list.length;
  while (begin > 0 && list.data[begin - 1] != ',' && list.data[begin - 1] != ' ') begin--;
  size_t length = list.length - begin;
  fluxbp_session_address(fluxbp_request_session(request), peer);
  if (length == 0 || length >= FLUXBP_ADDRESS_TEXT_BYTES || fluxbp_request_header_count(request, name) != 1) return;
  if (is_from_trusted_proxy(request))
    snprintf(peer, FLUXBP_ADDRESS_TEXT_BYTES, "%.*s", (int) length, list.data + begin);
}

static bool came_by_https(const fluxbp_request_t *request) {
  return fluxbp_text_is(fluxbp_request_header(request, "X-Forwarded-Proto"), "https") && is_from_trusted_proxy(request);
}

/* Answers. */

static void answer_with_cookie(fluxbp_request_t *request, const char *name, const char *value, int seconds,
                               bool is_secure) {
  char cookie[256];
  snprintf(cookie, sizeof cookie, "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", name, value, seconds,
           is_secure ? "; Secure" : "");
  (void) fluxbp_request_add_header(request, "Set-Cookie", cookie);
  fluxbp_request_answer(request, 200, "application/json", "{}", 2);
}

static void begin_login(struct dashboard *dashboard, fluxbp_request_t *request, const char *peer, bool is_secure) {
  char text[FLUXBP_LOGIN_TEXT_BYTES];
  if (fluxbp_logins_begin(dashboard->logins, uv_now(&dashboard->loop), text) != 0) {
    fluxbp_request_refuse(request, 503, "The system has no random numbers: try again.");
    return;
  }
  log_event(LOG_LEVEL_INFO, "login", log_word("peer", peer));
  answer_with_cookie(request, dashboard->cookie, text, LOGIN_SECONDS, is_secure);
}

static void refuse_login(fluxbp_request_t *request, const char *peer) {
  log_event(LOG_LEVEL_WARN, "login_refused", log_word("peer", peer));
  fluxbp_request_refuse(request, 403, "This is not the token.");
}

/* Asking gateways. */

static void end_question(struct question *question) {
  struct dashboard *dashboard = question->dashboard;
  bool is_right = false;
  for (size_t i = 0; i < dashboard->gateway_count; i++) {
    if (!question->is_right[i]) continue;
    is_right = true;
    gateway_watch_use_token(&dashboard->gateways[i], question->token);
  }
  if (is_right)
    begin_login(dashboard, question->request, question->peer, question->is_secure);
  else if (question->failure != 0)
    fluxbp_request_refuse(question->request, question->failure, "The gateway does not answer: try again.");
  else
    refuse_login(question->request, question->peer);
  free(question);
}

static void on_gateway_answer(void *user, int status, const char *body, size_t length);

/* Ask for what takes the role of an administrator and changes nothing. */
static void ask_next_gateway(struct question *question) {
  static const fluxbp_client_request_t asked = {.size = sizeof asked, .method = "GET", .path = "/api/v1/policy"};
  struct dashboard *dashboard = question->dashboard;
  size_t *place = &question->gateway;
  while (*place < dashboard->gateway_count && !dashboard->gateways[*place].is_token_needed) ++*place;
  bool is_asked = *place < dashboard->gateway_count && !dashboard->is_stopping &&
                  forwards_ask(&dashboard->forwards, dashboard->gateways[*place].target, question->token, &asked,
                               on_gateway_answer, question);
  if (is_asked) return;
  if (*place < dashboard->gateway_count) question->failure = 503;
  end_question(question);
}

static void on_gateway_answer(void *user, int status, const char *body, size_t length) {
  struct question *question = user;
  (void) body, (void) length;
  if (status == 200)
    question->is_right[question->gateway] = true;
  else if (status != 401 && status != 403)
    question->failure = status >= 500 ? status : 502;
  question->gateway++;
  ask_next_gateway(question);
}

static void ask_gateways(fluxbp_request_t *request, const char *token, const char *peer) {
  struct question *question = calloc(1, sizeof *question);
  if (question == NULL) {
    fluxbp_request_refuse(request, 503, no_memory);
    return;
  }
  question->dashboard = dashboard_of_request(request);
  question->request = request;
  question->is_secure = came_by_https(request);
  memcpy(question->peer, peer, sizeof question->peer);
  memcpy(question->token, token, sizeof question->token);
  ask_next_gateway(question);
}

/* Requests. */

/* Read {"token":TOKEN}. @return false: the body isn't that, or no token is so long or has such characters */
static bool read_token(fluxbp_text_t body, char token[TOKEN_BYTES]) {
  json_t *object = json_loadb(body.data != NULL ? body.data : "", body.length, 0, NULL);
  const char *text = json_string_value(json_object_get(object, "token"));
  size_t length = text != NULL ? strlen(text) : 0;
  bool is_token = length > 0 && length < TOKEN_BYTES;
  for (size_t i = 0; i < length; i++) is_token = is_token && text[i] > ' ' && text[i] <= '~';
  memset(token, 0, TOKEN_BYTES);
  if (is_token) memcpy(token, text, length);
  json_decref(object);
  return is_token;
}

void login_answer(fluxbp_request_t *request) {
  struct dashboard *dashboard = dashboard_of_request(request);
  const char *own_token = dashboard->options->login_token;
  char token[TOKEN_BYTES], peer[FLUXBP_ADDRESS_TEXT_BYTES], seconds[16];
  if (!login_is_needed(dashboard)) {
    fluxbp_request_refuse(request, 404, "This dashboard has no login.");
    return;
  }
  if (!read_token(fluxbp_request_body(request), token)) {
    fluxbp_request_refuse(request, 400, "A token is 1 to 256 visible characters without a blank.");
    return;
  }
  find_peer(request, peer);
  uint32_t wait_seconds = fluxbp_logins_count_attempt(dashboard->logins, peer, uv_now(&dashboard->loop));
  if (wait_seconds > 0) {
    snprintf(seconds, sizeof seconds, "%" PRIu32, wait_seconds);
    (void) fluxbp_request_add_header(request, "Retry-After", seconds);
    fluxbp_request_refuse(request, 429, "Too many attempts: wait a minute.");
  } else if (own_token[0] == '\0') {
    ask_gateways(request, token, peer);
  } else if (fluxbp_logins_is_same_token(own_token, token, strlen(token))) {
    begin_login(dashboard, request, peer, came_by_https(request));
  } else {
    refuse_login(request, peer);
  }
}

void login_answer_logout(fluxbp_request_t *request) {
  struct dashboard *dashboard = dashboard_of_request(request);
  fluxbp_logins_end(dashboard->logins, login_of(request));
  answer_with_cookie(request, dashboard->cookie, "", 0, came_by_https(request));
}

/* Forget the tokens that gateways don't take any more, and all of them when the last login has ended. A login by a
 * gateway's token ends when no gateway takes such a token. */
static void check_gateway_tokens(struct dashboard *dashboard, size_t login_count) {
  bool was_refused = false, has_token = false;
  for (size_t i = 0; i < dashboard->gateway_count; i++) {
    struct gateway_watch *gateway = &dashboard->gateways[i];
    if (gateway->token[0] == '\0') continue;
    was_refused |= gateway->is_token_refused;
    if (gateway->is_token_refused || login_count == 0)
      gateway_watch_use_token(gateway, "");
    else
      has_token = true;
  }
  if (was_refused && !has_token) fluxbp_logins_end_all(dashboard->logins);
}

void login_tick(struct dashboard *dashboard) {
  check_gateway_tokens(dashboard, fluxbp_logins_expire(dashboard->logins, uv_now(&dashboard->loop)));
  if (login_is_needed(dashboard))
    (void) fluxbp_server_each_session(dashboard->server, close_stream_without_login, NULL, dashboard);
}
