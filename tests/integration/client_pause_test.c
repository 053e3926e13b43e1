/* SPDX-License-Identifier: MIT */
/*
 * Flow control: while reading is paused no message comes, whatever has been read already; and what a client costs in
 * memory.
 */
#include "support/certificates.h"
#include "support/client_fixture.h"

#include <stdio.h>

static client_fixture_t fx;

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static int allocations;

void *__wrap_malloc(size_t size) {
  allocations++;
  return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  allocations++;
  return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
  allocations++;
  return __real_realloc(memory, size);
}

static void hook_that_pauses(client_fixture_t *fixture, const char *told) {
  if (strncmp(told, "message", 7) == 0) fluxbp_client_pause_read(fixture->client);
}

/* Three messages in one piece: each comes when reading is resumed, and no earlier. */
static void expect_one_by_one(void) {
  for (int i = 1; i <= 3; i++) {
    char text[32];
    snprintf(text, sizeof text, "message(%d)", i);
    client_expects(&fx, text);
    client_fixture_turns(&fx, 20);
    snprintf(text, sizeof text, "message(%d)", i + 1);
    assert_null(strstr(fx.told, text));
    fx.calls++;
    fluxbp_client_resume_read(fx.client); /* no handler in here */
    fx.calls--;
  }
}

static void lines_wait_while_reading_is_paused(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.hook = hook_that_pauses;
  fx.greeting = "1\n2\n3\n";
  client_fixture_connect(&fx);
  expect_one_by_one();
  server_say_text(&fx, "later\n");
  client_expects(&fx, "message(later)");
  client_fixture_close(&fx);
}

static void frames_wait_while_reading_is_paused(void **state) {
  (void) state;
  client_fixture_open(&fx, "ws", "");
  fx.options.resumes = 0;
  client_fixture_connect(&fx);
  server_accept_websocket(&fx, NULL, "");
  client_expects(&fx, "open");
  fx.hook = hook_that_pauses;
  server_say(&fx,
             "\x81\1"
             "1\x81\1"
             "2\x81\1"
             "3",
             9);
  expect_one_by_one();
  client_fixture_close(&fx);
}

static void the_end_of_a_stream_comes_behind_its_messages(void **state) {
  (void) state;
  client_fixture_open(&fx, "sse", "");
  fx.hook = hook_that_pauses;
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "1b\r\ndata: 1\n\ndata: 2\n\ndata: 3\n\n\r\n0\r\n\r\n");
  expect_one_by_one();
  client_expects(&fx, "disconnect(EOF)");
  client_fixture_close(&fx);
}

static void a_client_may_begin_paused(void **state) {
  (void) state;
  client_fixture_open(&fx, "ws", "");
  assert_int_equal(fluxbp_client_create(&fx.loop, &fx.options, &fx.client), 0);
  fluxbp_client_pause_read(fx.client);
  fluxbp_client_connect(fx.client);
  server_accept_websocket(&fx, NULL, "");
  client_fixture_turns(&fx, 20);
  client_fixture_advance(&fx, 60000); /* what can't be heard isn't missed */
  assert_string_equal(fx.told, "connect ");
  fluxbp_client_resume_read(fx.client);
  client_expects(&fx, "open");
  client_fixture_close(&fx);
}

static void a_server_that_is_held_up_is_not_missed(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.options.silence_ms = 60000;
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  fluxbp_client_pause_read(fx.client);
  client_fixture_advance(&fx, 59999);
  client_fixture_advance(&fx, 59999);
  client_fixture_turns(&fx, 20);
  assert_int_equal(fx.received_length, 0); /* no ping */
  fluxbp_client_resume_read(fx.client);
  client_fixture_advance(&fx, 24999);
  assert_int_equal(fx.received_length, 0);
  client_fixture_advance(&fx, 1);
  server_expects(&fx, "PING\n");
  assert_int_equal(fx.disconnects, 0);
  client_fixture_close(&fx);
}

static void reading_may_be_allowed_by_the_byte(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.greeting = "12345678\n12345678\n";
  assert_int_equal(fluxbp_client_create(&fx.loop, &fx.options, &fx.client), 0);
  fluxbp_client_pause_read(fx.client);
  fluxbp_client_connect(fx.client);
  client_expects(&fx, "open");
  fluxbp_client_resume_read_for(fx.client, 10);
  client_expects(&fx, "message(12345678)");
  client_fixture_turns(&fx, 20);
  fluxbp_client_stats_t stats;
  fluxbp_client_get_stats(fx.client, &stats);
  assert_int_equal(stats.received_bytes, 10);
  fluxbp_client_resume_read_for(fx.client, 8);
  client_expects(&fx, "message(12345678) message(12345678)");
  client_fixture_close(&fx);
}

