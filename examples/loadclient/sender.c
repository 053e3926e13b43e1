/* SPDX-License-Identifier: MIT */
/*
 * sender: the form of a message in each protocol, and the answers.
 */
#define _GNU_SOURCE /* memmem */
#include "sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sender with more than this waiting takes no more: the messages stay with the publisher and its clock. */
static const size_t max_waiting_bytes = 256 * 1024;

static const char default_topic[] = "news"; /* the gateway's */

static void sender_fail(struct sender *sender, int error, const char *problem, const char *detail, size_t length) {
  if (sender->problem[0] != '\0' || sender->is_closed) return;
  sender->error = error;
  snprintf(sender->problem, sizeof sender->problem, "%s%.*s", problem, (int) length, detail);
  sender->on_change(sender);
}

static void sender_fail_with(struct sender *sender, const char *problem, int error) {
  sender_fail(sender, error, problem, uv_strerror(error), strlen(uv_strerror(error)));
}

static bool is_http(const struct sender *sender) {
  return sender->options->publish.protocol == FLUXBP_CLIENT_HTTP;
}

static bool is_nats(const struct sender *sender) {
  return sender->options->publish.kind == TARGET_NATS;
}

static bool is_stdout(const struct sender *sender) {
  return sender->options->publish.kind == TARGET_STDOUT;
}

static void append_bytes(struct sender *sender, const char *data, size_t length) {
  if (sender->text_length + length > sender->text_capacity) {
    size_t capacity = 2 * (sender->text_length + length);
    char *grown = realloc(sender->text, capacity);
    if (grown == NULL) {
      sender_fail_with(sender, "publishing: ", UV_ENOMEM);
      return;
    }
    sender->text = grown;
    sender->text_capacity = capacity;
  }
  memcpy(sender->text + sender->text_length, data, length);
  sender->text_length += length;
}

static void append_text(struct sender *sender, const char *text) {
  append_bytes(sender, text, strlen(text));
}

/* Send the appended text as a line or frame. */
static void send_text(struct sender *sender) {
  int error = fluxbp_client_send(sender->stream, sender->text, sender->text_length, 0);
  sender->text_length = 0;
  if (error != 0) sender_fail_with(sender, "publishing: ", error);
}

static void send_words(struct sender *sender, const char *verb, const char *text) {
  append_text(sender, verb);
  append_text(sender, text);
  send_text(sender);
}

/* Answers */

/* Lines of NATS are PONG for everything up to our PING, PING to be answered, INFO, and -ERR with a reason. */
static void on_message(fluxbp_client_t *stream, const fluxbp_client_event_t *line) {
  struct sender *sender = fluxbp_client_user(stream);
  if (!is_nats(sender)) return; /* a message, if it was subscribed to something all the same */
  if (line->length >= 4 && memcmp(line->data, "-ERR", 4) == 0) {
    sender_fail(sender, UV_EPROTO, "NATS answered: ", line->data, line->length);
  } else if (line->length == 4 && memcmp(line->data, "PING", 4) == 0) {
    send_words(sender, "PONG\r", "");
  } else if (line->length == 4 && memcmp(line->data, "PONG", 4) == 0) {
    sender->accepted = sender->pinged;
    sender->pinged = 0;
    sender_flush(sender);
    sender->on_change(sender);
  }
}

static void take_response(struct sender *sender, int status) {
  char text[64];
  sender->has_request = false;
  if (status == 503 || status == 429)
    sender->refused++;
  else if (status >= 200 && status < 300)
    sender->accepted++;
  else
    sender_fail(sender, UV_EPROTO, "the server answered with status ", text,
                (size_t) snprintf(text, sizeof text, "%d to a POST", status));
}

