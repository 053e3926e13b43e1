/* SPDX-License-Identifier: MIT */
/*
 * tls_context: what a server agrees to in a handshake: the certificate for a name, versions, ciphers, ALPN.
 */
#include "support/certificates.h"
#include "support/tls_pair.h"
#include "tls/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#define FILES_MAX 8

/* Of RFC 7301, 3.1: each name behind its length. */
static const char HTTP_2[] = "\2h2";
static const char HTTP_2_AND_1[] = "\2h2\10http/1.1";
static const char HTTP_1_0[] = "\10http/1.0";

static certificates_t *certificates;
static SSL_CTX *client;

/* The common name says which one a client got: names of hosts are in the extension. */
static void issue(const char *file, const char *names, int rsa_bits) {
  certificates_issue(certificates,
                     &(certificate_wish_t){.file = file, .common_name = file, .names = names, .rsa_bits = rsa_bits});
}

static int begin(void **state) {
  (void) state;
  certificates = certificates_begin();
  issue("first", "DNS:first.example.org", 0);
  issue("wildcard", "DNS:*.example.org", 0);
  issue("exact", "DNS:exact.example.org,DNS:example.net", 0);
  issue("rsa", "DNS:rsa.example.org", 2048);
  client = tls_pair_client(certificates_path(certificates, "ca.pem"));
  return 0;
}

static int end(void **state) {
  (void) state;
  SSL_CTX_free(client);
  certificates_end(certificates);
  return 0;
}

static const char *path_of(const char *file, const char *ending) {
  char name[64];
  (void) snprintf(name, sizeof name, "%s%s", file, ending);
  return certificates_path(certificates, name);
}

/* `files`: up to a NULL. */
static fluxbp_tls_t *create(const char *const *files) {
  fluxbp_tls_t *tls;
  fluxbp_tls_options_t options;
  fluxbp_tls_certificate_t list[FILES_MAX];
  char problem[512] = "";
  fluxbp_tls_options_init(&options);
  options.certificates = list;
  for (; files[options.certificate_count] != NULL; options.certificate_count++) {
    list[options.certificate_count].certificate = path_of(files[options.certificate_count], ".pem");
    list[options.certificate_count].key = path_of(files[options.certificate_count], ".key");
  }
  int err = fluxbp_tls_create(&options, &tls, problem, sizeof problem);
  assert_string_equal(problem, "");
  assert_int_equal(err, 0);
  return tls;
}

#define CREATE(...) create((const char *const[]){__VA_ARGS__, NULL})

/* Begin with a server that is freed at once: the connection's context lives on. */
static void begin_pair(tls_pair_t *pair, fluxbp_tls_t *tls) {
  tls_pair_begin(pair, fluxbp__tls_context(tls), client);
  fluxbp_tls_free(tls);
}

/* The certificate for a name. */

/* `name` NULL: the client asks for none. */
static void assert_certificate_at(fluxbp_tls_t *tls, const char *name, const char *file, int version) {
  tls_pair_t pair;
  char found[64] = "";
  tls_pair_begin(&pair, fluxbp__tls_context(tls), client);
  if (name != NULL) assert_int_equal(SSL_set_tlsext_host_name(pair.client, name), 1);
  assert_int_equal(SSL_set_max_proto_version(pair.client, version), 1);
  assert_true(tls_pair_shake_hands(&pair));
  const X509 *certificate = SSL_get0_peer_certificate(pair.client);
  (void) X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, found, sizeof found);
  assert_string_equal(found, file);
  tls_pair_end(&pair);
}

static void assert_certificate(fluxbp_tls_t *tls, const char *name, const char *file) {
  assert_certificate_at(tls, name, file, TLS1_2_VERSION);
  assert_certificate_at(tls, name, file, TLS1_3_VERSION);
}

static void a_name_gets_the_certificate_that_has_it(void **state) {
  (void) state;
  fluxbp_tls_t *tls = CREATE("first", "wildcard", "exact");
  assert_certificate(tls, "first.example.org", "first");
  assert_certificate(tls, "example.net", "exact");
  assert_certificate(tls, "EXAMPLE.net", "exact");
  assert_certificate(tls, "any.example.org", "wildcard");
  fluxbp_tls_free(tls);
}

static void a_name_that_no_certificate_has_gets_the_first_one(void **state) {
  (void) state;
  fluxbp_tls_t *tls = CREATE("first", "wildcard", "exact");
  assert_certificate(tls, NULL, "first");
  assert_certificate(tls, "example.org", "first");
  assert_certificate(tls, "two.labels.example.org", "first");
  assert_certificate(tls, "www.example.net", "first");
  assert_certificate(tls, "wildcard", "first"); /* a common name is none of a host when there are others */
  fluxbp_tls_free(tls);
}

