/* SPDX-License-Identifier: MIT */
/*
 * Connections by TLS that end: cut at every byte, or without TLS's own end; and that the client comes back to the same
 * session.
 */
#include "support/certificates.h"
#include "support/client_fixture.h"

#include <stdio.h>

static client_fixture_t fx;
static certificates_t *certificates;
static fluxbp_client_tls_t *trusting;

#define UNPROVED                                                                                                       \
  "the connection was closed without the end of TLS (close_notify), so not all of what the server has sent may have "  \
  "come"

static int begin(void **state) {
  fluxbp_client_tls_options_t options;
  (void) state;
  certificates = certificates_begin();
  fluxbp_client_tls_options_init(&options);
  options.ca_file = certificates_path(certificates, "ca.pem");
  assert_int_equal(fluxbp_client_tls_create(&options, &trusting, NULL, 0), 0);
  return 0;
}

static int end(void **state) {
  (void) state;
  fluxbp_client_tls_free(trusting);
  certificates_end(certificates);
  return 0;
}

static SSL_CTX *make_context(int version) {
  SSL_CTX *context =
      tls_peer_context(certificates_path(certificates, "server.pem"), certificates_path(certificates, "server.key"));
  SSL_CTX_set_max_proto_version(context, version);
  return context;
}

static void open_secure(const char *scheme, int version) {
  client_fixture_open(&fx, scheme, "");
  fx.tls = make_context(version);
  fx.options.tls = trusting;
  fx.options.resumes = 0;
}

static void close_secure(void) {
  client_fixture_close(&fx);
  SSL_CTX_free(fx.tls);
}

static void wait_for_server(void) {
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
}

/* The client comes back at the next look at its clock. */
static void hook_that_lifts_the_cut(client_fixture_t *fixture, const char *told) {
  if (strncmp(told, "disconnect", 10) != 0) return;
  fixture->cut = 0;
  fluxbp_client_tick(fixture->client);
}

/* Cut a server that greets after so many bytes. @return whether it has sent fewer */
static bool cut_after(size_t cut, SSL_CTX *context) {
  client_fixture_open(&fx, "tls", "");
  fx.tls = context;
  fx.options.tls = trusting;
  fx.options.resumes = 0;
  fx.greeting = "hello\n";
  fx.cut = cut;
  fx.hook = hook_that_lifts_the_cut;
  client_fixture_connect(&fx);
  while (fx.disconnects == 0 && strstr(fx.told, "message") == NULL) uv_run(&fx.loop, UV_RUN_ONCE);
  bool is_established = strncmp(fx.told, "connect", 7) == 0;
  if (fx.disconnects > 0) {
    assert_int_equal(fx.last.error, UV_EOF);
    assert_string_equal(fx.problem,
                        is_established ? UNPROVED : "the server closed the connection within the TLS handshake");
    while (fx.accepted < 2) uv_run(&fx.loop, UV_RUN_ONCE); /* it comes back */
  }
  if (cut % 64 == 0) client_expects(&fx, "message(hello)"); /* of all of them it would take long */
  bool is_whole = fx.accepted == 1 && fx.secured->sent < cut;
  client_fixture_close(&fx);
  return is_whole;
}

static void a_handshake_that_is_cut_at_any_byte_is_made_again(void **state) {
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  (void) state;
  for (int i = 0; i < 2; i++) {
    SSL_CTX *context = make_context(versions[i]);
    size_t cut = 1;
    while (!cut_after(cut, context)) cut++;
    assert_true(cut > 500);
    SSL_CTX_free(context);
  }
}

/* Ends */

static void the_end_of_tls_is_the_end_of_the_connection(void **state) {
  (void) state;
  open_secure("tls", TLS1_3_VERSION);
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(hello)");
  server_end_tls(&fx);
  client_expects(&fx, "disconnect(EOF)");
  assert_string_equal(fx.problem, "the server closed the connection");
  assert_false(fx.last.is_mid_message);
  close_secure();
}

static void an_end_without_that_of_tls_is_reported_as_such(void **state) {
  (void) state;
  open_secure("tls", TLS1_3_VERSION);
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(hello)");
  server_hang_up(&fx, false);
  client_expects(&fx, "disconnect(EOF)");
  assert_string_equal(fx.problem, UNPROVED);
  assert_false(fx.last.is_mid_message);
  close_secure();
}

static void a_record_that_comes_in_part_is_a_message_that_is_lost(void **state) {
  (void) state;
  open_secure("tls", TLS1_3_VERSION);
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(hello)");
  fx.cut = fx.secured->sent + 9;
  server_say_text(&fx, "again\n");
  client_expects(&fx, "disconnect(EOF)");
  assert_true(fx.last.is_mid_message);
  close_secure();
}

/* An answer that ends with the connection is whole only if TLS has ended. */
static void an_answer_that_may_be_cut_is_none(void **state) {
  static const char head[] = "HTTP/1.1 200 OK\r\n\r\nfirst";
  fluxbp_client_request_t request = {.size = sizeof request};
  (void) state;
  open_secure("https", TLS1_3_VERSION);
  fx.options.protocol = FLUXBP_CLIENT_HTTP;
  client_fixture_connect(&fx);
  fluxbp_client_send_request(fx.client, &request);
  server_expects(&fx, "GET / HTTP/1.1\r\n");
  server_say_text(&fx, head);
  server_hang_up(&fx, false);
  client_expects(&fx, "disconnect(EOF)");
  assert_string_equal(fx.problem, UNPROVED);
  assert_null(strstr(fx.told, "answer"));
  client_fixture_forget(&fx);
  fluxbp_client_send_request(fx.client, &request);
  client_fixture_advance(&fx, 1);
  server_expects(&fx, "GET / HTTP/1.1\r\n");
  server_say_text(&fx, head);
  server_end_tls(&fx);
  client_expects(&fx, "answer(first)=200");
  assert_int_equal(fx.disconnects, 1);
  close_secure();
}

