/* SPDX-License-Identifier: MIT */
/*
 * adopt_fixture: a pair of sockets, one of them to be adopted, and the bytes that its connection is given.
 */
#ifndef FLUXBP_TESTS_ADOPT_FIXTURE_H
#define FLUXBP_TESTS_ADOPT_FIXTURE_H

#include "support/fixture.h"
#include "support/socketpair.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static inline void say(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the connection's on_data got, besides its length. */
static char received[4096];
static size_t received_length;

static inline void note_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  peer_t *peer = fluxbp_conn_user(conn);
  assert_int_equal(peer->fx->calls, 0);
  assert_true(received_length + length < sizeof received);
  memcpy(received + received_length, data, length);
  received_length += length;
  received[received_length] = '\0';
  if (peer->hook != NULL) peer->hook(peer, TOLD_DATA);
}

static int half_closes;

static inline int keep_open(fluxbp_conn_t *conn) {
  (void) conn;
  half_closes++;
  return 1;
}

/* The options of a peer, with the handlers above. */
static inline fluxbp_conn_options_t options_of(peer_t *peer, const fluxbp_transport_t *transport,
                                        fluxbp_conn_handlers_t *handlers) {
  fluxbp_conn_options_t options = peer_options(peer, transport, &fluxbp_codec_raw);
  *handlers = *options.handlers;
  handlers->on_data = note_data;
  handlers->on_half_close = keep_open;
  options.handlers = handlers;
  received_length = 0;
  half_closes = 0;
  return options;
}

typedef struct adoption {
  fixture_t fx;
  peer_t peer;
  int fds[2];
  fluxbp_conn_handlers_t handlers;
  fluxbp_conn_options_t options;
} adoption_t;

static inline void open_sockets(adoption_t *a, const fluxbp_transport_t *transport) {
  memset(&a->peer, 0, sizeof a->peer);
  a->peer.fx = &a->fx;
  a->options = options_of(&a->peer, transport, &a->handlers);
  assert_int_equal(socketpair_make(transport, false, a->fds), 0);
  a->peer.fd = a->fds[1];
  a->peer.next = a->fx.peers;
  a->fx.peers = &a->peer;
}

static inline void begin(adoption_t *a, const fluxbp_transport_t *transport) {
  fixture_init(&a->fx);
  fixture_open(&a->fx);
  open_sockets(a, transport);
}

static inline int adopt(adoption_t *a, const char *text) {
  a->fx.calls++;
  int err = fluxbp_conn_adopt(a->fx.hub, a->fds[0], text, strlen(text), &a->options, &a->peer.conn);
  a->fx.calls--;
  return err;
}

static inline bool has_received(fixture_t *fx, void *arg) {
  (void) fx;
  return received_length >= strlen(arg);
}

static inline void wait_for_data(adoption_t *a, const char *text) {
  fixture_run_until(&a->fx, has_received, (void *) (uintptr_t) text, false);
  assert_string_equal(received, text);
}

#endif
