/* SPDX-License-Identifier: MIT */
/*
 * sender: two buffers, one that collects what is put, one that libuv writes; they change places.
 */
#define _GNU_SOURCE /* memmem */
#include "sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than this waiting, and it takes no more: what can't be sent stays with the publisher, whose clock it's on. */
static const size_t max_waiting_bytes = 256 * 1024;

static const char default_topic[] = "news"; /* the gateway's */

static char read_buffer[64 * 1024]; /* of all senders: what is read is used up at once */

static void fail(struct sender *sender, const char *what, int error) {
  if (sender->problem[0] != '\0' || sender->is_closed) return;
  sender->error = error;
  snprintf(sender->problem, sizeof sender->problem, "%s: %s", what, uv_strerror(error));
  sender->on_change(sender);
}

static void fail_in_words(struct sender *sender, const char *what, const char *detail, size_t length) {
  if (sender->problem[0] != '\0') return;
  sender->error = UV_EPROTO;
  snprintf(sender->problem, sizeof sender->problem, "%s%.*s", what, (int) length, detail);
  sender->on_change(sender);
}

static bool is_http(const struct sender *sender) {
  return sender->options->publish.protocol == PROTOCOL_HTTP;
}

static bool is_nats(const struct sender *sender) {
  return sender->options->publish.protocol == PROTOCOL_NATS;
}

static bool is_stdout(const struct sender *sender) {
  return sender->options->publish.protocol == PROTOCOL_STDOUT;
}

static void append(struct sender *sender, const void *data, size_t length) {
  struct sender_buffer *buffer = &sender->waiting;
  if (buffer->length + length > buffer->capacity) {
    size_t capacity = 2 * (buffer->length + length);
    char *grown = realloc(buffer->data, capacity);
    if (grown == NULL) {
      fail(sender, "publishing", UV_ENOMEM);
      return;
    }
    buffer->data = grown;
    buffer->capacity = capacity;
  }
  memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
}

/* Answers */

/* The lines of NATS: PONG for everything up to our PING, PING to be answered, INFO, and -ERR 'what'. */
static void take_nats_line(struct sender *sender, const struct stream_event *event) {
  if (event->kind == STREAM_ERROR) {
    fail_in_words(sender, "NATS answered: ", event->data, event->length);
  } else if (event->length == 4 && memcmp(event->data, "PING", 4) == 0) {
    append(sender, "PONG\r\n", 6);
    sender_flush(sender);
  } else if (event->length == 4 && memcmp(event->data, "PONG", 4) == 0) {
    sender->accepted = sender->pinged;
    sender->pinged = 0;
    sender_flush(sender);
  }
}

static void on_event(struct stream *stream, const struct stream_event *event) {
  struct sender *sender = stream->data;
  if (is_nats(sender)) {
    take_nats_line(sender, event);
    return;
  }
  bool is_error = event->kind == STREAM_ERROR || event->kind == STREAM_TOO_OLD;
  bool is_answer = is_error || event->kind == STREAM_ANSWER;
  if (!is_answer) return; /* a message, if it was subscribed to something all the same */
  if (sender->other_answers > 0) {
    sender->other_answers--;
    return;
  }
  bool is_busy = is_error && memmem(event->data, event->length, "busy", 4) != NULL;
  if (is_error && !is_busy)
    fail_in_words(sender, "the server answered: ", event->data, event->length);
  else if (is_busy)
    sender->refused++;
  else
    sender->accepted++;
}

static void on_head(void *data, int status) {
  struct sender *sender = data;
  sender->status = status;
}

static void on_body(void *data, const char *bytes, size_t length) {
  (void) data;
  (void) bytes;
  (void) length;
}

static void connect_to_target(struct sender *sender);

static void on_closed_to_return(uv_handle_t *handle) {
  struct sender *sender = handle->data;
  sender->is_handle_busy = false;
  if (!sender->is_closed) connect_to_target(sender);
}

static void return_to_target(struct sender *sender) {
  sender->is_connected = false;
  if (!uv_is_closing((uv_handle_t *) &sender->tcp)) uv_close((uv_handle_t *) &sender->tcp, on_closed_to_return);
}

