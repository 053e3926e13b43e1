/* SPDX-License-Identifier: MIT */
/*
 * server_fixture: see the header. Sockets don't block: whenever a client waits, the loop runs.
 */
#define _GNU_SOURCE /* memmem */
#include "server_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define STEP_MS 1
#define STEPS_MAX 20000

void server_fixture_init(struct server_fixture *fixture) {
  memset(fixture, 0, sizeof *fixture);
  (void) signal(SIGPIPE, SIG_IGN); /* as a program on its own loop does */
  assert_int_equal(uv_loop_init(&fixture->loop), 0);
  fluxbp_server_options_init(&fixture->options);
  fixture->options.loop = &fixture->loop;
  fixture->options.topic = "news";
  fixture->options.trusts_loopback = 1;
  fixture->options.handlers = &fixture->handlers;
  fixture->options.user = fixture;
  fixture->handlers.size = sizeof fixture->handlers;
}

fluxbp_tokens_t *server_fixture_tokens(const char *text) {
  char path[] = "/tmp/fluxbp-server-fixture-XXXXXX", problem[256] = "";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  assert_int_equal(close(fd), 0);
  fluxbp_tokens_t *tokens = fluxbp_tokens_read(path, problem, sizeof problem);
  assert_int_equal(unlink(path), 0);
  assert_string_equal(problem, "");
  return tokens;
}

void server_fixture_start(struct server_fixture *fixture) {
  assert_int_equal(fluxbp_server_create(&fixture->options, &fixture->server), 0);
  fixture->lines = fluxbp_server_listen(fixture->server, "127.0.0.1:0", FLUXBP_SPEAK_LINES);
  fixture->length = fluxbp_server_listen(fixture->server, "127.0.0.1:0", FLUXBP_SPEAK_LENGTH);
  fixture->http = fluxbp_server_listen(fixture->server, "127.0.0.1:0", FLUXBP_SPEAK_HTTP);
  assert_true(fixture->lines >= 0 && fixture->length >= 0 && fixture->http >= 0);
}

/* Whatever a client has sent in part went with the client. */
static void on_closed(fluxbp_server_t *server) {
  struct server_fixture *fixture = fluxbp_server_user(server);
  fluxbp_server_stats_t stats;
  fluxbp_server_get_stats(server, &stats);
  assert_int_equal(stats.input_bytes, 0);
  assert_int_equal(stats.pool.reserved_bytes, 0);
  fixture->is_closed = true;
  fixture->server = NULL;
}

static void step(struct server_fixture *fixture, int fd) {
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  (void) uv_run(&fixture->loop, UV_RUN_NOWAIT);
  (void) poll(&polled, fd >= 0 ? 1 : 0, STEP_MS);
}

void step_once(struct server_fixture *fixture) {
  step(fixture, -1);
}

void run_until(struct server_fixture *fixture, const bool *flag) {
  for (int i = 0; !*flag; i++) {
    assert_true(i < STEPS_MAX);
    step(fixture, -1);
  }
}

void run_until_count(struct server_fixture *fixture, const size_t *count, size_t least) {
  for (int i = 0; *count < least; i++) {
    assert_true(i < STEPS_MAX);
    step(fixture, -1);
  }
}

void server_fixture_close(struct server_fixture *fixture, uint32_t drain_ms) {
  fluxbp_server_close(fixture->server, drain_ms, on_closed);
  run_until(fixture, &fixture->is_closed);
}

void server_fixture_end(struct server_fixture *fixture) {
  if (fixture->server != NULL) server_fixture_close(fixture, 0);
  (void) uv_run(&fixture->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&fixture->loop), 0);
}

void peer_connect(struct peer *peer, struct server_fixture *fixture, int listener) {
  char text[FLUXBP_ADDRESS_TEXT_BYTES];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  fluxbp_server_address(fixture->server, listener, text);
  address.sin_port = htons((uint16_t) atoi(strrchr(text, ':') + 1));
  *peer = (struct peer){.fixture = fixture, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  assert_true(peer->fd >= 0);
  assert_int_equal(connect(peer->fd, (const struct sockaddr *) &address, sizeof address), 0);
}

void peer_send_bytes(struct peer *peer, const void *data, size_t length) {
  assert_int_equal(send(peer->fd, data, length, MSG_NOSIGNAL), length);
}

void peer_send(struct peer *peer, const char *text) {
  peer_send_bytes(peer, text, strlen(text));
}

void peer_receive(struct peer *peer) {
  step(peer->fixture, peer->fd);
  assert_true(peer->received + 1 < sizeof peer->text);
  ssize_t length = recv(peer->fd, peer->text + peer->received, sizeof peer->text - 1 - peer->received, MSG_DONTWAIT);
  if (length > 0) peer->received += (size_t) length;
  if (length == 0 || (length < 0 && errno != EAGAIN)) peer->has_ended = true;
  peer->text[peer->received] = '\0';
}

static void forget(struct peer *peer, size_t length) {
  peer->received -= length;
  memmove(peer->text, peer->text + length, peer->received + 1);
}

void peer_expect(struct peer *peer, const char *text) {
  const char *found;
  for (int i = 0; (found = memmem(peer->text, peer->received, text, strlen(text))) == NULL; i++) {
    if (i == STEPS_MAX || peer->has_ended) fail_msg("'%s' has not come, but '%s'", text, peer->text);
    peer_receive(peer);
  }
  forget(peer, (size_t) (found - peer->text) + strlen(text));
}

void peer_expect_end(struct peer *peer) {
  for (int i = 0; !peer->has_ended; i++) {
    assert_true(i < STEPS_MAX);
    peer_receive(peer);
  }
}

void peer_close(struct peer *peer) {
  (void) close(peer->fd);
}

/* WebSocket. */

void peer_upgrade(struct peer *peer, const char *target) {
  char request[512];
  (void) snprintf(request, sizeof request,
                  "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                  target);
  peer_send(peer, request);
  peer_expect(peer, "HTTP/1.1 101 ");
  peer_expect(peer, "\r\n\r\n");
}

/* Masked with zeros, which the peer may choose. */
void peer_send_frame(struct peer *peer, unsigned char opcode, const void *data, size_t length) {
  unsigned char frame[6 + 125] = {(unsigned char) (0x80 | opcode), (unsigned char) (0x80 | length)};
  assert_true(length <= 125);
  if (length > 0) memcpy(frame + 6, data, length);
  peer_send_bytes(peer, frame, 6 + length);
}

void peer_expect_frame(struct peer *peer, unsigned char opcode, const void *data, size_t length) {
  for (int i = 0; peer->received < 2 + length; i++) {
    if (i == STEPS_MAX || peer->has_ended) fail_msg("no whole frame has come, but %zu bytes", peer->received);
    peer_receive(peer);
  }
  assert_int_equal((unsigned char) peer->text[0], 0x80 | opcode);
  assert_int_equal((unsigned char) peer->text[1], length);
  assert_memory_equal(peer->text + 2, data, length);
  forget(peer, 2 + length);
}

void peer_expect_close_frame(struct peer *peer, unsigned code, const char *reason) {
  char payload[125];
  payload[0] = (char) (code >> 8);
  payload[1] = (char) code;
  memcpy(payload + 2, reason, strlen(reason));
  peer_expect_frame(peer, 8, payload, 2 + strlen(reason));
  peer_expect_end(peer);
}
