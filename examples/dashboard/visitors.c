/* SPDX-License-Identifier: MIT */
/*
 * visitors: what arrives is given to the HTTP reader, each request to routes; answers are messages of the library's.
 */
#include "visitors.h"

#include "assets.h"
#include "common/log.h"
#include "dashboard.h"
#include "routes.h"
#include "server/http/http_response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MS 10000 /* from the accept, or the answer before, to the last byte of a request */

/* Half of that: a request that is sent just before the announced end still has its time. */
#define KEEP_ALIVE "Keep-Alive: timeout=5\r\n"
#define CLOSE_DEADLINE_MS 1000
#define BODY_BYTES_MAX 4096

/* What every answer says to the browser: nothing from elsewhere, nothing inline, in no frame, no guessing of types. */
#define SAFETY_HEADERS                                                                                                 \
  "Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"       \
  "X-Content-Type-Options: nosniff\r\n"                                                                                \
  "Referrer-Policy: no-referrer\r\n"                                                                                   \
  "Cross-Origin-Resource-Policy: same-origin\r\n"

static ptrdiff_t encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                 size_t capacity) {
  (void) codec;
  return snprintf(out, capacity, "event: farewell\ndata: {\"reason\":\"%s\"}\n\n", fluxbp_evict_reason_name(reason));
}

/* The messages of a board are events already. */
static const fluxbp_codec_t events_codec = {
    .size = sizeof events_codec, .name = "events", .encode_farewell = encode_farewell};

static uint64_t now_ms(const struct visitor *visitor) {
  return uv_now(fluxbp_hub_loop(fluxbp_conn_hub(visitor->conn)));
}

static void visitor_close(struct visitor *visitor) {
  visitor->is_closing = true;
  fluxbp_conn_close(visitor->conn, CLOSE_DEADLINE_MS);
}

/* An answer with a hole in it would be worse than none: what can't be queued whole ends the connection. */
static bool send_bytes(struct visitor *visitor, const void *bytes, size_t length) {
  if (fluxbp_conn_send_bytes(visitor->conn, bytes, length) == 1) return true;
  visitor->is_closing = true;
  fluxbp_conn_reset(visitor->conn);
  return false;
}

/* What all answers begin with. `more` are further headers. */
static bool send_head(struct visitor *visitor, int status, const char *type, const char *more) {
  char head[1024];
  int length =
      snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n" SAFETY_HEADERS "%s%s\r\n", status,
               http_status_text(status), type, more, visitor->closes_after ? "Connection: close\r\n" : KEEP_ALIVE);
  return send_bytes(visitor, head, (size_t) length);
}

/* The answer is complete. */
static void end_answer(struct visitor *visitor) {
  visitor->deadline_ms = now_ms(visitor) + REQUEST_MS;
  if (visitor->closes_after && !visitor->is_closing) visitor_close(visitor);
}

void visitor_answer(struct visitor *visitor, int status, const char *body, size_t length) {
  char more[128];
  snprintf(more, sizeof more, "Cache-Control: no-store\r\n%sContent-Length: %zu\r\n",
           status == 405 ? "Allow: GET, POST\r\n" : "", length);
  if (!send_head(visitor, status, "application/json", more)) return;
  if (length > 0 && !send_bytes(visitor, body, length)) return;
  end_answer(visitor);
}

void visitor_refuse(struct visitor *visitor, int status, const char *problem) {
  char body[512];
  int length = snprintf(body, sizeof body, "{\"error\":\"%s\"}", problem);
  visitor_answer(visitor, status, body, (size_t) length);
}

void visitor_send_asset(struct visitor *visitor, size_t index, bool takes_gzip) {
  const struct asset *asset = &assets[index];
  char more[192];
  snprintf(more, sizeof more, "Cache-Control: no-cache\r\nVary: Accept-Encoding\r\n%sContent-Length: %zu\r\n",
           takes_gzip ? "Content-Encoding: gzip\r\n" : "", takes_gzip ? asset->gzip_length : asset->plain_length);
  if (!send_head(visitor, 200, asset->type, more)) return;
  if (send_bytes(visitor, takes_gzip ? asset->gzip : asset->plain,
                 takes_gzip ? asset->gzip_length : asset->plain_length))
    end_answer(visitor);
}

