/* SPDX-License-Identifier: MIT */
/*
 * Certificates and servers that a client of TLS doesn't accept, and that don't accept the client: with which words; and
 * files that can't be used.
 */
#include "support/certificates.h"
#include "support/client_fixture.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

static client_fixture_t fx;
static certificates_t *certificates;

#define DAY_S (24 * 3600L)

static int begin(void **state) {
  (void) state;
  certificates = certificates_begin();
  certificates_issue(certificates, &(certificate_wish_t){.file = "other", .names = "DNS:other.example.org"});
  certificates_issue(certificates, &(certificate_wish_t){.file = "expired",
                                                         .names = "DNS:localhost,IP:127.0.0.1",
                                                         .begins_in_s = -2 * DAY_S,
                                                         .ends_in_s = -DAY_S});
  certificates_issue(certificates, &(certificate_wish_t){.file = "future",
                                                         .names = "DNS:localhost,IP:127.0.0.1",
                                                         .begins_in_s = DAY_S,
                                                         .ends_in_s = 2 * DAY_S});
  certificates_issue(certificates, &(certificate_wish_t){.file = "self",
                                                         .common_name = "self",
                                                         .names = "DNS:localhost,IP:127.0.0.1",
                                                         .issuer = "self"});
  return 0;
}

static int end(void **state) {
  (void) state;
  certificates_end(certificates);
  return 0;
}

static const char *path_of(const char *file) {
  return certificates_path(certificates, file);
}

/* NULL: none. */
static fluxbp_client_tls_t *make_tls(const char *ca_file, const char *certificate, int is_insecure) {
  fluxbp_client_tls_options_t options;
  fluxbp_client_tls_t *tls = NULL;
  char problem[256] = "", key[64];
  fluxbp_client_tls_options_init(&options);
  if (ca_file != NULL) options.ca_file = path_of(ca_file);
  if (certificate != NULL) {
    snprintf(key, sizeof key, "%.*s.key", (int) strcspn(certificate, "."), certificate);
    options.certificate = path_of(certificate);
    options.key = path_of(key);
  }
  options.is_insecure = is_insecure;
  assert_int_equal(fluxbp_client_tls_create(&options, &tls, problem, sizeof problem), 0);
  assert_string_equal(problem, "");
  return tls;
}

/* Begin with a server that has `certificate`, and a client that trusts `ca_file`, shows `own` and goes to `host`. */
static void connect_to(const char *certificate, const char *ca_file, const char *own, const char *host,
                       int is_insecure) {
  static char url[64], file[64], key[64];
  static struct sockaddr_in address;
  client_fixture_open(&fx, "tls", "");
  snprintf(file, sizeof file, "%s.pem", certificate);
  snprintf(key, sizeof key, "%s.key", certificate);
  fx.tls = tls_peer_context(path_of(file), path_of(key));
  snprintf(url, sizeof url, "tls://%s:%d", host, fx.port);
  uv_ip4_addr("127.0.0.1", fx.port, &address);
  fx.options.url = url;
  fx.options.address = (const struct sockaddr *) &address;
  fx.options.resumes = 0;
  fluxbp_client_tls_t *tls = make_tls(ca_file, own, is_insecure);
  fx.options.tls = tls;
  assert_int_equal(fluxbp_client_create(&fx.loop, &fx.options, &fx.client), 0);
  fluxbp_client_tls_free(tls); /* the client has what it needs */
  fluxbp_client_connect(fx.client);
}

static void close_both(void) {
  client_fixture_close(&fx);
  SSL_CTX_free(fx.tls);
}

static void expect_refusal(const char *certificate, const char *ca_file, const char *host, const char *problem,
                           int alert) {
  connect_to(certificate, ca_file, NULL, host, 0);
  client_expects(&fx, "close(EPROTO)");
  assert_string_equal(fx.told, "disconnect(EPROTO) close(EPROTO) ");
  assert_string_equal(fx.problem, problem);
  assert_int_equal(fx.last.retry_ms, -1);
  assert_false(fx.last.was_connected);
  while (fx.secured == NULL || !(fx.has_eof || fx.has_error)) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_int_equal(fx.secured->alert, alert); /* the server is told, too */
  close_both();
}

