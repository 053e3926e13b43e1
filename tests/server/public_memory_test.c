/* SPDX-License-Identifier: MIT */
/*
 * What clients send in part counts against the server's budget, is refused when its share is used up, and is given back
 * when the clients leave.
 */
#include "support/sanitized.h"
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * KIB, BUDGET = 32 * MIB, INPUT = BUDGET / 16 * 3, PART = 200 * KIB };

static fluxbp_server_stats_t stats_of(struct server_fixture *f) {
  fluxbp_server_stats_t stats;
  fluxbp_server_get_stats(f->server, &stats);
  return stats;
}

static void start(struct server_fixture *f, uint64_t budget) {
  server_fixture_init(f);
  f->options.budget = budget;
  f->options.history_bytes = budget / 4;
  f->options.max_message = 256 * KIB;
  server_fixture_start(f);
}

static void run_until_input(struct server_fixture *f, uint64_t least) {
  for (int i = 0; stats_of(f).input_bytes < least; i++) {
    assert_true(i < 20000);
    step_once(f);
  }
}

static void run_until_no_input(struct server_fixture *f) {
  for (int i = 0; stats_of(f).input_bytes > 0; i++) {
    assert_true(i < 20000);
    step_once(f);
  }
  assert_int_equal(stats_of(f).pool.reserved_bytes, 0);
}

static void send_part(struct peer *peer, size_t length) {
  static const char letters[8 * KIB] = {0};
  while (length > 0) {
    size_t piece = length < sizeof letters ? length : sizeof letters;
    peer_send_bytes(peer, letters, piece);
    step_once(peer->fixture);
    length -= piece;
  }
}

/* Memory of this process, in bytes. */
static uint64_t resident_bytes(void) {
  unsigned long long size, resident;
  FILE *file = fopen("/proc/self/statm", "r");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
  (void) fclose(file);
  return resident * (uint64_t) sysconf(_SC_PAGESIZE);
}

static void begin_request(struct peer *peer, struct server_fixture *f, unsigned announced_bytes) {
  char head[128];
  (void) snprintf(head, sizeof head,
                  "POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nContent-Length: %u\r\n\r\n",
                  announced_bytes);
  peer_connect(peer, f, f->http);
  peer_send(peer, head);
}

static void half_a_message_counts_until_it_is_whole_or_its_client_leaves(void **state) {
  static const unsigned char frame[] = {0x01, 0xfe, 0x40, 0x00, 0, 0, 0, 0}; /* a fragment of 16 KiB */
  static const unsigned char length[] = {0, 1, 0, 0};
  (void) state;
  struct server_fixture f;
  struct peer *peer = calloc(1, sizeof *peer);
  start(&f, BUDGET);

  peer_connect(peer, &f, f.lines);
  peer_send(peer, "PUB news ");
  run_until_input(&f, 9);
  peer_send(peer, "hello\n");
  peer_expect(peer, "+OK PUB");
  run_until_no_input(&f);
  peer_send(peer, "PUB news again");
  run_until_input(&f, 14);
  peer_close(peer);
  run_until_no_input(&f);

  peer_connect(peer, &f, f.length);
  peer_send_bytes(peer, length, sizeof length);
  peer_send(peer, "PUB");
  run_until_input(&f, 64 * KIB); /* as long as it says */
  peer_close(peer);
  run_until_no_input(&f);

  peer_connect(peer, &f, f.http);
  peer_upgrade(peer, "/ws");
  peer_send_bytes(peer, frame, sizeof frame);
  send_part(peer, 8 * KIB);
  run_until_input(&f, 8 * KIB + 4096);
  peer_close(peer);
  run_until_no_input(&f);

  peer_connect(peer, &f, f.http);
  peer_send(peer, "GET /livez HTTP/1.1\r\nHost: ");
  run_until_input(&f, 512);
  peer_send(peer, "localhost\r\n\r\n");
  peer_expect(peer, "HTTP/1.1 200 OK");
  peer_close(peer);
  run_until_no_input(&f);

  begin_request(peer, &f, 1000000);
  send_part(peer, PART);
  run_until_input(&f, PART);
  peer_close(peer);
  run_until_no_input(&f);
  assert_int_equal(stats_of(&f).input_refused, 0);

  free(peer);
  server_fixture_end(&f);
}

