/* SPDX-License-Identifier: MIT */
/*
 * routes: the table, and what is checked before any of it: Host and Origin, the method, the token.
 */
#include "routes.h"

#include "cors.h"
#include "http_client.h"
#include "own_request.h"
#include "parameters.h"
#include "publish_request.h"
#include "request_token.h"
#include "server/admin/api.h"
#include "server/backbone.h"
#include "server/session/decisions.h"
#include "server/session/identify.h"
#include "server/session/session_grants.h"
#include "server/sse/sse_client.h"
#include "server/websocket/websocket_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef void (*route_run)(fluxbp_session_t *session, const struct http_request *request);

struct route {
  const char *method; /* GET takes HEAD, too, unless its answer has no end */
  const char *path;   /* with "{id}" for a number */
  unsigned role;      /* that it takes, or 0 */
  route_run run;
  unsigned part;          /* of the server that it belongs to */
  const char *parameters; /* of its query, see parameters_check; NULL: any */
  bool is_stream;
};

#define EVENT_PARAMETERS "lastEventId* last_event_id* token" /* polyfills of EventSource may send them anywhere */
#define SUBSCRIBE_PARAMETERS "topic* since last format name " EVENT_PARAMETERS

static void run_livez(fluxbp_session_t *session, const struct http_request *request) {
  (void) request;
  http_answer(session, 200, TYPE_TEXT, "ok\n", 3, NULL);
}

static void run_readyz(fluxbp_session_t *session, const struct http_request *request) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  const char *problem =
      server->options.backbone != NULL ? server->options.backbone->table->problem(server->options.backbone) : NULL;
  char text[128];
  (void) request;
  if (atomic_load(&server->full_topic_tables) > 0)
    problem = "full: clients can't have new topics, as the server's limit of topics is reached";
  if (atomic_load(&server->is_stopping)) problem = "shutting down";
  int length = snprintf(text, sizeof text, "%s\n", problem != NULL ? problem : "ready");
  http_answer(session, problem != NULL ? 503 : 200, TYPE_TEXT, text, (size_t) length, NULL);
}

static const struct route routes[] = {
    {"GET", "/ws", FLUXBP_ROLE_SUBSCRIBE, websocket_client_begin, FLUXBP_PART_WEBSOCKET, SUBSCRIBE_PARAMETERS, true},
    {"GET", "/sse", FLUXBP_ROLE_SUBSCRIBE, sse_client_begin, FLUXBP_PART_SSE, SUBSCRIBE_PARAMETERS, true},
    {"POST", "/api/v1/publish", FLUXBP_ROLE_PUBLISH, publish_request_run, FLUXBP_PART_PUBLISH, "topic key token",
     false},
    {"DELETE", "/api/v1/state", FLUXBP_ROLE_PUBLISH, publish_request_unset, FLUXBP_PART_PUBLISH, "topic key token",
     false},
    {"GET", "/livez", 0, run_livez, FLUXBP_PART_HEALTH, "token", false},
    {"GET", "/readyz", 0, run_readyz, FLUXBP_PART_HEALTH, "token", false},
    {"GET", "/metrics", FLUXBP_ROLE_ADMIN, api_metrics, FLUXBP_PART_METRICS, "token", false},
    {"GET", "/api/v1/stats", FLUXBP_ROLE_ADMIN, api_stats, FLUXBP_PART_ADMIN, "token", false},
    {"GET", "/api/v1/connections", FLUXBP_ROLE_ADMIN, api_connections, FLUXBP_PART_ADMIN, "sort limit cell id token",
     false},
    {"GET", "/api/v1/evictions", FLUXBP_ROLE_ADMIN, api_evictions, FLUXBP_PART_ADMIN, "limit token", false},
    {"POST", "/api/v1/connections/{id}/evict", FLUXBP_ROLE_ADMIN, api_evict, FLUXBP_PART_ADMIN, "token", false},
    {"GET", "/api/v1/policy", FLUXBP_ROLE_ADMIN, api_get_policy, FLUXBP_PART_ADMIN, "token", false},
    {"POST", "/api/v1/policy", FLUXBP_ROLE_ADMIN, api_set_policy, FLUXBP_PART_ADMIN, "token", false},
    {"POST", "/api/v1/revoke", FLUXBP_ROLE_ADMIN, api_revoke, FLUXBP_PART_ADMIN, "token", false},
    {"GET", "/api/v1/watch", FLUXBP_ROLE_ADMIN, sse_client_watch, FLUXBP_PART_WATCH, EVENT_PARAMETERS, true},
};

