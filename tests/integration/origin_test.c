/* SPDX-License-Identifier: MIT */
/*
 * Publishing to all but one: all subscribers but the sender get a message, on one hub and over a bus, live and from the
 * history.
 */
#include "support/hub_bus_fixture.h"
#include "support/replay_fixture.h"

#include <string.h>

/* "TOPIC ID\n", and gaps as the newline codec writes them. It can't carry a message of 13 bytes. */
static ptrdiff_t encode_with_id(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                size_t capacity) {
  (void) codec;
  if (publication->length == 13) return UV_EINVAL;
  int len = snprintf(out, capacity, "%s %" PRIu64 "\n", publication->topic, publication->id);
  return (size_t) len < capacity ? len : len + 1;
}

static fluxbp_codec_t with_id;

static void open_fixture(fixture_t *fx, uint32_t history_messages) {
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  fixture_init(fx);
  fx->options.history_messages = history_messages;
  fixture_open(fx);
}

static int publish_from(fixture_t *fx, fluxbp_topic_t *topic, const peer_t *sender, const char *text) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(fx->pool, text, strlen(text), &msg), 0);
  fx->calls++;
  int result = fluxbp_topic_publish_from(topic, msg, sender != NULL ? fluxbp_conn_origin(sender->conn) : 0);
  fx->calls--;
  fluxbp_msg_unref(msg);
  return result;
}

static void resume(peer_t *peer, uint64_t since_id) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(peer->fx->hub, &range);
  (void) fluxbp_topic_unsubscribe(peer->fx->topic, peer->conn);
  assert_int_equal(fluxbp_topic_subscribe_since(peer->fx->topic, peer->conn, range.epoch, since_id), 1);
}

static void everyone_but_the_sender_gets_a_message(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[3];
  open_fixture(&fx, 0);
  for (int i = 0; i < 3; i++) peer_open(&fx, &peers[i], transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);

  assert_int_equal(publish_from(&fx, fx.topic, &peers[0], "a"), 2);
  assert_int_equal(publish_from(&fx, fx.topic, &peers[1], "b"), 2);
  assert_int_equal(publish_from(&fx, fx.topic, &peers[2], "c"), 2);
  assert_int_equal(publish_from(&fx, fx.topic, NULL, "d"), 3);
  for (int i = 0; i < 3; i++) peer_read_turns(&peers[i]);
  peer_expects(&peers[0], "b\nc\nd\n");
  peer_expects(&peers[1], "a\nc\nd\n");
  peer_expects(&peers[2], "a\nb\nd\n");
  for (int i = 0; i < 3; i++) {
    assert_int_equal(peer_stats(&peers[i]).accepted, 3);
    assert_int_equal(peer_stats(&peers[i]).dropped, 0);
    assert_int_equal(peer_stats(&peers[i]).last_id, 4);
    assert_int_equal(peer_times_told(&peers[i], TOLD_GAP), 0);
  }
  fixture_close(&fx);
}
FIXTURE_BOTH(everyone_but_the_sender_gets_a_message)

static void an_origin_that_is_no_subscriber_excludes_no_connection(void **state) {
  fixture_t fx;
  peer_t member, stranger;
  (void) state;
  open_fixture(&fx, 0);
  peer_open(&fx, &member, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &stranger, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(fx.topic, stranger.conn);
  assert_int_equal(publish_from(&fx, fx.topic, &stranger, "a"), 1);

  uint64_t origin = fluxbp_conn_origin(stranger.conn);
  assert_int_not_equal(origin, fluxbp_conn_origin(member.conn));
  fluxbp_conn_reset(stranger.conn);
  peer_wait_for_close(&stranger);
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(fx.pool, "b", 1, &msg), 0);
  assert_int_equal(fluxbp_topic_publish_from(fx.topic, msg, origin), 1); /* its connection has gone */
  fluxbp_msg_unref(msg);
  peer_read_turns(&member);
  peer_expects(&member, "a\nb\n");
  fixture_close(&fx);
}