static void on_event(fluxbp_client_t *stream, const fluxbp_client_event_t *event) {
  struct sender *sender = fluxbp_client_user(stream);
  bool is_error = event->kind == FLUXBP_CLIENT_ERROR || event->kind == FLUXBP_CLIENT_TOO_OLD;
  bool is_busy = is_error && memmem(event->data, event->length, "busy", 4) != NULL;
  if (!is_error && event->kind != FLUXBP_CLIENT_ANSWER) return;
  if (is_http(sender))
    take_response(sender, event->code);
  else if (sender->other_answers > 0)
    sender->other_answers--;
  else if (is_error && !is_busy)
    sender_fail(sender, UV_EPROTO, "the server answered: ", event->data, event->length);
  else if (is_busy)
    sender->refused++;
  else
    sender->accepted++;
  sender->on_change(sender);
}

/* Connecting */

static void greet_nats(struct sender *sender) {
  const char *token = sender->options->token;
  append_text(sender, token != NULL ? "CONNECT {\"auth_token\":\"" : "CONNECT {");
  append_text(sender, token != NULL ? token : "");
  append_text(sender, token != NULL ? "\"," : "");
  send_words(sender, "\"verbose\":false,\"pedantic\":false,\"name\":\"loadclient\"}\r", "");
}

/* A connection of lines is subscribed to the default topic, whose messages a publisher doesn't need. */
static void on_open(fluxbp_client_t *stream) {
  struct sender *sender = fluxbp_client_user(stream);
  sender->is_connected = true;
  if (is_nats(sender)) {
    greet_nats(sender);
  } else if (!is_http(sender)) {
    sender->other_answers = sender->options->token != NULL ? 2 : 1; /* AUTH is the library's */
    send_words(sender, "UNSUB ", default_topic);
  }
  sender->on_change(sender);
}

static void on_drain(fluxbp_client_t *stream) {
  struct sender *sender = fluxbp_client_user(stream);
  sender->on_change(sender);
}

static void on_disconnect(fluxbp_client_t *stream, const fluxbp_client_disconnect_t *disconnect) {
  struct sender *sender = fluxbp_client_user(stream);
  if (!disconnect->was_connected)
    sender_fail_with(sender, "could not connect to publish: ", disconnect->error);
  else if (disconnect->error == UV_EPROTO)
    sender_fail(sender, UV_EPROTO, "the server's answer: ", disconnect->problem, strlen(disconnect->problem));
  else
    sender_fail_with(sender, "the server closed the publisher's connection: ", disconnect->error);
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
                                                  .on_drain = on_drain,
                                                  .on_disconnect = on_disconnect,
                                                  .on_close = on_close};

/* The library takes a server of NATS for one of lines. */
static int create_stream(struct sender *sender, uv_loop_t *loop) {
  const struct options *given = sender->options;
  fluxbp_client_options_t options;
  fluxbp_client_options_init(&options);
  options.url = is_nats(sender) ? "tcp://nats:1" : given->publish.text; /* the address says where */
  options.protocol = given->publish.protocol;
  options.address = (const struct sockaddr *) &given->publish.address;
  options.dialect = is_nats(sender) ? FLUXBP_CLIENT_DIALECT_PLAIN : FLUXBP_CLIENT_DIALECT_FLUXBP;
  options.handlers = &handlers;
  options.user = sender;
  options.token = given->token;
  options.resumes = options.reconnects = 0;
  options.connect_timeout_ms = options.ping_interval_ms = 0;
  options.max_queued_bytes = SIZE_MAX / 2; /* sender_can_take has a limit of its own */
  int error = fluxbp_client_create(loop, &options, &sender->stream);
  return error != 0 ? error : fluxbp_client_connect(sender->stream);
}

void sender_open(struct sender *sender, uv_loop_t *loop, const struct options *options, uint32_t index,
                 sender_cb on_change) {
  sender->options = options;
  sender->index = index;
  sender->on_change = on_change;
  sender->is_connected = is_stdout(sender);
  int error = is_stdout(sender) ? 0 : create_stream(sender, loop);
  if (error != 0) sender_fail_with(sender, "could not connect to publish: ", error);
}

/* Sending */