/* What the program answers. */
static const struct route own_route = {.run = own_request_run};

#define ROUTES (sizeof routes / sizeof routes[0])

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool matches(const char *pattern, struct http_text path) {
  const char *end = path.data + path.length;
  const char *at = path.data;
  while (*pattern != '\0') {
    if (strncmp(pattern, "{id}", 4) == 0) {
      if (at == end || !is_digit(*at)) return false;
      while (at < end && is_digit(*at)) at++;
      pattern += 4;
    } else if (at < end && *pattern == *at) {
      pattern++;
      at++;
    } else {
      return false;
    }
  }
  return at == end;
}

static bool takes(const struct route *route, const char *method) {
  if (strcmp(route->method, method) == 0) return true;
  return strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0 && !route->is_stream;
}

/* The route, or NULL; then `allow` has the methods that the path takes, if it is one at all. */
static const struct route *find_route(unsigned parts, const struct http_request *request, char *allow,
                                      size_t capacity) {
  allow[0] = '\0';
  for (size_t i = 0; i < ROUTES; i++) {
    if ((routes[i].part & parts) == 0 || !matches(routes[i].path, request->path)) continue;
    if (takes(&routes[i], request->method)) return &routes[i];
    size_t used = strlen(allow);
    snprintf(allow + used, capacity - used, "%s%s", used > 0 ? ", " : "", routes[i].method);
  }
  return NULL;
}

static void refuse_unknown_path(fluxbp_session_t *session) {
  http_refuse(session, 404, "there is no such path; see docs/protocol.md", NULL);
}

/* Answer for the program, too: its handler could take the preflight for the request itself. The page's origin is
 * checked already. */
static void run_preflight(fluxbp_session_t *session, const struct http_request *request) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  char lines[CORS_PREFLIGHT_BYTES];
  char allow[64];
  (void) find_route(server->options.parts, request, allow, sizeof allow);
  if (allow[0] == '\0' && server->handlers.on_request == NULL) {
    refuse_unknown_path(session);
    return;
  }
  cors_write_preflight(&server->origins, request, allow[0] != '\0' ? allow : NULL, lines);
  http_answer(session, 204, NULL, NULL, 0, lines);
}

static const struct route preflight_route = {.run = run_preflight};

/* What is known of a request's rights. */
struct judgement {
  bool has_token;      /* it shows a token, or credentials of another kind in its Authorization */
  bool is_limited;     /* what it shows is right, and its subject is beyond a limit */
  const char *problem; /* with what it shows, which then gives nothing; or NULL */
};

static void run_again(struct http_due *due) {
  http_run_again(due->session);
}

static void check_again(struct http_due *due) {
  http_check_again(due->session);
}

/* Set what this request may do; the next one on the connection may be somebody else's.
 * @return false: that isn't known yet, and the request waits */
static bool judge_request(fluxbp_session_t *session, const struct http_request *request, const struct route *route,
                          bool has_body_to_come, struct judgement *judgement) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  char text[REQUEST_TOKEN_BYTES];
  struct http_text token = {NULL, 0};
  unsigned roles;
  *judgement = (struct judgement){0};
  if (http_is_judged(session)) return true;
  bool is_forwarded = http_request_is_forwarded(request);
  session_forget_grants(session);
  /* a browser shows a certificate of its own accord, for any page */
  if (origins_page_of(&server->origins, request) == ORIGINS_UNNAMED) session_end_grants(session);
  session_set_free_roles(session, is_forwarded ? session->free_roles & FLUXBP_ROLE_SUBSCRIBE : session->free_roles);
  bool has_token = request_token_find(request, &server->origins, server->options.token_cookie, text, &token);
  const struct shown shown = {has_token ? token.data : NULL, token.length, request};
  judgement->has_token = has_token || (server->authorizer != NULL && http_request_count(request, "Authorization") > 0);
  enum identity identity = session_identify(session, &shown, &roles, &judgement->problem);
  if (identity == IDENTITY_LATER) {
    decisions_wait(session, 0, has_body_to_come ? check_again : run_again);
    return false;
  }
  if (identity != IDENTITY_REFUSED) judgement->problem = NULL;
  judgement->is_limited = judgement->problem != NULL && limits_have_text(&server->limits, judgement->problem);
  http_note_judged(session, identity == IDENTITY_AWAY && route->role != 0); /* the program sees that it has no rights */
  return true;
}

