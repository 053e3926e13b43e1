/* SPDX-License-Identifier: MIT */
/*
 * A client and a server in one process, with TLS between them: what each protocol does, and what is on the wire.
 */
#include "support/certificates.h"
#include "support/client_fixture.h"

#include <stdio.h>

static client_fixture_t fx;
static certificates_t *certificates;
static fluxbp_client_tls_t *trusting;

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

static int begin(void **state) {
  fluxbp_client_tls_options_t options;
  char problem[256] = "";
  (void) state;
  certificates = certificates_begin();
  fluxbp_client_tls_options_init(&options);
  options.ca_file = certificates_path(certificates, "ca.pem");
  assert_int_equal(fluxbp_client_tls_create(&options, &trusting, problem, sizeof problem), 0);
  return 0;
}

static int end(void **state) {
  (void) state;
  fluxbp_client_tls_free(trusting);
  certificates_end(certificates);
  return 0;
}

static void open_secure(const char *scheme, const char *path) {
  client_fixture_open(&fx, scheme, path);
  fx.tls =
      tls_peer_context(certificates_path(certificates, "server.pem"), certificates_path(certificates, "server.key"));
  fx.options.tls = trusting;
  fx.options.resumes = 0;
}

static void close_secure(void) {
  client_fixture_close(&fx);
  SSL_CTX_free(fx.tls);
}

static const char *alpn_of_server(void) {
  static char text[32];
  const unsigned char *name;
  unsigned length;
  SSL_get0_alpn_selected(fx.secured->ssl, &name, &length);
  snprintf(text, sizeof text, "%.*s", (int) length, name != NULL ? (const char *) name : "");
  return text;
}

/* Protocols */

static void lines_go_through_tls(void **state) {
  (void) state;
  open_secure("tls", "");
  fx.options.topics = "news";
  client_fixture_connect(&fx);
  server_expects(&fx, "SUB news\n");
  assert_string_equal(fx.told, "connect open ");
  assert_string_equal(alpn_of_server(), "");
  server_say_text(&fx, "+OK SUB news\nnews hello\n");
  client_expects(&fx, "answer(+OK SUB news)");
  client_expects(&fx, "message(news hello)");
  assert_int_equal(fluxbp_client_send(fx.client, "PUB news one", 12, 0), 0);
  server_expects(&fx, "PUB news one\n");
  close_secure();
}

static void frames_go_through_tls(void **state) {
  (void) state;
  open_secure("tls-length", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  server_say(&fx, "\0\0\0\2hi", 6);
  client_expects(&fx, "message(hi)");
  assert_int_equal(fluxbp_client_send(fx.client, "a\nb", 3, 0), 0);
  while (fx.received_length < 7) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_memory_equal(fx.received, "\0\0\0\3a\nb", 7);
  close_secure();
}

static void a_websocket_goes_through_tls(void **state) {
  char payload[256];
  size_t length;
  (void) state;
  open_secure("wss", "/feed");
  fx.options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  client_fixture_open_websocket(&fx);
  assert_string_equal(alpn_of_server(), "http/1.1");
  server_say_frame(&fx, 0x81, "hello", 5);
  client_expects(&fx, "message(hello)");
  fluxbp_client_send(fx.client, "text", 4, 0);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 1);
  assert_string_equal(payload, "text");
  close_secure();
}

static void events_go_through_tls(void **state) {
  (void) state;
  open_secure("https", "/events");
  client_fixture_connect(&fx);
  server_expects(&fx, "GET /events HTTP/1.1\r\nHost: 127.0.0.1:");
  server_say_text(&fx, SSE_HEAD "\r\nid: 17\ndata: 5\n\n");
  client_expects(&fx, "message(5)#17");
  close_secure();
}

