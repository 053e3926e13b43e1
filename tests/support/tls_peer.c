/* SPDX-License-Identifier: MIT */
/*
 * tls_peer: see the header.
 */
#include "support/tls_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

static int choose_http(SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered,
                       unsigned offered_length, void *arg) {
  static const unsigned char http[] = "\x08http/1.1";
  (void) ssl;
  (void) arg;
  unsigned char *found;
  int outcome = SSL_select_next_proto(&found, length, http, sizeof http - 1, offered, offered_length);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX *tls_peer_context(const char *certificate, const char *key) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  assert_non_null(context);
  assert_int_equal(SSL_CTX_use_certificate_chain_file(context, certificate), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM), 1);
  SSL_CTX_set_session_id_context(context, (const unsigned char *) "test", 4);
  SSL_CTX_set_alpn_select_cb(context, choose_http, NULL);
  return context;
}

static void note_alert(const SSL *ssl, int where, int value) {
  tls_peer_t *peer = SSL_get_app_data(ssl);
  bool is_fatal = (where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL;
  if (is_fatal) peer->alert = value & 0xff;
}

tls_peer_t *tls_peer_create(SSL_CTX *context) {
  tls_peer_t *peer = calloc(1, sizeof *peer);
  assert_non_null(peer);
  peer->ssl = SSL_new(context);
  peer->in = BIO_new(BIO_s_mem());
  peer->out = BIO_new(BIO_s_mem());
  assert_non_null(peer->ssl);
  SSL_set_bio(peer->ssl, peer->in, peer->out);
  SSL_set_accept_state(peer->ssl);
  SSL_set_app_data(peer->ssl, peer);
  SSL_set_info_callback(peer->ssl, note_alert);
  return peer;
}

void tls_peer_free(tls_peer_t *peer) {
  if (peer == NULL) return;
  SSL_free(peer->ssl);
  free(peer->early);
  free(peer);
}

static void note_failure(tls_peer_t *peer, int result) {
  int error = SSL_get_error(peer->ssl, result);
  if (error == SSL_ERROR_ZERO_RETURN) peer->has_close_notify = true;
  if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL) peer->has_failed = true;
  ERR_clear_error();
}

static void write_plain(tls_peer_t *peer, const char *plain, size_t length) {
  size_t written = 0;
  if (length == 0) return;
  assert_int_equal(SSL_write_ex(peer->ssl, plain, length, &written), 1);
  assert_int_equal(written, length);
}

void tls_peer_feed(tls_peer_t *peer, const char *data, size_t length) {
  size_t written = 0;
  assert_int_equal(BIO_write_ex(peer->in, data, length, &written), 1);
  if (peer->is_open || peer->has_failed) return;
  ERR_clear_error();
  int result = SSL_do_handshake(peer->ssl);
  peer->is_open = result == 1;
  if (!peer->is_open) {
    note_failure(peer, result);
    return;
  }
  write_plain(peer, peer->early, peer->early_length);
}

size_t tls_peer_read(tls_peer_t *peer, char *plain, size_t capacity) {
  size_t count = 0;
  if (!peer->is_open || peer->has_failed) return 0;
  ERR_clear_error();
  int result = SSL_read_ex(peer->ssl, plain, capacity, &count);
  if (result == 1)
    peer->records++;
  else
    note_failure(peer, result);
  return count;
}

void tls_peer_write(tls_peer_t *peer, const char *plain, size_t length) {
  if (peer->is_open) {
    write_plain(peer, plain, length);
    return;
  }
  peer->early = realloc(peer->early, peer->early_length + length);
  assert_non_null(peer->early);
  memcpy(peer->early + peer->early_length, plain, length);
  peer->early_length += length;
}

void tls_peer_end(tls_peer_t *peer) {
  SSL_shutdown(peer->ssl);
  ERR_clear_error();
}

size_t tls_peer_take(tls_peer_t *peer, char *data, size_t capacity) {
  size_t count = 0;
  if (BIO_read_ex(peer->out, data, capacity, &count) != 1) count = 0;
  peer->sent += count;
  return count;
}
