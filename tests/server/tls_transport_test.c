/* SPDX-License-Identifier: MIT */
/*
 * What is written by TLS: streams are exact, and what the kernel refuses stays in the ring, where it is dropped,
 * replaced or evicted as on plain TCP. One record is kept.
 */
#include "support/tls_fixture.h"

#include "support/socketpair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES = 16384, OVERHEAD_BYTES = 512, MESSAGE_BYTES = 3000, LARGE_BYTES = 100000 };

static void begin(tls_fixture_t *tf) {
  tls_fixture_init(tf);
  tf->fx.policy.slots = 64;
}

static bool has_nothing_queued(tls_fixture_t *tf, void *arg) {
  const tls_peer_t *tp = arg;
  (void) tf;
  return peer_stats(&tp->peer).queued == 0;
}

static bool has_ended(tls_fixture_t *tf, void *arg) {
  const tls_peer_t *tp = arg;
  (void) tf;
  return tp->peer.has_eof || tp->peer.error != 0;
}

static size_t publish_stream(tls_fixture_t *tf, tls_peer_t *tp) {
  static char data[LARGE_BYTES];
  size_t sent = 0;
  unsigned random = 7;
  for (int i = 0; i < 300; i++) {
    random = random * 1103515245u + 12345u;
    size_t length = random / 65536u % 2000 + 1;
    if (i % 5 == 0) length = 1;
    if (i % 7 == 0) length = (size_t) RECORD_BYTES - 1 + (size_t) (i / 7 % 3);
    if (i % 50 == 0) length = LARGE_BYTES;
    tls_fill(data, sent, length);
    assert_int_equal(fixture_publish(&tf->fx, tf->fx.topic, data, length), 1);
    sent += length;
    if (i % 17 == 0) tls_run_until(tf, has_nothing_queued, tp);
  }
  return sent;
}

static void expect_stream(int version, int small, size_t read_max) {
  tls_fixture_t tf;
  tls_peer_t tp;
  begin(&tf);
  tf.version = version;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, small);
  tp.read_max = read_max;
  size_t sent = publish_stream(&tf, &tp);
  fixture_balances(&tf.fx);
  fluxbp_conn_close(tp.peer.conn, 60000);
  tls_run_until(&tf, has_ended, &tp);
  tls_peer_expects_stream(&tp, sent);
  assert_true(tp.has_closed);
  assert_true(tp.peer.has_eof);
  assert_int_equal(SSL_shutdown(tp.ssl), 1);
  tls_peer_pump(&tp);
  peer_hang_up(&tp.peer);
  tls_peer_wait_for_close(&tp);
  assert_int_equal(tp.peer.close_status, 0);
  assert_int_equal(fixture_metrics(&tf.fx).dropped, 0);
  tls_fixture_close(&tf);
}

static void a_stream_is_exact_however_it_is_read(void **state) {
  static const size_t parts[] = {0, 20000, 1777};
  (void) state;
  for (int i = 0; i < 12; i++)
    expect_stream(i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION, i / 2 % 2 ? FIXTURE_SMALL_BUFFERS : FIXTURE_LARGE_BUFFERS,
                  parts[i / 4]);
}

static size_t count_records(const char *data, size_t length) {
  size_t count = 0;
  for (size_t place = 0; place < length; count++)
    place += SSL3_RT_HEADER_LENGTH + ((size_t) (unsigned char) data[place + 3] << 8 | (unsigned char) data[place + 4]);
  return count;
}

