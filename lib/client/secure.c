/* SPDX-License-Identifier: MIT */
/*
 * secure: one connection after the other by TLS; see the header. Calls no handler but by the functions of connect.c and
 * reading.c, each of which may end the connection, and with it secure->tls.
 */
#include "client.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* OpenSSL answers some of what it reads, such as a request to renegotiate. A server that has more answered than it
 * reads is left. */
#define LATE_BYTES_MAX ((size_t) 65536)

/* For so long a session stands for the certificate that it began with. Then the certificate is checked again. */
#define SESSION_MS (UINT64_C(24) * 3600 * 1000)

fluxbp__secure_t *fluxbp__secure_create(fluxbp_client_t *client) {
  fluxbp__secure_t *secure = calloc(1, sizeof *secure);
  if (secure == NULL) return NULL;
  secure->client = client;
  secure->context = fluxbp__secure_context(client->options.tls);
  if (secure->context != NULL) return secure;
  free(secure);
  return NULL;
}

void fluxbp__secure_free(fluxbp__secure_t *secure) {
  if (secure == NULL) return;
  fluxbp__tls_end(&secure->tls);
  SSL_SESSION_free(secure->session);
  SSL_CTX_free(secure->context);
  fluxbp__buffer_free(&secure->late);
  free(secure);
}

/* OpenSSL wants to send. */
static int write_encrypted(fluxbp__tls_t *tls, const char *data, size_t length) {
  fluxbp__secure_t *secure = (fluxbp__secure_t *) (void *) ((char *) tls - offsetof(fluxbp__secure_t, tls));
  fluxbp_client_t *client = secure->client;
  ssize_t taken = client->is_writing ? 0 : fluxbp__client_try_write(client, data, length);
  if (taken < 0) return (int) taken;
  size_t rest = length - (size_t) taken;
  if (rest == 0) return 0;
  if (secure->late.length + rest > LATE_BYTES_MAX) return UV_ENOBUFS;
  if (!fluxbp__buffer_append(&secure->late, data + taken, rest)) return UV_ENOMEM;
  return client->is_writing ? 0 : fluxbp__client_hand_to_libuv(client, &secure->late, 0);
}

/* The handshake */

