/* SPDX-License-Identifier: MIT */
/*
 * Event streams with Content-Encoding: gzip, from a server: they say what the plain stream of the same client says, a
 * reader has each event at once, and every clean end has a checksum that is right.
 */
#include "server/session/session.h"
#include "support/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

#include <cmocka.h>

enum { TEXT_BYTES = 24 << 20, READ_GZIP = 16 + MAX_WBITS, STEPS_MAX = 20000 };

/* A reader of events, and everything that it has read of the body. */
struct reader {
  struct peer peer;
  bool is_gzip, has_checked; /* the checksum, at the end */
  z_stream inflater;
  size_t wire_bytes; /* of the body */
  char head[1024];
  char *text;
  size_t length;
};

static struct server_fixture f;
static fluxbp_session_t *opened;

static int send_buffer; /* of sessions that open; 0: as it is */

static void on_open(fluxbp_session_t *session) {
  uv_stream_t *stream = fluxbp_conn_stream(fluxbp_session_conn(session));
  int bytes = send_buffer;
  opened = session;
  if (bytes > 0) assert_int_equal(uv_send_buffer_size((uv_handle_t *) stream, &bytes), 0);
}

static int setup(void **state) {
  (void) state;
  server_fixture_init(&f);
  f.handlers.on_open = on_open;
  opened = NULL;
  send_buffer = 0;
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

static void expect_head(struct reader *reader) {
  const char *end;
  for (int i = 0; (end = strstr(reader->peer.text, "\r\n\r\n")) == NULL; i++) {
    assert_true(i < STEPS_MAX && !reader->peer.has_ended);
    peer_receive(&reader->peer);
  }
  size_t length = (size_t) (end - reader->peer.text) + 2;
  assert_true(length < sizeof reader->head);
  memcpy(reader->head, reader->peer.text, length);
  reader->head[length] = '\0';
  reader->peer.received -= length + 2;
  memmove(reader->peer.text, reader->peer.text + length + 2, reader->peer.received);
}

/* Ask for events; `headers` are whole lines. */
static void open_reader(struct reader *reader, const char *target, const char *headers) {
  char request[1024];
  memset(reader, 0, sizeof *reader);
  reader->text = malloc(TEXT_BYTES);
  assert_non_null(reader->text);
  peer_connect(&reader->peer, &f, f.http);
  (void) snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target, headers);
  peer_send(&reader->peer, request);
  expect_head(reader);
  assert_memory_equal(reader->head, "HTTP/1.1 200 ", 13);
  reader->is_gzip = strstr(reader->head, "\r\nContent-Encoding: gzip\r\n") != NULL;
  if (reader->is_gzip) assert_int_equal(inflateInit2(&reader->inflater, READ_GZIP), Z_OK);
}

static void close_reader(struct reader *reader) {
  if (reader->is_gzip) inflateEnd(&reader->inflater);
  peer_close(&reader->peer);
  free(reader->text);
}