static void on_end(void *data) {
  struct sender *sender = data;
  char status[64];
  sender->has_request = false;
  if (sender->status == 503 || sender->status == 429)
    sender->refused++;
  else if (sender->status >= 200 && sender->status < 300)
    sender->accepted++;
  else
    fail_in_words(sender, "the server answered with status ", status,
                  (size_t) snprintf(status, sizeof status, "%d to a POST", sender->status));
  if (!http_answer_keeps_alive(sender->answer)) return_to_target(sender);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void) handle;
  (void) suggested;
  *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *tcp, ssize_t length, const uv_buf_t *buffer) {
  struct sender *sender = tcp->data;
  if (length == 0) return;
  if (length < 0 && is_http(sender) && !sender->has_request) { /* it was idle for too long */
    return_to_target(sender);
    return;
  }
  if (length < 0) {
    fail(sender, "the server closed the publisher's connection", (int) length);
    return;
  }
  size_t left;
  const char *problem = NULL;
  if (is_http(sender))
    problem = http_answer_feed(sender->answer, buffer->base, (size_t) length, &left);
  else
    stream_feed(&sender->stream, buffer->base, (size_t) length);
  if (problem != NULL) fail_in_words(sender, "the server's answer: ", problem, strlen(problem));
  sender->on_change(sender);
}

/* Connecting */

static void say_hello_to_nats(struct sender *sender) {
  char hello[500], token[300] = "";
  if (sender->options->token != NULL) snprintf(token, sizeof token, "\"auth_token\":\"%s\",", sender->options->token);
  int length = snprintf(hello, sizeof hello,
                        "CONNECT {%s\"verbose\":false,\"pedantic\":false,\"name\":\"loadclient\"}\r\n", token);
  append(sender, hello, (size_t) length);
}

/* Publishers don't want what they publish; everybody on lines is subscribed to the default topic. */
static void say_hello(struct sender *sender) {
  const struct options *options = sender->options;
  char command[300], out[320];
  size_t length;
  if (options->token != NULL) {
    snprintf(command, sizeof command, "AUTH %s", options->token);
    length = target_command(options->publish.protocol, command, out, sizeof out);
    append(sender, out, length);
    sender->other_answers++;
  }
  snprintf(command, sizeof command, "UNSUB %s", default_topic);
  length = target_command(options->publish.protocol, command, out, sizeof out);
  append(sender, out, length);
  sender->other_answers++;
}

static void on_connect(uv_connect_t *request, int status) {
  struct sender *sender = request->data;
  if (status == UV_ECANCELED) return;
  if (status == 0) status = uv_read_start((uv_stream_t *) &sender->tcp, lend_buffer, on_read);
  if (status != 0) {
    fail(sender, "could not connect to publish", status);
    return;
  }
  sender->is_connected = true;
  if (is_nats(sender))
    say_hello_to_nats(sender);
  else if (!is_http(sender))
    say_hello(sender);
  sender_flush(sender);
  sender->on_change(sender);
}

static void connect_to_target(struct sender *sender) {
  static const struct http_answer_callbacks callbacks = {on_head, on_body, on_end};
  const struct target *target = &sender->options->publish;
  http_answer_free(sender->answer);
  sender->answer = http_answer_create(&callbacks, sender);
  int error = uv_tcp_init(sender->loop, &sender->tcp);
  sender->tcp.data = sender->connect.data = sender->write.data = sender;
  sender->is_handle_busy = error == 0;
  if (error == 0) uv_tcp_nodelay(&sender->tcp, 1);
  if (error == 0)
    error = uv_tcp_connect(&sender->connect, &sender->tcp, (const struct sockaddr *) &target->address, on_connect);
  if (error != 0 || sender->answer == NULL)
    fail(sender, "could not connect to publish", error != 0 ? error : UV_ENOMEM);
}

void sender_open(struct sender *sender, uv_loop_t *loop, const struct options *options, uint32_t index,
                 sender_cb on_change) {
  sender->loop = loop;
  sender->options = options;
  sender->index = index;
  sender->on_change = on_change;
  stream_init(&sender->stream, is_nats(sender) ? PROTOCOL_LINES : options->publish.protocol, on_event);
  sender->stream.data = sender;
  if (is_stdout(sender))
    sender->is_connected = true;
  else
    connect_to_target(sender);
}

/* Sending */

bool sender_can_take(const struct sender *sender) {
  if (!sender->is_connected || sender->problem[0] != '\0') return false;
  if (is_http(sender)) return !sender->has_request;
  return sender->waiting.length < max_waiting_bytes;
}

static const char *topic_of(const struct options *options) {
  return options->topic != NULL ? options->topic : default_topic;
}

