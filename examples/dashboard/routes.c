/* SPDX-License-Identifier: MIT */
/*
 * routes: one table of paths, and a function for each.
 */
#include "routes.h"

#include "assets.h"
#include "dashboard.h"
#include "server/permissions/origins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_gateway[] = "There is no gateway of that number.";

/* A number of the query. @return whether there is one; `missing` is taken where it isn't given */
static bool number_of(const struct http_request *request, const char *name, uint64_t missing, uint64_t *number) {
  char text[24];
  char *end;
  switch (http_query(request->query, name, text, sizeof text)) {
  case HTTP_QUERY_NONE:
    *number = missing;
    return missing != UINT64_MAX;
  case HTTP_QUERY_WRONG:
    return false;
  case HTTP_QUERY_OK:
    break;
  }
  if (strspn(text, "0123456789") != strlen(text) || text[0] == '\0' || strlen(text) > 19) return false;
  *number = strtoull(text, &end, 10);
  return true;
}

/* The gateway that the query names: the first one if it names none. */
static struct gateway_watch *gateway_of(struct visitor *visitor, const struct http_request *request) {
  struct dashboard *dashboard = visitor->dashboard;
  uint64_t number;
  if (!number_of(request, "gateway", 0, &number) || number >= dashboard->gateway_count) return NULL;
  return &dashboard->gateways[number];
}

static void on_answer(void *user, int status, const char *body, size_t length) {
  struct visitor *visitor = user;
  visitor->forward = NULL;
  visitor_answer(visitor, status, body, length);
}

static void forward(struct visitor *visitor, const struct gateway_watch *gateway,
                    const fluxbp_client_request_t *request) {
  visitor->closes_after = true; /* nothing else is answered meanwhile */
  visitor->deadline_ms = 0;     /* the forward has one of its own */
  visitor->forward = forwards_ask(&visitor->dashboard->forwards, gateway->target, request, on_answer, visitor);
  if (visitor->forward == NULL) visitor_refuse(visitor, 503, "The dashboard is busy: try again.");
}

static void answer_events(struct visitor *visitor, const struct http_request *request) {
  const struct gateway_watch *gateway = gateway_of(visitor, request);
  if (gateway == NULL)
    visitor_refuse(visitor, 404, no_gateway);
  else
    visitor_listen(visitor, gateway->board.topic);
}

/* Whether the browser that asks may evict and change the policy. A request that a proxy passes on comes from
 * elsewhere. */
static bool may_act(const struct visitor *visitor, const struct http_request *request) {
  const struct options *options = visitor->dashboard->options;
  return options->everybody_may_act || (options->this_machine_may && !http_request_is_forwarded(request));
}

static void answer_gateways(struct visitor *visitor, const struct http_request *request) {
  const struct dashboard *dashboard = visitor->dashboard;
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  if (out == NULL) {
    visitor_refuse(visitor, 503, "The dashboard is out of memory.");
    return;
  }
  fputs("{\"gateways\":[", out);
  for (size_t i = 0; i < dashboard->gateway_count; i++)
    fprintf(out, "%s\"%s\"", i > 0 ? "," : "", dashboard->gateways[i].target->name);
  fprintf(out, "],\"may_act\":%s}", may_act(visitor, request) ? "true" : "false");
  if (fclose(out) == 0)
    visitor_answer(visitor, 200, text, length);
  else
    visitor_refuse(visitor, 503, "The dashboard is out of memory.");
  free(text);
}

static void answer_connection(struct visitor *visitor, const struct http_request *request) {
  const struct gateway_watch *gateway = gateway_of(visitor, request);
  char path[64];
  uint64_t cell;
  if (gateway == NULL) {
    visitor_refuse(visitor, 404, no_gateway);
  } else if (!number_of(request, "cell", UINT64_MAX, &cell)) {
    visitor_refuse(visitor, 400, "Say which cell: ?cell=7");
  } else {
    snprintf(path, sizeof path, "/api/v1/connections?cell=%" PRIu64, cell);
    forward(visitor, gateway, &(fluxbp_client_request_t){.size = sizeof(fluxbp_client_request_t), .path = path});
  }
}

/* @return whether this POST may be done; if not, the visitor has been told why */
static bool admit_action(struct visitor *visitor, const struct http_request *request) {
  struct http_text type = http_request_header(request, "Content-Type");
  static const char json[] = "application/json";
  if (!may_act(visitor, request)) {
    visitor_refuse(
        visitor, 403,
        "This dashboard only shows. To evict and change the policy start it with --trust-loopback, or, behind a "
        "proxy that asks for a password, with --actions.");
    return false;
  }
  if (type.length >= sizeof json - 1 && strncasecmp(type.data, json, sizeof json - 1) == 0) return true;
  visitor_refuse(visitor, 400, "A POST has to be of Content-Type application/json.");
  return false;
}

static void answer_evict(struct visitor *visitor, const struct http_request *request) {
  const struct gateway_watch *gateway = gateway_of(visitor, request);
  char path[64];
  uint64_t id;
  if (!admit_action(visitor, request)) return;
  if (gateway == NULL) {
    visitor_refuse(visitor, 404, no_gateway);
  } else if (!number_of(request, "id", UINT64_MAX, &id)) {
    visitor_refuse(visitor, 400, "Say which client: ?id=9");
  } else {
    snprintf(path, sizeof path, "/api/v1/connections/%" PRIu64 "/evict", id);
    forward(visitor, gateway,
            &(fluxbp_client_request_t){.size = sizeof(fluxbp_client_request_t), .method = "POST", .path = path});
  }
}

static void answer_policy(struct visitor *visitor, const struct http_request *request) {
  const struct gateway_watch *gateway = gateway_of(visitor, request);
  if (!admit_action(visitor, request)) return;
  if (gateway == NULL) {
    visitor_refuse(visitor, 404, no_gateway);
    return;
  }
  forward(visitor, gateway,
          &(fluxbp_client_request_t){.size = sizeof(fluxbp_client_request_t),
                                     .method = "POST",
                                     .path = "/api/v1/policy",
                                     .body = request->body.data,
                                     .body_length = request->body.length});
}

struct route {
  const char *path;
  const char *method;
  void (*answer)(struct visitor *visitor, const struct http_request *request);
};

static const struct route routes[] = {
    {"/events", "GET", answer_events},
    {"/api/gateways", "GET", answer_gateways},
    {"/api/connection", "GET", answer_connection},
    {"/api/evict", "POST", answer_evict},
    {"/api/policy", "POST", answer_policy},
};

static void answer_asset(struct visitor *visitor, const struct http_request *request) {
  for (size_t i = 0; i < asset_count; i++) {
    if (!http_text_is(request->path, assets[i].path)) continue;
    if (strcmp(request->method, "GET") == 0)
      visitor_send_asset(visitor, i, http_request_has_token(request, "Accept-Encoding", "gzip"));
    else
      visitor_refuse(visitor, 405, "Only GET is possible here.");
    return;
  }
  visitor_refuse(visitor, 404, "There is nothing of that name here.");
}

void routes_answer(struct visitor *visitor, const struct http_request *request) {
  const char *problem = origins_check(&visitor->dashboard->options->origins, request);
  if (problem != NULL) {
    visitor_refuse(visitor, 403, problem);
    return;
  }
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    const struct route *route = &routes[i];
    if (!http_text_is(request->path, route->path)) continue;
    if (strcmp(request->method, route->method) == 0)
      route->answer(visitor, request);
    else
      visitor_refuse(visitor, 405, "Not with this method.");
    return;
  }
  answer_asset(visitor, request);
}
