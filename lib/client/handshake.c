/* SPDX-License-Identifier: MIT */
/*
 * handshake: the first bytes of a connection, and HTTP: answers to handshakes, bodies of streams, requests.
 */
#include "client.h"

#include "backoff.h"
#include "websocket.h"

#include <arpa/inet.h>
#include <strings.h>

bool fluxbp__is_header_text(const char *text, bool may_have_lines) {
  for (; *text != '\0'; text++) {
    bool is_line_end = may_have_lines && text[0] == '\r' && text[1] == '\n';
    if (is_line_end) text++;
    if (!is_line_end && ((unsigned char) *text < ' ' || *text == 0x7f) && *text != '\t') return false;
    if (may_have_lines && text[1] == '\0' && !is_line_end) return false; /* the last line has to end */
  }
  return true;
}

/* The client is open */

static void become_open(fluxbp_client_t *client) {
  client->state = FLUXBP__CLIENT_OPEN;
  client->was_open = true;
  client->opened_ms = client->heard_ms = client->asked_ms = fluxbp__client_now(client);
  client->due_ms = UINT64_MAX;
  client->stats.opens++;
  fluxbp__client_drop_attempt(client);
  if (!client->options.resumes) client->position.length = 0; /* `since` is for the first connection */
  fluxbp__client_flush_now(client);
  fluxbp__client_update_reading(client);
  fluxbp__client_schedule(client);
  if (client->handlers.on_open != NULL) client->handlers.on_open(client);
}

static bool append_first_message(fluxbp_client_t *client) {
  const fluxbp_client_options_t *options = &client->options;
  if (options->first_message == NULL || client->options.protocol == FLUXBP_CLIENT_SSE) return true;
  if (options->protocol == FLUXBP_CLIENT_HTTP) return true;
  if (options->protocol == FLUXBP_CLIENT_WEBSOCKET)
    return fluxbp__websocket_append(&client->stream, &client->waiting,
                                    options->first_message_is_binary ? FLUXBP__BINARY : FLUXBP__TEXT,
                                    options->first_message, options->first_message_length);
  return fluxbp__client_append_command(client, options->first_message, options->first_message_length);
}

/* Lines and frames */

bool fluxbp__client_append_command(fluxbp_client_t *client, const char *command, size_t length) {
  fluxbp__buffer_t *out = &client->waiting;
  if (!fluxbp__buffer_reserve(out, length + 4)) return false;
  if (client->options.protocol == FLUXBP_CLIENT_LENGTH) {
    uint32_t prefix = htonl((uint32_t) length);
    fluxbp__buffer_append(out, &prefix, sizeof prefix);
  }
  fluxbp__buffer_append(out, command, length);
  if (client->options.protocol == FLUXBP_CLIENT_LINES) fluxbp__buffer_append(out, "\n", 1);
  return true;
}

static bool append_command_with(fluxbp_client_t *client, const char *verb, const char *text, size_t length) {
  fluxbp__buffer_t command = {0};
  bool is_appended = fluxbp__buffer_print(&command, "%s%.*s", verb, (int) length, text) &&
                     fluxbp__client_append_command(client, command.data, command.length);
  fluxbp__buffer_free(&command);
  return is_appended;
}

static bool append_commands(fluxbp_client_t *client) {
  const fluxbp_client_options_t *options = &client->options;
  const char *position = fluxbp__client_position_or_null(client);
  bool is_appended = true;
  if (fluxbp__client_is_plain(client)) return true;
  client->has_new_token = false;
  if (options->token != NULL)
    is_appended = append_command_with(client, "AUTH ", options->token, strlen(options->token));
  for (const char *topic = options->topics; is_appended && topic != NULL && *topic != '\0';) {
    size_t length = strcspn(topic, ",");
    if (length > 0) is_appended = append_command_with(client, "SUB ", topic, length);
    topic += length + (topic[length] == ',');
  }
  if (options->resumes) is_appended = is_appended && append_command_with(client, "IDS", "", 0);
  if (position != NULL) is_appended = is_appended && append_command_with(client, "RESUME ", position, strlen(position));
  client->expects_ids = options->resumes;
  client->is_resuming = position != NULL;
  return is_appended;
}

/* HTTP */

static const char *default_path(const fluxbp_client_t *client) {
  if (fluxbp__client_is_plain(client) || client->url.protocol == FLUXBP_CLIENT_HTTP) return "/";
  return client->options.protocol == FLUXBP_CLIENT_WEBSOCKET ? "/ws" : "/sse";
}

