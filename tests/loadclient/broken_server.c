/* SPDX-License-Identifier: MIT */
/*
 * broken_server: broadcasts what is published to it, and does one thing wrong on purpose, for tests of whether the load
 * client finds it. It speaks as little as that takes, on one port: lines (PUB, and PING, IDS and RESUME, each of which
 * subscribes), WebSocket and Server-Sent Events (GET /ws, /sse), and POST.
 *
 *   broken_server FAULT [EVERY]     "ready tcp=127.0.0.1:PORT" on standard output; runs until it is killed
 *
 * It never lets a client wait, and queues without a limit: the only faults are those that are asked for.
 */
#define _GNU_SOURCE /* memmem */
#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define EPOCH "0123456789abcdef"
#define COMMAND_BYTES ((size_t) 2 << 20)

enum fault {
  FAULT_NONE,
  FAULT_DROP,      /* every so-manieth message doesn't come */
  FAULT_SWAP,      /* it comes after the next one */
  FAULT_DUPLICATE, /* it comes twice */
  FAULT_CORRUPT,   /* one of its characters is another one */
  FAULT_DELAY,     /* it comes 300 ms later, and so do all behind it */
  FAULT_GAP,       /* it doesn't come, and that is said */
  FAULT_EVICT,     /* the client is told to be too slow, and closed */
  FAULT_BUSY,      /* it isn't taken, and that is said to the publisher */
  FAULT_LOSE,      /* a client that resumes misses one */
  FAULT_REPEAT,    /* a client that resumes gets one again */
  FAULT_REFUSE,    /* every so-manieth HTTP request is answered with 503 */
  FAULT_COUNT
};

static const char *const fault_names[FAULT_COUNT] = {"none", "drop",  "swap", "duplicate", "corrupt", "delay",
                                                     "gap",  "evict", "busy", "lose",      "repeat",  "refuse"};

enum kind { KIND_LINES, KIND_IDS, KIND_WEBSOCKET, KIND_WEBSOCKET_JSON, KIND_SSE, KIND_POSTS };

struct message {
  size_t length;
  char *data;
};

struct client {
  struct client *next;
  enum kind kind;
  bool is_subscribed, is_closing;
  uint64_t swapped; /* a message that was put off, or 0 */
  uv_tcp_t tcp;
  size_t length; /* of what has come and isn't a whole command yet */
  char *bytes;
};

static enum fault fault;
static uint64_t every = 10000;
static uv_loop_t *loop;
static struct client *clients;
static uint64_t count, requests; /* messages, numbered from 1 on; HTTP */
static uint64_t history_capacity;
static struct message *history;
static char read_buffer[65536];

static bool is_hit(uint64_t number, enum fault which) {
  return fault == which && number % every == 0;
}

static void on_closed(uv_handle_t *handle) {
  struct client *client = handle->data;
  struct client **place = &clients;
  while (*place != client) place = &(*place)->next;
  *place = client->next;
  free(client->bytes);
  free(client);
}

static void client_close(struct client *client) {
  if (client->is_closing) return;
  client->is_closing = true;
  uv_close((uv_handle_t *) &client->tcp, on_closed);
}

struct written {
  uv_write_t request;
  char bytes[];
};

static void on_written(uv_write_t *request, int status) {
  struct client *client = request->data;
  if (status != 0) client_close(client);
  free(request);
}

static void client_write(struct client *client, const char *data, size_t length) {
  if (client->is_closing) return;
  struct written *written = malloc(sizeof *written + length);
  assert(written != NULL);
  memcpy(written->bytes, data, length);
  written->request.data = client;
  uv_buf_t buffer = uv_buf_init(written->bytes, (unsigned) length);
  uv_write(&written->request, (uv_stream_t *) &client->tcp, &buffer, 1, on_written);
}

static void client_say(struct client *client, const char *text) {
  client_write(client, text, strlen(text));
}