static void a_subscriber_by_pattern_is_excluded_too(void **state) {
  fixture_t fx;
  peer_t peers[3];
  fluxbp_topic_t *pattern;
  (void) state;
  open_fixture(&fx, 100);
  assert_int_equal(fluxbp_topic_open_pattern(fx.hub, "top*", &pattern), UV_EINVAL);
  assert_int_equal(fluxbp_topic_open_pattern(fx.hub, "*", &pattern), 0);
  for (int i = 0; i < 3; i++) {
    peer_open(&fx, &peers[i], FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
    if (i != 0) assert_int_equal(fluxbp_topic_subscribe(pattern, peers[i].conn), 1);
    if (i == 2) (void) fluxbp_topic_unsubscribe(fx.topic, peers[i].conn);
  }
  for (int i = 0; i < 3; i++) assert_int_equal(publish_from(&fx, fx.topic, &peers[i], "m"), 2);
  for (int i = 0; i < 3; i++) peer_read_turns(&peers[i]);
  peer_expects(&peers[0], "topic 2\ntopic 3\n");
  peer_expects(&peers[1], "topic 1\ntopic 3\n");
  peer_expects(&peers[2], "topic 1\ntopic 2\n");

  /* and reads from the history by it */
  fluxbp_history_range_t range;
  fluxbp_hub_history(fx.hub, &range);
  assert_int_equal(fluxbp_topic_unsubscribe(pattern, peers[2].conn), 1);
  assert_int_equal(fluxbp_topic_subscribe_since(pattern, peers[2].conn, range.epoch, 1), 1);
  peer_forget(&peers[2]);
  replay_read_all(&peers[2]);
  peer_expects(&peers[2], "topic 2\n");
  fixture_close(&fx);
}

static int bus_publish_from(buses_t *b, const peer_t *sender, const char *name, const char *text, uint64_t *id) {
  fluxbp_bus_publish_options_t options;
  fluxbp_msg_t *msg;
  fluxbp_bus_publish_options_init(&options);
  options.name = name;
  options.topic = b->topic;
  options.origin = fluxbp_conn_origin(sender->conn);
  assert_int_equal(fluxbp_msg_create(b->pool, text, strlen(text), &msg), 0);
  int err = fluxbp_bus_publish_with(b->bus, msg, &options, id);
  fluxbp_msg_unref(msg);
  return err;
}

/* The first connections of two hubs have the same id. */
static void a_bus_excludes_the_sender_on_its_hub_alone(const fluxbp_transport_t *transport) {
  buses_t b;
  peer_t peers[2][2];
  uint64_t id;
  init(&b, 16, 1);
  open_hubs(&b);
  for (int h = 0; h < 2; h++)
    for (int i = 0; i < 2; i++)
      peer_open(&b.fx[h], &peers[h][i], transport, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_conn_id(peers[0][0].conn), fluxbp_conn_id(peers[1][0].conn));
  assert_int_not_equal(fluxbp_conn_origin(peers[0][0].conn), fluxbp_conn_origin(peers[1][0].conn));

  for (int round = 0; round < 20; round++) { /* each slot is used with an origin and without one */
    assert_int_equal(bus_publish_from(&b, &peers[0][0], NULL, "x", &id), 0);
    assert_int_equal(id, 3 * round + 1);
    assert_int_equal(publish_on(&b, b.topic, "y", 1, &id), 0);
    assert_int_equal(bus_publish_from(&b, &peers[1][0], "topic", "z", NULL), 0);
    turns(&b, 3);
    for (int h = 0; h < 2; h++)
      for (int i = 0; i < 2; i++) peer_read_turns(&peers[h][i]);
    peer_expects(&peers[0][0], "y\nz\n");
    peer_expects(&peers[1][0], "x\ny\n");
    peer_expects(&peers[0][1], "x\ny\nz\n");
    peer_expects(&peers[1][1], "x\ny\nz\n");
    for (int h = 0; h < 2; h++)
      for (int i = 0; i < 2; i++) peer_forget(&peers[h][i]);
  }
  close_hubs(&b);
}
FIXTURE_BOTH(a_bus_excludes_the_sender_on_its_hub_alone)

static void a_publication_on_a_bus_says_what_is_wrong_with_it(void **state) {
  buses_t b;
  fluxbp_msg_t *msg;
  fluxbp_bus_publish_options_t options;
  uint64_t id = 0;
  (void) state;
  init(&b, 16, 1);
  open_hubs(&b);
  assert_int_equal(fluxbp_msg_create(b.pool, "x", 1, &msg), 0);
  fluxbp_bus_publish_options_init(&options);
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, NULL, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_with(NULL, msg, &options, NULL), UV_EINVAL);
  assert_int_equal(fluxbp_bus_publish_with(b.bus, NULL, &options, NULL), UV_EINVAL);
  options.topic = 77;
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, &options, NULL), UV_EINVAL);
  options.topic = b.topic;
  options.name = "";
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, &options, NULL), UV_EINVAL);
  options.name = NULL;
  options.id = 5;
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, &options, NULL), UV_EPERM);
  options.id = 0;
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, &options, &id), 0);
  assert_int_equal(id, 1);
  fluxbp_msg_unref(msg);
  turns(&b, 2);
  close_hubs(&b);
}

