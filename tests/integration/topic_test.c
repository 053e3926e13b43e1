/* SPDX-License-Identifier: MIT */
/*
 * Topics: who gets what, exactly once and in order, and that membership survives everything that is done to it.
 */
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* What a connection with that codec receives of the messages "0 message", "1 message" ... */
static size_t encode_all(const fluxbp_codec_t *codec, int messages, char *out) {
  size_t len = 0;
  for (int i = 0; i < messages; i++) {
    char text[32];
    size_t text_len = (size_t) snprintf(text, sizeof text, "%d message", i);
    if (codec == &fluxbp_codec_length32) {
      memcpy(out + len, "\0\0\0", 3);
      out[len + 3] = (char) text_len;
      len += 4;
    }
    memcpy(out + len, text, text_len);
    len += text_len;
    if (codec == &fluxbp_codec_newline) out[len++] = '\n';
  }
  return len;
}

static void every_codec_of_a_topic_gets_every_message_once_and_in_order(void **state) {
  enum { MESSAGES = 1000, PEERS = 6 };
  static const fluxbp_codec_t *const codecs[] = {&fluxbp_codec_raw, &fluxbp_codec_newline, &fluxbp_codec_length32};
  fixture_t fx;
  peer_t peers[PEERS];
  char *expected = malloc(MESSAGES * 32);
  (void) state;
  assert_non_null(expected);
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&fx, &peers[i], i < 3 ? FLUXBP_TCP : FLUXBP_PIPE, codecs[i % 3], FIXTURE_LARGE_BUFFERS);

  for (int i = 0; i < MESSAGES; i++) {
    assert_int_equal(fixture_publish_text(&fx, fx.topic, "%d message", i), PEERS);
    if (i % 37 == 0) fixture_turns(&fx, 1);
  }
  for (int i = 0; i < PEERS; i++) {
    size_t len = encode_all(codecs[i % 3], MESSAGES, expected);
    peer_wait_for(&peers[i], len);
    fixture_turns(&fx, 2);
    peer_read(&peers[i]);
    assert_int_equal(peers[i].len, len);
    assert_memory_equal(peers[i].data, expected, len);
    assert_int_equal(peer_stats(&peers[i]).last_id, MESSAGES);
  }
  fluxbp_metrics_t metrics = fixture_metrics(&fx);
  assert_int_equal(metrics.published, MESSAGES);
  assert_int_equal(metrics.written, MESSAGES * PEERS);
  assert_int_equal(metrics.dropped, 0);
  free(expected);
  fixture_close(&fx);
}

static void publish_in_callback(uv_timer_t *timer) {
  fixture_t *fx = timer->data;
  fluxbp_topic_t *other = fx->arg;
  for (int i = 0; i < 50; i++) {
    (void) fixture_publish_text(fx, fx->topic, "%d", i);
    (void) fixture_publish_text(fx, other, "other %d", i);
  }
  uv_close((uv_handle_t *) timer, NULL);
}

static void messages_of_one_callback_make_one_write_a_connection(const fluxbp_transport_t *transport) {
  enum { PEERS = 10 };
  fixture_t fx;
  peer_t peers[PEERS];
  fluxbp_topic_t *other;
  uv_timer_t timer;
  fixture_init(&fx);
  fx.options.slice_us = 10000000;
  fixture_open(&fx);
  assert_int_equal(fluxbp_topic_open(fx.hub, "other", &other), 0);
  fx.arg = other;
  for (int i = 0; i < PEERS; i++) {
    peer_open(&fx, &peers[i], transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_topic_subscribe(other, peers[i].conn), 1);
  }
  timer.data = &fx;
  assert_int_equal(uv_timer_init(&fx.loop, &timer), 0);
  assert_int_equal(uv_timer_start(&timer, publish_in_callback, 0, 0), 0);
  fixture_turns(&fx, 5);
  assert_int_equal(fixture_metrics(&fx).written, 100 * PEERS);
  assert_int_equal(fixture_metrics(&fx).writes, PEERS);
  assert_int_equal(peer_stats(&peers[0]).last_id, 100);
  fixture_close(&fx);
}
FIXTURE_ALL(messages_of_one_callback_make_one_write_a_connection)

