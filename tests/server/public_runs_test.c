/* SPDX-License-Identifier: MIT */
/*
 * What clients publish many at a time: whatever the pieces in which it comes, and whatever there is room for,
 * everything is done and answered as if it came one by one.
 */
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { LINES, FRAMES, WEBSOCKET, FORMS, BYTES_MAX = 8192, STEPS = 3, CROWD = 9000, LONG_BYTES = 900 };

static struct server_fixture f;

static int setup(void **state) {
  static const char *const states[] = {"prices"};
  (void) state;
  server_fixture_init(&f);
  f.options.state_topics = (fluxbp_text_list_t){.texts = states, .count = 1};
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

/* ---- a script, in pieces ---- */

static const char *const script[] = {
    "PUB a one",  "pub a two", "PUB a three", "PUB b four",      "PUB a",       "PUB prices x", "PING",
    "PUB a five", "",          "PUB a/b x",   "SET prices au 7", "PUB a six",   "PUB a  seven", "NONSENSE",
    "PUB a 8",    "PUB b 9",   "PUB b 10",    "SUB other",       "UNSUB other", "PUB a 12",     "QUIT",
};

static size_t put_command(int form, const char *command, char *out) {
  static const unsigned char mask[] = {0x37, 0xfa, 0x21, 0x3d};
  size_t length = strlen(command);
  if (form == LINES) return (size_t) sprintf(out, "%s%s", command, length % 2 == 0 ? "\r\n" : "\n");
  if (form == FRAMES) {
    memcpy(out, (const char[]){0, 0, 0, (char) length}, 4);
    memcpy(out + 4, command, length);
    return 4 + length;
  }
  memcpy(out, (const char[]){(char) 0x81, (char) (0x80 | length)}, 2);
  memcpy(out + 2, mask, 4);
  for (size_t i = 0; i < length; i++) out[6 + i] = (char) ((unsigned char) command[i] ^ mask[i % 4]);
  return 6 + length;
}

/* Ids of one run count from that of its first message: they stand behind an epoch of 16 digits and a colon. */
static size_t relative(const char *text, size_t length, char *out) {
  uint64_t first = 0;
  size_t written = 0;
  for (size_t i = 0; i < length;) {
    bool is_id = i > 17 && text[i - 1] == ':' && text[i] >= '0' && text[i] <= '9' && text[i - 18] == ' ';
    if (!is_id) {
      out[written++] = text[i++];
      continue;
    }
    char *end;
    uint64_t id = strtoull(text + i, &end, 10);
    if (first == 0) first = id;
    written += (size_t) sprintf(out + written, "<%llu>", (unsigned long long) (id - first));
    i = (size_t) (end - text);
  }
  return written;
}

static void connect_in(int form, struct peer *peer) {
  peer_connect(peer, &f, form == LINES ? f.lines : form == FRAMES ? f.length : f.http);
  if (form == WEBSOCKET) peer_upgrade(peer, "/ws?topic=none");
}

/* Returns how long the answers are. */
static size_t play(int form, size_t piece, char *answers) {
  struct peer peer;
  char text[BYTES_MAX];
  size_t length = 0;
  for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) length += put_command(form, script[i], text + length);
  connect_in(form, &peer);
  for (size_t sent = 0; sent < length; sent += piece) {
    peer_send_bytes(&peer, text + sent, piece < length - sent ? piece : length - sent);
    for (int i = 0; i < STEPS; i++) peer_receive(&peer);
  }
  peer_expect_end(&peer);
  size_t bytes = relative(peer.text, peer.received, answers);
  peer_close(&peer);
  return bytes;
}

static void what_is_published_comes_out_the_same_in_any_pieces(void **state) {
  static const size_t pieces[] = {1, 2, 3, 5, 17, 64, BYTES_MAX};
  static char one_by_one[2 * BYTES_MAX], together[2 * BYTES_MAX];
  (void) state;
  server_fixture_start(&f);
  /* ids of three digits from here on: what is around an answer depends on its length */
  struct peer early; /* it has them before the first of the others comes */
  peer_connect(&early, &f, f.lines);
  peer_send(&early, "PING\n");
  peer_expect(&early, "+PONG\n");
  for (int i = 0; i < 100; i++) assert_int_equal(fluxbp_server_publish(f.server, "news", NULL, "x", 1), 0);
  for (int i = 0; i < 100; i++) peer_expect(&early, "x\n");
  peer_close(&early);
  for (int form = 0; form < FORMS; form++) {
    size_t length = play(form, pieces[0], one_by_one);
    for (size_t i = 1; i < sizeof pieces / sizeof pieces[0]; i++) {
      struct peer subscriber;
      peer_connect(&subscriber, &f, f.lines);
      peer_send(&subscriber, "UNSUB news\nSUB a\nSUB b\n");
      peer_expect(&subscriber, "+OK SUB b\n");
      print_message("form %d in pieces of %zu\n", form, pieces[i]);
      size_t bytes = play(form, pieces[i], together);
      assert_int_equal(bytes, length);
      assert_memory_equal(together, one_by_one, length);
      peer_expect(&subscriber, "12\n");
      peer_close(&subscriber);
    }
  }
}