/* Have the certificate checked against the host of the URL, and ask for that name. @return false: out of memory */
static bool set_host(SSL *ssl, const fluxbp_client_url_t *url) {
  X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
  struct in6_addr address;
  char host[256];
  fluxbp__client_copy_host(url, host);
  if (uv_inet_pton(AF_INET, host, &address) == 0 || uv_inet_pton(AF_INET6, host, &address) == 0) {
    host[strcspn(host, "%")] = '\0'; /* the zone */
    return X509_VERIFY_PARAM_set1_ip_asc(rules, host) == 1;
  }
  size_t length = strlen(host);
  if (length > 1 && host[length - 1] == '.') host[length - 1] = '\0'; /* the end of the root's name isn't in any */
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return X509_VERIFY_PARAM_set1_host(rules, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static void forget_session(fluxbp__secure_t *secure) {
  SSL_SESSION_free(secure->session);
  secure->session = NULL;
}

static bool set_up_connection(fluxbp_client_t *client) {
  static const unsigned char http[] = "\x08http/1.1";
  SSL *ssl = client->secure->tls.ssl;
  if (!set_host(ssl, &client->url)) return false;
  if (fluxbp__client_speaks_http(client) && SSL_set_alpn_protos(ssl, http, sizeof http - 1) != 0) return false;
  if (fluxbp__client_now(client) - client->secure->checked_ms >= SESSION_MS) forget_session(client->secure);
  if (client->secure->session != NULL) SSL_set_session(ssl, client->secure->session); /* without it all is longer */
  return true;
}

static void fail_connection(fluxbp_client_t *client, int error) {
  fluxbp__secure_t *secure = client->secure;
  char host[256];
  secure->is_broken = true;
  if (error != UV_EPROTO) {
    fluxbp__client_lose(client, error, NULL);
    return;
  }
  forget_session(secure); /* it may be the cause */
  fluxbp__client_copy_host(&client->url, host);
  if (fluxbp__secure_describe(secure, host))
    fluxbp__client_lose_for_good(client, UV_EPROTO, secure->problem);
  else
    fluxbp__client_lose(client, UV_EPROTO, secure->problem);
}

/* @return whether it has ended well, and the connection is still there */
static bool continue_handshake(fluxbp_client_t *client) {
  fluxbp__secure_t *secure = client->secure;
  int error = fluxbp__tls_handshake(&secure->tls);
  if (error == UV_EAGAIN) return false;
  if (error != 0) {
    fail_connection(client, error);
    return false;
  }
  secure->is_handshaking = false;
  if (!SSL_session_reused(secure->tls.ssl)) secure->checked_ms = fluxbp__client_now(client);
  fluxbp__client_become_connected(client);
  return secure->tls.ssl != NULL;
}

void fluxbp__secure_begin(fluxbp_client_t *client) {
  fluxbp__secure_t *secure = client->secure;
  secure->tls.sink = write_encrypted;
  secure->tls.window_length = 0;
  secure->has_received = secure->is_broken = false;
  if (fluxbp__tls_begin(&secure->tls, secure->context, 0) != 0 || !set_up_connection(client)) {
    fluxbp__client_lose(client, UV_ENOMEM, NULL);
    return;
  }
  secure->is_handshaking = true;
  fluxbp__client_update_reading(client);
  if (client->state == FLUXBP__CLIENT_CONNECTING) (void) continue_handshake(client);
}

/* Bytes in */

/* Whether these are the first bytes of a server, and not those of TLS. */
static bool is_plain_answer(fluxbp__secure_t *secure, const char *data, size_t length) {
  bool is_first = secure->is_handshaking && !secure->has_received;
  secure->has_received = true;
  return is_first && fluxbp__tls_record_bytes(data, length) == UV_EPROTO;
}

static void take_close_notify(fluxbp_client_t *client) {
  if (fluxbp__stream_is_holding(&client->stream) && client->state == FLUXBP__CLIENT_OPEN)
    client->has_ended = true; /* held messages come first */
  else
    fluxbp__client_take_end(client, UV_EOF, false);
}

void fluxbp__secure_feed(fluxbp_client_t *client, const char *data, size_t length) {
  fluxbp__secure_t *secure = client->secure;
  char plain[FLUXBP__TLS_PLAIN_BYTES];
  if (is_plain_answer(secure, data, length)) {
    secure->is_broken = true;
    fluxbp__client_lose_for_good(client, UV_EPROTO, "the server speaks no TLS");
    return;
  }
  secure->tls.window = data;
  secure->tls.window_length = length;
  if (secure->is_handshaking && !continue_handshake(client)) return;
  while (secure->tls.ssl != NULL) {
    ssize_t count = fluxbp__tls_read(&secure->tls, plain, sizeof plain);
    if (count == UV_EAGAIN) {
      if (client->waiting.length > 0) fluxbp__client_wake_flusher(client);
      SSL_free_buffers(secure->tls.ssl); /* a session ticket leaves an empty one of 16 KiB */
      return;
    }
    if (count == UV_EOF) {
      take_close_notify(client);
      return;
    }
    if (count < 0) {
      fail_connection(client, (int) count);
      return;
    }
    fluxbp__client_take_bytes(client, plain, (size_t) count);
  }
}

void fluxbp__secure_take_end(fluxbp_client_t *client, int error) {
  fluxbp__secure_t *secure = client->secure;
  bool is_end = error == UV_EOF || error == UV_ECONNRESET;
  secure->is_broken = true;
  if (!secure->is_handshaking)
    fluxbp__client_take_end(client, error, error == UV_EOF);
  else if (is_end && !secure->has_received)
    fluxbp__client_lose(client, error,
                        "the server closed the connection and said nothing in TLS; it may speak none there");
  else if (error == UV_EOF)
    fluxbp__client_lose(client, error, "the server closed the connection within the TLS handshake");
  else
    fluxbp__client_lose(client, error, NULL);
}

bool fluxbp__secure_is_mid_record(const fluxbp_client_t *client) {
  return client->secure != NULL && client->secure->tls.ssl != NULL && SSL_has_pending(client->secure->tls.ssl);
}

/* Bytes out */

int fluxbp__secure_flush(fluxbp_client_t *client) {
  fluxbp__buffer_t *waiting = &client->waiting;
  size_t taken = 0;
  int error = 0;
  while (!client->is_writing && taken < waiting->length && error == 0) {
    size_t length = waiting->length - taken;
    if (length > FLUXBP__TLS_PLAIN_BYTES) length = FLUXBP__TLS_PLAIN_BYTES;
    error = fluxbp__tls_write(&client->secure->tls, waiting->data + taken, length);
    if (error != UV_EAGAIN) taken += length;
  }
  memmove(waiting->data, waiting->data + taken, waiting->length - taken);
  waiting->length -= taken;
  return error != UV_EAGAIN ? error : 0; /* a message of the server's handshake has come in part; its rest goes on */
}

/* The end */

void fluxbp__secure_say_end(fluxbp_client_t *client) {
  fluxbp__secure_t *secure = client->secure;
  bool is_possible = secure->tls.ssl != NULL && !secure->is_handshaking && !secure->is_broken;
  if (is_possible) (void) fluxbp__tls_shutdown(&secure->tls);
}

/* OpenSSL takes a session for spoilt if its connection ends without close_notify, such as by a crash of the server. */
static void keep_session(fluxbp__secure_t *secure) {
  SSL *ssl = secure->tls.ssl;
  SSL_SESSION *session = SSL_get0_session(ssl);
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  if (session == NULL || !SSL_SESSION_is_resumable(session) || session == secure->session) return;
  SSL_SESSION_free(secure->session);
  secure->session = SSL_SESSION_up_ref(session) == 1 ? session : NULL;
}

void fluxbp__secure_end(fluxbp_client_t *client) {
  fluxbp__secure_t *secure = client->secure;
  if (secure->tls.ssl != NULL && !secure->is_handshaking) {
    bool is_reset = client->resets, has_unsent = client->is_writing;
    if (!is_reset && !has_unsent) fluxbp__secure_say_end(client);
    keep_session(secure);
  }
  fluxbp__tls_end(&secure->tls);
  fluxbp__buffer_free(&secure->late);
  secure->is_handshaking = false;
}