static void a_bus_with_own_ids_takes_the_id_from_the_options(void **state) {
  buses_t b;
  peer_t peer;
  fluxbp_msg_t *msg;
  fluxbp_bus_options_t bus_options;
  fluxbp_bus_publish_options_t options;
  uint64_t id = 0;
  (void) state;
  fluxbp_bus_options_init(&bus_options);
  bus_options.own_ids = 1;
  init_with(&b, &bus_options);
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  open_hubs(&b);
  peer_open(&b.fx[0], &peer, FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_msg_create(b.pool, "x", 1, &msg), 0);
  fluxbp_bus_publish_options_init(&options);
  options.name = "topic";
  options.id = 70;
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, &options, &id), 0);
  assert_int_equal(id, 70);
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, &options, NULL), UV_EEXIST);
  options.name = NULL;
  options.topic = b.topic;
  options.id = 90;
  assert_int_equal(fluxbp_bus_publish_with(b.bus, msg, &options, NULL), 0);
  fluxbp_msg_unref(msg);
  peer_read_turns(&peer);
  peer_expects(&peer, "topic 70\ntopic 90\n");
  close_hubs(&b);
}

static void a_sender_that_replays_passes_over_its_own_messages(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t sender, later;
  open_fixture(&fx, 100);
  peer_open(&fx, &sender, transport, &with_id, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(fx.topic, sender.conn);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(publish_from(&fx, fx.topic, NULL, "m"), 0);    /* 1, 3, 5, 7, 9 */
    assert_int_equal(publish_from(&fx, fx.topic, &sender, "m"), 0); /* 2, 4, 6, 8, 10 */
  }
  resume(&sender, 2);
  assert_int_equal(publish_from(&fx, fx.topic, &sender, "m"), 0); /* 11: while it replays */
  assert_int_equal(fluxbp_conn_is_replaying(sender.conn), 1);
  replay_read_all(&sender);
  peer_expects(&sender, "topic 3\ntopic 5\ntopic 7\ntopic 9\n");
  assert_int_equal(fluxbp_conn_is_replaying(sender.conn), 0);
  assert_int_equal(peer_stats(&sender).last_id, 9);
  assert_int_equal(publish_from(&fx, fx.topic, NULL, "m"), 1);
  replay_read_all(&sender);
  peer_expects(&sender, "topic 3\ntopic 5\ntopic 7\ntopic 9\ntopic 12\n");
  assert_int_equal(peer_times_told(&sender, TOLD_GAP), 0);

  /* the same client on another connection is another subscriber */
  peer_open(&fx, &later, transport, &with_id, FIXTURE_LARGE_BUFFERS);
  resume(&later, 9);
  replay_read_all(&later);
  peer_expects(&later, "topic 10\ntopic 11\ntopic 12\n");
  fixture_close(&fx);
}
FIXTURE_BOTH(a_sender_that_replays_passes_over_its_own_messages)

