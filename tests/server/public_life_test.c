/* SPDX-License-Identifier: MIT */
/*
 * The life of a server, as a program on the public headers sees it: its options, where it listens, what it publishes,
 * its threads, and its end.
 */
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 1000, FOREIGN_MESSAGES = 3000 };

static struct server_fixture f;

static int setup(void **state) {
  (void) state;
  server_fixture_init(&f);
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

static void assert_refused(int err) {
  static char nothing;
  fluxbp_server_t *server = (fluxbp_server_t *) (void *) &nothing;
  assert_int_equal(fluxbp_server_create(&f.options, &server), err);
  assert_null(server);
}

static void options_that_are_wrong_are_refused(void **state) {
  static const char *const wrong_name[] = {"no name"};
  (void) state;
  f.options.loop = NULL;
  assert_refused(UV_EINVAL);
  f.options.loop = &f.loop;
  f.options.topic = "no name";
  assert_refused(UV_EINVAL);
  f.options.topic = NULL;
  f.options.state_topics = (fluxbp_text_list_t){wrong_name, 1};
  assert_refused(UV_EINVAL);
  f.options.state_topics.count = 0;
  f.options.proxies = (fluxbp_text_list_t){wrong_name, 1};
  assert_refused(UV_EINVAL);
  f.options.proxies.count = 0;
  f.options.public_topics = (fluxbp_text_list_t){wrong_name, 1};
  assert_refused(UV_EINVAL);
  f.options.public_topics.count = 0;
  f.options.max_body = f.options.max_message - 1;
  assert_refused(UV_EINVAL);
  f.options.max_body = f.options.max_message;
  f.handlers.size = 1;
  assert_refused(UV_EINVAL);
}

static void bodies_may_be_shorter_than_messages_where_no_message_comes_as_a_body(void **state) {
  (void) state;
  f.options.max_body = f.options.max_message - 1;
  f.options.parts = FLUXBP_PART_ALL & ~(unsigned) FLUXBP_PART_PUBLISH;
  server_fixture_start(&f);
}

static void options_of_a_newer_version_are_refused_if_they_say_something(void **state) {
  struct {
    fluxbp_server_options_t options;
    uint64_t more;
  } newer = {.options = f.options};
  fluxbp_server_t *server;
  (void) state;
  newer.options.size = sizeof newer;
  newer.more = 1;
  assert_int_equal(fluxbp_server_create(&newer.options, &server), UV_E2BIG);
  newer.more = 0;
  assert_int_equal(fluxbp_server_create(&newer.options, &f.server), 0);
}

static void addresses_are_looked_at(void **state) {
  char text[FLUXBP_ADDRESS_TEXT_BYTES];
  (void) state;
  server_fixture_start(&f);
  assert_int_equal(fluxbp_server_listen(f.server, "nowhere", FLUXBP_SPEAK_HTTP), UV_EINVAL);
  assert_int_equal(fluxbp_server_listen(f.server, "127.0.0.1:65536", FLUXBP_SPEAK_HTTP), UV_EINVAL);
  assert_int_equal(fluxbp_server_listen(f.server, "::1:9000", FLUXBP_SPEAK_HTTP), UV_EINVAL);
  assert_int_equal(fluxbp_server_listen(f.server, "127.0.0.1:0", (fluxbp_speak_t) 7), UV_EINVAL);
  fluxbp_server_address(f.server, f.http, text);
  assert_int_equal(fluxbp_server_listen(f.server, text, FLUXBP_SPEAK_HTTP), UV_EADDRINUSE);
  for (int i = 3; i < FLUXBP_SERVER_LISTENERS_MAX; i++)
    assert_int_equal(fluxbp_server_listen(f.server, "localhost:0", FLUXBP_SPEAK_LINES), i);
  assert_int_equal(fluxbp_server_listen(f.server, "127.0.0.1:0", FLUXBP_SPEAK_LINES), UV_ENOSPC);
}

static void publishing_says_what_is_wrong(void **state) {
  static const char *const states[] = {"prices"};
  static char long_message[70000];
  (void) state;
  f.options.state_topics = (fluxbp_text_list_t){states, 1};
  f.options.state_keys = 1;
  server_fixture_start(&f);
  fluxbp_server_t *server = f.server;
  assert_int_equal(fluxbp_server_publish(server, "no name", NULL, "x", 1), UV_EINVAL);
  assert_int_equal(fluxbp_server_publish(server, "news", NULL, "", 0), UV_EINVAL);
  assert_int_equal(fluxbp_server_publish(server, "news", "key", "x", 1), UV_EINVAL);
  assert_int_equal(fluxbp_server_publish(server, "news", NULL, long_message, sizeof long_message), UV_E2BIG);
  assert_int_equal(fluxbp_server_publish(server, "prices", NULL, "x", 1), UV_EINVAL);
  assert_int_equal(fluxbp_server_publish(server, "prices", "ABC", "two\nlines", 9), UV_EINVAL);
  assert_int_equal(fluxbp_server_publish(server, "prices", "ABC", "12", 2), 0);
  assert_int_equal(fluxbp_server_publish(server, "prices", "DEF", "12", 2), UV_ENOSPC);
  assert_int_equal(fluxbp_server_unset(server, "prices", "ABC"), 0);
  assert_int_equal(fluxbp_server_unset(server, "news", "ABC"), UV_EINVAL);
  assert_int_equal(fluxbp_server_publish(server, "prices", "DEF", "12", 2), 0);
  int err;
  while ((err = fluxbp_server_publish(server, "news", NULL, "x", 1)) == 0) continue; /* the loop stands still */
  assert_int_equal(err, UV_EAGAIN);
  fluxbp_server_close(server, 0, NULL);
  assert_int_equal(fluxbp_server_publish(server, "news", NULL, "x", 1), UV_ECANCELED);
  f.server = NULL;
}

static void a_state_topic_begins_with_its_values(void **state) {
  static const char *const states[] = {"prices"};
  struct peer peer;
  (void) state;
  f.options.state_topics = (fluxbp_text_list_t){states, 1};
  f.options.topic = NULL;
  server_fixture_start(&f);
  assert_int_equal(fluxbp_server_publish(f.server, "prices", "ABC", "ABC 12", 6), 0);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "SUB prices\n");
  peer_expect(&peer, "+OK SUB prices\n");
  peer_expect(&peer, "ABC 12\n");
  peer_close(&peer);
}