/* What has come of the body becomes text. */
static void decode(struct reader *reader) {
  size_t length = reader->peer.received;
  reader->wire_bytes += length;
  reader->peer.received = 0;
  if (!reader->is_gzip) {
    assert_true(reader->length + length < TEXT_BYTES);
    memcpy(reader->text + reader->length, reader->peer.text, length);
    reader->length += length;
    return;
  }
  reader->inflater.next_in = (Bytef *) reader->peer.text;
  reader->inflater.avail_in = (uInt) length;
  reader->inflater.next_out = (Bytef *) reader->text + reader->length;
  reader->inflater.avail_out = (uInt) (TEXT_BYTES - 1 - reader->length);
  int result = length > 0 ? inflate(&reader->inflater, Z_SYNC_FLUSH) : Z_OK;
  assert_true(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
  reader->has_checked |= result == Z_STREAM_END;
  assert_int_equal(reader->inflater.avail_in, 0);
  reader->length = TEXT_BYTES - 1 - reader->inflater.avail_out;
}

static void read_more(struct reader *reader) {
  peer_receive(&reader->peer);
  decode(reader);
  reader->text[reader->length] = '\0';
}

static void expect_text(struct reader *reader, const char *text) {
  decode(reader);
  reader->text[reader->length] = '\0';
  size_t from = 0, length = strlen(text);
  for (int i = 0; strstr(reader->text + from, text) == NULL; i++) {
    if (i == STEPS_MAX || reader->peer.has_ended) fail_msg("'%s' has not come in %zu bytes", text, reader->length);
    from = reader->length > length ? reader->length - length : 0;
    read_more(reader);
  }
}

/* Without the bytes that differ between two streams: how long to wait before coming back. */
static const char *beginning(const struct reader *reader) {
  assert_memory_equal(reader->text, "retry: ", 7);
  return strstr(reader->text, "\n\n");
}

static void expect_end(struct reader *reader) {
  for (int i = 0; !reader->peer.has_ended; i++) {
    assert_true(i < STEPS_MAX);
    read_more(reader);
  }
  assert_true(reader->has_checked == reader->is_gzip);
}

#define GZIP "Accept-Encoding: gzip\r\n"

static void publish(const char *topic, const char *key, const void *data, size_t length) {
  int err;
  for (int i = 0; (err = fluxbp_server_publish(f.server, topic, key, data, length)) == UV_EAGAIN; i++) {
    assert_true(i < STEPS_MAX);
    step_once(&f);
  }
  assert_int_equal(err, 0);
}

static void publish_text(const char *topic, const char *text) {
  publish(topic, NULL, text, strlen(text));
}

/* A message as programs have them, of about that length. */
static size_t make_json(char *out, size_t length, unsigned seed) {
  size_t used = 0;
  for (unsigned i = 0; used + 100 < length; i++)
    used += (size_t) sprintf(out + used, "%c{\"id\":%u,\"name\":\"item %u\",\"price\":%u.%02u,\"in_stock\":%s}",
                             i == 0 ? '[' : ',', seed * 1000 + i, i, (seed * 37 + i * 11) % 500, (seed + i * 7) % 100,
                             (seed + i) % 3 != 0 ? "true" : "false");
  while (used + 1 < length) out[used++] = ' ';
  out[used++] = ']';
  return used;
}

static void expect_same(struct reader *gzip, struct reader *plain, const char *last) {
  expect_text(plain, last);
  expect_text(gzip, last);
  assert_string_equal(beginning(gzip), beginning(plain));
}

static void head_says_gzip_to_clients_that_ask(void **state) {
  static const struct {
    const char *headers;
    bool is_gzip;
  } cases[] = {{"", false},
               {GZIP, true},
               {"Accept-Encoding: gzip, deflate, br, zstd\r\n", true},
               {"Accept-Encoding: gzip;q=0\r\n", false},
               {"Accept-Encoding: *\r\n", true},
               {"Accept-Encoding: identity\r\n", false}};
  (void) state;
  server_fixture_start(&f);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct reader reader;
    open_reader(&reader, "/sse", cases[i].headers);
    assert_int_equal(reader.is_gzip, cases[i].is_gzip);
    assert_non_null(strstr(reader.head, "\r\nVary: Accept-Encoding\r\n"));
    expect_text(&reader, "\n\n");
    close_reader(&reader);
  }
}

static void nothing_is_compressed_if_that_is_off(void **state) {
  struct reader reader;
  (void) state;
  f.options.compress_bytes = 0;
  server_fixture_start(&f);
  open_reader(&reader, "/sse", GZIP);
  assert_false(reader.is_gzip);
  assert_null(strstr(reader.head, "Accept-Encoding"));
  expect_text(&reader, "event: position\n");
  close_reader(&reader);
}

