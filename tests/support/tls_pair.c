/* SPDX-License-Identifier: MIT */
/*
 * tls_pair: see the header.
 */
#include "support/tls_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>

/* More than any flight of a handshake here. */
#define WIRE_BYTES (128 * 1024)

/* More than any handshake has flights. */
#define ROUNDS_MAX 100

static int to_client(fluxbp__tls_t *server, const char *data, size_t length) {
  const tls_pair_t *pair = (const tls_pair_t *) server;
  assert_int_equal(BIO_write(pair->wire, data, (int) length), (int) length);
  return 0;
}

void tls_pair_begin(tls_pair_t *pair, SSL_CTX *server, SSL_CTX *client) {
  BIO *client_end;
  *pair = (tls_pair_t){.server = {.sink = to_client}};
  assert_int_equal(fluxbp__tls_begin(&pair->server, server, 1), 0);
  SSL_CTX_free(server);
  pair->client = SSL_new(client);
  assert_non_null(pair->client);
  assert_int_equal(BIO_new_bio_pair(&client_end, WIRE_BYTES, &pair->wire, WIRE_BYTES), 1);
  SSL_set_bio(pair->client, client_end, client_end);
  SSL_set_connect_state(pair->client);
}

/* The window is empty before: the server has read all of it. */
static bool receive(tls_pair_t *pair) {
  int count = BIO_read(pair->wire, pair->window, sizeof pair->window);
  if (count <= 0) return false;
  pair->server.window = pair->window;
  pair->server.window_length = (size_t) count;
  return true;
}

/* A call of the client's has returned `result`. @return whether it may go on */
static bool take_client_result(tls_pair_t *pair, int result) {
  int error = SSL_get_error(pair->client, result);
  if (error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ) return true;
  pair->client_error = ERR_GET_REASON(ERR_peek_error());
  ERR_clear_error();
  return false;
}

static void shake_server(tls_pair_t *pair) {
  while (pair->server_error == UV_EAGAIN && receive(pair)) pair->server_error = fluxbp__tls_handshake(&pair->server);
  if (pair->server_error == UV_EPROTO && pair->problem[0] == '\0')
    fluxbp__tls_problem(&pair->server, pair->problem, sizeof pair->problem);
}

bool tls_pair_shake_hands(tls_pair_t *pair) {
  bool is_client_right = true;
  pair->server_error = UV_EAGAIN;
  for (int i = 0; i < ROUNDS_MAX; i++) {
    ERR_clear_error();
    int result = SSL_do_handshake(pair->client);
    is_client_right = is_client_right && take_client_result(pair, result);
    shake_server(pair);
    if (pair->server_error == 0 && result == 1) return tls_pair_answer(pair);
    if (!is_client_right && BIO_ctrl_pending(pair->wire) == 0) break;
  }
  return false;
}

bool tls_pair_send(tls_pair_t *pair) {
  char byte;
  ERR_clear_error();
  if (!take_client_result(pair, SSL_write(pair->client, "c", 1))) return false;
  ssize_t count = UV_EAGAIN;
  while (count == UV_EAGAIN && receive(pair)) count = fluxbp__tls_read(&pair->server, &byte, 1);
  pair->server_error = count < 0 ? (int) count : 0;
  return count == 1 && byte == 'c';
}

bool tls_pair_answer(tls_pair_t *pair) {
  char byte;
  pair->server_error = fluxbp__tls_write(&pair->server, "s", 1);
  ERR_clear_error();
  int result = SSL_read(pair->client, &byte, 1);
  return take_client_result(pair, result) && result == 1 && byte == 's';
}

void tls_pair_end(tls_pair_t *pair) {
  fluxbp__tls_end(&pair->server);
  SSL_set_shutdown(pair->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or its session couldn't be resumed */
  SSL_free(pair->client);
  BIO_free(pair->wire);
}

SSL_CTX *tls_pair_client(const char *ca) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  assert_non_null(context);
  assert_int_equal(SSL_CTX_load_verify_file(context, ca), 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  return context;
}