/* An unmasked text frame around what stands at `out` + 4. @return where it begins */
static char *frame(char *out, size_t length, size_t *total) {
  if (length < 126) {
    out[2] = (char) 0x81;
    out[3] = (char) length;
    *total = length + 2;
    return out + 2;
  }
  assert(length < 65536);
  out[0] = (char) 0x81;
  out[1] = 126;
  out[2] = (char) (length >> 8);
  out[3] = (char) length;
  *total = length + 4;
  return out;
}

static size_t escape(char *out, const struct message *message) {
  size_t length = 0;
  for (size_t i = 0; i < message->length; i++) {
    if (message->data[i] == '"' || message->data[i] == '\\') out[length++] = '\\';
    out[length++] = message->data[i];
  }
  return length;
}

/* Sends one message in the client's format. */
static void client_send(struct client *client, uint64_t number, const struct message *message) {
  char *out = malloc(2 * message->length + 256), *begin = out;
  assert(out != NULL);
  size_t length = 0;
  bool is_json = client->kind == KIND_WEBSOCKET_JSON, is_websocket = is_json || client->kind == KIND_WEBSOCKET;
  char *text = is_websocket ? out + 4 : out;
  if (client->kind == KIND_IDS) length = (size_t) sprintf(text, EPOCH ":%" PRIu64 " news ", number);
  if (client->kind == KIND_SSE) length = (size_t) sprintf(text, "id: " EPOCH ":%" PRIu64 "\ndata: ", number);
  if (is_json) {
    length = (size_t) sprintf(text, "{\"id\":\"" EPOCH ":%" PRIu64 "\",\"topic\":\"news\",\"data\":\"", number);
    length += escape(text + length, message);
    length += (size_t) sprintf(text + length, "\"}");
  } else {
    memcpy(text + length, message->data, message->length);
    length += message->length;
  }
  if (client->kind == KIND_SSE) length += (size_t) sprintf(text + length, "\n\n");
  if (client->kind == KIND_LINES || client->kind == KIND_IDS) text[length++] = '\n';
  if (is_websocket) begin = frame(out, length, &length);
  client_write(client, begin, length);
  free(out);
}

/* Says something about the server itself, as the gateway does in each format. */
static void client_notify(struct client *client, const char *event, const char *json) {
  char text[300];
  size_t length;
  if (client->kind == KIND_SSE)
    length = (size_t) snprintf(text + 4, sizeof text - 4, "event: %s\ndata: {\"n\":1}\n\n", event);
  else
    length = (size_t) snprintf(text + 4, sizeof text - 4, "%s%s", json, client->kind <= KIND_IDS ? "\n" : "");
  bool is_websocket = client->kind == KIND_WEBSOCKET || client->kind == KIND_WEBSOCKET_JSON;
  char *begin = is_websocket ? frame(text, length, &length) : text + 4;
  client_write(client, begin, length);
}

static void client_send_corrupt(struct client *client, uint64_t number, const struct message *message) {
  struct message copy = {.length = message->length, .data = malloc(message->length)};
  assert(copy.data != NULL);
  memcpy(copy.data, message->data, message->length);
  copy.data[number % copy.length > 4 ? number % copy.length : 5] ^= 1;
  client_send(client, number, &copy);
  free(copy.data);
}

static void client_give(struct client *client, uint64_t number) {
  const struct message *message = &history[number - 1];
  if (is_hit(number, FAULT_DROP)) return;
  if (is_hit(number, FAULT_CORRUPT)) {
    client_send_corrupt(client, number, message);
  } else if (is_hit(number, FAULT_SWAP)) {
    client->swapped = number;
  } else if (is_hit(number, FAULT_GAP)) {
    client_notify(client, "gap", "{\"gap\":{\"from\":1,\"to\":1,\"count\":1}}");
  } else if (is_hit(number, FAULT_EVICT)) {
    client_notify(client, "evicted", "{\"evicted\":\"slow\"}");
    client_close(client);
  } else {
    client_send(client, number, message);
    if (is_hit(number, FAULT_DUPLICATE)) client_send(client, number, message);
    if (client->swapped != 0) client_send(client, client->swapped, &history[client->swapped - 1]);
    client->swapped = 0;
  }
}