static void an_exact_name_goes_before_a_wildcard(void **state) {
  (void) state;
  fluxbp_tls_t *tls = CREATE("wildcard", "exact", "first");
  assert_certificate(tls, "exact.example.org", "exact");
  assert_certificate(tls, "other.example.org", "wildcard");
  fluxbp_tls_free(tls);
}

static void a_name_decides_between_kinds_of_keys(void **state) {
  (void) state;
  fluxbp_tls_t *tls = CREATE("first", "rsa");
  assert_certificate(tls, "rsa.example.org", "rsa"); /* each client here could use P-256, too */
  assert_certificate(tls, "first.example.org", "first");
  fluxbp_tls_free(tls);
  tls = CREATE("rsa", "first");
  assert_certificate(tls, NULL, "rsa");
  assert_certificate(tls, "first.example.org", "first");
  fluxbp_tls_free(tls);
}

static void the_certificates_that_lead_to_the_root_are_sent(void **state) {
  (void) state;
  tls_pair_t pair;
  certificates_issue(certificates,
                     &(certificate_wish_t){.file = "middle", .common_name = "middle", .is_authority = true});
  certificates_issue(certificates, &(certificate_wish_t){.file = "leaf", .names = "DNS:leaf", .issuer = "middle"});
  const char *const servers[][3] = {{"leaf", NULL}, {"first", "leaf", NULL}};
  for (size_t i = 0; i < 2; i++) {
    begin_pair(&pair, create(servers[i]));
    assert_int_equal(SSL_set_tlsext_host_name(pair.client, "leaf"), 1);
    assert_int_equal(SSL_set1_host(pair.client, "leaf"), 1);
    assert_true(tls_pair_shake_hands(&pair)); /* the client knows the root alone */
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(pair.client)), 2);
    tls_pair_end(&pair);
  }
}

/* Versions and ciphers. */

static void tls_1_2_and_1_3_are_spoken(void **state) {
  (void) state;
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  tls_pair_t pair;
  for (size_t i = 0; i < 2; i++) {
    begin_pair(&pair, CREATE("server"));
    assert_int_equal(SSL_set_min_proto_version(pair.client, versions[i]), 1);
    assert_int_equal(SSL_set_max_proto_version(pair.client, versions[i]), 1);
    assert_int_equal(SSL_set1_host(pair.client, "localhost"), 1);
    assert_true(tls_pair_shake_hands(&pair));
    assert_true(tls_pair_send(&pair));
    assert_int_equal(SSL_version(pair.client), versions[i]);
    tls_pair_end(&pair);
  }
}

