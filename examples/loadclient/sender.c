/* SPDX-License-Identifier: MIT */
/*
 * sender: the form of a message in each protocol, and the answers.
 */
#define _GNU_SOURCE /* memmem */
#include "sender.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A sender with more than this waiting takes no more: the messages stay with the publisher and its clock. */
static const size_t max_waiting_bytes = 256 * 1024;

static const char default_topic[] = "news"; /* the gateway's */

__attribute__((format(printf, 3, 4))) static void sender_fail(struct sender *sender, int error, const char *format,
                                                              ...) {
  struct publisher_results *results = sender->results;
  va_list arguments;
  if (results->problem[0] != '\0' || sender->is_closed) return;
  results->error = error;
  va_start(arguments, format);
  vsnprintf(results->problem, sizeof results->problem, format, arguments);
  va_end(arguments);
}

static bool is_kind(const struct sender *sender, enum target_kind kind) {
  return sender->options->publish.kind == kind;
}

static void send_bytes(struct sender *sender, const char *data, size_t length) {
  int error = fluxbp_client_send(sender->stream, data, length, 0);
  if (error != 0) sender_fail(sender, error, "publishing: %s", uv_strerror(error));
}

__attribute__((format(printf, 2, 3))) static void send_command(struct sender *sender, const char *format, ...) {
  char command[2048];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(command, sizeof command, format, arguments);
  va_end(arguments);
  send_bytes(sender, command, (size_t) length);
}

/* Answers */

/* Lines of NATS are PONG for everything up to our PING, PING to be answered, INFO, and -ERR with a reason. */
static void on_message(fluxbp_client_t *stream, const fluxbp_client_event_t *line) {
  struct sender *sender = fluxbp_client_user(stream);
  if (!is_kind(sender, TARGET_NATS)) return; /* a message, if it was subscribed to something all the same */
  if (line->length >= 4 && memcmp(line->data, "-ERR", 4) == 0) {
    sender_fail(sender, UV_EPROTO, "NATS answered: %.*s", (int) line->length, line->data);
  } else if (line->length == 4 && memcmp(line->data, "PING", 4) == 0) {
    send_command(sender, "PONG\r");
  } else if (line->length == 4 && memcmp(line->data, "PONG", 4) == 0) {
    sender->results->accepted += sender->pinged - sender->answered;
    sender->answered = sender->pinged;
    sender->pinged = 0;
    sender_flush(sender);
  }
}

static void on_event(fluxbp_client_t *stream, const fluxbp_client_event_t *event) {
  struct sender *sender = fluxbp_client_user(stream);
  bool is_http = is_kind(sender, TARGET_HTTP);
  bool is_error = event->kind == FLUXBP_CLIENT_ERROR || event->kind == FLUXBP_CLIENT_TOO_OLD;
  bool is_busy = is_http ? event->code == 503 || event->code == 429
                         : is_error && memmem(event->data, event->length, "busy", 4) != NULL;
  if (!is_error && event->kind != FLUXBP_CLIENT_ANSWER) return;
  sender->has_request = false;
  if (sender->other_answers > 0) {
    sender->other_answers--;
    return;
  }
  sender->answered++;
  if (is_busy)
    sender->results->refused[sender->index]++;
  else if (is_http && (event->code < 200 || event->code >= 300))
    sender_fail(sender, UV_EPROTO, "the server answered with status %d to a POST", event->code);
  else if (is_error && !is_http)
    sender_fail(sender, UV_EPROTO, "the server answered: %.*s", (int) event->length, event->data);
  else
    sender->results->accepted++;
}

/* Connecting */

/* A connection of lines is subscribed to the default topic, whose messages a publisher doesn't need. */
static void on_open(fluxbp_client_t *stream) {
  struct sender *sender = fluxbp_client_user(stream);
  sender->is_connected = true;
  const char *token = sender->options->token;
  if (is_kind(sender, TARGET_NATS)) {
    send_command(sender, "CONNECT {%s%s%s\"verbose\":false,\"pedantic\":false,\"name\":\"loadclient\"}\r",
                 token != NULL ? "\"auth_token\":\"" : "", token != NULL ? token : "", token != NULL ? "\"," : "");
  } else if (!is_kind(sender, TARGET_HTTP)) {
    sender->other_answers = token != NULL ? 2 : 1; /* AUTH is the library's */
    send_command(sender, "UNSUB %s", default_topic);
  }
}

static void on_disconnect(fluxbp_client_t *stream, const fluxbp_client_disconnect_t *disconnect) {
  struct sender *sender = fluxbp_client_user(stream);
  snprintf(sender->results->connect_problem, RESULTS_FAILURE_BYTES, "%s", disconnect->problem);
  sender_fail(sender, disconnect->error, "%s: %s",
              disconnect->was_connected ? "the server closed the publisher's connection"
                                        : "could not connect to publish",
              disconnect->problem);
}

static void on_close(fluxbp_client_t *stream, int status) {
  struct sender *sender = fluxbp_client_user(stream);
  (void) status;
  sender->stream = NULL;
}

static const fluxbp_client_handlers_t handlers = {.size = sizeof handlers,
                                                  .on_open = on_open,
                                                  .on_message = on_message,
                                                  .on_event = on_event,
                                                  .on_disconnect = on_disconnect,
                                                  .on_close = on_close};