static void membership_is_exact_whatever_the_order_of_calls(void **state) {
  enum { PEERS = 24, TOPICS = 24, STEPS = 6000 };
  static bool is_member[TOPICS][PEERS];
  fixture_t fx;
  peer_t *peers[PEERS];
  fluxbp_topic_t *topics[TOPICS];
  uint64_t accepted[PEERS] = {0};
  uint32_t seed = 42;
  (void) state;
  memset(is_member, 0, sizeof is_member);
  fixture_init(&fx);
  fx.policy.slots = 1024;
  fixture_open(&fx);
  for (int i = 0; i < TOPICS; i++) {
    char name[16];
    (void) snprintf(name, sizeof name, "t%d", i);
    assert_int_equal(fluxbp_topic_open(fx.hub, name, &topics[i]), 0);
  }
  for (int i = 0; i < PEERS; i++) {
    peers[i] = peer_new(&fx, FLUXBP_PIPE, i % 2 ? &fluxbp_codec_raw : &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_topic_unsubscribe(fx.topic, peers[i]->conn), 1);
  }
  for (int step = 0; step < STEPS; step++) {
    uint32_t t = next_random(&seed) % TOPICS;
    uint32_t p = next_random(&seed) % PEERS;
    uint32_t action = next_random(&seed) % 5;
    if (action < 2) {
      assert_int_equal(fluxbp_topic_subscribe(topics[t], peers[p]->conn), !is_member[t][p]);
      is_member[t][p] = true;
    } else if (action < 4) {
      assert_int_equal(fluxbp_topic_unsubscribe(topics[t], peers[p]->conn), is_member[t][p]);
      is_member[t][p] = false;
    } else {
      int members = 0;
      for (int i = 0; i < PEERS; i++) {
        members += is_member[t][i];
        accepted[i] += is_member[t][i];
      }
      assert_int_equal(fixture_publish(&fx, topics[t], "x", 1), members);
    }
    if (step % 500 == 0) {
      fluxbp_hub_flush(fx.hub);
      fixture_balances(&fx);
    }
  }
  for (int t = 0; t < TOPICS; t++) {
    size_t members = 0;
    for (int p = 0; p < PEERS; p++) {
      assert_int_equal(fluxbp_topic_has(topics[t], peers[p]->conn), is_member[t][p]);
      members += is_member[t][p];
    }
    assert_int_equal(fluxbp_topic_subscribers(topics[t]), members);
  }
  for (int p = 0; p < PEERS; p++) assert_int_equal(peer_stats(peers[p]).accepted, accepted[p]);

  /* a connection that goes leaves all of them */
  fluxbp_conn_reset(peers[3]->conn);
  for (int t = 0; t < TOPICS; t++) {
    size_t members = 0;
    for (int p = 0; p < PEERS; p++) members += p != 3 && is_member[t][p];
    assert_int_equal(fluxbp_topic_subscribers(topics[t]), members);
  }
  /* and a topic that goes leaves all connections */
  for (int t = 0; t < TOPICS; t += 2) fluxbp_topic_destroy(topics[t]);
  for (int t = 1; t < TOPICS; t += 2)
    for (int p = 0; p < PEERS; p++)
      assert_int_equal(fluxbp_topic_has(topics[t], peers[p]->conn), p != 3 && is_member[t][p]);
  fixture_close(&fx);
}