static void tls_1_1_is_refused(void **state) {
  (void) state;
  tls_pair_t pair;
  begin_pair(&pair, CREATE("server"));
  SSL_set_security_level(pair.client, 0);
  assert_int_equal(SSL_set_min_proto_version(pair.client, TLS1_VERSION), 1);
  assert_int_equal(SSL_set_max_proto_version(pair.client, TLS1_1_VERSION), 1);
  assert_false(tls_pair_shake_hands(&pair));
  assert_int_equal(pair.server_error, UV_EPROTO);
  assert_int_equal(pair.client_error, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  tls_pair_end(&pair);
}

/* `cipher` NULL: it is refused. */
static void assert_cipher(const char *ciphers, const char *cipher) {
  tls_pair_t pair;
  begin_pair(&pair, CREATE("server", "rsa"));
  assert_int_equal(SSL_set_max_proto_version(pair.client, TLS1_2_VERSION), 1);
  assert_int_equal(SSL_set_tlsext_host_name(pair.client, "rsa.example.org"), 1);
  assert_int_equal(SSL_set_cipher_list(pair.client, ciphers), 1);
  assert_int_equal(tls_pair_shake_hands(&pair), cipher != NULL);
  if (cipher != NULL)
    assert_string_equal(SSL_get_cipher_name(pair.client), cipher);
  else
    assert_int_equal(pair.client_error, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
  tls_pair_end(&pair);
}

static void the_server_chooses_the_cipher(void **state) {
  (void) state;
  assert_cipher("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256");
  assert_cipher("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305");
  assert_cipher("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384");
}

static void a_client_that_names_chacha_first_gets_it(void **state) {
  (void) state;
  assert_cipher("ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305");
  assert_cipher("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256");
}

static void ciphers_without_forward_secrecy_or_with_cbc_are_refused(void **state) {
  (void) state;
  assert_cipher("AES128-GCM-SHA256", NULL);
  assert_cipher("ECDHE-RSA-AES128-SHA256", NULL);
  assert_cipher("ECDHE-RSA-AES256-SHA", NULL);
}

static void tls_1_3_begins_with_aes_128(void **state) {
  (void) state;
  tls_pair_t pair;
  begin_pair(&pair, CREATE("server"));
  assert_int_equal(SSL_set_ciphersuites(pair.client, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"), 1);
  assert_true(tls_pair_shake_hands(&pair));
  assert_string_equal(SSL_get_cipher_name(pair.client), "TLS_AES_128_GCM_SHA256");
  tls_pair_end(&pair);
}

static void renegotiation_is_refused_and_the_connection_goes_on(void **state) {
  (void) state;
  tls_pair_t pair;
  begin_pair(&pair, CREATE("server"));
  assert_int_equal(SSL_set_max_proto_version(pair.client, TLS1_2_VERSION), 1);
  assert_true(tls_pair_shake_hands(&pair));
  assert_true((SSL_get_options(pair.server.ssl) & SSL_OP_NO_RENEGOTIATION) != 0);
  assert_int_equal(SSL_renegotiate(pair.client), 1);
  assert_int_equal(SSL_do_handshake(pair.client), -1); /* it waits for the server's hello */
  char window[4096], byte;
  int count = BIO_read(pair.wire, window, sizeof window);
  assert_true(count > 0);
  pair.server.window = window;
  pair.server.window_length = (size_t) count;
  assert_int_equal(fluxbp__tls_read(&pair.server, &byte, 1), UV_EAGAIN);
  ERR_clear_error();
  assert_int_equal(SSL_do_handshake(pair.client), -1);
  assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
  assert_int_equal(fluxbp__tls_write(&pair.server, "s", 1), 0);
  tls_pair_end(&pair);
}

/* ALPN. */

static bool shake_hands_with(const char *protocols, const char *selected) {
  tls_pair_t pair;
  const unsigned char *found;
  unsigned length;
  begin_pair(&pair, CREATE("server"));
  if (protocols != NULL)
    assert_int_equal(SSL_set_alpn_protos(pair.client, (const unsigned char *) protocols, (unsigned) strlen(protocols)),
                     0);
  bool is_right = tls_pair_shake_hands(&pair);
  if (!is_right) assert_int_equal(pair.client_error, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
  SSL_get0_alpn_selected(pair.client, &found, &length);
  if (is_right) {
    assert_int_equal(length, strlen(selected));
    assert_memory_equal(found, selected, length);
  }
  tls_pair_end(&pair);
  return is_right;
}

static void alpn_selects_http_1_1(void **state) {
  (void) state;
  assert_true(shake_hands_with(HTTP_2_AND_1, "http/1.1"));
  assert_true(shake_hands_with(HTTP_2_AND_1 + 3, "http/1.1"));
}

static void a_client_without_alpn_is_served(void **state) {
  (void) state;
  assert_true(shake_hands_with(NULL, ""));
}

static void a_client_that_offers_other_protocols_alone_is_refused(void **state) {
  (void) state;
  assert_false(shake_hands_with(HTTP_2, NULL));
  assert_false(shake_hands_with(HTTP_1_0, NULL));
}

/* What costs memory. */

static void idle_connections_keep_no_buffers(void **state) {
  (void) state;
  fluxbp_tls_t *tls = CREATE("server");
  SSL_CTX *context = fluxbp__tls_context(tls);
  long mode = SSL_CTX_get_mode(context);
  assert_true((mode & SSL_MODE_RELEASE_BUFFERS) != 0 && (mode & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) != 0);
  assert_true((SSL_CTX_get_options(context) & SSL_OP_NO_COMPRESSION) != 0);
  assert_int_equal(SSL_CTX_get_session_cache_mode(context), SSL_SESS_CACHE_OFF);
  SSL_CTX_free(context);
  fluxbp_tls_free(tls);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_name_gets_the_certificate_that_has_it),
      cmocka_unit_test(a_name_that_no_certificate_has_gets_the_first_one),
      cmocka_unit_test(an_exact_name_goes_before_a_wildcard),
      cmocka_unit_test(a_name_decides_between_kinds_of_keys),
      cmocka_unit_test(the_certificates_that_lead_to_the_root_are_sent),
      cmocka_unit_test(tls_1_2_and_1_3_are_spoken),
      cmocka_unit_test(tls_1_1_is_refused),
      cmocka_unit_test(the_server_chooses_the_cipher),
      cmocka_unit_test(a_client_that_names_chacha_first_gets_it),
      cmocka_unit_test(ciphers_without_forward_secrecy_or_with_cbc_are_refused),
      cmocka_unit_test(tls_1_3_begins_with_aes_128),
      cmocka_unit_test(renegotiation_is_refused_and_the_connection_goes_on),
      cmocka_unit_test(alpn_selects_http_1_1),
      cmocka_unit_test(a_client_without_alpn_is_served),
      cmocka_unit_test(a_client_that_offers_other_protocols_alone_is_refused),
      cmocka_unit_test(idle_connections_keep_no_buffers),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
