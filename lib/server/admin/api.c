/* SPDX-License-Identifier: MIT */
/*
 * api: see the header and docs/protocol.md.
 */
#include "api.h"

#include "api_call.h"
#include "evictions.h"
#include "report.h"
#include "server/http/http_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 24

/* A number in the query. @return false: it is there and isn't one */
static bool query_number(const struct http_request *request, const char *name, uint64_t *number) {
  char text[NUMBER_BYTES];
  enum http_query_outcome outcome = http_query(request->query, name, text, sizeof text);
  if (outcome == HTTP_QUERY_NONE) return true;
  if (outcome == HTTP_QUERY_WRONG || strspn(text, "0123456789") != strlen(text) || text[0] == '\0') return false;
  *number = strtoull(text, NULL, 10);
  return *number < UINT64_MAX;
}

/* The metrics, and the snapshot: both from a report. */

static void visit_report(struct shard *shard, struct survey *survey) {
  report_take(((struct api_call *) survey)->request, shard, false);
}

static void free_report(struct api_call *call) {
  report_free(call->request);
}

static void finish_metrics(struct api_call *call) {
  report_add_up(call->request);
  call->text = calloc(1, sizeof *call->text);
  call->type = "text/plain; version=0.0.4; charset=utf-8";
  if (call->text != NULL) report_metrics(call->request, call->text);
}

static void finish_stats(struct api_call *call) {
  report_add_up(call->request);
  call->object = report_snapshot(call->request, &call->server->policy);
}

static void start_report(fluxbp_session_t *session, void (*finish)(struct api_call *call)) {
  struct report *report = report_create(fluxbp_session_server(session));
  if (report == NULL) {
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return;
  }
  api_call_start(
      session,
      (struct api_call){.survey = {.visit = visit_report}, .finish = finish, .free = free_report, .request = report});
}

void api_metrics(fluxbp_session_t *session, const struct http_request *request) {
  (void) request;
  start_report(session, finish_metrics);
}

void api_stats(fluxbp_session_t *session, const struct http_request *request) {
  (void) request;
  start_report(session, finish_stats);
}

/* Connections: those of all hubs in one order, or a single one. */

struct connections_request {
  bool is_cell, is_id;
  uint64_t cell, id;
  struct listing *sum;
  struct listing *of_hub[FLUXBP_WORKERS_MAX];
};

static fluxbp_session_t *find_id(struct shard *shard, uint64_t id) {
  if (id == 0 || (id - 1) % shard->server->shard_count != shard->index) return NULL;
  for (uint32_t cell = 0; cell < shard->cells.count; cell++)
    if (shard->cells.sessions[cell] != NULL && fluxbp_session_id(shard->cells.sessions[cell]) == id)
      return shard->cells.sessions[cell];
  return NULL;
}

static void visit_connections(struct shard *shard, struct survey *survey) {
  struct connections_request *wanted = ((struct api_call *) survey)->request;
  struct listing *listing = wanted->of_hub[shard->index];
  if (!wanted->is_cell && !wanted->is_id) {
    listing_take(listing, shard);
    return;
  }
  fluxbp_session_t *session = wanted->is_cell ? shard_session_at(shard, wanted->cell) : find_id(shard, wanted->id);
  if (session != NULL) listing_take_one(listing, session);
}

static void finish_connections(struct api_call *call) {
  struct connections_request *wanted = call->request;
  for (size_t i = 0; i < call->server->shard_count; i++) listing_merge(wanted->sum, wanted->of_hub[i]);
  call->object = json_pack("{so}", "connections", listing_array(wanted->sum));
}

static void free_connections(struct api_call *call) {
  struct connections_request *wanted = call->request;
  listing_free(wanted->sum);
  for (size_t i = 0; i < FLUXBP_WORKERS_MAX; i++) listing_free(wanted->of_hub[i]);
  free(wanted);
}

static bool parse_sort(const struct http_request *request, enum listing_sort *sort) {
  static const char *const names[] = {
      [SORT_LAG] = "lag", [SORT_FILL] = "fill", [SORT_BYTES] = "bytes", [SORT_ID] = "id"};
  char text[8];
  enum http_query_outcome outcome = http_query(request->query, "sort", text, sizeof text);
  *sort = SORT_LAG;
  if (outcome == HTTP_QUERY_NONE) return true;
  for (size_t i = 0; outcome == HTTP_QUERY_OK && i < sizeof names / sizeof names[0]; i++) {
    *sort = (enum listing_sort) i;
    if (strcmp(text, names[i]) == 0) return true;
  }
  return false;
}

