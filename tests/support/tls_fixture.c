/* SPDX-License-Identifier: MIT */
/*
 * tls_fixture: see tls_fixture.h.
 */
#include "support/tls_fixture.h"

#include "support/socketpair.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GROWTH = 65536, STREAM_PERIOD = 251 };

static tls_fixture_t *fixture_of(const tls_peer_t *tp) {
  return (tls_fixture_t *) tp->peer.fx;
}

/* The transport's handlers. */

static int on_handshake(fluxbp_conn_t *conn, int err, const char *problem) {
  tls_peer_t *tp = fluxbp_conn_user(conn);
  assert_int_equal(tp->peer.fx->calls, 0);
  assert_int_equal(problem != NULL, err != 0);
  tp->handshakes++;
  tp->handshake_error = err;
  tp->order = ++fixture_of(tp)->order;
  (void) snprintf(tp->problem, sizeof tp->problem, "%s", problem != NULL ? problem : "");
  if (tp->on_handshake != NULL) tp->on_handshake(tp);
  return tp->answer;
}

static size_t on_plain(fluxbp_conn_t *conn, const char *data, size_t length, char *answer, size_t capacity) {
  (void) conn;
  assert_non_null(data);
  assert_true(length > 0 && capacity > strlen(TLS_FIXTURE_PLAIN_ANSWER));
  memcpy(answer, TLS_FIXTURE_PLAIN_ANSWER, strlen(TLS_FIXTURE_PLAIN_ANSWER));
  return strlen(TLS_FIXTURE_PLAIN_ANSWER);
}

/* The fixture. */

void tls_fixture_init(tls_fixture_t *tf) {
  memset(tf, 0, sizeof *tf);
  fixture_init(&tf->fx);
  tf->fx.policy.grace_ms = 0;
  tf->fx.pool_options.allocator = alloc_hook_allocator(&tf->hook);
  tf->version = TLS1_3_VERSION;
  tf->codec = &fluxbp_codec_raw;
  tf->certificates = certificates_begin();
  fluxbp_tls_transport_options_init(&tf->options);
  tf->options.on_handshake = on_handshake;
  tf->options.on_plain = on_plain;
}

void tls_fixture_open(tls_fixture_t *tf) {
  char problem[256];
  fluxbp_tls_options_t options;
  fluxbp_tls_options_init(&options);
  const fluxbp_tls_certificate_t certificate = {.certificate = certificates_path(tf->certificates, "server.pem"),
                                                .key = certificates_path(tf->certificates, "server.key")};
  options.certificates = &certificate;
  options.certificate_count = 1;
  assert_int_equal(fluxbp_tls_create(&options, &tf->tls, problem, sizeof problem), 0);
  fixture_open(&tf->fx);
  tf->options.tls = tf->tls;
  assert_int_equal(fluxbp_tls_transport_create(tf->fx.hub, &tf->options, &tf->transport), 0);
  tf->client_context = SSL_CTX_new(TLS_client_method());
  assert_non_null(tf->client_context);
}

fluxbp_tls_stats_t tls_stats(const tls_fixture_t *tf) {
  fluxbp_tls_stats_t stats;
  fluxbp_tls_transport_get_stats(tf->transport, &stats);
  return stats;
}

static void free_client(tls_peer_t *tp) {
  SSL_free(tp->ssl); /* with both BIOs */
  free(tp->out);
  free(tp->plain);
  free(tp->input);
}

void tls_fixture_close(tls_fixture_t *tf) {
  fluxbp_tls_transport_close(tf->transport);
  if (tf->fx.hub != NULL) fixture_balances(&tf->fx);
  fixture_close_hub(&tf->fx);
  for (peer_t *peer = tf->fx.peers; peer != NULL; peer = peer->next) free_client((tls_peer_t *) peer);
  fluxbp_tls_stats_t stats = tls_stats(tf);
  assert_int_equal(stats.under_way, 0);
  assert_int_equal(stats.waiting, 0);
  fixture_close(&tf->fx);
  assert_int_equal(tf->hook.live_blocks, 0);
  fluxbp_tls_transport_free(tf->transport);
  fluxbp_tls_free(tf->tls);
  SSL_CTX_free(tf->client_context);
  certificates_end(tf->certificates);
}