/* Append the query for a libfluxbp server. */
static bool append_query(fluxbp_client_t *client) {
  const fluxbp_client_options_t *options = &client->options;
  const char *position = fluxbp__client_position_or_null(client);
  bool is_websocket = options->protocol == FLUXBP_CLIENT_WEBSOCKET, is_appended = true;
  char mark = strchr(client->url.path, '?') != NULL ? '&' : '?';
  if (fluxbp__client_is_plain(client)) return true;
  if (options->topics != NULL) {
    is_appended = fluxbp__buffer_print(&client->waiting, "%ctopic=%s", mark, options->topics);
    mark = '&';
  }
  if (is_websocket && options->resumes) {
    is_appended = is_appended && fluxbp__buffer_print(&client->waiting, "%cformat=json", mark);
    mark = '&';
  }
  bool is_in_header = !is_websocket && position != NULL && fluxbp__dialect_id_length(position, strlen(position)) > 0;
  if (position == NULL || is_in_header) return is_appended;
  return is_appended && fluxbp__buffer_print(&client->waiting, "%csince=%s", mark, position);
}

/* Last-Event-ID, unless the position is a word that stands in the query. */
static bool append_last_id(fluxbp_client_t *client) {
  const char *position = fluxbp__client_position_or_null(client);
  if (position == NULL) return true;
  if (!fluxbp__client_is_plain(client) && fluxbp__dialect_id_length(position, strlen(position)) == 0) return true;
  return fluxbp__buffer_print(&client->waiting, "Last-Event-ID: %s\r\n", position);
}

static bool append_upgrade(fluxbp_client_t *client) {
  char key[FLUXBP__KEY_BYTES];
  const char *subprotocols = client->options.subprotocols;
  return fluxbp__websocket_make_key(key, client->attempt->accept) &&
         fluxbp__buffer_print(&client->waiting,
                              "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: %s\r\n%s%s%s",
                              key, subprotocols != NULL ? "Sec-WebSocket-Protocol: " : "",
                              subprotocols != NULL ? subprotocols : "", subprotocols != NULL ? "\r\n" : "");
}

/* Append the headers that each request has. */
static bool append_headers(fluxbp_client_t *client) {
  const fluxbp_client_options_t *options = &client->options;
  const char *token = options->token;
  client->has_new_token = false;
  return fluxbp__buffer_print(&client->waiting, " HTTP/1.1\r\nHost: %.*s\r\n%s%s%s%s",
                              (int) client->url.authority_length, client->url.authority,
                              token != NULL ? "Authorization: Bearer " : "", token != NULL ? token : "",
                              token != NULL ? "\r\n" : "", options->headers != NULL ? options->headers : "");
}

static bool append_handshake(fluxbp_client_t *client) {
  const char *path = client->url.path;
  bool is_websocket = client->options.protocol == FLUXBP_CLIENT_WEBSOCKET;
  return fluxbp__buffer_print(&client->waiting, "GET %s%s", *path == '/' ? "" : default_path(client), path) &&
         append_query(client) && append_headers(client) &&
         (is_websocket
              ? append_upgrade(client)
              : fluxbp__buffer_print(&client->waiting, "Accept: text/event-stream\r\nCache-Control: no-cache\r\n") &&
                    append_last_id(client)) &&
         fluxbp__buffer_append(&client->waiting, "\r\n", 2);
}

static void refuse_in_http(fluxbp_client_t *client, const fluxbp__http_head_t *head) {
  bool is_redirect = head->status >= 300 && head->status < 400 && head->location[0] != '\0';
  const char *problem =
      is_redirect
          ? fluxbp__http_describe(client->http, "the server redirects to %s, which is not followed", head->location)
          : fluxbp__http_describe(client->http, "the server refuses with status %d", head->status);
  client->loss.status = head->status;
  if (head->retry_after_s >= 0) client->loss.hint_ms = head->retry_after_s * 1000;
  client->loss.is_final = fluxbp__backoff_is_final_status(head->status);
  fluxbp__client_lose(client, UV_EPROTO, problem);
}

/* Whether `name` is one of a list with commas. */
static bool is_in_list(const char *name, const char *list) {
  for (const char *at = list; at != NULL && *at != '\0';) {
    at += strspn(at, ", ");
    size_t length = strcspn(at, ", ");
    if (length > 0 && length == strlen(name) && memcmp(at, name, length) == 0) return true;
    at += length;
  }
  return false;
}

