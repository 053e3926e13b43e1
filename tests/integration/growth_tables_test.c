/* SPDX-License-Identifier: MIT */
/*
 * Programs that were compiled with older or newer headers than the library: their tables of handlers and codecs are
 * shorter or longer than the library's. docs/growth.md has the rules.
 */
#include "support/fixture.h"

#include "options.h"
#include "support/socketpair.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The entries of a table of handlers, in their order. */
enum { DATA, BACKPRESSURE, GAP, VERDICT, EVICTED, CLOSE, HALF_CLOSE, ENTRIES };

static int handler_calls[ENTRIES];

static void on_data(fluxbp_conn_t *conn, const char *data, size_t len) {
  (void) conn, (void) data, (void) len;
  handler_calls[DATA]++;
}

static void on_backpressure(fluxbp_conn_t *conn, int entered) {
  (void) conn, (void) entered;
  handler_calls[BACKPRESSURE]++;
}

static void on_gap(fluxbp_conn_t *conn, const fluxbp_gap_t *gap) {
  (void) conn, (void) gap;
  handler_calls[GAP]++;
}

static int on_verdict(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  (void) conn, (void) record;
  handler_calls[VERDICT]++;
  return 0;
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  (void) conn, (void) record;
  handler_calls[EVICTED]++;
}

static void on_close(fluxbp_conn_t *conn, int status) {
  (void) conn, (void) status;
  handler_calls[CLOSE]++;
}

static int on_half_close(fluxbp_conn_t *conn) {
  (void) conn;
  handler_calls[HALF_CLOSE]++;
  return 0;
}

static const fluxbp_conn_handlers_t counting_handlers = {
    .size = sizeof counting_handlers,
    .on_data = on_data,
    .on_backpressure = on_backpressure,
    .on_gap = on_gap,
    .on_verdict = on_verdict,
    .on_evicted = on_evicted,
    .on_close = on_close,
    .on_half_close = on_half_close,
};

/* Connect and start a connection with these handlers, in the place of the fixture's; its client's socket. */
static int open_client(fixture_t *fx, const fluxbp_conn_handlers_t *handlers) {
  int fds[2];
  fluxbp_conn_t *conn;
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.transport = FLUXBP_PIPE;
  options.handlers = handlers;
  assert_int_equal(socketpair_make(FLUXBP_PIPE, true, fds), 0);
  assert_int_equal(fluxbp_conn_create(fx->hub, &options, &conn), 0);
  assert_int_equal(socketpair_open(conn, FLUXBP_PIPE, fds[0]), 0);
  assert_int_equal(fluxbp_conn_start(conn), 0);
  assert_int_equal(fluxbp_topic_subscribe(fx->topic, conn), 1);
  return fds[1];
}

static bool has_no_connection(fixture_t *fx, void *arg) {
  (void) arg;
  return fluxbp_hub_connections(fx->hub) == 0;
}

static bool has_reported_a_gap(fixture_t *fx, void *arg) {
  const char *data = arg;
  (void) fixture_publish(fx, fx->topic, data, 1); /* where the next message has a place, the gap ends */
  return fixture_metrics(fx).gaps > 0;
}

static void publish_until_full(fixture_t *fx, const char *data, size_t len) {
  for (int i = 0; i < 256; i++) assert_int_equal(fixture_publish(fx, fx->topic, data, len), 1);
  fixture_turns(fx, 2);
}

/* One client sends and half-closes; another one loses messages, then stops reading and is evicted: all handlers have a
 * reason. */