/* Peers. */

static void on_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  tls_peer_t *tp = fluxbp_conn_user(conn);
  tp->input = realloc(tp->input, tp->input_length + length);
  assert_non_null(tp->input);
  memcpy(tp->input + tp->input_length, data, length);
  tp->input_length += length;
  peer_options(&tp->peer, FLUXBP_TCP, &fluxbp_codec_raw).handlers->on_data(conn, data, length);
}

static int on_half_close(fluxbp_conn_t *conn) {
  return ((const tls_peer_t *) fluxbp_conn_user(conn))->stays_half_closed;
}

static fluxbp_conn_handlers_t handlers; /* those of fixture.h with ours */

static void on_alert(const SSL *ssl, int where, int value) {
  tls_peer_t *tp = SSL_get_app_data(ssl);
  if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) tp->alert = value & 0xff;
}

static void begin_client(tls_fixture_t *tf, tls_peer_t *tp) {
  tp->alert = -1;
  tp->ssl = SSL_new(tf->client_context);
  assert_non_null(tp->ssl);
  tp->from = BIO_new(BIO_s_mem());
  tp->to = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(tp->from, -1);
  SSL_set_bio(tp->ssl, tp->from, tp->to);
  SSL_set_app_data(tp->ssl, tp);
  SSL_set_info_callback(tp->ssl, on_alert);
  SSL_set_connect_state(tp->ssl);
  assert_int_equal(SSL_set_min_proto_version(tp->ssl, tf->version), 1);
  assert_int_equal(SSL_set_max_proto_version(tp->ssl, tf->version), 1);
}