static void an_own_message_that_is_forgotten_is_no_loss(void **state) {
  fixture_t fx;
  peer_t sender;
  (void) state;
  open_fixture(&fx, 10);
  peer_open(&fx, &sender, FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(fx.topic, sender.conn);
  assert_int_equal(publish_from(&fx, fx.topic, NULL, "m"), 0);
  for (int i = 0; i < 9; i++) assert_int_equal(publish_from(&fx, fx.topic, &sender, "m"), 0);
  resume(&sender, 0);
  for (int i = 0; i < 5; i++) assert_int_equal(publish_from(&fx, fx.topic, NULL, "m"), 1); /* 1 to 5 are forgotten */
  replay_read_all(&sender);
  assert_int_equal(peer_stats(&sender).dropped, 1); /* the first alone was meant for it */
  assert_non_null(strstr(sender.data, "topic 11\ntopic 12\ntopic 13\ntopic 14\ntopic 15\n"));
  assert_null(strstr(sender.data, "topic 10"));
  fixture_close(&fx);
}

static void an_own_message_that_is_not_kept_is_no_loss(void **state) {
  fixture_t fx;
  peer_t sender, other;
  char large[200];
  (void) state;
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  fixture_init(&fx);
  fx.options.history_messages = 10;
  fx.options.history_bytes = 100;
  fixture_open(&fx);
  peer_open(&fx, &sender, FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
  peer_open(&fx, &other, FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(publish_from(&fx, fx.topic, &sender, "m"), 1);
  resume(&sender, 0);
  resume(&other, 0);
  memset(large, 'x', sizeof large);
  large[sizeof large - 1] = '\0';
  assert_int_equal(publish_from(&fx, fx.topic, &sender, large), 1);
  replay_read_all(&sender);
  replay_read_all(&other);
  assert_int_equal(peer_stats(&sender).dropped, 0);
  assert_int_equal(sender.len, 0);
  assert_int_equal(peer_stats(&other).dropped, 2);
  fixture_close(&fx);
}

static void closing_up_the_history_keeps_origins(void **state) {
  fixture_t fx;
  peer_t sender;
  fluxbp_topic_t *busy;
  (void) state;
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  fixture_init(&fx);
  fx.options.history_messages = 1000;
  fx.options.history_topic_messages = 20;
  fixture_open(&fx);
  assert_int_equal(fluxbp_topic_open(fx.hub, "busy", &busy), 0);
  peer_open(&fx, &sender, FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(fx.topic, sender.conn);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(publish_from(&fx, fx.topic, i % 2 ? &sender : NULL, "m"), 0); /* 1, 102, 203 ... */
    for (int k = 0; k < 100; k++) assert_int_equal(publish_from(&fx, busy, &sender, "m"), 0);
  }
  resume(&sender, 0);
  replay_read_all(&sender);
  peer_expects(&sender, "topic 1\ntopic 203\ntopic 405\ntopic 607\ntopic 809\n");
  fixture_close(&fx);
}

static void a_sender_whose_codec_refuses_its_message_loses_nothing(void **state) {
  buses_t b;
  peer_t sender, other;
  (void) state;
  init(&b, 16, 1);
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  open_hubs(&b);
  peer_open(&b.fx[0], &sender, FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
  peer_open(&b.fx[0], &other, FLUXBP_PIPE, &with_id, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(bus_publish_from(&b, &sender, NULL, "thirteen byte", NULL), 0);
  turns(&b, 3);
  assert_int_equal(peer_stats(&sender).dropped, 0);
  assert_int_equal(peer_stats(&other).dropped, 1);
  close_hubs(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(everyone_but_the_sender_gets_a_message),
      cmocka_unit_test(an_origin_that_is_no_subscriber_excludes_no_connection),
      cmocka_unit_test(a_subscriber_by_pattern_is_excluded_too),
      FIXTURE_TESTS(a_bus_excludes_the_sender_on_its_hub_alone),
      cmocka_unit_test(a_publication_on_a_bus_says_what_is_wrong_with_it),
      cmocka_unit_test(a_bus_with_own_ids_takes_the_id_from_the_options),
      FIXTURE_TESTS(a_sender_that_replays_passes_over_its_own_messages),
      cmocka_unit_test(an_own_message_that_is_forgotten_is_no_loss),
      cmocka_unit_test(an_own_message_that_is_not_kept_is_no_loss),
      cmocka_unit_test(closing_up_the_history_keeps_origins),
      cmocka_unit_test(a_sender_whose_codec_refuses_its_message_loses_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