static void requests_go_through_tls(void **state) {
  fluxbp_client_request_t request = {.size = sizeof request, .path = "/a", .body = "hello", .body_length = 5};
  (void) state;
  open_secure("https", "");
  fx.options.protocol = FLUXBP_CLIENT_HTTP;
  client_fixture_connect(&fx);
  assert_int_equal(fluxbp_client_send_request(fx.client, &request), 0); /* before there is a connection */
  server_expects(&fx, "Content-Length: 5\r\n\r\nhello");
  server_say_text(&fx, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
  client_expects(&fx, "answer(ok)=201");
  close_secure();
}

static void tls_1_2_is_spoken_too(void **state) {
  (void) state;
  open_secure("tls", "");
  SSL_CTX_set_max_proto_version(fx.tls, TLS1_2_VERSION);
  fx.greeting = "hello\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(hello)");
  assert_string_equal(SSL_get_version(fx.secured->ssl), "TLSv1.2");
  close_secure();
}

/* Names */

static void a_name_is_asked_for_and_an_address_is_not(void **state) {
  char url[64];
  struct sockaddr_in address;
  (void) state;
  open_secure("tls", "");
  snprintf(url, sizeof url, "tls://localhost.:%d", fx.port); /* the dot belongs to no name of a certificate */
  fx.options.url = url;
  uv_ip4_addr("127.0.0.1", fx.port, &address);
  fx.options.address = (const struct sockaddr *) &address;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_string_equal(SSL_get_servername(fx.secured->ssl, TLSEXT_NAMETYPE_host_name), "localhost");
  close_secure();
  open_secure("tls", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_null(SSL_get_servername(fx.secured->ssl, TLSEXT_NAMETYPE_host_name));
  close_secure();
}

/* Sending */

static void messages_that_wait_together_share_a_record(void **state) {
  (void) state;
  open_secure("tls", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  for (int i = 0; i < 10; i++) assert_int_equal(fluxbp_client_send(fx.client, "one more", 8, 0), 0);
  while (fx.received_length < 90) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_int_equal(fx.secured->records, 1);
  close_secure();
}

static void large_messages_become_records_of_full_size(void **state) {
  static char large[40000];
  (void) state;
  memset(large, 'x', sizeof large);
  open_secure("tls", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  assert_int_equal(fluxbp_client_send(fx.client, large, sizeof large, 0), 0);
  while (fx.received_length < sizeof large + 1) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_int_equal(fx.secured->records, 3);
  close_secure();
}

/* The server's end reads from the socket without libuv, as the amount is more than `received` holds. */
static size_t read_from_peer(char last[2]) {
  char bytes[65536], plain[TLS_PEER_PLAIN_BYTES];
  size_t count, total = 0;
  uv_os_fd_t fd;
  uv_fileno((uv_handle_t *) fx.peer, &fd);
  ssize_t length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (length > 0) tls_peer_feed(fx.secured, bytes, (size_t) length);
  while ((count = tls_peer_read(fx.secured, plain, sizeof plain)) > 0) {
    total += count;
    last[0] = plain[count - 1];
  }
  return total;
}

static void a_full_queue_says_so_and_drains_through_tls(void **state) {
  static char large[300000];
  char last[2] = "";
  size_t sent = 0, received = 0;
  int error = 0;
  (void) state;
  memset(large, 'x', sizeof large);
  open_secure("tls", "");
  fx.options.max_queued_bytes = 1000;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
  uv_read_stop((uv_stream_t *) fx.peer);
  while (error == 0) {
    fx.calls++;
    error = fluxbp_client_send(fx.client, large, sizeof large, 0);
    fluxbp_client_flush(fx.client);
    fx.calls--;
    if (error == 0) sent += sizeof large + 1;
  }
  assert_int_equal(error, UV_EAGAIN);
  fluxbp_client_stats_t stats;
  fluxbp_client_get_stats(fx.client, &stats);
  assert_true(stats.queued_bytes > 0);
  while (strstr(fx.told, "drain") == NULL || received < sent) {
    received += read_from_peer(last);
    uv_run(&fx.loop, UV_RUN_NOWAIT);
  }
  assert_int_equal(received, sent);
  assert_int_equal(last[0], '\n');
  close_secure();
}

/* Stands between the library and the kernel, which takes nothing at once while it `refuses`. */
int __real_uv_try_write(uv_stream_t *stream, const uv_buf_t buffers[], unsigned count);
int __wrap_uv_try_write(uv_stream_t *stream, const uv_buf_t buffers[], unsigned count);

static bool refuses;

int __wrap_uv_try_write(uv_stream_t *stream, const uv_buf_t buffers[], unsigned count) {
  return refuses ? UV_EAGAIN : __real_uv_try_write(stream, buffers, count);
}

/* OpenSSL writes the new keys of the client before the next message: two records at once. */
static void keys_are_renewed_while_the_kernel_takes_nothing(void **state) {
  (void) state;
  open_secure("tls", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_int_equal(SSL_key_update(fx.secured->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
  server_say_text(&fx, "hello\n");
  client_expects(&fx, "message(hello)");
  refuses = true;
  assert_int_equal(fluxbp_client_send(fx.client, "after", 5, 0), 0);
  server_expects(&fx, "after\n");
  assert_int_equal(fluxbp_client_send(fx.client, "again", 5, 0), 0);
  server_expects(&fx, "after\nagain\n");
  refuses = false;
  assert_false(fx.secured->has_failed);
  close_secure();
}

/* Reading */

static void hook_that_pauses(client_fixture_t *fixture, const char *told) {
  if (strncmp(told, "message", 7) == 0) fluxbp_client_pause_read(fixture->client);
}

static void what_was_decrypted_waits_while_reading_is_paused(void **state) {
  (void) state;
  open_secure("tls", "");
  fx.hook = hook_that_pauses;
  fx.greeting = "1\n2\n3\n";
  client_fixture_connect(&fx);
  for (int i = 1; i <= 3; i++) {
    char text[32];
    snprintf(text, sizeof text, "message(%d)", i);
    client_expects(&fx, text);
    if (i == 1) server_end_tls(&fx);
    client_fixture_turns(&fx, 20);
    snprintf(text, sizeof text, "message(%d)", i + 1);
    assert_null(strstr(fx.told, text));
    assert_int_equal(fx.disconnects, 0);
    fluxbp_client_resume_read(fx.client);
  }
  client_expects(&fx, "disconnect(EOF)");
  close_secure();
}

/* The end of TLS comes in the same read as messages that have to wait. */
static void the_end_comes_behind_held_messages(void **state) {
  (void) state;
  open_secure("tls", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
  client_fixture_turns(&fx, 20);
  fx.hook = hook_that_pauses;
  tls_peer_write(fx.secured, "1\n2\n", 4);
  server_end_tls(&fx);
  client_expects(&fx, "message(1)");
  client_fixture_turns(&fx, 20);
  assert_int_equal(fx.disconnects, 0);
  fluxbp_client_resume_read(fx.client);
  client_expects(&fx, "message(2) disconnect(EOF)");
  close_secure();
}

static void a_paused_client_establishes_tls_and_reads_no_further(void **state) {
  fluxbp_client_stats_t before, after;
  (void) state;
  open_secure("tls", "");
  fx.greeting = "hello\n";
  assert_int_equal(fluxbp_client_create(&fx.loop, &fx.options, &fx.client), 0);
  fluxbp_client_pause_read(fx.client);
  fluxbp_client_connect(fx.client);
  client_expects(&fx, "connect open");
  fluxbp_client_get_stats(fx.client, &before);
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
  server_say_text(&fx, "more\n");
  client_fixture_turns(&fx, 20);
  assert_string_equal(fx.told, "connect open ");
  fluxbp_client_get_stats(fx.client, &after);
  assert_int_equal(after.received_bytes, before.received_bytes);
  fluxbp_client_resume_read_for(fx.client, 10); /* less than a record */
  client_fixture_turns(&fx, 20);
  fluxbp_client_get_stats(fx.client, &after);
  assert_int_equal(after.received_bytes, before.received_bytes + 10);
  assert_string_equal(fx.told, "connect open ");
  fluxbp_client_resume_read(fx.client);
  client_expects(&fx, "message(hello) message(more)");
  close_secure();
}

/* How a client closes */

static void closing_says_the_end_of_tls(void **state) {
  (void) state;
  open_secure("tls", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  fluxbp_client_send(fx.client, "QUIT", 4, 0);
  fluxbp_client_close(fx.client, 0, NULL, 1000);
  server_expects(&fx, "QUIT\n");
  while (!fx.has_eof) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_true(fx.secured->has_close_notify);
  assert_non_null(fx.client); /* it waits for the server's end */
  server_say_text(&fx, "too late\n");
  server_end_tls(&fx);
  client_expects(&fx, "close(0)");
  assert_string_equal(fx.told, "connect open close(0) ");
  close_secure();
}

static void a_websocket_says_both_ends(void **state) {
  char payload[256];
  size_t length;
  (void) state;
  open_secure("wss", "");
  client_fixture_open_websocket(&fx);
  fluxbp_client_close(fx.client, 4321, "enough", 1000);
  assert_int_equal(server_wait_frame(&fx, payload, sizeof payload, &length), 8);
  server_say_frame(&fx, 0x88, "\x03\xe8", 2);
  server_end_tls(&fx);
  client_expects(&fx, "close(0)");
  while (!fx.has_eof) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_true(fx.secured->has_close_notify);
  close_secure();
}

static void a_reset_stays_a_reset(void **state) {
  (void) state;
  open_secure("tls", "");
  client_fixture_connect(&fx);
  server_expects(&fx, "");
  client_expects(&fx, "open");
  while (fx.secured == NULL || !fx.secured->is_open) uv_run(&fx.loop, UV_RUN_ONCE);
  fluxbp_client_reset(fx.client);
  while (!fx.has_error && !fx.has_eof) uv_run(&fx.loop, UV_RUN_ONCE);
  assert_true(fx.has_error);
  assert_false(fx.secured->has_close_notify);
  close_secure();
}

static void a_client_may_be_reset_at_any_time(void **state) {
  static const char *const schemes[] = {"tls", "wss", "https"};
  (void) state;
  for (int i = 0; i < 3; i++) {
    for (int turns = 0; turns < 10; turns++) {
      open_secure(schemes[i], "");
      client_fixture_connect(&fx);
      client_fixture_turns(&fx, turns);
      close_secure();
      assert_non_null(strstr(fx.told, "close(ECANCELED)"));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_go_through_tls),
      cmocka_unit_test(frames_go_through_tls),
      cmocka_unit_test(a_websocket_goes_through_tls),
      cmocka_unit_test(events_go_through_tls),
      cmocka_unit_test(requests_go_through_tls),
      cmocka_unit_test(tls_1_2_is_spoken_too),
      cmocka_unit_test(a_name_is_asked_for_and_an_address_is_not),
      cmocka_unit_test(messages_that_wait_together_share_a_record),
      cmocka_unit_test(large_messages_become_records_of_full_size),
      cmocka_unit_test(a_full_queue_says_so_and_drains_through_tls),
      cmocka_unit_test(keys_are_renewed_while_the_kernel_takes_nothing),
      cmocka_unit_test(what_was_decrypted_waits_while_reading_is_paused),
      cmocka_unit_test(the_end_comes_behind_held_messages),
      cmocka_unit_test(a_paused_client_establishes_tls_and_reads_no_further),
      cmocka_unit_test(closing_says_the_end_of_tls),
      cmocka_unit_test(a_websocket_says_both_ends),
      cmocka_unit_test(a_reset_stays_a_reset),
      cmocka_unit_test(a_client_may_be_reset_at_any_time),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