/* Threads of the server's, and a foreign one that publishes. */

static atomic_size_t opens;
static atomic_uintptr_t threads[2];

static void on_open(fluxbp_session_t *session) {
  size_t place = atomic_fetch_add(&opens, 1);
  (void) session;
  if (place < 2) atomic_store(&threads[place], (uintptr_t) uv_thread_self());
}

static void publish_elsewhere(void *arg) {
  fluxbp_server_t *server = arg;
  char text[16];
  for (int i = 0; i < FOREIGN_MESSAGES; i++) {
    int length = snprintf(text, sizeof text, "m%d", i);
    while (fluxbp_server_publish(server, "news", NULL, text, (size_t) length) == UV_EAGAIN) uv_sleep(1);
  }
}

static void all_threads_get_what_a_foreign_thread_publishes_in_order(void **state) {
  struct peer peers[2];
  uv_thread_t thread;
  char text[16];
  (void) state;
  atomic_store(&opens, 0);
  f.options.threads = 2;
  f.options.policy.slots = 8192;
  f.handlers.on_open = on_open;
  server_fixture_start(&f);
  for (int i = 0; i < 2; i++) {
    peer_connect(&peers[i], &f, f.lines);
    while (fluxbp_server_session_count(f.server) <= (size_t) i) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  }
  while (atomic_load(&opens) < 2) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_true(atomic_load(&threads[0]) != atomic_load(&threads[1]));
  assert_int_equal(uv_thread_create(&thread, publish_elsewhere, f.server), 0);
  for (int i = 0; i < FOREIGN_MESSAGES; i++) {
    (void) snprintf(text, sizeof text, "m%d\n", i);
    peer_expect(&peers[0], text);
    peer_expect(&peers[1], text);
  }
  assert_int_equal(uv_thread_join(&thread), 0);
  peer_close(&peers[0]);
  peer_close(&peers[1]);
}

static void two_servers_in_a_process_have_nothing_in_common(void **state) {
  static struct server_fixture other;
  struct peer here, there;
  (void) state;
  server_fixture_start(&f);
  server_fixture_init(&other);
  server_fixture_start(&other);
  peer_connect(&here, &f, f.lines);
  peer_connect(&there, &other, other.lines);
  peer_send(&here, "IDS\n");
  peer_send(&there, "IDS\n");
  peer_expect(&here, "+OK IDS ");
  peer_expect(&there, "+OK IDS ");
  peer_expect(&here, ":0\n");
  peer_expect(&there, ":0\n");
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "here", 4), 0);
  assert_int_equal(fluxbp_server_publish(other.server, "news", NULL, "there", 5), 0);
  char id_here[64], id_there[64];
  peer_expect(&here, " news here\n");
  peer_expect(&there, " news there\n");
  peer_send(&here, "PUB far x\n");
  peer_send(&there, "PUB far x\n");
  peer_expect(&here, "+OK PUB ");
  peer_expect(&there, "+OK PUB ");
  memcpy(id_here, here.text, 16);
  memcpy(id_there, there.text, 16);
  assert_memory_not_equal(id_here, id_there, 16); /* each has an epoch of its own */
  peer_close(&here);
  peer_close(&there);
  server_fixture_end(&other);
}

/* The end. */

static bool is_finished;

static void on_finished(fluxbp_server_t *server) {
  fluxbp_server_stats_t stats;
  fluxbp_server_get_stats(server, &stats);
  assert_int_equal(stats.metrics.queued, 0);
  assert_int_equal(stats.sessions, 1);
  is_finished = true;
}