static void let_everything_happen(const fluxbp_conn_handlers_t *handlers) {
  static char data[4096];
  fixture_t fx;
  memset(handler_calls, 0, sizeof handler_calls);
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);

  int leaving = open_client(&fx, handlers);
  assert_int_equal(send(leaving, "x", 1, 0), 1);
  assert_int_equal(shutdown(leaving, SHUT_WR), 0);
  fixture_run_until(&fx, has_no_connection, NULL, false);

  int stalled = open_client(&fx, handlers);
  publish_until_full(&fx, data, sizeof data);
  while (recv(stalled, data, sizeof data, 0) > 0) fixture_turns(&fx, 1);
  fixture_run_until(&fx, has_reported_a_gap, data, false);
  publish_until_full(&fx, data, sizeof data);
  fixture_advance(&fx, 6000);
  fixture_run_until(&fx, has_no_connection, NULL, false);

  (void) close(leaving);
  (void) close(stalled);
  fixture_close(&fx);
}

static void entry_that_a_shorter_table_does_not_have_is_not_called(void **state) {
  (void) state;
  fluxbp_conn_handlers_t table = counting_handlers; /* entries beyond the size are there, so that a call would show */
  const size_t ends[ENTRIES] = {
      [DATA] = FLUXBP__END_OF(&table, on_data),
      [BACKPRESSURE] = FLUXBP__END_OF(&table, on_backpressure),
      [GAP] = FLUXBP__END_OF(&table, on_gap),
      [VERDICT] = FLUXBP__END_OF(&table, on_verdict),
      [EVICTED] = FLUXBP__END_OF(&table, on_evicted),
      [CLOSE] = FLUXBP__END_OF(&table, on_close),
      [HALF_CLOSE] = FLUXBP__END_OF(&table, on_half_close),
  };
  for (int last = DATA; last < ENTRIES; last++) {
    table.size = ends[last];
    let_everything_happen(&table);
    for (int entry = DATA; entry < ENTRIES; entry++) {
      if (entry <= last)
        assert_true(handler_calls[entry] > 0);
      else
        assert_int_equal(handler_calls[entry], 0);
    }
  }
}

static int create_with_handlers(fixture_t *fx, const void *handlers, fluxbp_conn_t **conn) {
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.handlers = handlers;
  return fluxbp_conn_create(fx->hub, &options, conn);
}

static void longer_table_is_taken_as_long_as_its_new_entries_are_null(void **state) {
  struct {
    fluxbp_conn_handlers_t known;
    void (*on_later)(void);
  } newer = {.known = {.size = sizeof newer}};
  fixture_t fx;
  fluxbp_conn_t *conn = NULL;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(create_with_handlers(&fx, &newer, &conn), 0);
  fluxbp_conn_reset(conn);
  conn = NULL;
  newer.on_later = abort;
  assert_int_equal(create_with_handlers(&fx, &newer, &conn), UV_E2BIG);
  newer.known.size = FLUXBP__END_OF(&newer.known, on_data) - 1; /* no version has so few */
  assert_int_equal(create_with_handlers(&fx, &newer, &conn), UV_EINVAL);
  assert_null(conn);
  fixture_close(&fx);
}

/* Codecs. */

static int codec_calls[2]; /* encode_gap, encode_farewell */

static ptrdiff_t encode_star(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                             size_t capacity) {
  (void) codec;
  if (publication->length <= capacity) memset(out, '*', publication->length);
  return (ptrdiff_t) publication->length;
}

static ptrdiff_t encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  (void) codec, (void) gap;
  if (capacity > 0) out[0] = 'G';
  codec_calls[0]++;
  return 1;
}

static ptrdiff_t encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                 size_t capacity) {
  (void) codec, (void) reason;
  if (capacity > 0) out[0] = 'F';
  codec_calls[1]++;
  return 1;
}

static bool is_drained(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return peer_stats(peer).queued == 0;
}