static void put_post(struct sender *sender, const char *message, size_t length) {
  const struct options *options = sender->options;
  const char *path = options->publish.path;
  char head[2048], topic[128] = "", authorization[400] = "";
  if (strstr(path, "topic=") == NULL)
    snprintf(topic, sizeof topic, "%ctopic=%s", strchr(path, '?') != NULL ? '&' : '?', topic_of(options));
  if (options->token != NULL)
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s\r\n", options->token);
  int head_length = snprintf(head, sizeof head, "POST %s%s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %zu\r\n\r\n", path,
                             topic, options->publish.host, authorization, length);
  append(sender, head, (size_t) head_length);
  append(sender, message, length);
  sender->has_request = true;
}

static void put_command(struct sender *sender, const char *message, size_t length) {
  const struct options *options = sender->options;
  char command[128];
  size_t command_length = (size_t) snprintf(command, sizeof command, "PUB %s ", topic_of(options));
  uint32_t prefix = htonl((uint32_t) (command_length + length));
  bool has_prefix = options->publish.protocol == PROTOCOL_LENGTH;
  if (has_prefix) append(sender, &prefix, sizeof prefix);
  append(sender, command, command_length);
  append(sender, message, length);
  if (!has_prefix) append(sender, "\n", 1);
}

static void put_nats(struct sender *sender, const char *message, size_t length) {
  const char *path = sender->options->publish.path;
  char command[700];
  int command_length;
  if (path[0] == '/' && path[1] != '\0')
    command_length = snprintf(command, sizeof command, "PUB %s %zu\r\n", path + 1, length);
  else /* what the gateway makes of a topic */
    command_length = snprintf(command, sizeof command, "PUB fluxbp.%s %zu\r\n", topic_of(sender->options), length);
  append(sender, command, (size_t) command_length);
  append(sender, message, length);
  append(sender, "\r\n", 2);
}

void sender_put(struct sender *sender, const char *message, size_t length) {
  if (is_http(sender)) {
    put_post(sender, message, length);
  } else if (is_nats(sender)) {
    put_nats(sender, message, length);
  } else if (is_stdout(sender)) {
    append(sender, message, length);
    append(sender, "\n", 1);
  } else {
    put_command(sender, message, length);
  }
  sender->sent++;
}

static void on_written(uv_write_t *request, int status) {
  struct sender *sender = request->data;
  sender->is_writing = false;
  if (status == UV_ECANCELED) return;
  if (status != 0) {
    fail(sender, "publishing", status);
    return;
  }
  sender_flush(sender);
  sender->on_change(sender);
}

/* Waits for the reader of a pipe; how late messages become by it is seen at the next one. */
static void write_stdout(struct sender *sender) {
  struct sender_buffer *buffer = &sender->waiting;
  size_t written = 0;
  while (written < buffer->length) {
    ssize_t length = write(STDOUT_FILENO, buffer->data + written, buffer->length - written);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) {
      fail(sender, "standard output", uv_translate_sys_error(errno));
      return;
    }
    written += (size_t) length;
  }
  buffer->length = 0;
}

void sender_flush(struct sender *sender) {
  if (sender->is_writing || !sender->is_connected) return;
  if (is_nats(sender) && sender->pinged == 0 && sender->sent > sender->accepted) {
    append(sender, "PING\r\n", 6);
    sender->pinged = sender->sent;
  }
  if (sender->waiting.length == 0) return;
  if (is_stdout(sender)) {
    write_stdout(sender);
    return;
  }
  struct sender_buffer collected = sender->waiting;
  sender->waiting = sender->writing;
  sender->waiting.length = 0;
  sender->writing = collected;
  sender->is_writing = true;
  uv_buf_t buffer = uv_buf_init(collected.data, (unsigned) collected.length);
  int error = uv_write(&sender->write, (uv_stream_t *) &sender->tcp, &buffer, 1, on_written);
  if (error == 0) return;
  sender->is_writing = false;
  fail(sender, "publishing", error);
}

bool sender_is_idle(const struct sender *sender) {
  if (is_stdout(sender) || sender->problem[0] != '\0') return true;
  return !sender->is_writing && sender->waiting.length == 0 && sender->accepted + sender->refused >= sender->sent;
}

void sender_close(struct sender *sender) {
  if (sender->is_closed) return;
  sender->is_closed = true;
  if (sender->is_handle_busy && !uv_is_closing((uv_handle_t *) &sender->tcp))
    uv_close((uv_handle_t *) &sender->tcp, NULL);
}

void sender_free(struct sender *sender) {
  stream_reset(&sender->stream);
  http_answer_free(sender->answer);
  free(sender->waiting.data);
  free(sender->writing.data);
}