static void closing_waits_for_the_server_when_nothing_may_be_read(void **state) {
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.greeting = "123\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(123)");
  fluxbp_client_resume_read_for(fx.client, 0);
  fluxbp_client_close(fx.client, 1000, NULL, 1000);
  client_fixture_turns(&fx, 20);
  server_say_text(&fx, "456\n");
  client_fixture_turns(&fx, 20);
  assert_null(strstr(fx.told, "close"));
  server_hang_up(&fx, false);
  client_expects(&fx, "close(0)");
  client_fixture_close(&fx);
}

/* Nothing is allocated for a message that arrives in one piece; what the fixture and libuv do for the server comes
 * before. */
static void expect_no_allocation(const void *bytes, size_t length, const char *told) {
  client_fixture_forget(&fx);
  server_say(&fx, bytes, length);
  client_fixture_turns(&fx, 3); /* written */
  client_expects(&fx, told);
  client_fixture_forget(&fx);
  uv_os_fd_t fd;
  uv_fileno((uv_handle_t *) fx.peer, &fd);
  allocations = 0;
  assert_int_equal(send(fd, bytes, length, 0), length);
  client_expects(&fx, told);
  assert_int_equal(allocations, 0);
}

static void a_message_in_one_piece_takes_no_memory(void **state) {
  static const char json[] = "\x81\x33{\"id\":\"0123456789abcdef:8\",\"topic\":\"a\",\"data\":\"hi\"}";
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  client_fixture_connect(&fx);
  client_expects(&fx, "open");
  while (fx.peer == NULL) uv_run(&fx.loop, UV_RUN_ONCE);
  expect_no_allocation("0123456789abcdef:8 news hello\n", 30, "message(hello)");
  client_fixture_close(&fx);
  client_fixture_open(&fx, "ws", "");
  client_fixture_open_websocket(&fx);
  expect_no_allocation(json, sizeof json - 1, "message(hi)");
  client_fixture_close(&fx);
  client_fixture_open(&fx, "sse", "");
  client_fixture_connect(&fx);
  server_expects(&fx, "\r\n\r\n");
  server_say_text(&fx, SSE_HEAD);
  client_expects(&fx, "open");
  expect_no_allocation("id: 7\ndata: hello\n\n", 19, "message(hello)");
  client_fixture_close(&fx);
}

/* What OpenSSL allocates isn't counted: it is a library of its own. */
static void a_record_takes_no_memory_of_ours(void **state) {
  fluxbp_client_tls_options_t options;
  fluxbp_client_tls_t *tls;
  char bytes[256];
  (void) state;
  certificates_t *certificates = certificates_begin();
  fluxbp_client_tls_options_init(&options);
  options.ca_file = certificates_path(certificates, "ca.pem");
  assert_int_equal(fluxbp_client_tls_create(&options, &tls, NULL, 0), 0);
  client_fixture_open(&fx, "tls", "");
  fx.tls =
      tls_peer_context(certificates_path(certificates, "server.pem"), certificates_path(certificates, "server.key"));
  fx.options.tls = tls;
  fx.options.resumes = 0;
  fx.greeting = "1\n";
  client_fixture_connect(&fx);
  client_expects(&fx, "message(1)");
  tls_peer_t *secured = fx.secured;
  for (int i = 0; i < 2; i++) {
    tls_peer_write(secured, "hello\n", 6);
    size_t length = tls_peer_take(secured, bytes, sizeof bytes);
    uv_os_fd_t fd;
    uv_fileno((uv_handle_t *) fx.peer, &fd);
    client_fixture_forget(&fx);
    allocations = 0;
    assert_int_equal(send(fd, bytes, length, 0), length);
    client_expects(&fx, "message(hello)");
    assert_int_equal(allocations, 0);
  }
  client_fixture_close(&fx);
  SSL_CTX_free(fx.tls);
  fluxbp_client_tls_free(tls);
  certificates_end(certificates);
}

static void clients_may_share_their_buffer(void **state) {
  static char buffer[1024];
  (void) state;
  client_fixture_open(&fx, "tcp", "");
  fx.options.resumes = 0;
  fx.options.read_buffer = buffer;
  fx.options.read_buffer_bytes = sizeof buffer;
  char text[3000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 2] = '\n';
  text[sizeof text - 1] = '\0';
  fx.greeting = text;
  client_fixture_connect(&fx);
  client_expects(&fx, "message(xxx");
  assert_int_equal(fx.told_length, strlen("connect open message() ") + sizeof text - 2);
  client_fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_wait_while_reading_is_paused),
      cmocka_unit_test(frames_wait_while_reading_is_paused),
      cmocka_unit_test(the_end_of_a_stream_comes_behind_its_messages),
      cmocka_unit_test(a_client_may_begin_paused),
      cmocka_unit_test(a_server_that_is_held_up_is_not_missed),
      cmocka_unit_test(reading_may_be_allowed_by_the_byte),
      cmocka_unit_test(closing_waits_for_the_server_when_nothing_may_be_read),
      cmocka_unit_test(a_message_in_one_piece_takes_no_memory),
      cmocka_unit_test(a_record_takes_no_memory_of_ours),
      cmocka_unit_test(clients_may_share_their_buffer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
