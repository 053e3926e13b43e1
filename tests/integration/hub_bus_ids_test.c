/* SPDX-License-Identifier: MIT */
/*
 * Hubs on buses that take ids from elsewhere, with holes: a client goes on at any hub of any process that has the same
 * stream, and is told when that can't be without a loss.
 */
#include "support/hub_bus_fixture.h"

#include <string.h>

enum { EPOCH = 0xe90c, FIRST_ID = 100 };

/* A process: a bus and a hub that reads it. */
typedef struct gateway {
  fixture_t fx;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic;
} gateway_t;

/* "ID\n" of each message but those that it can't carry: "bad". */
static ptrdiff_t encode_id(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                           size_t capacity) {
  (void) codec;
  if (publication->length == 3) return UV_EINVAL;
  int len = snprintf(out, capacity, "%" PRIu64 "\n", publication->id);
  return (size_t) len < capacity ? len : len + 1;
}

static fluxbp_codec_t ids;

static void open_gateway(gateway_t *g, uint64_t first_id, uint32_t history_messages) {
  fluxbp_bus_options_t options;
  ids = fluxbp_codec_newline;
  ids.encode = encode_id;
  fluxbp_bus_options_init(&options);
  options.own_ids = 1;
  options.epoch = EPOCH;
  options.first_id = first_id;
  options.slots = 64;
  assert_int_equal(fluxbp_pool_create(NULL, &g->pool), 0);
  assert_int_equal(fluxbp_bus_create(g->pool, &options, &g->bus), 0);
  assert_int_equal(fluxbp_bus_topic(g->bus, "topic", &g->topic), 0);
  fixture_init(&g->fx);
  g->fx.options.bus = g->bus;
  g->fx.options.history_messages = history_messages;
  fixture_open(&g->fx);
}

static void close_gateway(gateway_t *g) {
  fixture_close(&g->fx);
  assert_int_equal(fluxbp_bus_destroy(g->bus), 0);
  assert_int_equal(fluxbp_pool_destroy(g->pool), 0);
}

static void publish_text_as(gateway_t *g, uint64_t id, const char *text) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(g->pool, text, strlen(text), &msg), 0);
  assert_int_equal(fluxbp_bus_publish_as(g->bus, g->topic, msg, id), 0);
  fluxbp_msg_unref(msg);
}

static void publish_as(gateway_t *g, uint64_t id) {
  publish_text_as(g, id, "m");
  fixture_turns(&g->fx, 2);
}

/* A client that comes without a subscription. */
static void open_client(gateway_t *g, peer_t *peer) {
  peer_open(&g->fx, peer, FLUXBP_TCP, &ids, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_unsubscribe(g->fx.topic, peer->conn), 1);
}

static int resume(gateway_t *g, peer_t *peer, uint64_t since_id) {
  return fluxbp_topic_subscribe_since(g->fx.topic, peer->conn, EPOCH, since_id);
}

static void gets(peer_t *peer, const char *text) {
  peer_wait_for(peer, strlen(text));
  peer_expects(peer, text);
}

static fluxbp_history_range_t range_of(const gateway_t *g) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(g->fx.hub, &range);
  return range;
}

static void a_client_resumes_across_holes_and_from_within_one(void **state) {
  gateway_t g;
  peer_t peers[4];
  const uint64_t since[] = {110, 115, 119, FIRST_ID - 1};
  const char *const expected[] = {"120\n150\n160\n", "120\n150\n160\n", "120\n150\n160\n", "110\n120\n150\n160\n"};
  (void) state;
  open_gateway(&g, FIRST_ID, 100);
  publish_as(&g, 110);
  publish_as(&g, 120);
  publish_as(&g, 150);
  for (int i = 0; i < 4; i++) {
    open_client(&g, &peers[i]);
    assert_int_equal(resume(&g, &peers[i], since[i]), 1);
  }
  publish_as(&g, 160);
  for (int i = 0; i < 4; i++) {
    gets(&peers[i], expected[i]);
    assert_int_equal(peer_stats(&peers[i]).last_id, 160);
    assert_int_equal(peer_stats(&peers[i]).dropped, 0);
  }
  close_gateway(&g);
}