static void publish(const char *data, size_t length) {
  if (count == history_capacity) {
    history_capacity = history_capacity > 0 ? 2 * history_capacity : 1024;
    history = realloc(history, history_capacity * sizeof *history);
    assert(history != NULL);
  }
  struct message *message = &history[count++];
  *message = (struct message){.length = length, .data = malloc(length + 1)};
  assert(message->data != NULL);
  memcpy(message->data, data, length);
  if (is_hit(count, FAULT_DELAY)) uv_sleep(300);
  for (struct client *client = clients; client != NULL; client = client->next)
    if (client->is_subscribed) client_give(client, count);
}

/* `id` is the text after the colon. */
static void client_resume(struct client *client, const char *id) {
  uint64_t since = strtoull(id, NULL, 10);
  if (fault == FAULT_LOSE && since < count) since++;
  if (fault == FAULT_REPEAT && since > 0) since--;
  if (client->kind == KIND_IDS) client_say(client, "+OK RESUMED " EPOCH ":0\n");
  if (client->kind != KIND_IDS) client_notify(client, "resumed", "{\"resumed\":\"" EPOCH ":0\"}");
  for (uint64_t number = since + 1; number <= count; number++) client_give(client, number);
}

/* One line of a client's. */
static void take_command(struct client *client, char *line, size_t length) {
  char answer[100];
  if (strncmp(line, "PUB ", 4) == 0) {
    const char *message = strchr(line + 4, ' ');
    if (message == NULL || is_hit(++requests, FAULT_BUSY)) {
      client_say(client, "-ERR busy, try again in 1 s\n");
      return;
    }
    publish(message + 1, length - (size_t) (message + 1 - line));
    snprintf(answer, sizeof answer, "+OK PUB " EPOCH ":%" PRIu64 "\n", count);
    client_say(client, answer);
  } else if (strcmp(line, "PING") == 0) {
    client->is_subscribed = true;
    client_say(client, "+PONG\n");
  } else if (strcmp(line, "IDS") == 0) {
    client->kind = KIND_IDS;
    client->is_subscribed = true;
    snprintf(answer, sizeof answer, "+OK IDS " EPOCH ":%" PRIu64 "\n", count);
    client_say(client, answer);
  } else if (strncmp(line, "RESUME " EPOCH ":", 24) == 0) {
    client_resume(client, line + 24);
  } else {
    client_say(client, "+OK\n");
  }
}

/* Agrees to a WebSocket: the client's key, hashed as RFC 6455 says. */
static void accept_websocket(struct client *client, const char *head) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  char text[128], accept[32], answer[256];
  const char *key = strstr(head, "Sec-WebSocket-Key: ");
  assert(key != NULL);
  int length = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
  SHA1((const unsigned char *) text, (size_t) length, digest);
  EVP_EncodeBlock((unsigned char *) accept, digest, sizeof digest);
  snprintf(answer, sizeof answer,
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: %s\r\n\r\n",
           accept);
  client_say(client, answer);
}