static bool create_listings(struct connections_request *wanted, enum listing_sort sort, size_t limit, size_t hubs) {
  wanted->sum = listing_create(sort, limit);
  bool is_complete = wanted->sum != NULL;
  for (size_t i = 0; i < hubs; i++) {
    wanted->of_hub[i] = listing_create(sort, limit);
    is_complete = is_complete && wanted->of_hub[i] != NULL;
  }
  return is_complete;
}

void api_connections(fluxbp_session_t *session, const struct http_request *request) {
  enum listing_sort sort;
  uint64_t limit = 20;
  uint64_t cell = UINT64_MAX;
  uint64_t id = UINT64_MAX;
  if (!parse_sort(request, &sort)) {
    http_refuse(session, 400, "sort is lag, fill, bytes or id", NULL);
    return;
  }
  if (!query_number(request, "limit", &limit) || limit == 0 || limit > LISTING_MAX) {
    http_refuse(session, 400, "limit is a number from 1 to 200", NULL);
    return;
  }
  if (!query_number(request, "cell", &cell) || !query_number(request, "id", &id)) {
    http_refuse(session, 400, "cell and id are numbers", NULL);
    return;
  }
  struct connections_request *wanted = calloc(1, sizeof *wanted);
  struct api_call call = {.survey = {.visit = visit_connections},
                          .finish = finish_connections,
                          .free = free_connections,
                          .request = wanted};
  if (wanted != NULL) {
    wanted->is_cell = cell != UINT64_MAX;
    wanted->is_id = id != UINT64_MAX;
    wanted->cell = cell;
    wanted->id = id;
    if (create_listings(wanted, sort, (size_t) limit, fluxbp_session_server(session)->shard_count)) {
      api_call_start(session, call);
      return;
    }
    free_connections(&call);
  }
  http_refuse(session, 503, "out of memory; try again later", NULL);
}

/* Evictions: the server's loop has them. */

static void finish_evictions(struct api_call *call) {
  size_t limit = (size_t) (uintptr_t) call->request;
  call->object = json_pack("{so}", "evictions", evictions_list(call->server->evictions, limit));
}

void api_evictions(fluxbp_session_t *session, const struct http_request *request) {
  uint64_t limit = 100;
  if (!query_number(request, "limit", &limit) || limit == 0 || limit > EVICTIONS_KEPT) {
    http_refuse(session, 400, "limit is a number from 1 to 256", NULL);
    return;
  }
  api_call_start(session, (struct api_call){.finish = finish_evictions, .request = (void *) (uintptr_t) limit});
}

/* Evicting one. */

struct evict_request {
  char by[FLUXBP_ACTOR_TEXT_BYTES];
  uint64_t id;
  atomic_bool is_found;
};

static void visit_evict(struct shard *shard, struct survey *survey) {
  struct evict_request *wanted = ((struct api_call *) survey)->request;
  fluxbp_session_t *session = find_id(shard, wanted->id);
  if (session == NULL || session->is_closing) return;
  atomic_store(&wanted->is_found, true);
  evictions_note_admin(session, wanted->by);
  if (fluxbp_conn_is_backpressured(fluxbp_session_conn(session))) /* it wouldn't come to reading why */
    session_lose(session);
  else
    session_close(session, FLUXBP_CLOSE_ADMIN, "closed by an administrator");
}

static void finish_evict(struct api_call *call) {
  struct evict_request *wanted = call->request;
  if (atomic_load(&wanted->is_found)) {
    call->object = json_pack("{sI}", "evicted", (json_int_t) wanted->id);
    return;
  }
  call->status = 404;
  call->object = json_pack("{ss}", "error", "there is no connection of that id, or not any more");
}

static void free_request(struct api_call *call) {
  free(call->request);
}

void api_evict(fluxbp_session_t *session, const struct http_request *request) {
  static const char before[] = "/api/v1/connections/";
  char text[NUMBER_BYTES];
  struct evict_request *wanted = calloc(1, sizeof *wanted);
  if (wanted == NULL) {
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return;
  }
  /* the route has seen to it that digits come there; too many are no connection's */
  snprintf(text, sizeof text, "%.*s", (int) (request->path.length - sizeof before + 1),
           request->path.data + sizeof before - 1);
  wanted->id = strtoull(text, NULL, 10);
  fluxbp_session_actor(session, FLUXBP_ROLE_ADMIN, wanted->by);
  api_call_start(
      session, (struct api_call){
                   .survey = {.visit = visit_evict}, .finish = finish_evict, .free = free_request, .request = wanted});
}