/* Text, JSON, bytes that are no UTF-8, and what can't be compressed, around every limit. */
static void stream_says_what_the_plain_one_says(void **state) {
  static const size_t lengths[] = {1, 2, 17, 200, 255, 256, 257, 1024, 5000, 16000, 65500, 65535, 65536};
  static char data[70000];
  static const char *const targets[] = {"/sse?topic=news", "/sse?topic=news&format=json"};
  (void) state;
  server_fixture_start(&f);
  for (size_t i = 0; i < 2; i++) {
    struct reader gzip, plain;
    open_reader(&gzip, targets[i], GZIP);
    open_reader(&plain, targets[i], "");
    assert_true(gzip.is_gzip && !plain.is_gzip);
    for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++) {
      char last[32];
      publish("news", NULL, data, make_json(data, lengths[j], (unsigned) j));
      for (size_t k = 0; k < lengths[j]; k++) data[k] = (char) (' ' + rand() % 90);
      publish("news", NULL, data, lengths[j]);
      for (size_t k = 0; k < lengths[j]; k++) data[k] = (char) rand();
      publish("news", NULL, data, lengths[j]);
      publish_text("news", "two\nlines");
      (void) snprintf(last, sizeof last, "last of %zu", j);
      publish_text("news", last);
      expect_same(&gzip, &plain, last);
    }
    close_reader(&plain);
    close_reader(&gzip);
  }
}

static void messages_of_one_kilobyte_take_less_than_two_fifths(void **state) {
  struct reader gzip, plain;
  char data[2000];
  (void) state;
  server_fixture_start(&f);
  open_reader(&gzip, "/sse", GZIP);
  open_reader(&plain, "/sse", "");
  for (unsigned i = 0; i < 100; i++) publish("news", NULL, data, make_json(data, 1024, i));
  publish_text("news", "last");
  expect_same(&gzip, &plain, "data: last\n");
  assert_true(gzip.wire_bytes * 10 < plain.wire_bytes * 4);
  close_reader(&plain);
  close_reader(&gzip);
}

/* An event is there when the reader has its bytes, whatever follows. */
static void each_event_is_there_at_once(void **state) {
  struct reader reader;
  char data[2000], expected[64];
  (void) state;
  server_fixture_start(&f);
  open_reader(&reader, "/sse", GZIP);
  for (unsigned i = 0; i < 20; i++) {
    size_t length = i % 2 == 0 ? make_json(data, 1500, i) : (size_t) snprintf(data, sizeof data, "message %u", i);
    if (i % 2 == 0) length += (size_t) snprintf(data + length, sizeof data - length, " message %u", i);
    publish("news", NULL, data, length);
    (void) snprintf(expected, sizeof expected, "message %u\n\n", i);
    expect_text(&reader, expected);
  }
  close_reader(&reader);
}

static void close_server(void) {
  server_fixture_close(&f, 2000);
}

static void stream_ends_with_its_checksum_when_the_server_does(void **state) {
  struct reader reader, silent;
  char data[2000];
  (void) state;
  server_fixture_start(&f);
  open_reader(&reader, "/sse", GZIP);
  open_reader(&silent, "/sse", GZIP);
  for (unsigned i = 0; i < 10; i++) publish("news", NULL, data, make_json(data, 100 + i * 100, i));
  expect_text(&reader, "\"id\":9000");
  close_server();
  expect_end(&reader);
  expect_end(&silent);
  expect_text(&reader, "event: closing\ndata: {\"reason\":\"shutting down\"");
  close_reader(&reader);
  close_reader(&silent);
}

static void session_that_a_program_closes_ends_with_its_checksum(void **state) {
  struct reader reader;
  (void) state;
  server_fixture_start(&f);
  open_reader(&reader, "/sse", GZIP);
  assert_int_equal(fluxbp_session_send(opened, "of your own", 11), 0);
  fluxbp_session_close(opened, FLUXBP_CLOSE_NORMAL, "enough");
  expect_end(&reader);
  expect_text(&reader, "data: of your own\n\n");
  expect_text(&reader, "event: closing\ndata: {\"reason\":\"enough\"");
  close_reader(&reader);
}