/* A whole request of HTTP. */
static void take_request(struct client *client, const char *head, const char *body, size_t body_length) {
  static const char json[] = "format=json";
  const char *since = strstr(head, "Last-Event-ID: " EPOCH ":");
  if (since != NULL) since += 15 + 17;
  if (since == NULL && (since = strstr(head, "since=" EPOCH ":")) != NULL) since += 6 + 17;
  if (is_hit(++requests, FAULT_REFUSE)) {
    client_say(client, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n");
    return;
  }
  if (strncmp(head, "POST ", 5) == 0) {
    client->kind = KIND_POSTS;
    publish(body, body_length);
    client_say(client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    return;
  }
  if (strncmp(head, "GET /ws", 7) == 0) {
    client->kind = strstr(head, json) != NULL ? KIND_WEBSOCKET_JSON : KIND_WEBSOCKET;
    accept_websocket(client, head);
  } else {
    client->kind = KIND_SSE;
    client_say(client, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1000\n\n");
  }
  client->is_subscribed = true;
  if (since != NULL) client_resume(client, since);
}

static bool is_http(const struct client *client) {
  return client->length >= 5 && (memcmp(client->bytes, "GET /", 5) == 0 || memcmp(client->bytes, "POST ", 5) == 0);
}

/* @return how many bytes were used up; 0: there is no whole request */
static size_t take_http(struct client *client) {
  char *end = memmem(client->bytes, client->length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  *end = '\0';
  const char *header = strstr(client->bytes, "Content-Length: ");
  size_t body_length = header != NULL ? strtoul(header + 16, NULL, 10) : 0;
  size_t total = (size_t) (end + 4 - client->bytes) + body_length;
  if (total > client->length) {
    *end = '\r';
    return 0;
  }
  take_request(client, client->bytes, end + 4, body_length);
  return total;
}

static size_t take_line(struct client *client) {
  char *end = memchr(client->bytes, '\n', client->length);
  if (end == NULL) return 0;
  *end = '\0';
  take_command(client, client->bytes, (size_t) (end - client->bytes));
  return (size_t) (end + 1 - client->bytes);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void) handle;
  (void) suggested;
  *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *tcp, ssize_t length, const uv_buf_t *buffer) {
  struct client *client = tcp->data;
  if (length < 0) client_close(client);
  if (length <= 0 || client->kind == KIND_SSE) return;
  if (client->kind == KIND_WEBSOCKET || client->kind == KIND_WEBSOCKET_JSON) return; /* pongs and the like */
  assert(client->length + (size_t) length < COMMAND_BYTES);
  memcpy(client->bytes + client->length, buffer->base, (size_t) length);
  client->length += (size_t) length;
  size_t used = 1;
  while (used > 0 && client->length > 0) {
    used = is_http(client) ? take_http(client) : take_line(client);
    memmove(client->bytes, client->bytes + used, client->length - used);
    client->length -= used;
  }
}

static void on_connection(uv_stream_t *server, int status) {
  struct client *client = calloc(1, sizeof *client);
  assert(status == 0 && client != NULL);
  client->bytes = malloc(COMMAND_BYTES);
  assert(client->bytes != NULL);
  client->next = clients;
  clients = client;
  uv_tcp_init(loop, &client->tcp);
  client->tcp.data = client;
  if (uv_accept(server, (uv_stream_t *) &client->tcp) != 0) {
    client_close(client);
    return;
  }
  uv_tcp_nodelay(&client->tcp, 1);
  uv_read_start((uv_stream_t *) &client->tcp, lend_buffer, on_read);
}

static bool parse(int argc, char **argv) {
  if (argc < 2 || argc > 3) return false;
  for (int i = 0; i < FAULT_COUNT; i++) {
    if (strcmp(argv[1], fault_names[i]) != 0) continue;
    fault = (enum fault) i;
    if (argc == 3) every = strtoull(argv[2], NULL, 10);
    return every > 0;
  }
  return false;
}

int main(int argc, char **argv) {
  uv_tcp_t server;
  struct sockaddr_in address;
  int length = sizeof address;
  if (!parse(argc, argv)) {
    fprintf(stderr, "usage: broken_server FAULT [EVERY]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  loop = uv_default_loop();
  uv_tcp_init(loop, &server);
  uv_ip4_addr("127.0.0.1", 0, &address);
  int error = uv_tcp_bind(&server, (const struct sockaddr *) &address, 0);
  if (error == 0) error = uv_listen((uv_stream_t *) &server, 1024, on_connection);
  if (error == 0) error = uv_tcp_getsockname(&server, (struct sockaddr *) &address, &length);
  if (error != 0) {
    fprintf(stderr, "broken_server: %s\n", uv_strerror(error));
    return 1;
  }
  printf("ready tcp=127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  uv_run(loop, UV_RUN_DEFAULT);
  return 0;
}
