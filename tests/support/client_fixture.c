/* SPDX-License-Identifier: MIT */
/*
 * client_fixture: the loop, the scripted server, and the list of what was told.
 */
#include "client_fixture.h"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>

#define TURNS_MAX 20000

static void tell(client_fixture_t *fx, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(client_fixture_t *fx, const char *format, ...) {
  char text[8192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  assert_int_equal(fx->calls, 0); /* no handler inside a call */
  int length = snprintf(fx->told + fx->told_length, sizeof fx->told - fx->told_length, "%s ", text);
  fx->told_length += (size_t) length;
  assert_true(fx->told_length < sizeof fx->told);
  if (fx->hook != NULL) fx->hook(fx, text);
}

static void on_connect(fluxbp_client_t *client) {
  tell(fluxbp_client_user(client), "connect");
}

static void on_open(fluxbp_client_t *client) {
  tell(fluxbp_client_user(client), "open");
}

static void tell_event(client_fixture_t *fx, const fluxbp_client_event_t *event) {
  static const char *const names[] = {"message", "answer", "error",   "position", "resumed",      "too_old",
                                      "gap",     "unset",  "evicted", "closing",  "token_expires"};
  char id[64] = "", topic[64] = "", code[16] = "", oldest[64] = "";
  if (event->id != NULL) snprintf(id, sizeof id, "#%.*s", (int) event->id_length, event->id);
  if (event->topic != NULL) snprintf(topic, sizeof topic, "@%.*s", (int) event->topic_length, event->topic);
  if (event->code != 0) snprintf(code, sizeof code, "=%d", event->code);
  if (event->oldest != NULL) snprintf(oldest, sizeof oldest, ">%.*s", (int) event->oldest_length, event->oldest);
  int length = event->length < 4096 ? (int) event->length : 4096;
  tell(fx, "%s%s(%.*s)%s%s%s%s", event->is_binary ? "binary " : "", names[event->kind], length,
       length > 0 ? event->data : "", id, topic, oldest, code);
}

static void on_event(fluxbp_client_t *client, const fluxbp_client_event_t *event) {
  tell_event(fluxbp_client_user(client), event);
}

static void on_drain(fluxbp_client_t *client) {
  tell(fluxbp_client_user(client), "drain");
}

static void on_disconnect(fluxbp_client_t *client, const fluxbp_client_disconnect_t *disconnect) {
  client_fixture_t *fx = fluxbp_client_user(client);
  fx->disconnects++;
  fx->last = *disconnect;
  snprintf(fx->problem, sizeof fx->problem, "%s", disconnect->problem);
  snprintf(fx->reason, sizeof fx->reason, "%s", disconnect->reason);
  tell(fx, "disconnect(%s)", uv_err_name(disconnect->error));
}

static void on_close(fluxbp_client_t *client, int status) {
  client_fixture_t *fx = fluxbp_client_user(client);
  fx->client = NULL;
  tell(fx, "close(%s)", status == 0 ? "0" : uv_err_name(status));
}

static const fluxbp_client_handlers_t handlers = {.size = sizeof handlers,
                                                  .on_connect = on_connect,
                                                  .on_open = on_open,
                                                  .on_message = on_event,
                                                  .on_event = on_event,
                                                  .on_drain = on_drain,
                                                  .on_disconnect = on_disconnect,
                                                  .on_close = on_close};

static uint64_t clock_ms(void *arg) {
  return ((client_fixture_t *) arg)->now_ms;
}

static uint64_t random_bits(void *arg) {
  return ((client_fixture_t *) arg)->random;
}

/* The server's side */

static void free_handle(uv_handle_t *handle) {
  free(handle);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  static char bytes[65536];
  (void) handle;
  (void) suggested;
  *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void take_received(client_fixture_t *fx, const char *data, size_t length) {
  assert_true(fx->received_length + length < sizeof fx->received);
  memcpy(fx->received + fx->received_length, data, length);
  fx->received_length += length;
  fx->received[fx->received_length] = '\0';
}

static void write_bytes(client_fixture_t *fx, const void *data, size_t length);

/* Send what TLS has to say, up to the cut. */
static void write_secured(client_fixture_t *fx) {
  char bytes[16384];
  size_t length;
  while (fx->peer != NULL && (length = tls_peer_take(fx->secured, bytes, sizeof bytes)) > 0) {
    bool is_cut = fx->cut > 0 && fx->secured->sent >= fx->cut;
    if (is_cut) length -= fx->secured->sent - fx->cut;
    write_bytes(fx, bytes, length);
    if (is_cut) server_hang_up(fx, false);
  }
}

static void take_secured(client_fixture_t *fx, const char *data, size_t length) {
  char plain[TLS_PEER_PLAIN_BYTES];
  size_t count;
  tls_peer_feed(fx->secured, data, length);
  while ((count = tls_peer_read(fx->secured, plain, sizeof plain)) > 0) take_received(fx, plain, count);
  write_secured(fx);
}

static void on_server_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  client_fixture_t *fx = stream->data;
  if ((uv_tcp_t *) stream != fx->peer) return;
  if (length < 0) {
    fx->has_eof = length == UV_EOF;
    fx->has_error = length != UV_EOF;
    uv_read_stop(stream);
    return;
  }
  if (fx->secured != NULL)
    take_secured(fx, buffer->base, (size_t) length);
  else
    take_received(fx, buffer->base, (size_t) length);
}

static void on_connection(uv_stream_t *listener, int status) {
  client_fixture_t *fx = listener->data;
  assert_int_equal(status, 0);
  if (fx->peer != NULL) uv_close((uv_handle_t *) fx->peer, free_handle);
  fx->peer = calloc(1, sizeof *fx->peer);
  assert_non_null(fx->peer);
  assert_int_equal(uv_tcp_init(&fx->loop, fx->peer), 0);
  fx->peer->data = fx;
  assert_int_equal(uv_accept(listener, (uv_stream_t *) fx->peer), 0);
  assert_int_equal(uv_read_start((uv_stream_t *) fx->peer, lend_buffer, on_server_read), 0);
  fx->accepted++;
  fx->has_eof = fx->has_error = false;
  tls_peer_free(fx->secured);
  fx->secured = fx->tls != NULL ? tls_peer_create(fx->tls) : NULL;
  if (fx->greeting != NULL) server_say_text(fx, fx->greeting);
}

struct server_write {
  uv_write_t request;
  char bytes[];
};

static void on_server_written(uv_write_t *request, int status) {
  (void) status;
  free(request);
}

static void write_bytes(client_fixture_t *fx, const void *data, size_t length) {
  struct server_write *write = malloc(sizeof *write + length);
  assert_non_null(write);
  assert_non_null(fx->peer);
  memcpy(write->bytes, data, length);
  uv_buf_t buffer = uv_buf_init(write->bytes, (unsigned) length);
  assert_int_equal(uv_write(&write->request, (uv_stream_t *) fx->peer, &buffer, 1, on_server_written), 0);
}

void server_say(client_fixture_t *fx, const void *data, size_t length) {
  if (fx->secured == NULL) {
    write_bytes(fx, data, length);
    return;
  }
  tls_peer_write(fx->secured, data, length);
  write_secured(fx);
}

void server_end_tls(client_fixture_t *fx) {
  tls_peer_end(fx->secured);
  write_secured(fx);
}

void server_say_text(client_fixture_t *fx, const char *text) {
  server_say(fx, text, strlen(text));
}

void server_hang_up(client_fixture_t *fx, bool resets) {
  uv_tcp_t *peer = fx->peer;
  fx->peer = NULL;
  if (!resets || uv_tcp_close_reset(peer, free_handle) != 0) uv_close((uv_handle_t *) peer, free_handle);
}

void server_accept_websocket(client_fixture_t *fx, const char *accept, const char *more) {
  static const char name[] = "Sec-WebSocket-Key: ";
  char text[128], right[32], answer[512];
  unsigned char digest[SHA_DIGEST_LENGTH];
  server_expects(fx, "\r\n\r\n");
  const char *key = strstr(fx->received, name);
  assert_non_null(key);
  int length = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + sizeof name - 1);
  SHA1((const unsigned char *) text, (size_t) length, digest);
  EVP_EncodeBlock((unsigned char *) right, digest, sizeof digest);
  snprintf(answer, sizeof answer,
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: %s\r\n%s\r\n",
           accept != NULL ? accept : right, more);
  fx->received_length = 0;
  fx->received[0] = '\0';
  server_say_text(fx, answer);
}

void server_say_frame(client_fixture_t *fx, int first_byte, const void *payload, size_t length) {
  unsigned char header[4] = {(unsigned char) first_byte, (unsigned char) length};
  size_t header_length = 2;
  assert_true(length < 65536);
  if (length > 125) {
    header[1] = 126;
    header[2] = (unsigned char) (length >> 8);
    header[3] = (unsigned char) length;
    header_length = 4;
  }
  char *frame = malloc(header_length + length);
  assert_non_null(frame);
  memcpy(frame, header, header_length);
  if (length > 0) memcpy(frame + header_length, payload, length);
  server_say(fx, frame, header_length + length);
  free(frame);
}

int server_take_frame(client_fixture_t *fx, char *payload, size_t capacity, size_t *length) {
  const unsigned char *bytes = (const unsigned char *) fx->received;
  if (fx->received_length < 6) return -1;
  assert_true((bytes[1] & 0x80) != 0); /* a client masks */
  size_t at = 2, payload_length = bytes[1] & 0x7f;
  if (payload_length == 126) {
    payload_length = (size_t) bytes[2] << 8 | bytes[3];
    at = 4;
  }
  assert_true(payload_length < 126 || at == 4);
  if (fx->received_length < at + 4 + payload_length) return -1;
  assert_true(payload_length < capacity);
  for (size_t i = 0; i < payload_length; i++) payload[i] = (char) (bytes[at + 4 + i] ^ bytes[at + i % 4]);
  payload[payload_length] = '\0';
  *length = payload_length;
  int opcode = bytes[0] & 15;
  size_t total = at + 4 + payload_length;
  memmove(fx->received, fx->received + total, fx->received_length - total + 1);
  fx->received_length -= total;
  return opcode;
}

int server_wait_frame(client_fixture_t *fx, char *payload, size_t capacity, size_t *length) {
  for (int i = 0; i < TURNS_MAX; i++) {
    int opcode = server_take_frame(fx, payload, capacity, length);
    if (opcode >= 0) return opcode;
    uv_run(&fx->loop, UV_RUN_ONCE);
  }
  fail_msg("no frame has come");
  return -1;
}

/* The fixture */

static void on_tick(uv_timer_t *timer) {
  (void) timer;
}

void client_fixture_open(client_fixture_t *fx, const char *scheme, const char *path) {
  struct sockaddr_in address;
  int length = sizeof address;
  memset(fx, 0, sizeof *fx);

  fx->now_ms = 1000000;
  signal(SIGPIPE, SIG_IGN);
  assert_int_equal(uv_loop_init(&fx->loop), 0);
  uv_timer_init(&fx->loop, &fx->tick);
  uv_timer_start(&fx->tick, on_tick, 1, 1);
  uv_tcp_init(&fx->loop, &fx->listener);
  fx->listener.data = fx;
  uv_ip4_addr("127.0.0.1", 0, &address);
  assert_int_equal(uv_tcp_bind(&fx->listener, (const struct sockaddr *) &address, 0), 0);
  assert_int_equal(uv_listen((uv_stream_t *) &fx->listener, 16, on_connection), 0);
  assert_int_equal(uv_tcp_getsockname(&fx->listener, (struct sockaddr *) &address, &length), 0);
  fx->port = ntohs(address.sin_port);
  snprintf(fx->url, sizeof fx->url, "%s://127.0.0.1:%d%s", scheme, fx->port, path);
  fluxbp_client_options_init(&fx->options);
  fx->options.url = fx->url;
  fx->options.handlers = &handlers;
  fx->options.user = fx;
  fx->options.clock_ms = clock_ms;
  fx->options.random = random_bits;
  fx->options.arg = fx;
}

void client_fixture_connect(client_fixture_t *fx) {
  assert_int_equal(fluxbp_client_create(&fx->loop, &fx->options, &fx->client), 0);
  fx->calls++;
  assert_int_equal(fluxbp_client_connect(fx->client), 0);
  fx->calls--;
}

void client_fixture_close(client_fixture_t *fx) {
  if (fx->client != NULL) {
    fx->hook = NULL;
    fx->calls++;
    fluxbp_client_reset(fx->client);
    fx->calls--;
    client_expects(fx, "close(");
  }
  if (fx->peer != NULL) server_hang_up(fx, false);
  tls_peer_free(fx->secured);
  uv_close((uv_handle_t *) &fx->listener, NULL);
  uv_close((uv_handle_t *) &fx->tick, NULL);
  uv_run(&fx->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&fx->loop), 0);
}

void client_fixture_wait(client_fixture_t *fx, const char *text, bool is_told, const char *file, int line) {
  for (int i = 0; i < TURNS_MAX; i++) {
    if (strstr(is_told ? fx->told : fx->received, text) != NULL) return;
    uv_run(&fx->loop, UV_RUN_ONCE);
  }
  print_error("%s:%d: '%s' did not come; told: '%s'; received: '%s'; problem: '%s'\n", file, line, text, fx->told,
              fx->received, fx->problem);
  fail();
}

void client_fixture_turns(client_fixture_t *fx, int turns) {
  for (int i = 0; i < turns; i++) uv_run(&fx->loop, UV_RUN_NOWAIT);
}

void client_fixture_advance(client_fixture_t *fx, uint64_t ms) {
  fx->now_ms += ms;
  if (fx->client != NULL) fluxbp_client_tick(fx->client);
  client_fixture_turns(fx, 5);
}

void client_fixture_forget(client_fixture_t *fx) {
  fx->told_length = fx->received_length = 0;
  fx->told[0] = fx->received[0] = '\0';
}

void client_fixture_open_websocket(client_fixture_t *fx) {
  client_fixture_connect(fx);
  server_accept_websocket(fx, NULL, "");
  client_expects(fx, "open");
}