static void check_upgrade(fluxbp_client_t *client, const fluxbp__http_head_t *head) {
  const char *subprotocols = client->options.subprotocols, *problem = NULL;
  if (strcmp(head->accept, client->attempt->accept) != 0)
    problem = "the server answers with a wrong Sec-WebSocket-Accept";
  if (head->has_extensions) problem = "the server uses a WebSocket extension that was not asked for";
  if (subprotocols == NULL && head->subprotocol[0] != '\0')
    problem = "the server speaks a subprotocol that was not asked for";
  if (subprotocols != NULL && !is_in_list(head->subprotocol, subprotocols))
    problem = "the server speaks none of the subprotocols";
  if (problem != NULL) fluxbp__client_lose_for_good(client, UV_EPROTO, problem);
}

static void on_head(void *user, const fluxbp__http_head_t *head) {
  static const char events[] = "text/event-stream";
  fluxbp_client_t *client = user;
  switch (client->options.protocol) {
  case FLUXBP_CLIENT_WEBSOCKET:
    if (head->status == 101)
      check_upgrade(client, head);
    else
      refuse_in_http(client, head);
    break;
  case FLUXBP_CLIENT_SSE:
    if (head->status != 200)
      refuse_in_http(client, head);
    else if (strncasecmp(head->content_type, events, sizeof events - 1) != 0)
      fluxbp__client_lose_for_good(client, UV_EPROTO, "the answer is not a stream of events (text/event-stream)");
    else
      become_open(client);
    break;
  default:
    client->status = head->status;
    client->body.length = 0;
    if (!client->has_request)
      fluxbp__client_lose(client, UV_EPROTO, "the server sends an answer that was not asked for");
    break;
  }
}

static void on_body(void *user, const char *data, size_t length) {
  fluxbp_client_t *client = user;
  if (client->state != FLUXBP__CLIENT_OPEN) return;
  if (client->options.protocol == FLUXBP_CLIENT_SSE) {
    fluxbp__stream_feed(&client->stream, data, length);
    fluxbp__client_check_stream(client);
  } else if (length > client->options.max_message_bytes - client->body.length) {
    fluxbp__client_lose(client, UV_EMSGSIZE, "an answer is larger than max_message_bytes");
  } else if (!fluxbp__buffer_append(&client->body, data, length)) {
    fluxbp__client_lose(client, UV_ENOMEM, NULL);
  }
}

static void end_answer(fluxbp_client_t *client) {
  fluxbp_client_event_t event = {.kind = FLUXBP_CLIENT_ANSWER,
                                 .code = client->status,
                                 .data = client->body.length > 0 ? client->body.data : NULL,
                                 .length = client->body.length,
                                 .read_ns = client->read_ns};
  client->has_request = false;
  if (!fluxbp__http_keeps_alive(client->http)) fluxbp__client_sleep(client);
  if (client->handlers.on_event != NULL) client->handlers.on_event(client, &event);
}

static void on_end(void *user) {
  fluxbp_client_t *client = user;
  if (client->state != FLUXBP__CLIENT_OPEN) return;
  if (client->options.protocol == FLUXBP_CLIENT_HTTP)
    end_answer(client);
  else if (fluxbp__stream_is_holding(&client->stream))
    client->has_ended = true; /* held events come first */
  else
    fluxbp__client_lose(client, UV_EOF, "the server ended the stream");
}

static const fluxbp__http_callbacks_t http_callbacks = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

void fluxbp__client_feed_http(fluxbp_client_t *client, const char *data, size_t length) {
  size_t left;
  const char *problem = fluxbp__http_feed(client->http, data, length, &left);
  bool is_handshaking = client->state == FLUXBP__CLIENT_HANDSHAKING;
  if (!is_handshaking && client->state != FLUXBP__CLIENT_OPEN) return;
  if (problem != NULL && is_handshaking)
    fluxbp__client_lose_for_good(client, UV_EPROTO, problem);
  else if (problem != NULL)
    fluxbp__client_lose(client, UV_EPROTO, problem);
  if (client->state != FLUXBP__CLIENT_HANDSHAKING || !fluxbp__http_is_upgraded(client->http)) return;
  fluxbp__http_free(client->http);
  client->http = NULL;
  if (!append_first_message(client)) {
    fluxbp__client_lose(client, UV_ENOMEM, NULL);
    return;
  }
  become_open(client);
  if (client->state != FLUXBP__CLIENT_OPEN) return;
  fluxbp__stream_feed(&client->stream, data + length - left, left);
  fluxbp__client_check_stream(client);
}