static void codec_that_is_shorter_writes_no_word_that_it_does_not_have(void **state) {
  const fluxbp_codec_t whole = {.size = sizeof whole,
                                .name = "stars",
                                .encode = encode_star,
                                .encode_gap = encode_gap,
                                .encode_farewell = encode_farewell};
  const size_t sizes[] = {FLUXBP__END_OF(&whole, encode), FLUXBP__END_OF(&whole, encode_gap), sizeof whole};
  (void) state;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    fluxbp_codec_t codec = whole;
    fixture_t fx;
    peer_t peer;
    codec.size = sizes[i];
    memset(codec_calls, 0, sizeof codec_calls);
    fixture_init(&fx);
    fx.policy.slots = 16;
    fx.policy.stall_ms = 0;
    fixture_open(&fx);
    peer_open(&fx, &peer, FLUXBP_PIPE, &codec, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(&peer);
    for (int k = 0; k < 40; k++) (void) fixture_publish(&fx, fx.topic, "x", 1);
    fixture_run_until(&fx, is_drained, &peer, true); /* the gap's notice included */
    (void) peer_refuse(&peer);
    while (!fluxbp_conn_is_backpressured(peer.conn)) (void) fixture_send(&peer, "x", 1);
    fixture_advance(&fx, 5250);
    assert_int_equal(peer.record.reason, FLUXBP_EVICT_SLOW);
    peer_wait_for_eof(&peer);
    assert_int_equal(codec_calls[0] > 0, i >= 1);
    assert_int_equal(codec_calls[1] > 0, i >= 2);
    peer_hang_up(&peer);
    fixture_close(&fx);
  }
}

static void codec_with_a_size_that_is_nonsense_or_with_unknown_entries_is_refused(void **state) {
  struct {
    fluxbp_codec_t known;
    void *later;
  } newer = {.known = {.size = sizeof newer, .name = "newer", .encode = encode_star}};
  fluxbp_conn_options_t options;
  fixture_t fx;
  peer_t peer;
  fluxbp_conn_t *conn = NULL;
  fluxbp_frame_t *frame = NULL;
  fluxbp_msg_t *msg;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(fluxbp_msg_create(fx.pool, "x", 1, &msg), 0);
  peer_open(&fx, &peer, FLUXBP_PIPE, &newer.known, FIXTURE_LARGE_BUFFERS);
  fluxbp_codec_t codec = {.name = "no size", .encode = encode_star};
  fluxbp_conn_options_init(&options);

  const struct {
    const fluxbp_codec_t *codec;
    int err;
  } refused[] = {{&codec, UV_EINVAL}, {&newer.known, UV_E2BIG}};
  newer.later = &fx;
  assert_int_equal(fluxbp_conn_set_codec(peer.conn, &fluxbp_codec_raw), 0);
  for (int i = 0; i < 2; i++) {
    static fluxbp_codec_t copies[2][2]; /* the hub remembers a codec by its address */
    memcpy(copies[i], refused[i].codec, i == 0 ? sizeof codec : sizeof newer);
    const fluxbp_codec_t *copy = copies[i];
    options.codec = copy;
    assert_int_equal(fluxbp_conn_create(fx.hub, &options, &conn), refused[i].err);
    assert_int_equal(fluxbp_conn_set_codec(peer.conn, copy), refused[i].err);
    assert_int_equal(fluxbp_frame_create(fx.pool, msg, copy, NULL, 0, &frame), refused[i].err);
  }
  assert_null(conn);
  assert_null(frame);
  fluxbp_msg_unref(msg);
  fixture_close(&fx);
}

/* A table of the library's may have been copied into a program when that was linked, as long as it was then. */
static void tables_of_the_library_are_as_long_as_in_the_first_version(void **state) {
  (void) state;
  const size_t size = offsetof(fluxbp_codec_t, arg) + sizeof(void *);
  assert_int_equal(fluxbp_codec_raw.size, size);
  assert_int_equal(fluxbp_codec_newline.size, size);
  assert_int_equal(fluxbp_codec_length32.size, size);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entry_that_a_shorter_table_does_not_have_is_not_called),
      cmocka_unit_test(longer_table_is_taken_as_long_as_its_new_entries_are_null),
      cmocka_unit_test(codec_that_is_shorter_writes_no_word_that_it_does_not_have),
      cmocka_unit_test(codec_with_a_size_that_is_nonsense_or_with_unknown_entries_is_refused),
      cmocka_unit_test(tables_of_the_library_are_as_long_as_in_the_first_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