static size_t queued_bytes(const struct sender *sender) {
  fluxbp_client_stats_t stats;
  if (sender->stream == NULL) return sender->text_length;
  fluxbp_client_get_stats(sender->stream, &stats);
  return (size_t) stats.queued_bytes;
}

bool sender_can_take(const struct sender *sender) {
  if (!sender->is_connected || sender->problem[0] != '\0') return false;
  return is_http(sender) ? !sender->has_request : queued_bytes(sender) < max_waiting_bytes;
}

static const char *topic_of(const struct options *options) {
  return options->topic != NULL ? options->topic : default_topic;
}

static void put_http(struct sender *sender, const char *message, size_t length) {
  const char *path = sender->options->publish.path;
  bool has_path = *path == '/', has_topic = strstr(path, "topic=") != NULL;
  append_text(sender, has_path ? "" : "/api/v1/publish");
  append_text(sender, path);
  if (!has_topic) {
    append_text(sender, strchr(path, '?') != NULL ? "&topic=" : "?topic=");
    append_text(sender, topic_of(sender->options));
  }
  append_bytes(sender, "", 1);
  fluxbp_client_request_t request = {
      .size = sizeof request, .method = "POST", .path = sender->text, .body = message, .body_length = length};
  int error = fluxbp_client_send_request(sender->stream, &request);
  sender->text_length = 0;
  sender->has_request = error == 0;
  if (error != 0) sender_fail_with(sender, "publishing: ", error);
}

static void put_nats(struct sender *sender, const char *message, size_t length) {
  const char *path = sender->options->publish.path;
  char command[700];
  bool has_subject = path[0] == '/' && path[1] != '\0'; /* else the gateway's subject of the topic */
  snprintf(command, sizeof command, "PUB %s%s %zu\r", has_subject ? "" : "fluxbp.",
           has_subject ? path + 1 : topic_of(sender->options), length);
  send_words(sender, command, "");
  append_bytes(sender, message, length);
  send_words(sender, "\r", "");
}

void sender_put(struct sender *sender, const char *message, size_t length) {
  if (is_http(sender)) {
    put_http(sender, message, length);
  } else if (is_nats(sender)) {
    put_nats(sender, message, length);
  } else if (is_stdout(sender)) {
    append_bytes(sender, message, length);
    append_text(sender, "\n");
  } else {
    append_text(sender, "PUB ");
    append_text(sender, topic_of(sender->options));
    append_text(sender, " ");
    append_bytes(sender, message, length);
    send_text(sender);
  }
  sender->sent++;
}

/* Write, and wait for the reader of a pipe. The next message counts that time as late. */
static void write_stdout(struct sender *sender) {
  size_t written = 0;
  while (written < sender->text_length) {
    ssize_t length = write(STDOUT_FILENO, sender->text + written, sender->text_length - written);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) {
      sender_fail_with(sender, "standard output: ", uv_translate_sys_error(errno));
      return;
    }
    written += (size_t) length;
  }
  sender->text_length = 0;
}

void sender_flush(struct sender *sender) {
  if (!sender->is_connected || sender->problem[0] != '\0') return;
  if (is_stdout(sender)) {
    write_stdout(sender);
    return;
  }
  if (is_nats(sender) && sender->pinged == 0 && sender->sent > sender->accepted) {
    send_words(sender, "PING\r", "");
    sender->pinged = sender->sent;
  }
  fluxbp_client_flush(sender->stream);
}

bool sender_is_idle(const struct sender *sender) {
  if (is_stdout(sender) || sender->problem[0] != '\0') return true;
  return queued_bytes(sender) == 0 && sender->accepted + sender->refused >= sender->sent;
}

void sender_close(struct sender *sender) {
  if (sender->is_closed) return;
  sender->is_closed = true;
  if (sender->stream != NULL) fluxbp_client_close(sender->stream, 1000, NULL, 0);
}

void sender_free(struct sender *sender) {
  free(sender->text);
}