static void certificates_that_are_not_accepted_are_refused_in_words(void **state) {
  (void) state;
  expect_refusal("other", "ca.pem", "127.0.0.1",
                 "the certificate isn't accepted: it isn't for 127.0.0.1 (IP address mismatch)",
                 SSL_AD_BAD_CERTIFICATE);
  expect_refusal("other", "ca.pem", "localhost",
                 "the certificate isn't accepted: it isn't for localhost (hostname mismatch)", SSL_AD_BAD_CERTIFICATE);
  expect_refusal("server", "self.pem", "localhost",
                 "the certificate isn't accepted: unable to get local issuer certificate; its authority isn't among "
                 "those that are trusted, or the server doesn't send the certificates between",
                 SSL_AD_UNKNOWN_CA);
  expect_refusal("server", NULL, "localhost", /* the system doesn't know it either */
                 "the certificate isn't accepted: unable to get local issuer certificate; its authority isn't among "
                 "those that are trusted, or the server doesn't send the certificates between",
                 SSL_AD_UNKNOWN_CA);
  expect_refusal("expired", "ca.pem", "localhost",
                 "the certificate isn't accepted: certificate has expired; the server needs a new one, or this "
                 "machine's clock is wrong",
                 SSL_AD_CERTIFICATE_EXPIRED);
  expect_refusal("future", "ca.pem", "localhost",
                 "the certificate isn't accepted: certificate is not yet valid; this machine's clock may be wrong",
                 SSL_AD_BAD_CERTIFICATE);
  expect_refusal("self", "ca.pem", "localhost",
                 "the certificate isn't accepted: self-signed certificate; nobody vouches for it; to trust this one, "
                 "name its file as that of the authorities",
                 SSL_AD_UNKNOWN_CA);
}

static void a_client_without_tls_options_trusts_the_system(void **state) {
  (void) state;
  client_fixture_open(&fx, "wss", "");
  fx.tls = tls_peer_context(path_of("server.pem"), path_of("server.key"));
  for (int i = 0; i < 2; i++) {
    client_fixture_connect(&fx);
    client_expects(&fx, "close(EPROTO)");
    assert_non_null(strstr(fx.problem, "the certificate isn't accepted"));
    client_fixture_forget(&fx);
  }
  close_both();
}

static void a_self_signed_certificate_can_be_trusted(void **state) {
  (void) state;
  connect_to("self", "self.pem", NULL, "localhost", 0);
  client_expects(&fx, "open");
  close_both();
}

static void an_insecure_client_accepts_any_certificate(void **state) {
  static const char *const files[] = {"other", "expired", "self"};
  (void) state;
  for (int i = 0; i < 3; i++) {
    connect_to(files[i], NULL, NULL, "localhost", 1);
    client_expects(&fx, "open");
    close_both();
  }
}

static void a_persistent_client_comes_back_after_a_refusal(void **state) {
  (void) state;
  client_fixture_open(&fx, "tls", "");
  fx.tls = tls_peer_context(path_of("other.pem"), path_of("other.key"));
  fx.options.is_persistent = 1;
  client_fixture_connect(&fx);
  client_expects(&fx, "disconnect(EPROTO)");
  assert_int_equal(fx.last.retry_ms, 0);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "disconnect(EPROTO) disconnect(EPROTO)");
  assert_int_equal(fx.accepted, 2);
  close_both();
}

/* Servers */

