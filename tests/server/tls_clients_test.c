/* SPDX-License-Identifier: MIT */
/*
 * tls_clients: certificates of clients: which are asked for, which are refused, and the name that one gives. The linker
 * puts our clock in the place of X509_cmp_current_time (-Wl,--wrap), with which sessions are checked.
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

int __real_X509_cmp_current_time(const ASN1_TIME *time);
int __wrap_X509_cmp_current_time(const ASN1_TIME *time);

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static certificates_t *certificates;
static bool is_over;

int __wrap_X509_cmp_current_time(const ASN1_TIME *time) {
  return is_over ? -1 : __real_X509_cmp_current_time(time);
}

static int begin(void **state) {
  (void) state;
  certificates = certificates_begin();
  return 0;
}

static int end(void **state) {
  (void) state;
  certificates_end(certificates);
  return 0;
}

/* `client_ca` NULL: none is asked for. */
static fluxbp_tls_t *create(const char *client_ca, fluxbp_tls_clients_t clients) {
  fluxbp_tls_t *tls;
  fluxbp_tls_options_t options;
  char problem[512] = "";
  fluxbp_tls_options_init(&options);
  options.certificates = &(fluxbp_tls_certificate_t){certificates_path(certificates, "server.pem"),
                                                     certificates_path(certificates, "server.key")};
  options.certificate_count = 1;
  options.client_ca = client_ca != NULL ? certificates_path(certificates, client_ca) : NULL;
  options.clients = clients;
  int err = fluxbp_tls_create(&options, &tls, problem, sizeof problem);
  assert_string_equal(problem, "");
  assert_int_equal(err, 0);
  return tls;
}

/* A client with the certificate file.pem. NULL: it has none. */
static SSL_CTX *client_with(const char *file) {
  char name[64];
  SSL_CTX *client = tls_pair_client(certificates_path(certificates, "ca.pem"));
  (void) SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
  if (file == NULL) return client;
  (void) snprintf(name, sizeof name, "%s.pem", file);
  assert_int_equal(SSL_CTX_use_certificate_chain_file(client, certificates_path(certificates, name)), 1);
  (void) snprintf(name, sizeof name, "%s.key", file);
  assert_int_equal(SSL_CTX_use_PrivateKey_file(client, certificates_path(certificates, name), SSL_FILETYPE_PEM), 1);
  return client;
}

/* Connect. @return whether the client is served; `reason` is why not, for people */
static bool connect_with(fluxbp_tls_t *tls, const char *file, int version, char *name, size_t capacity,
                         char reason[sizeof(((tls_pair_t *) 0)->problem)]) {
  tls_pair_t pair;
  SSL_CTX *client = client_with(file);
  tls_pair_begin(&pair, fluxbp__tls_context(tls), client);
  assert_int_equal(SSL_set_max_proto_version(pair.client, version), 1);
  bool is_right = tls_pair_shake_hands(&pair);
  if (is_right) {
    size_t length = fluxbp__tls_client_name(pair.server.ssl, name, capacity);
    assert_true(length == 0 || length == strlen(name));
    if (length == 0) name[0] = '\0';
  } else {
    assert_int_equal(pair.server_error, UV_EPROTO);
    memcpy(reason, pair.problem, sizeof pair.problem);
  }
  tls_pair_end(&pair);
  SSL_CTX_free(client);
  return is_right;
}

/* `name` "": it has none. */
static void assert_name(fluxbp_tls_t *tls, const char *file, const char *name) {
  char found[65], reason[TLS_PAIR_PROBLEM_BYTES];
  for (size_t i = 0; i < 2; i++) {
    assert_true(connect_with(tls, file, versions[i], found, sizeof found, reason));
    assert_string_equal(found, name);
  }
}

static void assert_refused(fluxbp_tls_t *tls, const char *file, const char *reason) {
  char name[65], found[TLS_PAIR_PROBLEM_BYTES];
  for (size_t i = 0; i < 2; i++) {
    found[0] = '\0';
    assert_false(connect_with(tls, file, versions[i], name, sizeof name, found));
    assert_non_null(strstr(found, reason));
  }
}