/* A reader that takes little at a time: messages are cut anywhere. */
static void open_slow(struct reader *reader) {
  int bytes = 4096;
  send_buffer = 4096;
  open_reader(reader, "/sse", GZIP);
  assert_int_equal(setsockopt(reader->peer.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
}

static void flood(unsigned rounds) {
  static char data[20000];
  for (unsigned i = 0; i < rounds; i++) {
    size_t length = 1 + (i * 7919) % (i % 8 == 0 ? 17000 : 400);
    for (size_t k = 0; k < length; k++) data[k] = (char) ('!' + rand() % 90);
    publish("news", NULL, data, length);
  }
}

static void what_is_dropped_does_not_count(void **state) {
  struct reader reader;
  (void) state;
  f.options.policy.slots = 16;
  f.options.policy.overflow = FLUXBP_OVERFLOW_DROP_OLDEST;
  f.options.policy.stall_ms = f.options.policy.slow_ms = 600000;
  server_fixture_start(&f);
  open_slow(&reader);
  flood(500);
  for (int i = 0; i < 50; i++) step_once(&f);
  publish_text("news", "almost last");
  expect_text(&reader, "event: gap\n");
  flood(100);
  publish_text("news", "last");
  expect_text(&reader, "data: last\n");
  close_server();
  expect_end(&reader);
  close_reader(&reader);
}

static void evicted_client_gets_its_farewell_and_the_checksum(void **state) {
  struct reader reader;
  (void) state;
  f.options.policy.slots = 16;
  f.options.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  server_fixture_start(&f);
  open_slow(&reader);
  flood(500);
  expect_end(&reader);
  expect_text(&reader, "event: evicted\ndata: {\"reason\":\"overflow\"}\n\n");
  close_reader(&reader);
}

static void resumed_stream_says_what_the_plain_one_says(void **state) {
  struct reader gzip, plain;
  char data[5000], headers[256], id[64] = "";
  (void) state;
  server_fixture_start(&f);
  open_reader(&plain, "/sse", "");
  publish_text("news", "first");
  expect_text(&plain, "data: first\n");
  const char *line = strstr(plain.text, "\n\nid: ");
  assert_non_null(line);
  assert_int_equal(sscanf(line, "\n\nid: %63s", id), 1);
  close_reader(&plain);
  for (unsigned i = 0; i < 200; i++) publish("news", NULL, data, make_json(data, 20 + i * 20, i));
  publish_text("news", "newest");
  for (int i = 0; i < 20; i++) step_once(&f);
  (void) snprintf(headers, sizeof headers, "Last-Event-ID: %s\r\n", id);
  open_reader(&plain, "/sse", headers);
  (void) snprintf(headers, sizeof headers, "Last-Event-ID: %s\r\n" GZIP, id);
  open_reader(&gzip, "/sse", headers);
  assert_true(gzip.is_gzip);
  expect_same(&gzip, &plain, "data: newest\n");
  assert_non_null(strstr(gzip.text, "event: resumed\n"));
  close_server();
  expect_end(&plain);
  expect_end(&gzip);
  close_reader(&plain);
  close_reader(&gzip);
}

static void values_of_a_state_topic_come_compressed(void **state) {
  static const char *const state_topics[] = {"prices"};
  struct reader gzip, plain;
  char data[5000], key[32];
  (void) state;
  f.options.state_topics = (fluxbp_text_list_t){.texts = state_topics, .count = 1};
  server_fixture_start(&f);
  for (unsigned i = 0; i < 100; i++) {
    (void) snprintf(key, sizeof key, "key-%u", i);
    publish("prices", key, data, make_json(data, 20 + i * 20, i));
  }
  for (int i = 0; i < 20; i++) step_once(&f);
  open_reader(&plain, "/sse?topic=prices", "");
  open_reader(&gzip, "/sse?topic=prices", GZIP);
  publish("prices", "last", "the last", 8);
  assert_int_equal(fluxbp_server_unset(f.server, "prices", "key-7"), 0);
  expect_same(&gzip, &plain, "event: unset\n");
  close_server();
  expect_end(&gzip);
  close_reader(&plain);
  close_reader(&gzip);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(head_says_gzip_to_clients_that_ask),
      TEST(nothing_is_compressed_if_that_is_off),
      TEST(stream_says_what_the_plain_one_says),
      TEST(messages_of_one_kilobyte_take_less_than_two_fifths),
      TEST(each_event_is_there_at_once),
      TEST(stream_ends_with_its_checksum_when_the_server_does),
      TEST(session_that_a_program_closes_ends_with_its_checksum),
      TEST(what_is_dropped_does_not_count),
      TEST(evicted_client_gets_its_farewell_and_the_checksum),
      TEST(resumed_stream_says_what_the_plain_one_says),
      TEST(values_of_a_state_topic_come_compressed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
