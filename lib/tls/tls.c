/* SPDX-License-Identifier: MIT */
/*
 * tls: see the header.
 *
 * A BIO stands between OpenSSL and the owner: it reads from the window and writes to the sink. The queue of errors that
 * OpenSSL keeps for each thread is emptied before each call that may fail in an ordinary way; a write fails only with
 * the connection.
 */
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int bio_read(BIO *bio, char *to, size_t capacity, size_t *count) {
  fluxbp__tls_t *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  *count = tls->window_length < capacity ? tls->window_length : capacity;
  if (*count == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  memcpy(to, tls->window, *count);
  tls->window += *count;
  tls->window_length -= *count;
  return 1;
}

static int bio_write(BIO *bio, const char *data, size_t length, size_t *count) {
  fluxbp__tls_t *tls = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  *count = 0;
  tls->sink_error = tls->sink(tls, data, length);
  if (tls->sink_error != 0) return 0;
  *count = length;
  return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void) bio;
  (void) number;
  (void) pointer;
  return command == BIO_CTRL_FLUSH; /* nothing is kept in here */
}

/* Made once for the process, and never freed: connections may end after any other clean-up. */
static BIO_METHOD *bio_method;
static pthread_once_t bio_method_made = PTHREAD_ONCE_INIT;

static void make_bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fluxbp");
  if (method == NULL) return;
  BIO_meth_set_read_ex(method, bio_read);
  BIO_meth_set_write_ex(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
  bio_method = method;
}

int fluxbp__tls_begin(fluxbp__tls_t *tls, SSL_CTX *context, int is_server) {
  pthread_once(&bio_method_made, make_bio_method);
  BIO *bio = bio_method != NULL ? BIO_new(bio_method) : NULL;
  tls->ssl = bio != NULL ? SSL_new(context) : NULL;
  tls->sink_error = 0;
  if (tls->ssl == NULL) {
    BIO_free(bio);
    ERR_clear_error();
    return UV_ENOMEM;
  }
  BIO_set_data(bio, tls);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls->ssl, bio, bio);
  if (is_server)
    SSL_set_accept_state(tls->ssl);
  else
    SSL_set_connect_state(tls->ssl);
  return 0;
}

void fluxbp__tls_end(fluxbp__tls_t *tls) {
  SSL_free(tls->ssl);
  tls->ssl = NULL;
}

int fluxbp__tls_is_in_handshake(const fluxbp__tls_t *tls) {
  return SSL_in_init(tls->ssl);
}

/* A call has failed. */
static int error_of(const fluxbp__tls_t *tls, int result) {
  if (tls->sink_error != 0) return tls->sink_error;
  switch (SSL_get_error(tls->ssl, result)) {
  case SSL_ERROR_WANT_READ:
    return UV_EAGAIN;
  case SSL_ERROR_ZERO_RETURN:
    return UV_EOF;
  default:
    return UV_EPROTO;
  }
}

int fluxbp__tls_handshake(fluxbp__tls_t *tls) {
  ERR_clear_error();
  int result = SSL_do_handshake(tls->ssl);
  return result == 1 ? 0 : error_of(tls, result);
}

ssize_t fluxbp__tls_read(fluxbp__tls_t *tls, char *plain, size_t capacity) {
  size_t count;
  ERR_clear_error();
  int result = SSL_read_ex(tls->ssl, plain, capacity, &count);
  return result == 1 ? (ssize_t) count : error_of(tls, result);
}

int fluxbp__tls_write(fluxbp__tls_t *tls, const char *plain, size_t length) {
  size_t count;
  int result = SSL_write_ex(tls->ssl, plain, length, &count);
  if (result == 1) return 0;
  return tls->sink_error == 0 && SSL_want_read(tls->ssl) ? UV_EAGAIN : error_of(tls, result);
}

int fluxbp__tls_shutdown(fluxbp__tls_t *tls) {
  ERR_clear_error();
  int result = SSL_shutdown(tls->ssl);
  return result >= 0 ? 0 : error_of(tls, result);
}

/* The sentence of OpenSSL's behind the numbers and names, such as "no shared cipher". */
static const char *reason_of(unsigned long error) {
  const char *reason = ERR_reason_error_string(error);
  return reason != NULL ? reason : "TLS failed";
}

void fluxbp__tls_openssl_problem(char *text, size_t capacity) {
  unsigned long error = ERR_peek_last_error();
  (void) snprintf(text, capacity, "%s", error != 0 ? reason_of(error) : "TLS failed");
  ERR_clear_error();
}

void fluxbp__tls_problem(const fluxbp__tls_t *tls, char *text, size_t capacity) {
  long verdict = tls->ssl != NULL ? SSL_get_verify_result(tls->ssl) : X509_V_OK;
  unsigned long error = ERR_peek_error();
  bool is_certificate = verdict != X509_V_OK && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  if (is_certificate)
    (void) snprintf(text, capacity, "the certificate isn't accepted: %s", X509_verify_cert_error_string(verdict));
  else
    (void) snprintf(text, capacity, "%s", error != 0 ? reason_of(error) : "TLS failed");
  ERR_clear_error();
}

ssize_t fluxbp__tls_record_bytes(const char *data, size_t length) {
  const unsigned char *header = (const unsigned char *) data;
  if (length > 0 && (header[0] < SSL3_RT_CHANGE_CIPHER_SPEC || header[0] > SSL3_RT_APPLICATION_DATA)) return UV_EPROTO;
  if (length > 1 && header[1] != SSL3_VERSION_MAJOR) return UV_EPROTO;
  if (length > 3 && header[3] > (FLUXBP__TLS_RECORD_BYTES - FLUXBP__TLS_HEADER_BYTES) >> 8) return UV_EPROTO;
  if (length < FLUXBP__TLS_HEADER_BYTES) return 0;
  ssize_t bytes = FLUXBP__TLS_HEADER_BYTES + (header[3] << 8 | header[4]);
  return bytes <= FLUXBP__TLS_RECORD_BYTES ? bytes : UV_EPROTO;
}