/* Who is served. */

static void clients_are_not_asked_by_default(void **state) {
  (void) state;
  fluxbp_tls_t *tls = create(NULL, FLUXBP_TLS_CLIENTS_REQUIRED);
  assert_name(tls, NULL, "");
  assert_name(tls, "client", "");
  fluxbp_tls_free(tls);
}

static void a_required_certificate_gives_the_name(void **state) {
  (void) state;
  fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_REQUIRED);
  assert_name(tls, "client", "alice");
  assert_refused(tls, NULL, "peer did not return a certificate");
  fluxbp_tls_free(tls);
}

static void an_optional_certificate_may_be_left_out_but_not_be_wrong(void **state) {
  (void) state;
  certificates_issue(
      certificates,
      &(certificate_wish_t){.file = "other", .common_name = "other", .issuer = "other", .is_authority = true});
  certificates_issue(certificates,
                     &(certificate_wish_t){.file = "stranger", .common_name = "alice", .issuer = "other"});
  fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_OPTIONAL);
  assert_name(tls, NULL, "");
  assert_name(tls, "client", "alice");
  assert_refused(tls, "stranger", "the certificate isn't accepted: ");
  fluxbp_tls_free(tls);
}

static void a_certificate_that_has_expired_is_refused(void **state) {
  (void) state;
  certificates_issue(
      certificates,
      &(certificate_wish_t){.file = "expired", .common_name = "alice", .begins_in_s = -7200, .ends_in_s = -3600});
  fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_REQUIRED);
  assert_refused(tls, "expired", "the certificate isn't accepted: certificate has expired");
  fluxbp_tls_free(tls);
}

static void any_certificate_of_the_file_is_trusted_for_itself(void **state) {
  (void) state;
  certificates_issue(certificates, &(certificate_wish_t){.file = "team", .common_name = "team", .is_authority = true});
  certificates_issue(certificates, &(certificate_wish_t){.file = "member", .common_name = "bob", .issuer = "team"});
  fluxbp_tls_t *tls = create("team.pem", FLUXBP_TLS_CLIENTS_REQUIRED); /* its own authority isn't in the file */
  assert_name(tls, "member", "bob");
  assert_refused(tls, "client", "the certificate isn't accepted: ");
  fluxbp_tls_free(tls);
}

static void clients_are_told_which_authorities_count(void **state) {
  (void) state;
  tls_pair_t pair;
  char text[64] = "";
  fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_OPTIONAL);
  SSL_CTX *client = client_with(NULL);
  tls_pair_begin(&pair, fluxbp__tls_context(tls), client);
  assert_true(tls_pair_shake_hands(&pair));
  const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(pair.client);
  assert_int_equal(sk_X509_NAME_num(names), 1);
  (void) X509_NAME_get_text_by_NID(sk_X509_NAME_value(names, 0), NID_commonName, text, sizeof text);
  assert_string_equal(text, "fluxbp test CA");
  tls_pair_end(&pair);
  SSL_CTX_free(client);
  fluxbp_tls_free(tls);
}

/* Names. */

static void issue_name(const char *name, size_t length) {
  certificates_issue(certificates,
                     &(certificate_wish_t){.file = "named", .common_name = name, .common_name_length = length});
}

static void a_name_is_utf_8_and_is_never_cut(void **state) {
  (void) state;
  char found[65], reason[TLS_PAIR_PROBLEM_BYTES];
  fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_REQUIRED);
  issue_name("J\xc3\xbcrgen M.", 0);
  assert_name(tls, "named", "J\xc3\xbcrgen M.");
  assert_true(connect_with(tls, "named", TLS1_3_VERSION, found, sizeof "J\xc3\xbcrgen M.", reason));
  assert_string_equal(found, "J\xc3\xbcrgen M.");
  assert_true(connect_with(tls, "named", TLS1_3_VERSION, found, sizeof "J\xc3\xbcrgen M." - 1, reason));
  assert_string_equal(found, "");
  fluxbp_tls_free(tls);
}

