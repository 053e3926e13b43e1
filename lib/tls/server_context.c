/* SPDX-License-Identifier: MIT */
/*
 * server_context: see the header.
 *
 * A context begins with the first certificate. When a client asks for a name that another one has, the connection's
 * certificate is exchanged, not its context: so all connections share one set of ticket keys, and nothing but
 * connections refers to a context. What the callbacks use is freed with the context, by the free function of a place
 * in OpenSSL's table.
 */
#include "server_context.h"

#include "tickets.h"
#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Of TLS 1.2 those with forward secrecy and authenticated encryption, of 1.3 all but CCM. The first is the quickest
 * where processors have AES; a client that names ChaCha20 first gets it (SSL_OP_PRIORITIZE_CHACHA). */
#define CIPHERS_1_2                                                                                                    \
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"                           \
  "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"

/* 112 bits: RSA of 2048 bits, curves of 224, SHA-224. A system's default may be higher. */
#define SECURITY_LEVEL_MIN 2

/* The most bytes of a client's certificates: four of RSA with 4096 bits take 8 KB. */
#define CLIENT_CERTIFICATES_BYTES_MAX (32L * 1024)

#define NANOSECONDS 1000000000

/* What the callbacks of a context use. */
struct shared {
  fluxbp__tickets_t *tickets;
  size_t count;
  fluxbp__certificate_t certificates[FLUXBP_TLS_CERTIFICATES_MAX];
};

/* Made once for the process: the place of `struct shared` in OpenSSL's contexts. Less than 0: there is no memory. */
static int shared_index;
static pthread_once_t shared_index_made = PTHREAD_ONCE_INIT;

static void free_shared(struct shared *shared) {
  if (shared == NULL) return;
  for (size_t i = 0; i < shared->count; i++) fluxbp__certificate_clear(&shared->certificates[i]);
  fluxbp__tickets_free(shared->tickets);
  free(shared);
}

static void on_context_free(void *context, void *shared, CRYPTO_EX_DATA *data, int place, long number, void *argument) {
  (void) context;
  (void) data;
  (void) place;
  (void) number;
  (void) argument;
  free_shared(shared);
}

static void make_shared_index(void) {
  shared_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_free);
}

/* The certificate for a name. */

/* One with this very name goes before one whose wildcard has it. NULL: there is none. */
static const fluxbp__certificate_t *find_certificate(const struct shared *shared, const char *name) {
  const fluxbp__certificate_t *wildcard = NULL;
  for (size_t i = 0; i < shared->count; i++) {
    const fluxbp__certificate_t *certificate = &shared->certificates[i];
    char *found = NULL;
    if (X509_check_host(certificate->certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, &found) != 1) continue;
    bool is_wildcard = found != NULL && found[0] == '*';
    OPENSSL_free(found);
    if (!is_wildcard) return certificate;
    if (wildcard == NULL) wildcard = certificate;
  }
  return wildcard;
}

/* Exchange the certificate of a connection. 1: done; otherwise OpenSSL's queue has the reason. */
static int use_certificate(SSL *ssl, const fluxbp__certificate_t *certificate) {
  SSL_certs_clear(ssl); /* one for another kind of key would stay beside it */
  return SSL_use_cert_and_key(ssl, certificate->certificate, certificate->key, certificate->chain, 1);
}