static void it_waits_until_everything_is_delivered(void **state) {
  static char message[32768];
  struct peer peer;
  memset(message, 'x', sizeof message);
  (void) state;
  is_finished = false;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  while (fluxbp_server_session_count(f.server) == 0) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  for (int i = 0; i < 30; i++) /* more than the kernel takes of a client that doesn't read */
    assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, message, sizeof message), 0);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "last words", 10), 0);
  fluxbp_server_finish(f.server, on_finished);
  for (int i = 0; i < 100; i++) step_once(&f);
  assert_false(is_finished);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "x", 1), UV_ECANCELED);
  for (size_t bytes = 0; bytes < 30 * (sizeof message + 1) + sizeof "last words"; peer.received = 0) {
    peer_receive(&peer);
    bytes += peer.received;
  }
  run_until(&f, &is_finished);
  server_fixture_close(&f, 100);
  peer_expect_end(&peer);
  peer_close(&peer);
}

static size_t times_finished;

static void count_finished(fluxbp_server_t *server) {
  (void) server;
  times_finished++;
}

static void it_may_be_told_to_finish_again(void **state) {
  (void) state;
  times_finished = 0;
  server_fixture_start(&f);
  for (int i = 0; times_finished == 0; i++) {
    assert_true(i < 1000);
    fluxbp_server_finish(f.server, count_finished);
    (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  }
  for (int i = 0; i < 100; i++) step_once(&f);
  assert_int_equal(times_finished, 1);
  fluxbp_server_finish(f.server, NULL);
  for (int i = 0; i < 100; i++) step_once(&f);
}

/* For the thread sanitizer: the figures are taken while the threads count on. */
static void it_finishes_while_clients_send_commands(void **state) {
  struct peer peer;
  fluxbp_server_stats_t stats;
  (void) state;
  times_finished = 0;
  f.options.threads = 2;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  peer_send(&peer, "PING\n");
  peer_expect(&peer, "+PONG\n");
  for (size_t times = 0; times < 20; times++) {
    fluxbp_server_finish(f.server, count_finished);
    while (times_finished == times) {
      peer_send(&peer, "PING\n");
      peer_receive(&peer);
      peer.received = 0;
    }
  }
  fluxbp_server_get_stats(f.server, &stats);
  assert_true(stats.commands >= 1);
  peer_close(&peer);
}

static void it_closes_though_a_client_does_not_read(void **state) {
  static char message[32768];
  struct peer peer;
  (void) state;
  memset(message, 'x', sizeof message);
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  while (fluxbp_server_session_count(f.server) == 0) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  for (int i = 0; i < 30; i++)
    assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, message, sizeof message), 0);
  for (int i = 0; i < 100; i++) step_once(&f);
  server_fixture_close(&f, 0);
  peer_close(&peer);
}

static void it_closes_with_messages_that_no_hub_has_read(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  while (fluxbp_server_session_count(f.server) == 0) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  while (fluxbp_server_publish(f.server, "news", NULL, "x", 1) == 0) continue;
  server_fixture_close(&f, 0);
  peer_close(&peer);
}

static void it_drains_and_then_is_closed(void **state) {
  struct peer peer;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.lines);
  while (fluxbp_server_session_count(f.server) == 0) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "last words", 10), 0);
  server_fixture_close(&f, 100);
  peer_expect(&peer, "last words\n");
  peer_expect_end(&peer);
  peer_close(&peer);
}

static void it_comes_and_goes_a_thousand_times(void **state) {
  (void) state;
  for (int i = 0; i < MANY; i++) {
    f.options.threads = i % 100 == 0 ? 2 : 0;
    f.is_closed = false;
    server_fixture_start(&f);
    server_fixture_close(&f, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(options_that_are_wrong_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(bodies_may_be_shorter_than_messages_where_no_message_comes_as_a_body, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(options_of_a_newer_version_are_refused_if_they_say_something, setup, teardown),
      cmocka_unit_test_setup_teardown(addresses_are_looked_at, setup, teardown),
      cmocka_unit_test_setup_teardown(publishing_says_what_is_wrong, setup, teardown),
      cmocka_unit_test_setup_teardown(a_state_topic_begins_with_its_values, setup, teardown),
      cmocka_unit_test_setup_teardown(all_threads_get_what_a_foreign_thread_publishes_in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(two_servers_in_a_process_have_nothing_in_common, setup, teardown),
      cmocka_unit_test_setup_teardown(it_waits_until_everything_is_delivered, setup, teardown),
      cmocka_unit_test_setup_teardown(it_may_be_told_to_finish_again, setup, teardown),
      cmocka_unit_test_setup_teardown(it_finishes_while_clients_send_commands, setup, teardown),
      cmocka_unit_test_setup_teardown(it_closes_though_a_client_does_not_read, setup, teardown),
      cmocka_unit_test_setup_teardown(it_closes_with_messages_that_no_hub_has_read, setup, teardown),
      cmocka_unit_test_setup_teardown(it_drains_and_then_is_closed, setup, teardown),
      cmocka_unit_test_setup_teardown(it_comes_and_goes_a_thousand_times, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
