/* SPDX-License-Identifier: MIT */
/*
 * routes: one table of paths, and a function for each. The server asks the program for every path but /sse.
 */
#include "routes.h"

#include "assets.h"
#include "dashboard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char no_gateway[] = "There is no gateway of that number.";

static struct dashboard *dashboard_of(const fluxbp_session_t *session) {
  return fluxbp_server_user(fluxbp_session_server(session));
}

/* Answers. */

/* Every answer forbids the browser to load anything from elsewhere, to run anything inline, and to show the page in a
 * frame. The server adds the rest. */
static void add_safety_headers(fluxbp_request_t *request) {
  static const char policy[] = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  (void) fluxbp_request_add_header(request, "Content-Security-Policy", policy);
  (void) fluxbp_request_add_header(request, "Referrer-Policy", "no-referrer");
  (void) fluxbp_request_add_header(request, "Cross-Origin-Resource-Policy", "same-origin");
}

static void answer_json(fluxbp_request_t *request, int status, const char *body, size_t length) {
  fluxbp_request_answer(request, status, "application/json", body, length);
}

/* `problem` is one sentence, and needs no escaping. */
static void answer_problem(fluxbp_request_t *request, int status, const char *problem) {
  char body[512];
  int length = snprintf(body, sizeof body, "{\"error\":\"%s\"}", problem);
  answer_json(request, status, body, (size_t) length);
}

static void answer_wrong_method(fluxbp_request_t *request, const char *allowed) {
  char problem[64];
  (void) fluxbp_request_add_header(request, "Allow", allowed);
  snprintf(problem, sizeof problem, "Only %s is possible here.", allowed);
  answer_problem(request, 405, problem);
}

/* What requests say. */

/* Return whether a list such as "br, gzip;q=0.5" has an element. */
static bool has_element(fluxbp_text_t list, const char *element) {
  size_t length = strlen(element);
  const char *end = list.data + list.length;
  for (const char *at = list.data; at != NULL && at < end; at = memchr(at, ',', (size_t) (end - at))) {
    while (at < end && (*at == ',' || *at == ' ')) at++;
    bool is_at_end = (size_t) (end - at) == length;
    if ((size_t) (end - at) < length || strncasecmp(at, element, length) != 0) continue;
    if (is_at_end || at[length] == ',' || at[length] == ';' || at[length] == ' ') return true;
  }
  return false;
}

/* Read a number of the query. @return whether there is one; `missing` is taken if the query has none */
static bool number_of(const fluxbp_request_t *request, const char *name, uint64_t missing, uint64_t *number) {
  char text[24];
  int length = fluxbp_request_parameter(request, name, text, sizeof text);
  *number = missing;
  if (length == UV_ENOENT) return missing != UINT64_MAX;
  if (length <= 0 || length > 19 || strspn(text, "0123456789") != (size_t) length) return false;
  *number = strtoull(text, NULL, 10);
  return true;
}

/* Return the gateway that the query names, the first one if it names none; NULL: there is no such gateway. */
static const struct gateway_watch *gateway_of(const fluxbp_request_t *request) {
  const struct dashboard *dashboard = dashboard_of(fluxbp_request_session(request));
  uint64_t number;
  if (!number_of(request, "gateway", 0, &number) || number >= dashboard->gateway_count) return NULL;
  return &dashboard->gateways[number];
}

/* Return whether the browser may evict and change the policy. The server gives the role of an administrator to browsers
 * of this machine if --trust-loopback says so, unless a proxy passes the request on. */
static bool may_act(const fluxbp_request_t *request) {
  const struct options *options = dashboard_of(fluxbp_request_session(request))->options;
  return options->everybody_may_act || (fluxbp_request_roles(request) & FLUXBP_ROLE_ADMIN) != 0;
}

/* @return whether this POST may be carried out; if not, it has been answered */
static bool admit_action(fluxbp_request_t *request) {
  static const char json[] = "application/json";
  fluxbp_text_t type = fluxbp_request_header(request, "Content-Type");
  if (!may_act(request)) {
    answer_problem(request, 403,
                   "This dashboard only shows. To evict and change the policy start it with --trust-loopback, or, "
                   "behind a proxy that asks for a password, with --actions.");
    return false;
  }
  if (type.length >= sizeof json - 1 && strncasecmp(type.data, json, sizeof json - 1) == 0) return true;
  answer_problem(request, 400, "A POST has to be of Content-Type application/json.");
  return false;
}

/* Requests that a gateway answers. */

static void on_answer(void *user, int status, const char *body, size_t length) {
  answer_json(user, status, body, length);
}

static void forward_request(fluxbp_request_t *request, const struct gateway_watch *gateway, const char *method,
                            const char *path, fluxbp_text_t body) {
  struct dashboard *dashboard = dashboard_of(fluxbp_request_session(request));
  const fluxbp_client_request_t asked = {
      .size = sizeof asked, .method = method, .path = path, .body = body.data, .body_length = body.length};
  if (!forwards_ask(&dashboard->forwards, gateway->target, &asked, on_answer, request))
    answer_problem(request, 503, "The dashboard is busy: try again.");
}