static bool say_first(fluxbp_client_t *client) {
  if (!fluxbp__client_speaks_http(client)) return append_commands(client) && append_first_message(client);
  client->http = fluxbp__http_create(&http_callbacks, client->options.max_header_bytes, client);
  if (client->http == NULL) return false;
  fluxbp__http_expect_no_body(client->http, client->is_head_request && client->has_request);
  return client->options.protocol == FLUXBP_CLIENT_HTTP || append_handshake(client);
}

void fluxbp__client_greet(fluxbp_client_t *client) {
  if (client->handlers.on_connect != NULL) client->handlers.on_connect(client);
  if (client->state != FLUXBP__CLIENT_CONNECTING) return;
  client->stream.has_ids = client->options.resumes && !fluxbp__client_is_plain(client);
  client->stream.is_plain = fluxbp__client_is_plain(client);
  client->checks_repeats = client->position.length > 0 && !client->options.passes_repeats;
  if (!say_first(client)) {
    fluxbp__client_lose(client, UV_ENOMEM, NULL);
    return;
  }
  client->is_greeting = client->options.protocol != FLUXBP_CLIENT_HTTP;
  if (!fluxbp__client_speaks_http(client) || client->options.protocol == FLUXBP_CLIENT_HTTP) {
    become_open(client);
    return;
  }
  client->state = FLUXBP__CLIENT_HANDSHAKING;
  fluxbp__client_set_due(client, client->options.handshake_timeout_ms);
  fluxbp__client_flush_now(client);
  fluxbp__client_update_reading(client);
}

/* Requests */

static bool is_word(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char) *text <= ' ' || (unsigned char) *text >= 0x7f) return false;
  return true;
}

static bool append_request(fluxbp_client_t *client, const fluxbp_client_request_t *request) {
  const char *path = request->path != NULL ? request->path : client->url.path;
  const char *method = request->method != NULL ? request->method : request->body != NULL ? "POST" : "GET";
  bool has_body = request->body != NULL || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
  size_t length_before = client->waiting.length;
  bool is_appended =
      fluxbp__buffer_print(&client->waiting, "%s %s%s", method, *path == '/' ? "" : "/", path) &&
      append_headers(client) &&
      (request->headers == NULL ||
       fluxbp__buffer_append(&client->waiting, request->headers, strlen(request->headers))) &&
      (!has_body || fluxbp__buffer_print(&client->waiting, "Content-Length: %zu\r\n", request->body_length)) &&
      fluxbp__buffer_append(&client->waiting, "\r\n", 2) &&
      fluxbp__buffer_append(&client->waiting, request->body, request->body_length);
  if (!is_appended) client->waiting.length = length_before;
  client->is_head_request = strcmp(method, "HEAD") == 0;
  return is_appended;
}

int fluxbp_client_send_request(fluxbp_client_t *client, const fluxbp_client_request_t *given) {
  fluxbp_client_request_t request = {.size = sizeof request};
  int error = fluxbp__client_copy_sized(&request, sizeof request, given);
  if (error != 0) return error;
  if (client->options.protocol != FLUXBP_CLIENT_HTTP) return UV_ENOTSUP;
  bool is_sleeping = client->state == FLUXBP__CLIENT_SLEEPING, is_open = client->state == FLUXBP__CLIENT_OPEN;
  bool is_coming = client->state == FLUXBP__CLIENT_WAITING || client->state == FLUXBP__CLIENT_CONNECTING;
  if (!is_sleeping && !is_open && !is_coming) return UV_ENOTCONN;
  if (client->has_request) return UV_EBUSY;
  if ((request.method != NULL && !is_word(request.method)) || (request.path != NULL && !is_word(request.path)))
    return UV_EINVAL;
  if (request.headers != NULL && !fluxbp__is_header_text(request.headers, true)) return UV_EINVAL;
  if (!append_request(client, &request)) return UV_ENOMEM;
  client->has_request = true;
  client->asked_ms = fluxbp__client_now(client);
  if (is_sleeping) fluxbp__client_wake_timer(client); /* it connects */
  if (!is_open) return 0;
  fluxbp__http_expect_no_body(client->http, client->is_head_request);
  fluxbp__client_wake_flusher(client);
  fluxbp__client_schedule(client);
  return 0;
}
