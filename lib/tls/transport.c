/* SPDX-License-Identifier: MIT */
/*
 * transport: the table of a hub's TLS, and the beginning and the end of its connections.
 */
#include "context.h"
#include "handshakes.h"
#include "secured.h"
#include "server/options.h"

#include <stdlib.h>
#include <string.h>

static int open_conn(fluxbp_conn_t *conn) {
  struct secured *secured = secured_of(conn);
  secured->conn = conn;
  secured->phase = SECURED_AWAITED;
  return fluxbp_transport_tcp()->open(conn); /* the socket's options */
}

static void close_conn(fluxbp_conn_t *conn, int by_reset) {
  struct secured *secured = secured_of(conn);
  if (secured->conn != NULL) {
    handshakes_leave(secured);
    if (secured->input != NULL) secured_drop(secured, secured->input_length);
    fluxbp__tls_end(&secured->tls);
    secured->phase = SECURED_CLOSED;
  }
  fluxbp_transport_tcp()->close(conn, by_reset);
}

void secured_ignore_input(struct secured *secured) {
  handshakes_leave(secured);
  secured->phase = SECURED_FAILED;
  if (secured->input != NULL) secured_drop(secured, secured->input_length);
  secured_read_start(secured);
}

void secured_fail(struct secured *secured, int err, const char *problem) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  fluxbp_conn_t *conn = secured->conn;
  transport->stats.failed++;
  secured_ignore_input(secured);
  bool is_closed = transport->options.on_handshake != NULL && transport->options.on_handshake(conn, err, problem) != 0;
  if (secured->phase == SECURED_CLOSED) return;
  if (!is_closed) {
    secured->has_ended = true;
    fluxbp_transport_received(conn, NULL, err);
  } else if (secured->wants_writable) { /* what is queued can't be sent, so a polite end would wait for its deadline */
    secured->wants_writable = false;
    fluxbp_transport_writable(conn, err);
  }
}

void fluxbp_tls_begin_plain(fluxbp_conn_t *conn) {
  struct secured *secured = secured_of(conn);
  if (secured->phase == SECURED_AWAITED) secured->phase = SECURED_PLAIN;
}

int fluxbp_tls_secure(fluxbp_conn_t *conn, const char *data, size_t length) {
  struct secured *secured = secured_of(conn);
  if (secured->phase != SECURED_PLAIN) return UV_EINVAL;
  int err = secured_keep(secured, data, length);
  if (err != 0) return err;
  secured->phase = SECURED_AWAITED;
  return length > 0 ? fluxbp_transport_deliver_later(conn) : 0;
}

size_t fluxbp_tls_client_name(const fluxbp_conn_t *conn, char text[FLUXBP_TLS_NAME_BYTES]) {
  const struct secured *secured = secured_of(conn);
  text[0] = '\0';
  return secured->tls.ssl != NULL ? fluxbp__tls_client_name(secured->tls.ssl, text, FLUXBP_TLS_NAME_BYTES) : 0;
}

int fluxbp_tls_is_resumed(const fluxbp_conn_t *conn) {
  const struct secured *secured = secured_of(conn);
  return secured->tls.ssl != NULL && SSL_session_reused(secured->tls.ssl);
}

const char *fluxbp_tls_version(const fluxbp_conn_t *conn) {
  const struct secured *secured = secured_of(conn);
  return secured->phase == SECURED_OPEN ? SSL_get_version(secured->tls.ssl) : NULL;
}

const char *fluxbp_tls_cipher(const fluxbp_conn_t *conn) {
  const struct secured *secured = secured_of(conn);
  return secured->phase == SECURED_OPEN ? SSL_get_cipher_name(secured->tls.ssl) : NULL;
}

static const fluxbp_transport_t table = {
    .size = sizeof table,
    .name = "tls",
    .stream = FLUXBP_STREAM_TCP,
    .data_bytes = sizeof(struct secured),
    .open = open_conn,
    .preread = secured_preread,
    .try_write = secured_try_write,
    .want_writable = secured_want_writable,
    .kept = secured_kept,
    .read_start = secured_start_reading,
    .read_stop = secured_stop_reading,
    .deliver = secured_deliver,
    .shutdown = secured_shutdown,
    .close = close_conn,
    .read_once = secured_read_once,
};

void fluxbp_tls_transport_options_init_sized(fluxbp_tls_transport_options_t *options, size_t size) {
  fluxbp_tls_transport_options_t defaults = {
      .handshakes_max = 512, .handshake_us = 500, .silence_ms = 1000, .input_bytes = 8 << 20, .record_ms = 30000};
  options_init(options, size, &defaults, sizeof defaults);
}

int fluxbp_tls_transport_create(fluxbp_hub_t *hub, const fluxbp_tls_transport_options_t *given,
                                fluxbp_tls_transport_t **out) {
  fluxbp_tls_transport_options_t options;
  if (hub == NULL || given == NULL || out == NULL) return UV_EINVAL;
  fluxbp_tls_transport_options_init(&options);
  int err = options_copy(&options, sizeof options, given);
  if (err != 0) return err;
  if (options.tls == NULL || options.handshakes_max == 0 || options.handshake_us == 0) return UV_EINVAL;
  fluxbp_tls_transport_t *transport = calloc(1, sizeof *transport);
  if (transport == NULL) return UV_ENOMEM;
  transport->table = table;
  transport->hub = hub;
  transport->options = options;
  handshakes_init(transport);
  *out = transport;
  return 0;
}

const fluxbp_transport_t *fluxbp_tls_transport_table(const fluxbp_tls_transport_t *transport) {
  return &transport->table;
}

void fluxbp_tls_transport_close(fluxbp_tls_transport_t *transport) {
  handshakes_close(transport);
}

void fluxbp_tls_transport_free(fluxbp_tls_transport_t *transport) {
  free(transport);
}

void fluxbp_tls_transport_get_stats_sized(const fluxbp_tls_transport_t *transport, fluxbp_tls_stats_t *stats,
                                          size_t size) {
  memset(stats, 0, size);
  memcpy(stats, &transport->stats, size < sizeof transport->stats ? size : sizeof transport->stats);
}