static void a_client_goes_on_at_another_gateway(void **state) {
  gateway_t one;
  gateway_t other;
  peer_t first;
  peer_t second;
  (void) state;
  open_gateway(&one, 1, 100);
  open_gateway(&other, 1, 100);
  open_client(&one, &first);
  assert_int_equal(fluxbp_topic_subscribe(one.fx.topic, first.conn), 1);
  publish_as(&one, 3);
  publish_as(&other, 3);
  publish_as(&one, 7); /* which the other has yet to get */
  gets(&first, "3\n7\n");
  open_client(&other, &second);
  assert_int_equal(resume(&other, &second, 7), UV_EAGAIN);
  assert_int_equal(fluxbp_topic_has(other.fx.topic, second.conn), 0);
  publish_as(&other, 7);
  assert_int_equal(resume(&other, &second, 7), 1);
  publish_as(&other, 9);
  gets(&second, "9\n");
  assert_int_equal(fluxbp_topic_subscribe_since(other.fx.topic, second.conn, EPOCH + 1, 7), UV_ENOENT);
  close_gateway(&one);
  close_gateway(&other);
}

/* A gateway that starts when the stream is at 99. */
static void what_came_before_the_first_id_is_not_here(void **state) {
  gateway_t g;
  peer_t peer;
  (void) state;
  open_gateway(&g, FIRST_ID, 100);
  assert_int_equal(range_of(&g).oldest_since_id, FIRST_ID - 1);
  assert_int_equal(range_of(&g).newest_id, FIRST_ID - 1);
  open_client(&g, &peer);
  const uint64_t too_old[] = {0, 1, FIRST_ID - 2};
  for (int i = 0; i < 3; i++) assert_int_equal(resume(&g, &peer, too_old[i]), UV_ERANGE);
  publish_as(&g, FIRST_ID + 5);
  for (int i = 0; i < 3; i++) assert_int_equal(resume(&g, &peer, too_old[i]), UV_ERANGE);
  assert_int_equal(resume(&g, &peer, FIRST_ID - 1), 1);
  gets(&peer, "105\n");
  close_gateway(&g);
}

static void a_hub_that_joins_late_does_not_claim_to_know_what_was_before(void **state) {
  gateway_t g;
  fixture_t late;
  peer_t peer;
  (void) state;
  open_gateway(&g, 1, 100);
  publish_as(&g, 10);
  publish_as(&g, 20);
  fixture_init(&late);
  late.options.bus = g.bus;
  late.options.history_messages = 100;
  fixture_open(&late);
  fluxbp_history_range_t range;
  fluxbp_hub_history(late.hub, &range);
  assert_int_equal(range.epoch, EPOCH);
  assert_int_equal(range.oldest_since_id, 20);
  assert_int_equal(range.newest_id, 20);
  peer_open(&late, &peer, FLUXBP_TCP, &ids, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_unsubscribe(late.topic, peer.conn), 1);
  assert_int_equal(fluxbp_topic_subscribe_since(late.topic, peer.conn, EPOCH, 15), UV_ERANGE);
  assert_int_equal(fluxbp_topic_subscribe_since(late.topic, peer.conn, EPOCH, 20), 1);
  publish_as(&g, 30);
  fixture_turns(&late, 2);
  gets(&peer, "30\n");
  fixture_close(&late);
  close_gateway(&g);
}

static void what_the_history_forgets_reaches_to_its_id(void **state) {
  gateway_t g;
  peer_t peer;
  (void) state;
  open_gateway(&g, 1, 2);
  for (uint64_t id = 10; id <= 40; id += 10) publish_as(&g, id);
  assert_int_equal(range_of(&g).oldest_since_id, 20);
  assert_int_equal(range_of(&g).newest_id, 40);
  open_client(&g, &peer);
  assert_int_equal(resume(&g, &peer, 19), UV_ERANGE);
  assert_int_equal(resume(&g, &peer, 25), 1);
  gets(&peer, "30\n40\n");
  close_gateway(&g);
}

static void a_gap_counts_messages_not_ids(void **state) {
  gateway_t g;
  peer_t peer;
  (void) state;
  open_gateway(&g, 1, 100);
  open_client(&g, &peer);
  publish_as(&g, 10);
  assert_int_equal(resume(&g, &peer, 10), 1);
  for (uint64_t id = 20; id <= 50; id += 10) publish_text_as(&g, id, "bad");
  publish_as(&g, 77);
  gets(&peer, "{\"gap\":{\"from\":20,\"to\":50,\"count\":4}}\n77\n");
  close_gateway(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_resumes_across_holes_and_from_within_one),
      cmocka_unit_test(a_client_goes_on_at_another_gateway),
      cmocka_unit_test(what_came_before_the_first_id_is_not_here),
      cmocka_unit_test(a_hub_that_joins_late_does_not_claim_to_know_what_was_before),
      cmocka_unit_test(what_the_history_forgets_reaches_to_its_id),
      cmocka_unit_test(a_gap_counts_messages_not_ids),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