static void a_server_that_speaks_no_tls_is_found_out(void **state) {
  static const char *const greetings[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "hello\n", "\x16\x02", "-"};
  (void) state;
  for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
    client_fixture_open(&fx, "https", "");
    fx.greeting = greetings[i];
    client_fixture_connect(&fx);
    client_expects(&fx, "close(EPROTO)");
    assert_string_equal(fx.problem, "the server speaks no TLS");
    assert_int_equal(fx.last.retry_ms, -1);
    client_fixture_close(&fx);
  }
}

static void a_server_that_closes_may_speak_no_tls(void **state) {
  (void) state;
  for (int resets = 0; resets < 2; resets++) {
    client_fixture_open(&fx, "tls", "");
    client_fixture_connect(&fx);
    while (fx.received_length == 0) uv_run(&fx.loop, UV_RUN_ONCE); /* the ClientHello */
    server_hang_up(&fx, resets != 0);
    client_expects(&fx, resets != 0 ? "disconnect(ECONNRESET)" : "disconnect(EOF)");
    assert_string_equal(fx.problem,
                        "the server closed the connection and said nothing in TLS; it may speak none there");
    assert_true(fx.last.retry_ms >= 0);
    client_fixture_close(&fx);
  }
}

static void a_server_without_a_common_version_is_refused(void **state) {
  (void) state;
  connect_to("server", "ca.pem", NULL, "localhost", 0);
  SSL_CTX_set_security_level(fx.tls, 0);
  SSL_CTX_set_min_proto_version(fx.tls, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(fx.tls, TLS1_1_VERSION);
  client_expects(&fx, "close(EPROTO)");
  assert_string_equal(fx.problem, "the server refuses by a TLS alert: protocol version");
  close_both();
}

static void a_server_that_is_silent_is_left_at_the_deadline(void **state) {
  (void) state;
  client_fixture_open(&fx, "tls", "");
  client_fixture_connect(&fx);
  while (fx.received_length == 0) uv_run(&fx.loop, UV_RUN_ONCE); /* the ClientHello */
  client_fixture_advance(&fx, 9999);
  assert_int_equal(fx.disconnects, 0);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "disconnect(ETIMEDOUT)");
  assert_string_equal(fx.problem, "the TLS handshake takes too long");
  assert_true(fx.last.retry_ms >= 0);
  client_fixture_close(&fx);
}

/* Stands between the library and the look-up: a port that is listened at, and where nothing is said, comes first. */
int __real_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *host,
                          const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *host,
                          const char *service, const struct addrinfo *hints);

static uv_getaddrinfo_cb found_cb;
static char silent_port[8];

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
  struct addrinfo *silent = NULL;
  assert_int_equal(status, 0);
  assert_int_equal(getaddrinfo("127.0.0.1", silent_port, NULL, &silent), 0);
  freeaddrinfo(silent->ai_next); /* the same for other kinds of socket */
  silent->ai_next = found;
  found_cb(request, 0, silent);
}

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *host,
                          const char *service, const struct addrinfo *hints) {
  found_cb = cb;
  return __real_uv_getaddrinfo(loop, request, on_found, host, service, hints);
}

static int listen_in_silence(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (const struct sockaddr *) &address, length), 0);
  assert_int_equal(listen(fd, 1), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &length), 0);
  snprintf(silent_port, sizeof silent_port, "%u", ntohs(address.sin_port));
  return fd;
}

static void an_address_without_tls_in_time_is_left_for_the_next(void **state) {
  (void) state;
  int silent = listen_in_silence();
  fluxbp_client_tls_t *tls = make_tls("ca.pem", NULL, 0);
  char url[64];
  client_fixture_open(&fx, "tls", "");
  fx.tls = tls_peer_context(path_of("server.pem"), path_of("server.key"));
  snprintf(url, sizeof url, "tls://localhost:%d", fx.port);
  fx.options.url = url;
  fx.options.tls = tls;
  client_fixture_connect(&fx);
  fluxbp_client_tls_free(tls);
  for (int i = 0; i < 9 && strstr(fx.told, "open") == NULL; i++) { /* parts of the 10 s that all of them have */
    for (int turn = 0; turn < 200; turn++) uv_run(&fx.loop, UV_RUN_ONCE);
    client_fixture_advance(&fx, 1000);
  }
  client_expects(&fx, "open");
  assert_int_equal(fx.disconnects, 0);
  close_both();
  close(silent);
}