static void answer_connection(fluxbp_request_t *request) {
  const struct gateway_watch *gateway = gateway_of(request);
  char path[64];
  uint64_t cell;
  if (gateway == NULL) {
    answer_problem(request, 404, no_gateway);
  } else if (!number_of(request, "cell", UINT64_MAX, &cell)) {
    answer_problem(request, 400, "Say which cell: ?cell=7");
  } else {
    snprintf(path, sizeof path, "/api/v1/connections?cell=%" PRIu64, cell);
    forward_request(request, gateway, "GET", path, (fluxbp_text_t){NULL, 0});
  }
}

static void answer_evict(fluxbp_request_t *request) {
  const struct gateway_watch *gateway = gateway_of(request);
  char path[64];
  uint64_t id;
  if (!admit_action(request)) return;
  if (gateway == NULL) {
    answer_problem(request, 404, no_gateway);
  } else if (!number_of(request, "id", UINT64_MAX, &id)) {
    answer_problem(request, 400, "Say which client: ?id=9");
  } else {
    snprintf(path, sizeof path, "/api/v1/connections/%" PRIu64 "/evict", id);
    forward_request(request, gateway, "POST", path, (fluxbp_text_t){NULL, 0});
  }
}

static void answer_policy(fluxbp_request_t *request) {
  const struct gateway_watch *gateway = gateway_of(request);
  if (!admit_action(request)) return;
  if (gateway == NULL)
    answer_problem(request, 404, no_gateway);
  else
    forward_request(request, gateway, "POST", "/api/v1/policy", fluxbp_request_body(request));
}

/* Requests that the dashboard answers. */

static void answer_gateways(fluxbp_request_t *request) {
  const struct dashboard *dashboard = dashboard_of(fluxbp_request_session(request));
  char text[GATEWAYS_MAX * (GATEWAY_NAME_BYTES + 3) + 64];
  int length = snprintf(text, sizeof text, "{\"gateways\":[");
  for (size_t i = 0; i < dashboard->gateway_count; i++)
    length += snprintf(text + length, sizeof text - (size_t) length, "%s\"%s\"", i > 0 ? "," : "",
                       dashboard->gateways[i].target->name);
  length +=
      snprintf(text + length, sizeof text - (size_t) length, "],\"may_act\":%s}", may_act(request) ? "true" : "false");
  answer_json(request, 200, text, (size_t) length);
}

static void answer_asset(fluxbp_request_t *request, const struct asset *asset) {
  bool takes_gzip = has_element(fluxbp_request_header(request, "Accept-Encoding"), "gzip");
  (void) fluxbp_request_add_header(request, "Cache-Control", "no-cache");
  (void) fluxbp_request_add_header(request, "Vary", "Accept-Encoding");
  if (takes_gzip && fluxbp_request_add_header(request, "Content-Encoding", "gzip") == 0)
    fluxbp_request_answer(request, 200, asset->type, asset->gzip, asset->gzip_length);
  else
    fluxbp_request_answer(request, 200, asset->type, asset->plain, asset->plain_length);
}

static const struct route {
  const char *path, *method;
  void (*answer)(fluxbp_request_t *request);
} routes[] = {
    {"/api/gateways", "GET", answer_gateways},
    {"/api/connection", "GET", answer_connection},
    {"/api/evict", "POST", answer_evict},
    {"/api/policy", "POST", answer_policy},
};

static int on_request(fluxbp_request_t *request) {
  fluxbp_text_t path = fluxbp_request_path(request);
  const char *method = fluxbp_request_method(request);
  add_safety_headers(request);
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    if (!fluxbp_text_is(path, routes[i].path)) continue;
    if (strcmp(method, routes[i].method) == 0)
      routes[i].answer(request);
    else
      answer_wrong_method(request, routes[i].method);
    return 0;
  }
  for (size_t i = 0; i < asset_count; i++) {
    if (!fluxbp_text_is(path, assets[i].path)) continue;
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
      answer_asset(request, &assets[i]);
    else
      answer_wrong_method(request, "GET");
    return 0;
  }
  answer_problem(request, 404, "There is nothing of that name here.");
  return 0;
}

/* A browser may have the boards, and no other topic. */
static fluxbp_decision_t on_subscribe(fluxbp_session_t *session, const char *topic) {
  const struct dashboard *dashboard = dashboard_of(session);
  for (size_t i = 0; i < dashboard->gateway_count; i++)
    if (strcmp(dashboard->gateways[i].board.topic, topic) == 0) return FLUXBP_ALLOW;
  return fluxbp_session_refuse(session, no_gateway);
}

const fluxbp_server_handlers_t routes_handlers = {
    .size = sizeof(fluxbp_server_handlers_t), .on_subscribe = on_subscribe, .on_request = on_request};