/* 300 of them took 138 MB with a budget of 32 MiB, and the pool said 0. */
static void half_requests_take_their_share_of_the_budget_and_no_more(void **state) {
  enum { CLIENTS = 300 };
  (void) state;
  struct server_fixture f;
  struct peer *peers = calloc(CLIENTS, sizeof *peers);
  start(&f, BUDGET);
  uint64_t before = resident_bytes();
  for (int i = 0; i < CLIENTS; i++) {
    begin_request(&peers[i], &f, 1000000);
    char piece[4 * KIB] = {0};
    for (int sent = 0; sent < PART && !peers[i].has_ended; sent += (int) sizeof piece) {
      (void) !send(peers[i].fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
      (void) uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    assert_true(stats_of(&f).input_bytes <= BUDGET / 4);
  }
  for (int i = 0; stats_of(&f).input_refused == 0; i++) {
    assert_true(i < 20000);
    step_once(&f);
  }
  assert_true(stats_of(&f).pool.used_bytes >= INPUT / 2);
  /* AddressSanitizer keeps what was freed for a while. */
  assert_true(FIXTURE_IS_SANITIZED || resident_bytes() - before < BUDGET);

  struct peer *admin = calloc(1, sizeof *admin); /* is served all the same */
  peer_connect(admin, &f, f.http);
  peer_send(admin, "GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer_expect(admin, "HTTP/1.1 200 OK");
  peer_expect(admin, "\"input_limit_bytes\":8388608");
  peer_close(admin);
  free(admin);

  bool was_told = false;
  for (int i = 0; i < CLIENTS; i++) {
    while (!was_told && recv(peers[i].fd, peers[i].text, sizeof peers[i].text - 1, MSG_DONTWAIT) > 0)
      was_told = strstr(peers[i].text, "HTTP/1.1 503 ") != NULL && strstr(peers[i].text, "Retry-After: 1") != NULL;
    peer_close(&peers[i]);
  }
  assert_true(was_told);
  run_until_no_input(&f);
  free(peers);
  server_fixture_end(&f);
}

/* Half requests that fill the share of input. */
static size_t fill(struct server_fixture *f, struct peer *peers, size_t count) {
  size_t used = 0;
  while (stats_of(f).input_bytes < 130 * KIB) {
    assert_true(used < count);
    begin_request(&peers[used], f, 90000);
    send_part(&peers[used++], 60 * KIB);
  }
  return used;
}

static void a_client_is_told_when_the_share_is_used_up(void **state) {
  enum { CLIENTS = 8 };
  static const unsigned char length[] = {0, 1, 0, 0};
  static const unsigned char frame[] = {0x01, 0xfe, 0xf0, 0x00, 0, 0, 0, 0}; /* 60 KiB */
  (void) state;
  struct server_fixture f;
  struct peer *peers = calloc(CLIENTS + 1, sizeof *peers);
  struct peer *peer = &peers[CLIENTS];
  server_fixture_init(&f);
  f.options.budget = MIB; /* 192 KiB for input */
  f.options.history_bytes = 256 * KIB;
  server_fixture_start(&f);
  size_t count = fill(&f, peers, CLIENTS);

  peer_connect(peer, &f, f.lines);
  peer_send(peer, "PUB news ");
  send_part(peer, 40 * KIB);
  peer_expect(peer, "-ERR the server is out of memory; try again later");
  peer_close(peer);

  peer_connect(peer, &f, f.length);
  peer_send_bytes(peer, length, sizeof length);
  peer_send(peer, "PUB");
  peer_expect(peer, "-ERR the server is out of memory; try again later");
  peer_close(peer);

  peer_connect(peer, &f, f.http);
  peer_upgrade(peer, "/ws");
  peer_send_bytes(peer, frame, sizeof frame);
  send_part(peer, 40 * KIB);
  peer_expect_close_frame(peer, 1013, "the server is out of memory; try again later");
  peer_close(peer);
  assert_true(stats_of(&f).input_refused >= 3);

  for (size_t i = 0; i < count; i++) peer_close(&peers[i]);
  run_until_no_input(&f);
  free(peers);
  server_fixture_end(&f);
}

/* A WebSocket whose client has to show a token keeps its request until then. */
static void a_request_that_waits_for_a_token_counts(void **state) {
  (void) state;
  struct server_fixture f;
  struct peer *peer = calloc(1, sizeof *peer);
  server_fixture_init(&f);
  f.options.tokens = server_fixture_tokens("subscribe alice-alice-alice\n");
  server_fixture_start(&f);
  fluxbp_tokens_free(f.options.tokens);
  peer_connect(peer, &f, f.http);
  peer_upgrade(peer, "/ws?topic=news");
  run_until_input(&f, 512);
  peer_send_frame(peer, 1, "AUTH alice-alice-alice", 22);
  peer_expect_frame(peer, 1, "+OK AUTH subscribe", 18);
  run_until_no_input(&f);
  peer_close(peer);
  free(peer);
  server_fixture_end(&f);
}

/* Answers that the program gives later. */

static fluxbp_request_t *asked[4];
static size_t asked_count;

static int on_request(fluxbp_request_t *request) {
  asked[asked_count++] = request;
  return 0;
}

static void answers_that_come_later_count_against_the_budget(void **state) {
  enum { CLIENTS = 4, BODY = 9 * MIB }; /* of 30 MiB for messages */
  (void) state;
  struct server_fixture f;
  struct peer *peers = calloc(CLIENTS, sizeof *peers);
  char *body = calloc(1, BODY);
  server_fixture_init(&f);
  f.options.budget = BUDGET;
  f.options.history_bytes = BUDGET / 4;
  f.handlers.on_request = on_request;
  server_fixture_start(&f);
  asked_count = 0;
  for (size_t i = 0; i < CLIENTS; i++) {
    peer_connect(&peers[i], &f, f.http);
    peer_send(&peers[i], "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
    run_until_count(&f, &asked_count, i + 1);
  }
  const struct linger reset = {.l_onoff = 1};
  assert_int_equal(setsockopt(peers[0].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  peer_close(&peers[0]); /* by a reset, so that its answer is dropped */
  for (int i = 0; i < 20; i++) step_once(&f);
  for (size_t i = 0; i < CLIENTS; i++) fluxbp_request_answer(asked[i], 200, "text/plain", body, BODY);
  assert_true(stats_of(&f).pool.used_bytes >= (uint64_t) 3 * BODY);
  assert_true(stats_of(&f).pool.used_bytes < BUDGET);
  peer_expect(&peers[1], "HTTP/1.1 200 OK\r\n");
  peer_expect(&peers[3], "HTTP/1.1 503 ");
  peer_expect(&peers[3], "out of memory; try again later");
  for (size_t i = 1; i < CLIENTS; i++) peer_close(&peers[i]);
  for (int i = 0; stats_of(&f).pool.used_bytes >= MIB; i++) {
    assert_true(i < 20000);
    step_once(&f);
  }
  free(body);
  free(peers);
  server_fixture_end(&f);
}

/* The program may answer when the server is gone. */
static void an_answer_without_a_server_is_dropped(void **state) {
  (void) state;
  struct server_fixture f;
  struct peer *peer = calloc(1, sizeof *peer);
  server_fixture_init(&f);
  f.handlers.on_request = on_request;
  server_fixture_start(&f);
  asked_count = 0;
  peer_connect(peer, &f, f.http);
  peer_send(peer, "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
  run_until_count(&f, &asked_count, 1);
  server_fixture_end(&f);
  fluxbp_request_answer(asked[0], 200, "text/plain", "late", 4);
  peer_close(peer);
  free(peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(half_a_message_counts_until_it_is_whole_or_its_client_leaves),
      cmocka_unit_test(half_requests_take_their_share_of_the_budget_and_no_more),
      cmocka_unit_test(a_client_is_told_when_the_share_is_used_up),
      cmocka_unit_test(a_request_that_waits_for_a_token_counts),
      cmocka_unit_test(answers_that_come_later_count_against_the_budget),
      cmocka_unit_test(an_answer_without_a_server_is_dropped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