/* OK tells the client that its name is known, and ties a session of TLS 1.2 to it. */
static int on_server_name(SSL *ssl, int *alert, void *argument) {
  const struct shared *shared = argument;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const fluxbp__certificate_t *certificate = name != NULL ? find_certificate(shared, name) : NULL;
  if (certificate == NULL) return SSL_TLSEXT_ERR_NOACK;
  if (certificate == &shared->certificates[0] || SSL_session_reused(ssl)) return SSL_TLSEXT_ERR_OK;
  if (use_certificate(ssl, certificate) == 1) return SSL_TLSEXT_ERR_OK;
  *alert = SSL_AD_INTERNAL_ERROR;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ALPN (RFC 7301). */

static int on_protocols(SSL *ssl, const unsigned char **selected, unsigned char *selected_length,
                        const unsigned char *offered, unsigned offered_length, void *argument) {
  static const unsigned char http[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char *found;
  (void) ssl;
  (void) argument;
  if (SSL_select_next_proto(&found, selected_length, http, sizeof http, offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *selected = found;
  return SSL_TLSEXT_ERR_OK;
}

/* Session tickets. */

/* A ticket of TLS 1.3 is for one connection (RFC 8446, C.4), so each connection gets another one. */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                         int is_sealed) {
  const struct shared *shared = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), shared_index);
  uint64_t now_s = uv_hrtime() / NANOSECONDS;
  if (is_sealed) return fluxbp__tickets_seal(shared->tickets, now_s, name, iv, cipher, mac);
  int result = fluxbp__tickets_open(shared->tickets, now_s, name, iv, cipher, mac);
  bool is_single = result == FLUXBP__TICKET_TAKEN && SSL_version(ssl) >= TLS1_3_VERSION;
  return is_single ? FLUXBP__TICKET_RENEWED : result;
}

/* OpenSSL looks at a client's certificate in full handshakes alone, and tickets of TLS 1.3 can be renewed without an
 * end. So a session ends with the certificate that it began with. */
static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t length,
                                          SSL_TICKET_STATUS status, void *argument) {
  (void) ssl;
  (void) name;
  (void) length;
  (void) argument;
  if (session == NULL) return SSL_TICKET_RETURN_IGNORE_RENEW;
  const X509 *certificate = SSL_SESSION_get0_peer(session);
  if (certificate != NULL && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

/* Making one. */

static bool set_up_protocol(SSL_CTX *context) {
  (void) SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                          SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  (void) SSL_CTX_set_mode(context,
                          SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
  if (SSL_CTX_get_security_level(context) < SECURITY_LEVEL_MIN) SSL_CTX_set_security_level(context, SECURITY_LEVEL_MIN);
  SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, CIPHERS_1_2) == 1 && SSL_CTX_set_ciphersuites(context, CIPHERS_1_3) == 1;
}

static bool set_up_sessions(SSL_CTX *context, uint32_t ticket_key_s) {
  static const unsigned char id_context[] = "fluxbp";
  (void) SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  (void) SSL_CTX_set_timeout(context, (long) ticket_key_s);
  return SSL_CTX_set_num_tickets(context, 1) == 1 &&
         SSL_CTX_set_session_id_context(context, id_context, sizeof id_context - 1) == 1 &&
         SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket_key) == 1 &&
         SSL_CTX_set_session_ticket_cb(context, NULL, on_ticket_opened, NULL) == 1;
}

/* Each certificate is tried as it will be used. */
static int set_up_certificates(SSL_CTX *context, const struct shared *shared, const fluxbp_tls_options_t *options,
                               const fluxbp__reading_t *reading) {
  SSL *ssl = SSL_new(context);
  if (ssl == NULL) return fluxbp__reading_no_memory(reading);
  int err = 0;
  for (size_t i = 0; err == 0 && i < shared->count; i++) {
    char reason[128];
    ERR_clear_error();
    if (use_certificate(ssl, &shared->certificates[i]) == 1) continue;
    fluxbp__tls_openssl_problem(reason, sizeof reason);
    err = fluxbp__reading_refuse(
        reading, options->certificates[i].certificate,
        "it can't be used (%s); have one made with a key of P-256, or of RSA with 2048 bits, and with SHA-256", reason);
  }
  SSL_free(ssl);
  const fluxbp__certificate_t *first = &shared->certificates[0];
  if (err == 0 && SSL_CTX_use_cert_and_key(context, first->certificate, first->key, first->chain, 1) != 1)
    err = fluxbp__reading_no_memory(reading);
  return err;
}

/* Each certificate of the file is trusted for itself, whether it signs itself or not. */
static int set_up_clients(SSL_CTX *context, const fluxbp_tls_options_t *options, fluxbp__reading_t *reading) {
  STACK_OF(X509) * authorities;
  if (options->client_ca == NULL) return 0;
  int err = fluxbp__certificates_read(reading, options->client_ca, &authorities);
  if (err != 0) return err;
  bool is_right = X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN) == 1;
  for (int i = 0; is_right && i < sk_X509_num(authorities); i++) {
    X509 *authority = sk_X509_value(authorities, i);
    is_right = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1 &&
               SSL_CTX_add_client_CA(context, authority) == 1;
  }
  sk_X509_pop_free(authorities, X509_free);
  SSL_CTX_set_max_cert_list(context, CLIENT_CERTIFICATES_BYTES_MAX);
  bool is_required = options->clients == FLUXBP_TLS_CLIENTS_REQUIRED;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
  return is_right ? 0 : fluxbp__reading_no_memory(reading);
}

static int read_certificates(struct shared *shared, const fluxbp_tls_options_t *options, fluxbp__reading_t *reading) {
  int err = 0;
  while (err == 0 && shared->count < options->certificate_count) {
    size_t i = shared->count;
    err = fluxbp__certificate_read(reading, &options->certificates[i], &shared->certificates[i]);
    if (err == 0) shared->count++;
  }
  return err;
}

/* NULL: out of memory. */
static struct shared *add_shared(SSL_CTX *context, uint32_t ticket_key_s) {
  struct shared *shared = calloc(1, sizeof *shared);
  if (shared == NULL) return NULL;
  shared->tickets = fluxbp__tickets_create(ticket_key_s);
  if (shared->tickets != NULL && SSL_CTX_set_ex_data(context, shared_index, shared) == 1) {
    (void) SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    (void) SSL_CTX_set_tlsext_servername_arg(context, shared);
    return shared;
  }
  free_shared(shared);
  return NULL;
}

int fluxbp__server_context_make(const fluxbp_tls_options_t *options, fluxbp__reading_t *reading, SSL_CTX **context) {
  pthread_once(&shared_index_made, make_shared_index);
  *context = SSL_CTX_new(TLS_server_method());
  struct shared *shared = *context != NULL ? add_shared(*context, options->ticket_key_s) : NULL;
  bool is_right = shared != NULL && set_up_protocol(*context) && set_up_sessions(*context, options->ticket_key_s);
  int err = is_right ? read_certificates(shared, options, reading) : fluxbp__reading_no_memory(reading);
  if (err == 0) err = set_up_certificates(*context, shared, options, reading);
  if (err == 0) err = set_up_clients(*context, options, reading);
  ERR_clear_error();
  if (err == 0) return 0;
  SSL_CTX_free(*context);
  *context = NULL;
  return err;
}