static void subscribers_get_it_in_its_order(void **state) {
  static char answers[2 * BYTES_MAX];
  struct peer subscriber;
  (void) state;
  server_fixture_start(&f);
  for (int form = 0; form < FORMS; form++) {
    peer_connect(&subscriber, &f, f.lines);
    peer_send(&subscriber, "UNSUB news\nSUB a\nSUB b\n");
    peer_expect(&subscriber, "+OK SUB b\n");
    (void) play(form, BYTES_MAX, answers);
    peer_expect(&subscriber, "one\ntwo\nthree\nfour\nfive\nsix\n seven\n8\n9\n10\n12\n");
    peer_close(&subscriber);
  }
}

/* ---- WebSocket ---- */

static void a_message_that_is_no_text_ends_a_websocket_behind_those_before_it(void **state) {
  struct peer peer, subscriber;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&subscriber, &f, f.lines);
  peer_send(&subscriber, "UNSUB news\nSUB a\n");
  peer_expect(&subscriber, "+OK SUB a\n");
  peer_connect(&peer, &f, f.http);
  peer_upgrade(&peer, "/ws?topic=none");
  char text[BYTES_MAX];
  size_t length = put_command(WEBSOCKET, "PUB a one\n", text);
  length += put_command(WEBSOCKET, "PUB a two\r\n", text + length);
  length += put_command(WEBSOCKET, "PUB a \xff", text + length);
  length += put_command(WEBSOCKET, "PUB a three", text + length);
  peer_send_bytes(&peer, text, length);
  peer_expect(&peer, "+OK PUB ");
  peer_expect(&peer, "+OK PUB ");
  peer_expect_end(&peer);
  assert_non_null(memchr(peer.text, (char) 0x88, peer.received));
  assert_null(strstr(peer.text, "+OK"));
  peer_expect(&subscriber, "one\ntwo\n");
  for (int i = 0; i < STEPS; i++) peer_receive(&subscriber);
  assert_int_equal(subscriber.received, 0);
  peer_close(&peer);
  peer_close(&subscriber);
}

/* ---- no room ---- */

/* A subscriber that doesn't read holds the publisher up, by way of the bus. */
static void begin_slow(struct peer *slow, struct peer *publisher, bool is_http) {
  f.options.patience_ms = 60000;
  server_fixture_start(&f);
  peer_connect(slow, &f, f.lines);
  peer_send(slow, "UNSUB news\nSUB a\n");
  peer_expect(slow, "+OK SUB a\n");
  peer_connect(publisher, &f, is_http ? f.http : f.lines);
}

/* The number of a message, and what makes it long. */
static size_t put_message(int number, const char *before, const char *after, char *out) {
  return (size_t) sprintf(out, "%s%06d %0*d%s", before, number, LONG_BYTES, 0, after);
}

static void send_all(struct peer *peer, const char *text, size_t length) {
  for (size_t sent = 0; sent < length;) {
    ssize_t count = send(peer->fd, text + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) sent += (size_t) count;
    peer_receive(peer);
    if (peer->received > sizeof peer->text / 2) return; /* its answers are in the way */
  }
}

static void expect_messages(struct peer *slow, int first, int end) {
  static char expected[LONG_BYTES + 64];
  for (int number = first; number < end; number++) {
    (void) put_message(number, "", "\n", expected);
    peer_expect(slow, expected);
  }
}