static void a_thousand_names_are_found_again(void **state) {
  enum { NAMES = 1000 };
  fixture_t fx;
  static fluxbp_topic_t *topics[NAMES];
  fluxbp_topic_t *again;
  char name[32];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < NAMES; i++) {
    (void) snprintf(name, sizeof name, "name/%d", i);
    assert_null(fluxbp_topic_find(fx.hub, name));
    assert_int_equal(fluxbp_topic_open(fx.hub, name, &topics[i]), 0);
    assert_string_equal(fluxbp_topic_name(topics[i]), name);
  }
  assert_int_equal(fixture_metrics(&fx).topics, NAMES + 1);
  for (int i = 0; i < NAMES; i++) {
    (void) snprintf(name, sizeof name, "name/%d", i);
    assert_ptr_equal(fluxbp_topic_find(fx.hub, name), topics[i]);
    assert_int_equal(fluxbp_topic_open(fx.hub, name, &again), 0);
    assert_ptr_equal(again, topics[i]);
  }
  for (int i = 0; i < NAMES; i += 3) fluxbp_topic_destroy(topics[i]);
  for (int i = 0; i < NAMES; i++) {
    (void) snprintf(name, sizeof name, "name/%d", i);
    if (i % 3 == 0)
      assert_null(fluxbp_topic_find(fx.hub, name));
    else
      assert_ptr_equal(fluxbp_topic_find(fx.hub, name), topics[i]);
  }
  assert_int_equal(fixture_metrics(&fx).topics, NAMES + 1 - (NAMES + 2) / 3);
  assert_null(fluxbp_topic_find(fx.hub, ""));
  fixture_close(&fx);
}

static void names_have_limits(void **state) {
  fixture_t fx;
  fluxbp_topic_t *topic;
  char name[FLUXBP_TOPIC_NAME_MAX + 2];
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  memset(name, 'n', sizeof name);
  name[sizeof name - 1] = '\0';
  assert_int_equal(fluxbp_topic_open(fx.hub, name, &topic), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open(fx.hub, "", &topic), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open(fx.hub, NULL, &topic), UV_EINVAL);
  name[FLUXBP_TOPIC_NAME_MAX] = '\0';
  assert_int_equal(fluxbp_topic_open(fx.hub, name, &topic), 0);
  assert_ptr_equal(fluxbp_topic_find(fx.hub, name), topic);
  fixture_close(&fx);
}

static void what_is_queued_outlives_topic_and_subscription(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, "before", 6), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(fx.topic, peer.conn), 1);
  assert_int_equal(fixture_publish(&fx, fx.topic, "nobody", 6), 0);
  assert_int_equal(fluxbp_topic_subscribe(fx.topic, peer.conn), 1);
  assert_int_equal(fixture_publish(&fx, fx.topic, "last", 4), 1);
  fluxbp_topic_destroy(fx.topic);
  assert_null(fluxbp_topic_find(fx.hub, "topic"));
  peer_wait_for(&peer, 12);
  peer_expects(&peer, "before\nlast\n");
  assert_int_equal(peer_stats(&peer).last_id, 3);
  fixture_close(&fx);
}
FIXTURE_ALL(what_is_queued_outlives_topic_and_subscription)

static void topic_of_another_hub_is_refused(void **state) {
  fixture_t one;
  fixture_t other;
  peer_t peer;
  (void) state;
  fixture_init(&one);
  fixture_init(&other);
  fixture_open(&one);
  fixture_open(&other);
  peer_open(&one, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(other.topic, peer.conn), UV_EINVAL);
  fixture_close(&other);
  fixture_close(&one);
}

static void closing_hub_takes_nothing_more(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_topic_t *topic;
  fluxbp_conn_t *conn;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fluxbp_hub_close(fx.hub, fixture_on_hub_closed);
  fluxbp_hub_close(fx.hub, fixture_on_hub_closed);
  assert_int_equal(fixture_publish(&fx, fx.topic, "late", 4), UV_ECANCELED);
  assert_int_equal(fluxbp_topic_open(fx.hub, "new", &topic), UV_ECANCELED);
  assert_int_equal(fluxbp_conn_create(fx.hub, NULL, &conn), UV_ECANCELED);
  assert_int_equal(fluxbp_topic_subscribe(fx.topic, peer.conn), UV_ENOTCONN);
  fixture_close(&fx);
  assert_int_equal(peer.close_status, UV_ECANCELED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_codec_of_a_topic_gets_every_message_once_and_in_order),
      FIXTURE_ALL_TESTS(messages_of_one_callback_make_one_write_a_connection),
      cmocka_unit_test(membership_is_exact_whatever_the_order_of_calls),
      cmocka_unit_test(a_thousand_names_are_found_again),
      cmocka_unit_test(names_have_limits),
      FIXTURE_ALL_TESTS(what_is_queued_outlives_topic_and_subscription),
      cmocka_unit_test(topic_of_another_hub_is_refused),
      cmocka_unit_test(closing_hub_takes_nothing_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