static void several_messages_share_a_record(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  char data[1000];
  (void) state;
  begin(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  size_t before = tp.peer.len;
  for (size_t i = 0; i < 40; i++) {
    tls_fill(data, i * sizeof data, sizeof data);
    assert_int_equal(fixture_publish(&tf.fx, tf.fx.topic, data, sizeof data), 1);
  }
  tls_peer_wait_for(&tp, 40 * sizeof data);
  tls_peer_expects_stream(&tp, 40 * sizeof data);
  assert_int_equal(count_records(tp.peer.data + before, tp.peer.len - before), 3);
  tls_fixture_close(&tf);
}

/* Publish until something waits. Returns the bytes of messages that doesn't. */
static size_t refuse(tls_fixture_t *tf, tls_peer_t *tp) {
  char data[MESSAGE_BYTES];
  size_t sent = 0;
  tp->reads_none = true;
  for (int i = 0; !peer_stats(&tp->peer).is_refused; i++) {
    assert_true(i < 5000);
    tls_fill(data, sent, sizeof data);
    assert_int_equal(fixture_publish(&tf->fx, tf->fx.topic, data, sizeof data), 1);
    sent += sizeof data;
    if (i % 6 == 0) fluxbp_hub_flush(tf->fx.hub);
  }
  return sent;
}

static void one_record_is_kept_and_counts_as_unwritten(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  begin(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  uint64_t used_bytes = fluxbp_pool_used_bytes(tf.fx.pool);
  size_t sent = refuse(&tf, &tp);
  size_t kept = fluxbp_tls_transport_table(tf.transport)->kept(tp.peer.conn);
  assert_in_range(kept, 1, RECORD_BYTES);
  assert_in_range(tp.peer.conn->uv.stream.write_queue_size, kept, RECORD_BYTES + OVERHEAD_BYTES);
  fluxbp_conn_stats_t stats = peer_stats(&tp.peer);
  assert_int_equal(stats.written_bytes, tp.peer.conn->written_bytes - kept);
  assert_in_range(stats.queued_bytes, MESSAGE_BYTES - RECORD_BYTES % MESSAGE_BYTES, (uint64_t) 6 * MESSAGE_BYTES);
  uint64_t rest_bytes = fluxbp_pool_used_bytes(tf.fx.pool) - used_bytes;
  assert_in_range(rest_bytes, kept, stats.queued * (MESSAGE_BYTES + 1200) + 2 * RECORD_BYTES + 4096);
  tp.reads_none = false;
  tls_peer_wait_for(&tp, sent);
  tls_peer_expects_stream(&tp, sent);
  tls_turns(&tf, 3);
  assert_int_equal(fluxbp_pool_used_bytes(tf.fx.pool), used_bytes);
  tls_fixture_close(&tf);
}

static void a_dead_client_takes_a_record_more_than_on_tcp(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  peer_t *plain = calloc(1, sizeof(tls_peer_t)); /* the fixture takes every peer for one of TLS */
  (void) state;
  begin(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  tp.reads_none = true;
  size_t by_tls = peer_refuse(&tp.peer) - peer_stats(&tp.peer).queued_bytes;
  fixture_t fx;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, plain, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  size_t by_tcp = peer_refuse(plain) - peer_stats(plain).queued_bytes;
  fixture_close(&fx);
  assert_in_range(by_tls, 1, by_tcp + RECORD_BYTES + OVERHEAD_BYTES);
  tls_fixture_close(&tf);
  free(plain);
}

static size_t publish_numbers(tls_fixture_t *tf, int from, int to) {
  char text[MESSAGE_BYTES];
  size_t length = 0;
  memset(text, '.', sizeof text);
  for (int i = from; i < to; i++) {
    int digits = snprintf(text, sizeof text, "%d", i);
    text[digits] = ' ';
    length = sizeof text;
    assert_in_range(fixture_publish(&tf->fx, tf->fx.topic, text, length), 0, 1);
    if (i % 7 == 0) fluxbp_hub_flush(tf->fx.hub);
  }
  return length;
}

/* Every number is there once and in its order, or a marker says how many aren't. Returns how many are lost. */
static unsigned long expect_numbers(const tls_peer_t *tp, unsigned long numbers) {
  unsigned long next = 0, lost = 0;
  const char *line = tp->plain, *end = tp->plain + tp->plain_length;
  for (const char *rest; line < end; line = rest + 1) {
    rest = memchr(line, '\n', (size_t) (end - line));
    assert_non_null(rest);
    const char *count = strstr(line, "\"count\":");
    if (*line == '{') {
      assert_true(count != NULL && count < rest);
      unsigned long gap = strtoul(count + strlen("\"count\":"), NULL, 10);
      next += gap;
      lost += gap;
    } else {
      assert_int_equal(strtoul(line, NULL, 10), next);
      assert_int_equal(rest - line, MESSAGE_BYTES);
      next++;
    }
  }
  assert_int_equal(next, numbers);
  return lost;
}

static void what_waits_is_dropped_with_a_gap(void **state) {
  static const fluxbp_overflow_t rules[] = {FLUXBP_OVERFLOW_DROP_NEWEST, FLUXBP_OVERFLOW_DROP_OLDEST};
  (void) state;
  for (int i = 0; i < 2; i++) {
    tls_fixture_t tf;
    tls_peer_t tp;
    begin(&tf);
    tf.codec = &fluxbp_codec_newline;
    tf.fx.policy.slots = 8;
    tf.fx.policy.overflow = rules[i];
    tls_fixture_open(&tf);
    tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
    tp.reads_none = true;
    (void) publish_numbers(&tf, 0, 2000);
    uint64_t dropped = peer_stats(&tp.peer).dropped;
    assert_in_range(dropped, 1000, 2000);
    tp.reads_none = false;
    tls_run_until(&tf, has_nothing_queued, &tp);
    (void) publish_numbers(&tf, 2000, 2003);
    fluxbp_conn_close(tp.peer.conn, 60000);
    tls_run_until(&tf, has_ended, &tp);
    assert_int_equal(expect_numbers(&tp, 2003), dropped);
    assert_true(tp.has_closed);
    assert_int_equal(tp.peer.lost, dropped);
    tls_fixture_close(&tf);
  }
}

static void what_waits_is_replaced_by_newer_values(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  fluxbp_topic_t *topic;
  char text[1000];
  (void) state;
  begin(&tf);
  tf.codec = &fluxbp_codec_newline;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(fluxbp_topic_open_state(tf.fx.hub, "state", 10, &topic), 0);
  assert_int_equal(fluxbp_topic_subscribe(topic, tp.peer.conn), 1);
  tp.reads_none = true;
  memset(text, '.', sizeof text);
  for (int i = 0; i < 3000; i++) {
    text[snprintf(text, sizeof text, "%d", i)] = ' ';
    assert_true(fluxbp_topic_publish_bytes_keyed(topic, (uint64_t) (i % 10), text, sizeof text) >= 0);
    if (i % 5 == 0) fixture_turns(&tf.fx, 1);
  }
  assert_in_range(peer_stats(&tp.peer).conflated + 10, 1000, 3000);
  assert_int_equal(peer_stats(&tp.peer).dropped, 0);
  fluxbp_topic_t *last = tf.fx.topic;
  tp.reads_none = false;
  tls_run_until(&tf, has_nothing_queued, &tp);
  assert_in_range(fluxbp_topic_publish_bytes(last, "end", 3), 1, 1);
  fluxbp_conn_close(tp.peer.conn, 60000);
  tls_run_until(&tf, has_ended, &tp);
  unsigned long newest[10] = {0};
  for (const char *line = tp.plain; *line != 'e'; line = strchr(line, '\n') + 1) {
    unsigned long value = strtoul(line, NULL, 10);
    assert_true(value == 0 || value > newest[value % 10]);
    newest[value % 10] = value;
  }
  for (unsigned long i = 0; i < 10; i++) assert_int_equal(newest[i], 2990 + i);
  tls_fixture_close(&tf);
}

static void a_client_that_reads_nothing_is_stalled(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  begin(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  (void) refuse(&tf, &tp);
  fixture_advance(&tf.fx, 4750);
  assert_int_equal(peer_state(&tp.peer), FLUXBP__CONN_OPEN);
  fixture_advance(&tf.fx, 500);
  assert_null(tp.peer.conn);
  assert_int_equal(tp.peer.record.reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(tp.peer.close_status, UV_ECONNABORTED);
  peer_wait_for_eof(&tp.peer);
  assert_int_equal(tp.peer.error, ECONNRESET);
  tp.fed = tp.peer.len;
  tls_fixture_close(&tf);
}

static void a_slow_client_gets_its_farewell(void **state) {
  static const char farewell[] = "{\"evicted\":\"slow\"}\n";
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  begin(&tf);
  tf.codec = &fluxbp_codec_newline;
  tf.fx.policy.slots = 16;
  tf.fx.policy.stall_ms = 0;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  tp.reads_none = true;
  (void) publish_numbers(&tf, 0, 2000);
  fixture_advance(&tf.fx, 5250);
  assert_int_equal(tp.peer.record.reason, FLUXBP_EVICT_SLOW);
  assert_int_equal(peer_state(&tp.peer), FLUXBP__CONN_DRAINING);
  tp.reads_none = false;
  tls_run_until(&tf, has_ended, &tp);
  assert_true(tp.has_closed && tp.peer.has_eof);
  size_t length = sizeof farewell - 1;
  assert_in_range(tp.plain_length, length + 1, SIZE_MAX);
  assert_memory_equal(tp.plain + tp.plain_length - length, farewell, length);
  peer_hang_up(&tp.peer);
  tls_peer_wait_for_close(&tp);
  assert_int_equal(tp.peer.close_status, UV_ECONNABORTED);
  tls_fixture_close(&tf);
}

static void replies_come_before_what_waits(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  fluxbp_send_options_t options;
  fluxbp_msg_t *reply;
  (void) state;
  begin(&tf);
  tf.codec = &fluxbp_codec_newline;
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  tp.reads_none = true;
  (void) publish_numbers(&tf, 0, 200);
  assert_true(peer_stats(&tp.peer).is_refused);
  fluxbp_send_options_init(&options);
  options.is_reply = 1;
  assert_int_equal(fluxbp_msg_create(tf.fx.pool, "reply", 5, &reply), 0);
  for (int i = 0; i < 10; i++) assert_int_equal(fluxbp_conn_send_with(tp.peer.conn, reply, &options), 1);
  fluxbp_msg_unref(reply);
  tp.reads_none = false;
  fluxbp_conn_close(tp.peer.conn, 60000);
  tls_run_until(&tf, has_ended, &tp);
  assert_true(tp.has_closed);
  int replies = 0, numbers = 0;
  const char *end = tp.plain + tp.plain_length;
  for (const char *line = tp.plain; line < end; line = (const char *) memchr(line, '\n', (size_t) (end - line)) + 1) {
    replies += *line == 'r';
    numbers += *line != 'r' && *line != '{';
    if (*line != 'r' && replies > 0) assert_int_equal(replies, 10);
  }
  assert_int_equal(replies, 10);
  assert_true(numbers > 64);
  tls_fixture_close(&tf);
}

static void a_deadline_with_a_kept_record_resets(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  (void) state;
  begin(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_SMALL_BUFFERS);
  tp.reads_none = true;
  char data[RECORD_BYTES];
  for (int i = 0; tp.peer.conn->uv.stream.write_queue_size == 0; i++) { /* and the ring is empty */
    assert_int_equal(fixture_send(&tp.peer, memset(data, 'x', sizeof data), sizeof data), 1);
    fluxbp_hub_flush(tf.fx.hub);
  }
  assert_int_equal(peer_stats(&tp.peer).queued, 0);
  fluxbp_conn_close(tp.peer.conn, 1000);
  assert_int_equal(peer_state(&tp.peer), FLUXBP__CONN_FINISHING);
  fixture_advance(&tf.fx, 1250);
  assert_null(tp.peer.conn);
  assert_int_equal(tp.peer.close_status, UV_ETIMEDOUT);
  peer_wait_for_eof(&tp.peer);
  assert_int_equal(tp.peer.error, ECONNRESET);
  tp.fed = tp.peer.len;
  tls_fixture_close(&tf);
}

static void a_delivery_calls_no_allocator(void **state) {
  tls_fixture_t tf;
  tls_peer_t tp;
  fluxbp_pool_stats_t before, after;
  (void) state;
  begin(&tf);
  tls_fixture_open(&tf);
  tls_peer_connect(&tf, &tp, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 2000; i++) {
    if (i == 100) fluxbp_pool_get_stats(tf.fx.pool, &before);
    assert_int_equal(fixture_publish(&tf.fx, tf.fx.topic, "message", 7), 1);
    if (i % 10 == 0) tls_turns(&tf, 1);
  }
  fluxbp_pool_get_stats(tf.fx.pool, &after);
  assert_int_equal(after.allocator_calls, before.allocator_calls);
  tls_fixture_close(&tf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_is_exact_however_it_is_read),
      cmocka_unit_test(several_messages_share_a_record),
      cmocka_unit_test(one_record_is_kept_and_counts_as_unwritten),
      cmocka_unit_test(a_dead_client_takes_a_record_more_than_on_tcp),
      cmocka_unit_test(what_waits_is_dropped_with_a_gap),
      cmocka_unit_test(what_waits_is_replaced_by_newer_values),
      cmocka_unit_test(a_client_that_reads_nothing_is_stalled),
      cmocka_unit_test(a_slow_client_gets_its_farewell),
      cmocka_unit_test(replies_come_before_what_waits),
      cmocka_unit_test(a_deadline_with_a_kept_record_resets),
      cmocka_unit_test(a_delivery_calls_no_allocator),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