static void a_bulk_for_which_there_is_no_room_waits_and_is_published_whole(void **state) {
  static char body[CROWD / 9 * (LONG_BYTES + 64)], head[256];
  struct peer slow, publisher;
  int bulks = 0, count = CROWD / 9;
  (void) state;
  begin_slow(&slow, &publisher, true);
  for (bool is_held = false; !is_held; bulks++) {
    size_t length = 0;
    for (int i = 0; i < count; i++)
      length += put_message(bulks * count + i, "{\"topic\":\"a\",\"data\":\"", "\"}\n", body + length);
    (void) snprintf(head, sizeof head,
                    "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    length);
    peer_send(&publisher, head);
    send_all(&publisher, body, length);
    for (int i = 0; i < 200 && strstr(publisher.text, "\"published\":1000") == NULL; i++) peer_receive(&publisher);
    is_held = strstr(publisher.text, "\"published\":1000") == NULL;
    if (!is_held) peer_expect(&publisher, "\"published\":1000");
    assert_true(bulks < 100);
  }
  expect_messages(&slow, 0, bulks * count);
  peer_expect(&publisher, "\"published\":1000");
  peer_close(&slow);
  peer_close(&publisher);
}

static void commands_for_which_there_is_no_room_wait_and_are_done_in_their_order(void **state) {
  static char text[1000 * (LONG_BYTES + 64)];
  struct peer slow, publisher;
  int published = 0, answered = 0, read = 0;
  (void) state;
  begin_slow(&slow, &publisher, false);
  peer_send(&publisher, "UNSUB news\n");
  peer_expect(&publisher, "+OK UNSUB news\n");
  for (int batch = 0; batch < 40; batch++) { /* far more than the bus has slots, and the kernel room for */
    size_t length = 0, sent = 0;
    for (int i = 0; i < 1000; i++) length += put_message(published++, "PUB a ", "\n", text + length);
    while (sent < length) {
      ssize_t count = send(publisher.fd, text + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) sent += (size_t) count;
      if (count < 0) { /* it isn't read: the subscriber has to go on */
        expect_messages(&slow, read, read + 100);
        read += 100;
      }
      peer_receive(&publisher);
      for (; publisher.received > 4096; answered++) peer_expect(&publisher, "+OK PUB ");
    }
  }
  assert_in_range(read, 1, published - 1); /* it was held up */
  expect_messages(&slow, read, published);
  for (; answered < published; answered++) peer_expect(&publisher, "+OK PUB ");
  peer_send(&publisher, "PING\n");
  peer_expect(&publisher, "+PONG\n");
  peer_close(&slow);
  peer_close(&publisher);
}

/* ---- bulks ---- */

static void post(struct peer *peer, const char *body) {
  char head[256];
  (void) snprintf(head, sizeof head,
                  "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  strlen(body));
  peer_send(peer, head);
  peer_send(peer, body);
}

static void a_bulk_keeps_its_order_whatever_is_in_it(void **state) {
  struct peer peer, subscriber;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&subscriber, &f, f.lines);
  peer_send(&subscriber, "UNSUB news\nSUB a\nSUB b\nSUB prices\n");
  peer_expect(&subscriber, "+OK SUB prices\n");
  peer_connect(&peer, &f, f.http);
  post(&peer, "{\"topic\":\"a\",\"data\":\"1\"}\n{\"topic\":\"a\",\"data\":\"2\"}\n\n"
              "{\"topic\":\"b\",\"data\":\"3\"}\n{\"topic\":\"prices\",\"key\":\"k\",\"data\":\"4\"}\n"
              "{\"topic\":\"a\",\"data\":\"say \\\"5\\\"\"}\n{\"topic\":\"a\",\"data\":\"\\u0036\"}\n"
              "{\"topic\":\"a\",\"base64\":\"Nw==\"}\n{\"topic\":\"a\",\"data\":\"8\"}");
  peer_expect(&peer, "{\"published\":8,\"id\":\"");
  peer_expect(&subscriber, "1\n2\n3\n4\nsay \"5\"\n6\n7\n8\n");
  post(&peer,
       "{\"topic\":\"a\",\"data\":\"1\"}\n\n{\"topic\":\"a\",\"data\":\"2\"}\n{\"topic\":\"no name\",\"data\":\"3\"}\n"
       "{\"topic\":\"a\",\"data\":\"4\"}\n");
  peer_expect(&peer, "HTTP/1.1 400 ");
  peer_expect(&peer, "\"line\":4,\"published\":2}");
  peer_expect(&subscriber, "1\n2\n");
  post(&peer, "{\"topic\":\"a\",\"data\":\"last\"}\n");
  peer_expect(&subscriber, "last\n");
  assert_null(strstr(subscriber.text, "4"));
  peer_close(&peer);
  peer_close(&subscriber);
}

static void a_bulk_has_a_thousand_messages_at_most(void **state) {
  static char body[40 * 1001];
  struct peer peer;
  size_t length = 0;
  (void) state;
  server_fixture_start(&f);
  peer_connect(&peer, &f, f.http);
  for (int i = 0; i < 1001; i++) length += (size_t) sprintf(body + length, "{\"topic\":\"a\",\"data\":\"%d\"}\n", i);
  post(&peer, body);
  peer_expect(&peer, "HTTP/1.1 413 ");
  peer_expect(&peer, "\"line\":1001,\"published\":1000}");
  peer_close(&peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_published_comes_out_the_same_in_any_pieces, setup, teardown),
      cmocka_unit_test_setup_teardown(subscribers_get_it_in_its_order, setup, teardown),
      cmocka_unit_test_setup_teardown(a_message_that_is_no_text_ends_a_websocket_behind_those_before_it, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(commands_for_which_there_is_no_room_wait_and_are_done_in_their_order, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(a_bulk_for_which_there_is_no_room_waits_and_is_published_whole, setup, teardown),
      cmocka_unit_test_setup_teardown(a_bulk_keeps_its_order_whatever_is_in_it, setup, teardown),
      cmocka_unit_test_setup_teardown(a_bulk_has_a_thousand_messages_at_most, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