/* The library takes a server of NATS for one of lines. */
static int create_stream(struct sender *sender, uv_loop_t *loop) {
  const struct options *given = sender->options;
  fluxbp_client_options_t options;
  fluxbp_client_options_init(&options);
  options.url = is_kind(sender, TARGET_NATS) ? "tcp://nats:1" : given->publish.text; /* the address says where */
  if (is_kind(sender, TARGET_HTTP)) options.protocol = FLUXBP_CLIENT_HTTP;
  options.address = (const struct sockaddr *) &given->publish.address;
  options.dialect = is_kind(sender, TARGET_NATS) ? FLUXBP_CLIENT_DIALECT_PLAIN : FLUXBP_CLIENT_DIALECT_FLUXBP;
  options.handlers = &handlers;
  options.user = sender;
  options.token = given->token;
  options.tls = given->tls.tls;
  options.resumes = options.reconnects = 0;
  options.connect_timeout_ms = options.ping_interval_ms = 0;
  options.max_queued_bytes = SIZE_MAX / 2; /* sender_can_take has a limit of its own */
  int error = fluxbp_client_create(loop, &options, &sender->stream);
  return error != 0 ? error : fluxbp_client_connect(sender->stream);
}

/* Put together the part of a request or command that is the same for all messages. @return whether it fits */
static bool init_place(struct sender *sender) {
  const char *path = sender->options->publish.path, *topic = sender->options->topic;
  bool has_path = path[0] == '/' && path[1] != '\0', has_topic = strstr(path, "topic=") != NULL;
  const char *mark = has_topic ? "" : strchr(path, '?') != NULL ? "&topic=" : "?topic=";
  int length;
  if (topic == NULL) topic = default_topic;
  if (is_kind(sender, TARGET_NATS)) /* without a path the gateway's subject of the topic */
    length =
        snprintf(sender->place, sizeof sender->place, "%s%s", has_path ? "" : "fluxbp.", has_path ? path + 1 : topic);
  else if (is_kind(sender, TARGET_HTTP))
    length = snprintf(sender->place, sizeof sender->place, "%s%s%s%s", *path == '/' ? "" : "/api/v1/publish", path,
                      mark, has_topic ? "" : topic);
  else
    length = snprintf(sender->place, sizeof sender->place, "PUB %s ", topic);
  return (size_t) length < sizeof sender->place;
}

void sender_open(struct sender *sender, uv_loop_t *loop, const struct options *options,
                 struct publisher_results *results, uint32_t index) {
  sender->options = options;
  sender->results = results;
  sender->index = index;
  sender->is_connected = is_kind(sender, TARGET_STDOUT);
  int error = !init_place(sender) ? UV_ENAMETOOLONG : is_kind(sender, TARGET_STDOUT) ? 0 : create_stream(sender, loop);
  if (error != 0) sender_fail(sender, error, "could not connect to publish: %s", uv_strerror(error));
}

/* Sending */

static size_t queued_bytes(const struct sender *sender) {
  fluxbp_client_stats_t stats;
  if (sender->stream == NULL) return 0;
  fluxbp_client_get_stats(sender->stream, &stats);
  return (size_t) stats.queued_bytes;
}

bool sender_can_take(const struct sender *sender) {
  if (!sender->is_connected || sender->results->problem[0] != '\0') return false;
  return is_kind(sender, TARGET_HTTP) ? !sender->has_request : queued_bytes(sender) < max_waiting_bytes;
}

void sender_put(struct sender *sender, const char *message, size_t length) {
  size_t place_length = strlen(sender->place);
  if (is_kind(sender, TARGET_HTTP)) {
    fluxbp_client_request_t request = {
        .size = sizeof request, .method = "POST", .path = sender->place, .body = message, .body_length = length};
    int error = fluxbp_client_send_request(sender->stream, &request);
    sender->has_request = error == 0;
    if (error != 0) sender_fail(sender, error, "publishing: %s", uv_strerror(error));
  } else if (is_kind(sender, TARGET_NATS)) {
    send_command(sender, "PUB %s %zu\r", sender->place, length);
    memcpy(sender->text, message, length);
    sender->text[length] = '\r';
    send_bytes(sender, sender->text, length + 1);
  } else if (is_kind(sender, TARGET_STDOUT)) {
    fwrite(message, 1, length, stdout); /* may wait for a pipe's reader, which makes the next message late */
    putchar('\n');
  } else {
    memcpy(sender->text, sender->place, place_length);
    memcpy(sender->text + place_length, message, length);
    send_bytes(sender, sender->text, place_length + length);
  }
  sender->results->sent[sender->index] = ++sender->sent;
}

void sender_flush(struct sender *sender) {
  if (!sender->is_connected || sender->results->problem[0] != '\0') return;
  if (is_kind(sender, TARGET_STDOUT)) {
    if (fflush(stdout) != 0) sender_fail(sender, uv_translate_sys_error(errno), "standard output: %s", strerror(errno));
    return;
  }
  if (is_kind(sender, TARGET_NATS) && sender->pinged == 0 && sender->sent > sender->answered) {
    send_command(sender, "PING\r");
    sender->pinged = sender->sent;
  }
  fluxbp_client_flush(sender->stream);
}

bool sender_is_idle(const struct sender *sender) {
  if (is_kind(sender, TARGET_STDOUT) || sender->results->problem[0] != '\0') return true;
  return queued_bytes(sender) == 0 && sender->answered >= sender->sent;
}

void sender_close(struct sender *sender) {
  if (sender->is_closed) return;
  sender->is_closed = true;
  if (sender->stream != NULL) fluxbp_client_close(sender->stream, 1000, NULL, 0);
}