static void a_name_with_control_characters_is_none(void **state) {
  (void) state;
  static const char nul[] = "alice\0 of another authority";
  fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_REQUIRED);
  issue_name(nul, sizeof nul - 1);
  assert_name(tls, "named", "");
  issue_name("alice\n", 0);
  assert_name(tls, "named", "");
  issue_name("alice\x7f", 0);
  assert_name(tls, "named", "");
  issue_name("alice\xc2\x85", 0);
  assert_name(tls, "named", "");
  issue_name("alice\xc2\xa0", 0);
  assert_name(tls, "named", "alice\xc2\xa0");
  fluxbp_tls_free(tls);
}

static void a_subject_with_no_name_or_with_two_has_none(void **state) {
  (void) state;
  fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_REQUIRED);
  issue_name(NULL, 0);
  assert_name(tls, "named", "");
  certificates_issue(certificates,
                     &(certificate_wish_t){.file = "named", .common_name = "alice", .second_common_name = "bob"});
  assert_name(tls, "named", "");
  fluxbp_tls_free(tls);
}

/* Sessions. */

/* @return whether the server has resumed the session, which is replaced by that of this connection */
static bool resume(fluxbp_tls_t *tls, SSL_CTX *client, int version, SSL_SESSION **session) {
  tls_pair_t pair;
  char name[65];
  tls_pair_begin(&pair, fluxbp__tls_context(tls), client);
  assert_int_equal(SSL_set_max_proto_version(pair.client, version), 1);
  if (*session != NULL) assert_int_equal(SSL_set_session(pair.client, *session), 1);
  assert_true(tls_pair_shake_hands(&pair));
  assert_int_equal(fluxbp__tls_client_name(pair.server.ssl, name, sizeof name), 5);
  assert_string_equal(name, "alice");
  bool is_resumed = SSL_session_reused(pair.server.ssl);
  SSL_SESSION_free(*session);
  *session = SSL_get1_session(pair.client);
  tls_pair_end(&pair);
  return is_resumed;
}

static void a_resumed_session_has_the_name(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    SSL_SESSION *session = NULL;
    fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_REQUIRED);
    SSL_CTX *client = client_with("client");
    assert_false(resume(tls, client, versions[i], &session));
    assert_true(resume(tls, client, versions[i], &session));
    assert_true(resume(tls, client, versions[i], &session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    fluxbp_tls_free(tls);
  }
}

static void a_session_ends_with_the_certificate(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    SSL_SESSION *session = NULL;
    fluxbp_tls_t *tls = create("ca.pem", FLUXBP_TLS_CLIENTS_REQUIRED);
    SSL_CTX *client = client_with("client");
    assert_false(resume(tls, client, versions[i], &session));
    is_over = true;
    assert_false(resume(tls, client, versions[i], &session));
    is_over = false;
    assert_true(resume(tls, client, versions[i], &session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    fluxbp_tls_free(tls);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clients_are_not_asked_by_default),
      cmocka_unit_test(a_required_certificate_gives_the_name),
      cmocka_unit_test(an_optional_certificate_may_be_left_out_but_not_be_wrong),
      cmocka_unit_test(a_certificate_that_has_expired_is_refused),
      cmocka_unit_test(any_certificate_of_the_file_is_trusted_for_itself),
      cmocka_unit_test(clients_are_told_which_authorities_count),
      cmocka_unit_test(a_name_is_utf_8_and_is_never_cut),
      cmocka_unit_test(a_name_with_control_characters_is_none),
      cmocka_unit_test(a_subject_with_no_name_or_with_two_has_none),
      cmocka_unit_test(a_resumed_session_has_the_name),
      cmocka_unit_test(a_session_ends_with_the_certificate),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