static void an_error_of_the_server_is_not_final(void **state) {
  (void) state;
  client_fixture_open(&fx, "tls", "");
  client_fixture_connect(&fx);
  while (fx.received_length == 0) uv_run(&fx.loop, UV_RUN_ONCE);
  server_say(&fx, "\x15\x03\x03\0\2\2\x50", 7);
  client_expects(&fx, "disconnect(EPROTO)");
  assert_string_equal(fx.problem, "the server refuses by a TLS alert: internal error");
  assert_true(fx.last.retry_ms >= 0);
  client_fixture_close(&fx);
}

/* Clients' certificates */

static void ask_for_certificates(int version) {
  SSL_CTX_set_max_proto_version(fx.tls, version);
  assert_int_equal(SSL_CTX_load_verify_file(fx.tls, path_of("ca.pem")), 1);
  SSL_CTX_set_verify(fx.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static void a_client_shows_its_certificate(void **state) {
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  (void) state;
  for (int i = 0; i < 2; i++) {
    connect_to("server", "ca.pem", "client.pem", "localhost", 0);
    ask_for_certificates(versions[i]);
    fx.greeting = "hello\n";
    client_expects(&fx, "message(hello)");
    X509 *shown = SSL_get0_peer_certificate(fx.secured->ssl);
    char name[32] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof name);
    assert_string_equal(name, "alice");
    close_both();
  }
}

/* With TLS 1.3 the client has established its side before the server looks at the certificate. */
static void a_client_without_a_certificate_is_refused_for_good(void **state) {
  (void) state;
  connect_to("server", "ca.pem", NULL, "localhost", 0);
  ask_for_certificates(TLS1_3_VERSION);
  client_expects(&fx, "close(EPROTO)");
  assert_string_equal(fx.problem, "the server refuses by a TLS alert: certificate required");
  close_both();
  connect_to("server", "ca.pem", NULL, "localhost", 0);
  ask_for_certificates(TLS1_2_VERSION);
  client_expects(&fx, "close(EPROTO)");
  assert_string_equal(fx.problem, "the server refuses by a TLS alert: handshake failure");
  close_both();
  connect_to("server", "ca.pem", "self.pem", "localhost", 0);
  ask_for_certificates(TLS1_3_VERSION);
  client_expects(&fx, "close(EPROTO)");
  assert_string_equal(fx.problem, "the server refuses by a TLS alert: unknown ca");
  close_both();
}

/* Files */

static void expect_bad_options(const char *ca_file, const char *certificate, const char *key, const char *begin_file,
                               const char *words) {
  fluxbp_client_tls_options_t options;
  fluxbp_client_tls_t *tls = NULL;
  char problem[256] = "", expected[256];
  fluxbp_client_tls_options_init(&options);
  if (ca_file != NULL) options.ca_file = path_of(ca_file);
  if (certificate != NULL) options.certificate = path_of(certificate);
  if (key != NULL) options.key = path_of(key);
  assert_int_equal(fluxbp_client_tls_create(&options, &tls, problem, sizeof problem), UV_EINVAL);
  snprintf(expected, sizeof expected, "%s: %s", path_of(begin_file), words);
  assert_string_equal(problem, expected);
  assert_int_equal(fluxbp_client_tls_create(&options, &tls, NULL, 0), UV_EINVAL);
}

static void files_that_cannot_be_used_are_refused_in_words(void **state) {
  fluxbp_client_tls_options_t options;
  fluxbp_client_tls_t *tls = NULL;
  char problem[256] = "";
  (void) state;
  certificates_write(certificates, "empty.pem", "");
  certificates_write(certificates, "locked.key",
                     "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAA"
                     "AAICCAAw\nDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAAAAAAAAAAAAAAAAAAAAAAEgZAA\n"
                     "-----END ENCRYPTED PRIVATE KEY-----\n");
  expect_bad_options("none.pem", NULL, NULL, "none.pem",
                     "No such file or directory; it has to be a PEM file with certificates of authorities");
  expect_bad_options("empty.pem", NULL, NULL, "empty.pem",
                     "no certificate or crl found; it has to be a PEM file with certificates of authorities");
  expect_bad_options(NULL, "client.pem", NULL, "client.pem", "the key of the certificate is missing");
  expect_bad_options(NULL, NULL, "client.key", "client.key", "the certificate of the key is missing");
  expect_bad_options(NULL, "client.key", "client.key", "client.key",
                     "no start line; it has to be a PEM file with a certificate");
  expect_bad_options(NULL, "client.pem", "none.key", "none.key",
                     "No such file or directory; it has to be a PEM file with a private key, without a password");
  fluxbp_client_tls_options_init(&options);
  options.certificate = path_of("client.pem");
  options.key = path_of("server.key");
  assert_int_equal(fluxbp_client_tls_create(&options, &tls, problem, sizeof problem), UV_EINVAL);
  assert_non_null(strstr(problem, "server.key: the key doesn't belong to the certificate in /"));
  options.key = path_of("locked.key");
  assert_int_equal(fluxbp_client_tls_create(&options, &tls, problem, sizeof problem), UV_EINVAL);
  assert_non_null(strstr(problem, "it has to be a PEM file with a private key, without a password"));
  fluxbp_client_tls_options_init(&options);
  options.ca_file = path_of("ca.pem");
  options.is_insecure = 1;
  assert_int_equal(fluxbp_client_tls_create(&options, &tls, problem, sizeof problem), UV_EINVAL);
  assert_non_null(strstr(problem, "a file of authorities has no effect where every certificate is accepted"));
  assert_null(tls);
}

static void options_of_other_versions_are_taken_by_their_size(void **state) {
  struct {
    fluxbp_client_tls_options_t known;
    size_t unknown;
  } longer = {.known = {.size = sizeof longer}, .unknown = 1};
  fluxbp_client_tls_t *tls = NULL;
  (void) state;
  assert_int_equal(fluxbp_client_tls_create(&longer.known, &tls, NULL, 0), UV_E2BIG);
  longer.unknown = 0;
  assert_int_equal(fluxbp_client_tls_create(&longer.known, &tls, NULL, 0), 0);
  fluxbp_client_tls_free(tls);
  fluxbp_client_tls_free(NULL);
  longer.known.size = 0;
  assert_int_equal(fluxbp_client_tls_create(&longer.known, &tls, NULL, 0), UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(certificates_that_are_not_accepted_are_refused_in_words),
      cmocka_unit_test(a_client_without_tls_options_trusts_the_system),
      cmocka_unit_test(a_self_signed_certificate_can_be_trusted),
      cmocka_unit_test(an_insecure_client_accepts_any_certificate),
      cmocka_unit_test(a_persistent_client_comes_back_after_a_refusal),
      cmocka_unit_test(a_server_that_speaks_no_tls_is_found_out),
      cmocka_unit_test(a_server_that_closes_may_speak_no_tls),
      cmocka_unit_test(a_server_without_a_common_version_is_refused),
      cmocka_unit_test(a_server_that_is_silent_is_left_at_the_deadline),
      cmocka_unit_test(an_address_without_tls_in_time_is_left_for_the_next),
      cmocka_unit_test(an_error_of_the_server_is_not_final),
      cmocka_unit_test(a_client_shows_its_certificate),
      cmocka_unit_test(a_client_without_a_certificate_is_refused_for_good),
      cmocka_unit_test(files_that_cannot_be_used_are_refused_in_words),
      cmocka_unit_test(options_of_other_versions_are_taken_by_their_size),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