static void refuse_request(fluxbp_session_t *session, const struct judgement *judgement) {
  char wait[32];
  const char *problem = judgement->problem;
  uint32_t wait_s = judgement->has_token && problem != NULL ? session_token_wait_s(session) : 0;
  (void) snprintf(wait, sizeof wait, "Retry-After: %" PRIu32 "\r\n", wait_s);
  if (wait_s > 0)
    http_refuse(session, 429, problem, wait);
  else if (judgement->is_limited)
    http_refuse(session, 429, problem, LIMIT_RETRY);
  else if (session_has_token(session))
    http_refuse(session, 403, "this token is not for that",
                "WWW-Authenticate: Bearer error=\"insufficient_scope\"\r\n");
  else if (problem != NULL)
    http_refuse(session, 401, problem, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
  else
    http_refuse(session, 401, "this takes a token: send Authorization: Bearer TOKEN, or ?token=TOKEN",
                "WWW-Authenticate: Bearer\r\n");
}

/* Return whether the client may show its token later: a page can't set headers on a WebSocket, and a token in an
 * address gets into logs. */
static bool shows_token_later(const fluxbp_session_t *session, const struct http_request *request,
                              const struct route *route) {
  return route->run == websocket_client_begin && http_request_has_token(request, "Upgrade", "websocket") &&
         (fluxbp_session_server(session)->options.parts & FLUXBP_PART_COMMANDS) != 0;
}

/* @return whether the request may be made; if not the client has been told, or the request waits. One whose rights
 * can't be known as the authorizer is away is refused in the words of its route, behind this */
static bool is_authorized(fluxbp_session_t *session, const struct http_request *request, const struct route *route,
                          bool has_body_to_come) {
  struct judgement judgement;
  unsigned role = route->role;
  if (role == 0 && route != &own_route) { /* for anybody */
    session_forget_grants(session);
    return true;
  }
  if (!judge_request(session, request, route, has_body_to_come, &judgement)) return false;
  if (judgement.is_limited && route->is_stream) {
    http_set_refusal(session, judgement.problem);
    return true;
  }
  if ((session->roles & role) == role || http_is_away(session)) return true;
  if (!judgement.has_token && shows_token_later(session, request, route)) return true;
  session_note_not_allowed(session, (fluxbp_role_t) role, NULL);
  refuse_request(session, &judgement);
  return false;
}

/* The route of a request that may be made; otherwise it has been told why not, or waits. */
static const struct route *route_of(fluxbp_session_t *session, const struct http_request *request,
                                    bool has_body_to_come) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  char allow[64];
  char extra[96];
  char wrong[PARAMETERS_PROBLEM_BYTES];
  const char *problem = origins_check(&fluxbp_session_server(session)->origins, request);
  if (problem != NULL) {
    http_refuse(session, 403, problem, NULL);
    return NULL;
  }
  if (cors_is_preflight(request)) return &preflight_route;
  const struct route *route = find_route(server->options.parts, request, allow, sizeof allow);
  if (route == NULL && allow[0] == '\0' && server->handlers.on_request != NULL) route = &own_route;
  if (route == NULL && allow[0] == '\0') {
    refuse_unknown_path(session);
  } else if (route == NULL) {
    snprintf(extra, sizeof extra, "Allow: %s\r\n", allow);
    http_refuse(session, 405, "not with this method", extra);
  } else if (is_authorized(session, request, route, has_body_to_come)) {
    if (route->parameters != NULL && !parameters_check(request->query, route->parameters, wrong))
      http_refuse(session, 400, wrong, NULL);
    else if (route->is_stream || !http_refuse_unserved(session)) /* streams say it in their own words */
      return route;
  }
  return NULL;
}

bool routes_is_for_events(const struct http_reader *reader) {
  return http_reader_begins_with(reader, "GET /sse") || http_reader_begins_with(reader, "GET /api/v1/watch");
}

bool routes_check(fluxbp_session_t *session, const struct http_request *request) {
  return route_of(session, request, true) != NULL;
}

void routes_run(fluxbp_session_t *session, const struct http_request *request) {
  const struct route *route = route_of(session, request, false);
  bool publishes = route != NULL && route->role == FLUXBP_ROLE_PUBLISH; /* that pays for each message */
  if (!publishes) http_pay(session);
  if (route != NULL) route->run(session, request);
}