void tls_peer_prepare(tls_fixture_t *tf, tls_peer_t *tp, int small) {
  int fds[2];
  memset(tp, 0, sizeof *tp);
  begin_client(tf, tp);
  tp->peer.fx = &tf->fx;
  tp->peer.next = tf->fx.peers;
  tf->fx.peers = &tp->peer;
  assert_int_equal(socketpair_make(FLUXBP_TCP, small == FIXTURE_SMALL_BUFFERS, fds), 0);
  tp->server_fd = fds[0];
  tp->peer.fd = fds[1];
  assert_int_equal(setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
}

fluxbp_conn_options_t tls_peer_options(tls_fixture_t *tf, tls_peer_t *tp) {
  fluxbp_conn_options_t options = peer_options(&tp->peer, fluxbp_tls_transport_table(tf->transport), tf->codec);
  handlers = *options.handlers;
  handlers.on_data = on_data;
  handlers.on_half_close = on_half_close;
  options.handlers = &handlers;
  return options;
}

void tls_peer_open(tls_fixture_t *tf, tls_peer_t *tp, int small) {
  tls_peer_prepare(tf, tp, small);
  fluxbp_conn_options_t options = tls_peer_options(tf, tp);
  assert_int_equal(fluxbp_conn_create(tf->fx.hub, &options, &tp->peer.conn), 0);
  assert_int_equal(socketpair_open(tp->peer.conn, options.transport, tp->server_fd), 0);
  assert_int_equal(fluxbp_conn_start(tp->peer.conn), 0);
  assert_int_equal(fluxbp_topic_subscribe(tf->fx.topic, tp->peer.conn), 1);
}

tls_peer_t *tls_peer_new(tls_fixture_t *tf, int small) {
  tls_peer_t *tp = malloc(sizeof *tp);
  assert_non_null(tp);
  tf->fx.frees_peers = true;
  tls_peer_open(tf, tp, small);
  return tp;
}

void tls_peer_connect(tls_fixture_t *tf, tls_peer_t *tp, int small) {
  tls_peer_open(tf, tp, small);
  tls_peer_wait_for_handshake(tp);
  assert_int_equal(tp->handshake_error, 0);
  tls_turns(tf, 2); /* for the client's side: the session ticket */
  assert_true(tp->is_open);
}

/* The client. */

static void read_socket(tls_peer_t *tp) {
  peer_t *peer = &tp->peer;
  size_t most = tp->read_max > 0 ? tp->read_max : SIZE_MAX;
  while (most > 0 && peer->fd >= 0 && !peer->has_eof && peer->error == 0) {
    if (peer->capacity - peer->len < GROWTH) {
      peer->capacity = peer->capacity * 2 + GROWTH;
      peer->data = realloc(peer->data, peer->capacity);
      assert_non_null(peer->data);
    }
    ssize_t count = recv(peer->fd, peer->data + peer->len, most < GROWTH ? most : GROWTH, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) peer->error = errno;
    peer->has_eof = count == 0;
    if (count <= 0) return;
    peer->len += (size_t) count;
    most -= (size_t) count;
  }
}

static void decrypt(tls_peer_t *tp) {
  size_t count;
  do {
    if (tp->plain_capacity - tp->plain_length < GROWTH) {
      tp->plain_capacity = tp->plain_capacity * 2 + GROWTH;
      tp->plain = realloc(tp->plain, tp->plain_capacity);
      assert_non_null(tp->plain);
    }
    ERR_clear_error();
    if (SSL_read_ex(tp->ssl, tp->plain + tp->plain_length, GROWTH, &count) != 1) break;
    tp->plain_length += count;
  } while (true);
  int err = SSL_get_error(tp->ssl, 0);
  tp->has_closed = tp->has_closed || err == SSL_ERROR_ZERO_RETURN;
  tp->has_failed = err == SSL_ERROR_SSL || err == SSL_ERROR_SYSCALL;
}

/* Move what OpenSSL has made to `out`. */
static void collect(tls_peer_t *tp) {
  size_t pending = BIO_ctrl_pending(tp->to);
  if (pending == 0) return;
  tp->out = realloc(tp->out, tp->out_length + pending);
  assert_non_null(tp->out);
  assert_int_equal(BIO_read(tp->to, tp->out + tp->out_length, (int) pending), (int) pending);
  tp->out_length += pending;
}

void tls_peer_send(tls_peer_t *tp, size_t length) {
  assert_true(length <= tp->out_length);
  if (tp->peer.fd < 0) return;
  ssize_t count = length > 0 ? send(tp->peer.fd, tp->out, length, MSG_NOSIGNAL) : 0;
  if (count <= 0) return;
  tp->out_length -= (size_t) count;
  memmove(tp->out, tp->out + count, tp->out_length);
}

void tls_peer_send_raw(tls_peer_t *tp, const void *data, size_t length) {
  assert_int_equal(send(tp->peer.fd, data, length, MSG_NOSIGNAL), (int) length);
}

void tls_peer_pump(tls_peer_t *tp) {
  if (!tp->reads_none) read_socket(tp);
  size_t length = tp->peer.len - tp->fed;
  if (length > 0) assert_int_equal(BIO_write(tp->from, tp->peer.data + tp->fed, (int) length), (int) length);
  tp->fed = tp->peer.len;
  if (!tp->is_open && !tp->has_failed) {
    ERR_clear_error();
    int result = SSL_do_handshake(tp->ssl);
    tp->is_open = result == 1;
    tp->has_failed = result != 1 && SSL_get_error(tp->ssl, result) != SSL_ERROR_WANT_READ;
  }
  if (tp->is_open && !tp->has_failed) decrypt(tp);
  collect(tp);
  if (!tp->is_silent) tls_peer_send(tp, tp->out_length);
}

void tls_peer_write(tls_peer_t *tp, const void *data, size_t length) {
  size_t count;
  assert_int_equal(SSL_write_ex(tp->ssl, data, length, &count), 1);
  collect(tp);
  if (!tp->is_silent) tls_peer_send(tp, tp->out_length);
}

/* Running. */

typedef struct run {
  tls_condition is_done;
  void *arg;
} run_t;

static void pump_all(tls_fixture_t *tf) {
  for (peer_t *peer = tf->fx.peers; peer != NULL; peer = peer->next) tls_peer_pump((tls_peer_t *) peer);
}

static bool pump_and_ask(fixture_t *fx, void *arg) {
  const run_t *run = arg;
  pump_all((tls_fixture_t *) fx);
  return run->is_done((tls_fixture_t *) fx, run->arg);
}

void tls_run_until_at(tls_fixture_t *tf, tls_condition is_done, void *arg, const char *what, const char *file,
                      int line) {
  run_t run = {.is_done = is_done, .arg = arg};
  fixture_run_until_at(&tf->fx, pump_and_ask, &run, false, what, file, line);
}

void tls_turns(tls_fixture_t *tf, int turns) {
  for (int i = 0; i < turns; i++) {
    fixture_turns(&tf->fx, 1);
    pump_all(tf);
  }
}

typedef struct expectation {
  tls_peer_t *tp;
  size_t length;
} expectation_t;

static bool has_received(tls_fixture_t *tf, void *arg) {
  const expectation_t *expected = arg;
  (void) tf;
  return expected->tp->plain_length >= expected->length;
}

void tls_peer_wait_for(tls_peer_t *tp, size_t length) {
  expectation_t expected = {.tp = tp, .length = length};
  tls_run_until(fixture_of(tp), has_received, &expected);
}

static bool has_input(tls_fixture_t *tf, void *arg) {
  const expectation_t *expected = arg;
  (void) tf;
  return expected->tp->input_length >= expected->length;
}

void tls_peer_wait_for_input(tls_peer_t *tp, size_t length) {
  expectation_t expected = {.tp = tp, .length = length};
  tls_run_until(fixture_of(tp), has_input, &expected);
}

static bool has_close_notify(tls_fixture_t *tf, void *arg) {
  const tls_peer_t *tp = arg;
  (void) tf;
  return tp->has_closed || tp->peer.conn == NULL;
}

void tls_peer_wait_for_close_notify(tls_peer_t *tp) {
  tls_run_until(fixture_of(tp), has_close_notify, tp);
}

static bool is_closed(tls_fixture_t *tf, void *arg) {
  const tls_peer_t *tp = arg;
  (void) tf;
  return tp->peer.conn == NULL && (tp->reads_none || tp->peer.fd < 0 || tp->peer.has_eof || tp->peer.error != 0);
}

void tls_peer_wait_for_close(tls_peer_t *tp) {
  tls_run_until(fixture_of(tp), is_closed, tp);
}

static bool has_shaken_hands(tls_fixture_t *tf, void *arg) {
  const tls_peer_t *tp = arg;
  (void) tf;
  return tp->handshakes > 0;
}

void tls_peer_wait_for_handshake(tls_peer_t *tp) {
  tls_run_until(fixture_of(tp), has_shaken_hands, tp);
}

/* Streams. */

void tls_fill(char *data, size_t place, size_t length) {
  for (size_t i = 0; i < length; i++) data[i] = (char) ((place + i) % STREAM_PERIOD);
}

static void expect_stream(const char *data, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char) data[i] != i % STREAM_PERIOD) fail_msg("byte %zu of the stream is wrong", i);
}

void tls_peer_expects_stream(const tls_peer_t *tp, size_t length) {
  assert_int_equal(tp->plain_length, length);
  expect_stream(tp->plain, length);
}

void tls_peer_expects_input(const tls_peer_t *tp, size_t length) {
  assert_int_equal(tp->input_length, length);
  expect_stream(tp->input, length);
}