static void a_server_that_closes_between_requests_cuts_nothing(void **state) {
  fluxbp_client_request_t request = {.size = sizeof request};
  (void) state;
  open_secure("https", TLS1_3_VERSION);
  fx.options.protocol = FLUXBP_CLIENT_HTTP;
  client_fixture_connect(&fx);
  for (int i = 1; i <= 2; i++) {
    fluxbp_client_send_request(fx.client, &request);
    server_expects(&fx, "GET / HTTP/1.1\r\n");
    server_say_text(&fx, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    client_expects(&fx, "answer(1)=200");
    server_hang_up(&fx, false);
    client_fixture_turns(&fx, 20);
    client_fixture_forget(&fx);
  }
  assert_int_equal(fx.accepted, 2);
  assert_int_equal(fx.disconnects, 0);
  close_secure();
}

static void a_record_that_was_changed_ends_the_connection(void **state) {
  char bytes[256];
  (void) state;
  open_secure("tls", TLS1_3_VERSION);
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(hello)");
  tls_peer_write(fx.secured, "again\n", 6);
  size_t length = tls_peer_take(fx.secured, bytes, sizeof bytes);
  bytes[length - 1] ^= 1;
  tls_peer_t *secured = fx.secured;
  fx.secured = NULL; /* as it is */
  server_say(&fx, bytes, length);
  fx.secured = secured;
  client_expects(&fx, "disconnect(EPROTO)");
  assert_non_null(strstr(fx.problem, "TLS fails: "));
  assert_true(fx.last.retry_ms >= 0);
  close_secure();
}

/* Sessions */

static void expect_reuse(const char *scheme, int version, void (*lose)(void)) {
  open_secure(scheme, version);
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  for (int i = 0; i < 4; i++) {
    client_expects(&fx, "message(hello)");
    wait_for_server();
    assert_int_equal(SSL_session_reused(fx.secured->ssl), i > 0);
    client_fixture_forget(&fx);
    lose();
    client_expects(&fx, "disconnect");
    client_fixture_advance(&fx, 10000);
  }
  close_secure();
}

static void by_the_end_of_tls(void) {
  server_end_tls(&fx);
  server_hang_up(&fx, false);
}

static void by_a_fin(void) {
  server_hang_up(&fx, false);
}

static void by_a_reset(void) {
  server_hang_up(&fx, true);
}

static void by_the_program(void) {
  fluxbp_client_reconnect(fx.client, 1);
}

static void coming_back_takes_up_the_session(void **state) {
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  (void) state;
  for (int i = 0; i < 2; i++) {
    expect_reuse("tls", versions[i], by_the_end_of_tls);
    expect_reuse("tls", versions[i], by_a_fin);
    expect_reuse("tls", versions[i], by_a_reset);
    expect_reuse("tls", versions[i], by_the_program);
  }
}

/* As after a restart of the server, which has other keys for its tickets. */
static void a_session_that_the_server_forgot_is_begun_anew(void **state) {
  (void) state;
  open_secure("tls", TLS1_3_VERSION);
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(hello)");
  server_hang_up(&fx, false);
  client_expects(&fx, "disconnect");
  SSL_CTX_free(fx.tls);
  fx.tls = make_context(TLS1_3_VERSION);
  client_fixture_forget(&fx);
  client_fixture_advance(&fx, 1);
  client_expects(&fx, "message(hello)");
  assert_int_equal(SSL_session_reused(fx.secured->ssl), 0);
  close_secure();
}

static void a_session_ends_after_a_day(void **state) {
  static const int hours[] = {0, 12, 12, 23};
  static const bool is_reused[] = {false, true, false, true};
  (void) state;
  open_secure("tls", TLS1_3_VERSION);
  fx.greeting = "hello\n";
  fx.options.ping_interval_ms = 0;
  client_fixture_connect(&fx);
  for (int i = 0; i < 4; i++) {
    client_fixture_advance(&fx, (uint64_t) hours[i] * 3600 * 1000);
    if (i > 0) {
      client_fixture_forget(&fx);
      server_hang_up(&fx, false);
      client_expects(&fx, "disconnect");
      client_fixture_advance(&fx, 0);
    }
    client_expects(&fx, "message(hello)");
    assert_int_equal(SSL_session_reused(fx.secured->ssl), is_reused[i]);
  }
  close_secure();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_handshake_that_is_cut_at_any_byte_is_made_again),
      cmocka_unit_test(the_end_of_tls_is_the_end_of_the_connection),
      cmocka_unit_test(an_end_without_that_of_tls_is_reported_as_such),
      cmocka_unit_test(a_record_that_comes_in_part_is_a_message_that_is_lost),
      cmocka_unit_test(an_answer_that_may_be_cut_is_none),
      cmocka_unit_test(a_server_that_closes_between_requests_cuts_nothing),
      cmocka_unit_test(a_record_that_was_changed_ends_the_connection),
      cmocka_unit_test(coming_back_takes_up_the_session),
      cmocka_unit_test(a_session_that_the_server_forgot_is_begun_anew),
      cmocka_unit_test(a_session_ends_after_a_day),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