void visitor_listen(struct visitor *visitor, fluxbp_topic_t *topic) {
  visitor->is_listening = true;
  visitor->closes_after = true; /* its end is the end of the connection */
  visitor->deadline_ms = 0;
  if (!send_head(visitor, 200, "text/event-stream", "Cache-Control: no-store\r\n")) return;
  static const char first[] = "retry: 1000\n\n";
  if (!send_bytes(visitor, first, sizeof first - 1)) return;
  int err = fluxbp_conn_set_codec(visitor->conn, &events_codec);
  if (err == 0) err = fluxbp_topic_subscribe(topic, visitor->conn);
  if (err >= 0) return;
  log_event(LOG_LEVEL_WARN, "not_listening", log_word("peer", visitor->peer), log_phrase("error", uv_strerror(err)));
  visitor->is_closing = true;
  fluxbp_conn_reset(visitor->conn);
}

/* While an answer is on its way from a gateway, and after the last one, what arrives is not looked at. */
static bool is_asking(const struct visitor *visitor) {
  return !visitor->is_closing && !visitor->is_listening && !visitor->closes_after;
}

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
  struct visitor *visitor = fluxbp_conn_user(conn);
  const struct http_request *request;
  while (is_asking(visitor)) {
    switch (http_reader_take(&visitor->reader, &data, &length, &request)) {
    case HTTP_MORE:
      return;
    case HTTP_CONTINUE:
      send_bytes(visitor, go_on, sizeof go_on - 1);
      return;
    case HTTP_REQUEST:
      visitor->closes_after = !request->keeps_alive;
      routes_answer(visitor, request);
      break;
    case HTTP_REFUSED:
      visitor->closes_after = true;
      visitor_refuse(visitor, visitor->reader.status, visitor->reader.problem);
      break;
    }
  }
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  struct visitor *visitor = fluxbp_conn_user(conn);
  visitor->is_closing = true;
  log_event(LOG_LEVEL_INFO, "browser_evicted", log_word("peer", visitor->peer),
            log_word("reason", fluxbp_evict_reason_name(record->reason)),
            log_phrase("cause", fluxbp_cause_name(record->cause)),
            log_number("since_progress_ms", record->since_progress_ms));
}

static void add_visitor(struct visitor *visitor) {
  struct visitor **first = &visitor->dashboard->visitors;
  visitor->next = *first;
  visitor->link = first;
  if (*first != NULL) (*first)->link = &visitor->next;
  *first = visitor;
}

static void remove_visitor(struct visitor *visitor) {
  *visitor->link = visitor->next;
  if (visitor->next != NULL) visitor->next->link = visitor->link;
}

static void on_close(fluxbp_conn_t *conn, int status) {
  struct visitor *visitor = fluxbp_conn_user(conn);
  (void) status;
  if (visitor->forward != NULL) forward_cancel(visitor->forward);
  remove_visitor(visitor);
  fluxbp_listener_release(visitor->listener, visitor->permit);
  http_reader_reset(&visitor->reader);
  free(visitor);
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers, .on_data = on_data, .on_evicted = on_evicted, .on_close = on_close};

static int begin_visit(struct visitor *visitor, uv_os_sock_t fd) {
  int err = uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(visitor->conn), fd);
  if (err != 0) {
    close(fd);
    return err;
  }
  return fluxbp_conn_start(visitor->conn);
}

void visitors_take(struct dashboard *dashboard, fluxbp_listener_t *listener, uv_os_sock_t fd,
                   const struct sockaddr *peer, fluxbp_permit_t permit) {
  fluxbp_conn_options_t options;
  struct visitor *visitor = calloc(1, sizeof *visitor);
  fluxbp_conn_options_init(&options);
  options.handlers = &handlers;
  options.user = visitor;
  if (visitor == NULL || fluxbp_conn_create(dashboard->hub, &options, &visitor->conn) != 0) {
    close(fd);
    fluxbp_listener_release(listener, permit);
    free(visitor);
    return;
  }
  visitor->dashboard = dashboard;
  add_visitor(visitor);
  visitor->listener = listener;
  visitor->permit = permit;
  visitor->deadline_ms = now_ms(visitor) + REQUEST_MS;
  address_format(peer, visitor->peer, sizeof visitor->peer);
  http_reader_init(&visitor->reader, BODY_BYTES_MAX);
  int err = begin_visit(visitor, fd);
  if (err == 0) return;
  log_event(LOG_LEVEL_WARN, "connect_failed", log_word("peer", visitor->peer), log_phrase("error", uv_strerror(err)));
  fluxbp_conn_reset(visitor->conn);
}

void visitors_tick(struct dashboard *dashboard) {
  for (struct visitor *visitor = dashboard->visitors; visitor != NULL; visitor = visitor->next) {
    if (visitor->is_closing || visitor->deadline_ms == 0 || now_ms(visitor) < visitor->deadline_ms) continue;
    visitor->closes_after = true;
    if (http_reader_is_busy(&visitor->reader))
      visitor_refuse(visitor, 408, "The request did not arrive within 10 s.");
    else
      visitor_close(visitor);
  }
}
