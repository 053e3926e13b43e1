/* SPDX-License-Identifier: MIT */
/*
 * routes: one table of paths, and a function for each. The server asks the program for every path but /sse.
 */
#include "routes.h"

#include "assets.h"
#include "dashboard.h"
#include "login.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char json[] = "application/json";
static const char no_gateway[] = "There is no gateway of that number.";

/* Forbid the browser to load anything from elsewhere, to run anything inline, and to show the page in a frame. */
static void add_safety_headers(fluxbp_request_t *request) {
  static const char policy[] = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  (void) fluxbp_request_add_header(request, "Content-Security-Policy", policy);
  (void) fluxbp_request_add_header(request, "Referrer-Policy", "no-referrer");
  (void) fluxbp_request_add_header(request, "Cross-Origin-Resource-Policy", "same-origin");
}

static void refuse_method(fluxbp_request_t *request, const char *allowed) {
  (void) fluxbp_request_add_header(request, "Allow", allowed);
  fluxbp_request_refuse(request, 405, "Not with this method.");
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

/* Requests that a gateway answers. */

static void on_answer(void *user, int status, const char *body, size_t length) {
  fluxbp_request_answer(user, status, json, body, length);
}

static void forward_request(fluxbp_request_t *request, const struct gateway_watch *gateway, const char *method,
                            const char *path, fluxbp_text_t body) {
  struct dashboard *dashboard = dashboard_of(fluxbp_request_session(request));
  const fluxbp_client_request_t asked = {
      .size = sizeof asked, .method = method, .path = path, .body = body.data, .body_length = body.length};
  if (!forwards_ask(&dashboard->forwards, gateway->target, gateway_watch_token(gateway), &asked, on_answer, request))
    fluxbp_request_refuse(request, 503, "The dashboard is busy: try again.");
}

static void answer_connection(fluxbp_request_t *request) {
  const struct gateway_watch *gateway = gateway_of(request);
  char path[64];
  uint64_t cell;
  if (gateway == NULL) {
    fluxbp_request_refuse(request, 404, no_gateway);
  } else if (!number_of(request, "cell", UINT64_MAX, &cell)) {
    fluxbp_request_refuse(request, 400, "Say which cell: ?cell=7");
  } else {
    snprintf(path, sizeof path, "/api/v1/connections?cell=%" PRIu64, cell);
    forward_request(request, gateway, "GET", path, (fluxbp_text_t){NULL, 0});
  }
}

static void answer_evict(fluxbp_request_t *request) {
  const struct gateway_watch *gateway = gateway_of(request);
  char path[64];
  uint64_t id;
  if (gateway == NULL) {
    fluxbp_request_refuse(request, 404, no_gateway);
  } else if (!number_of(request, "id", UINT64_MAX, &id)) {
    fluxbp_request_refuse(request, 400, "Say which client: ?id=9");
  } else {
    snprintf(path, sizeof path, "/api/v1/connections/%" PRIu64 "/evict", id);
    forward_request(request, gateway, "POST", path, (fluxbp_text_t){NULL, 0});
  }
}

static void answer_policy(fluxbp_request_t *request) {
  const struct gateway_watch *gateway = gateway_of(request);
  if (gateway == NULL)
    fluxbp_request_refuse(request, 404, no_gateway);
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
      snprintf(text + length, sizeof text - (size_t) length, "],\"may_act\":%s,\"is_logged_in\":%s}",
               login_right_of(request) == RIGHT_ACT ? "true" : "false", login_of(request) != 0 ? "true" : "false");
  fluxbp_request_answer(request, 200, json, text, (size_t) length);
}

static void answer_asset(fluxbp_request_t *request, const struct asset *asset) {
  bool takes_gzip = fluxbp_request_header_has(request, "Accept-Encoding", "gzip");
  (void) fluxbp_request_add_header(request, "Cache-Control", "no-cache");
  (void) fluxbp_request_add_header(request, "Vary", "Accept-Encoding");
  if (takes_gzip && fluxbp_request_add_header(request, "Content-Encoding", "gzip") == 0)
    fluxbp_request_answer(request, 200, asset->type, asset->gzip, asset->gzip_length);
  else
    fluxbp_request_answer(request, 200, asset->type, asset->plain, asset->plain_length);
}

static const struct route {
  const char *path, *method;
  enum right right;
  void (*answer)(fluxbp_request_t *request);
} routes[] = {
    {"/api/gateways", "GET", RIGHT_WATCH, answer_gateways}, {"/api/connection", "GET", RIGHT_WATCH, answer_connection},
    {"/api/evict", "POST", RIGHT_ACT, answer_evict},        {"/api/policy", "POST", RIGHT_ACT, answer_policy},
    {"/api/login", "POST", RIGHT_NONE, login_answer},       {"/api/logout", "POST", RIGHT_NONE, login_answer_logout},
};

static bool is_json(const fluxbp_request_t *request) {
  fluxbp_text_t type = fluxbp_request_header(request, "Content-Type");
  return type.length >= sizeof json - 1 && strncasecmp(type.data, json, sizeof json - 1) == 0;
}

static void run_route(fluxbp_request_t *request, const struct route *route) {
  const char *method = fluxbp_request_method(request);
  if (strcmp(method, route->method) != 0)
    refuse_method(request, route->method);
  else if (!login_admit(request, route->right))
    return;
  else if (strcmp(method, "POST") == 0 && !is_json(request))
    fluxbp_request_refuse(request, 400, "A POST has to be of Content-Type application/json.");
  else
    route->answer(request);
}

static int on_request(fluxbp_request_t *request) {
  fluxbp_text_t path = fluxbp_request_path(request);
  const char *method = fluxbp_request_method(request);
  add_safety_headers(request);
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    if (!fluxbp_text_is(path, routes[i].path)) continue;
    run_route(request, &routes[i]);
    return 0;
  }
  for (size_t i = 0; i < asset_count; i++) {
    if (!fluxbp_text_is(path, assets[i].path)) continue;
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
      answer_asset(request, &assets[i]);
    else
      refuse_method(request, "GET");
    return 0;
  }
  fluxbp_request_refuse(request, 404, "There is nothing of that name here.");
  return 0;
}

/* A browser may have the boards, and no other topic. */
static fluxbp_decision_t on_subscribe(fluxbp_session_t *session, const char *topic) {
  const struct dashboard *dashboard = dashboard_of(session);
  for (size_t i = 0; i < dashboard->gateway_count; i++)
    if (strcmp(dashboard->gateways[i].board.topic, topic) == 0) return FLUXBP_ALLOW;
  return fluxbp_session_refuse(session, no_gateway);
}

const fluxbp_server_handlers_t routes_handlers = {.size = sizeof(fluxbp_server_handlers_t),
                                                  .on_connect = login_decide,
                                                  .on_subscribe = on_subscribe,
                                                  .on_request = on_request};
