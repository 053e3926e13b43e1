/* SPDX-License-Identifier: MIT */
/*
 * What the user is told, when and how often; and that anything may be called from any callback.
 */
#include "support/fixture.h"

#include "conn_stage.h"

#include <string.h>
#include <sys/socket.h>

static bool is_open(const peer_t *peer) {
  return peer->fx->hub != NULL && peer->conn != NULL && peer_state(peer) == FLUXBP__CONN_OPEN;
}

static void fill_to(peer_t *peer, uint64_t queued) {
  while (is_open(peer) && peer_stats(peer).queued < queued) (void) fixture_send(peer, "x", 1);
}

static bool is_idle(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return !is_open(peer) || peer_stats(peer).queued == 0;
}

static void backpressure_is_told_once_each_way(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  for (int round = 1; round <= 3; round++) {
    (void) peer_refuse(&peer);
    fill_to(&peer, 7);
    fixture_turns(&fx, 2);
    assert_int_equal(peer_times_told(&peer, TOLD_ENTERED), round - 1);
    fill_to(&peer, 8);
    assert_int_equal(fluxbp_conn_is_backpressured(peer.conn), 1);
    assert_int_equal(peer_times_told(&peer, TOLD_ENTERED), round - 1); /* from the loop, not from our call */
    fixture_turns(&fx, 1);
    assert_int_equal(peer_times_told(&peer, TOLD_ENTERED), round);
    fill_to(&peer, 12);
    fixture_turns(&fx, 3);
    assert_int_equal(peer_times_told(&peer, TOLD_ENTERED), round);
    assert_int_equal(fixture_metrics(&fx).backpressured, 1);
    fixture_run_until(&fx, is_idle, &peer, true);
    fixture_turns(&fx, 3);
    assert_int_equal(peer_times_told(&peer, TOLD_LEFT), round);
    assert_int_equal(fixture_metrics(&fx).backpressured, 0);
    assert_null(peer.conn->pressure);
  }
  assert_string_equal(peer.trace, "BbBbBb");
  assert_int_equal(fixture_metrics(&fx).backpressure_events, 3);
  fixture_close(&fx);
}
FIXTURE_ALL(backpressure_is_told_once_each_way)

static void full_ring_that_the_kernel_takes_is_no_backpressure(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fill_to(&peer, 15);
  assert_int_equal(fluxbp_conn_is_backpressured(peer.conn), 0);
  fixture_turns(&fx, 3);
  assert_int_equal(peer.told, 0);
  fixture_close(&fx);
}

static void events_that_a_reset_overtakes_are_not_told(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fill_to(&peer, 16);
  fluxbp_conn_reset(peer.conn);
  assert_int_equal(peer.told, 0);
  assert_non_null(peer.conn);
  fixture_turns(&fx, 3);
  assert_string_equal(peer.trace, "X");
  fixture_close(&fx);
}

static void evicted_connection_hears_it_before_the_hub_and_before_its_end(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 2;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  (void) fixture_send(&peer, "x", 1);
  (void) fixture_send(&peer, "x", 1);
  assert_int_equal(peer.told, 0);
  fixture_turns(&fx, 1);
  peer_hang_up(&peer);
  peer_wait_for_close(&peer);
  assert_non_null(strstr(peer.trace, "EHX"));
  assert_int_equal(peer.close_status, UV_ECONNABORTED);
  fixture_close(&fx);
}

/* Anything from anywhere. */
typedef enum action {
  CLOSE,
  CLOSE_NOW,
  RESET,
  RESET_OTHER,
  PUBLISH,
  PUBLISH_UNTIL_FULL,
  LEAVE_AND_JOIN,
  DESTROY_TOPIC,
  SET_POLICY,
  FLUSH,
  DRAIN_HUB,
  CLOSE_HUB,
  CLOSE_AND_RESET,
  ACTION_COUNT
} action_t;

typedef struct plan {
  char when; /* 'W' is the hub's on_writable */
  action_t what;
  int times; /* that it was done */
  peer_t *peer;
  peer_t *other;
  fluxbp_topic_t *topic;
} plan_t;

static bool is_hub_open(const fixture_t *fx) {
  return fx->hub != NULL && !fx->hub->engine.is_closing;
}

static void act(plan_t *plan) {
  peer_t *peer = plan->peer;
  fixture_t *fx = peer->fx;
  if (plan->times++ > 0) return;
  switch (plan->what) {
  case CLOSE:
    if (peer->conn != NULL) fluxbp_conn_close(peer->conn, 1000);
    break;
  case CLOSE_NOW:
    if (peer->conn != NULL) fluxbp_conn_close(peer->conn, 0);
    break;
  case RESET:
    if (peer->conn != NULL) fluxbp_conn_reset(peer->conn);
    break;
  case RESET_OTHER:
    if (plan->other->conn != NULL) fluxbp_conn_reset(plan->other->conn);
    break;
  case PUBLISH:
    (void) fixture_publish(fx, plan->topic, "from a callback", 15);
    if (peer->conn != NULL) (void) fixture_send(peer, "from a callback", 15);
    break;
  case PUBLISH_UNTIL_FULL:
    for (int i = 0; i < 40; i++) (void) fixture_publish(fx, plan->topic, "again", 5);
    break;
  case LEAVE_AND_JOIN:
    if (peer->conn != NULL) {
      (void) fluxbp_topic_unsubscribe(plan->topic, peer->conn);
      (void) fluxbp_topic_subscribe(plan->topic, peer->conn);
    }
    if (plan->other->conn != NULL) (void) fluxbp_topic_unsubscribe(plan->topic, plan->other->conn);
    break;
  case DESTROY_TOPIC:
    fluxbp_topic_destroy(plan->topic);
    assert_int_equal(fluxbp_topic_open(fx->hub, "topic", &plan->topic), 0);
    fx->topic = plan->topic;
    break;
  case SET_POLICY:
    fx->policy.slots = 8;
    assert_int_equal(fluxbp_hub_set_policy(fx->hub, &fx->policy), 0);
    if (peer->conn != NULL) (void) fluxbp_conn_set_policy(peer->conn, &fx->policy);
    break;
  case FLUSH:
    (void) fixture_publish(fx, plan->topic, "flushed", 7);
    fluxbp_hub_flush(fx->hub);
    break;
  case DRAIN_HUB:
    fluxbp_hub_drain(fx->hub, 1000, NULL);
    break;
  case CLOSE_HUB:
    fluxbp_hub_close(fx->hub, fixture_on_hub_closed);
    break;
  case CLOSE_AND_RESET:
    if (peer->conn != NULL) {
      fluxbp_conn_close(peer->conn, 0);
      fluxbp_conn_reset(peer->conn);
    }
    break;
  case ACTION_COUNT:
    break;
  }
}

static void act_when_told(peer_t *peer, char told) {
  plan_t *plan = peer->arg;
  if (told == plan->when) act(plan);
}

static void act_when_writable(fixture_t *fx) {
  plan_t *plan = fx->arg;
  if (plan->when == 'W') act(plan);
}

static void advance(fixture_t *fx, uint64_t ms) {
  for (uint64_t step_ms = 0; step_ms < ms && is_hub_open(fx); step_ms += 250) fixture_advance(fx, 250);
  fixture_turns(fx, 3);
}

enum { STEPS_MAX = 400 }; /* of 250 ms, until somebody who stalls should have been evicted */

/* Until it is evicted. On a busy machine the kernel takes some more when it has refused already: that is progress. */
static void stall(peer_t *peer) {
  for (int steps = 0; steps < STEPS_MAX && is_hub_open(peer->fx) && is_open(peer); steps++) {
    (void) peer_refuse(peer);
    fixture_advance(peer->fx, 250);
  }
}

/* A life in which everything happens that can be told: data, backpressure both ways, a gap, writable, eviction, the
 * end. */
static void live_a_full_life(plan_t *plan, const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peers[3];
  fixture_init(&fx);
  fx.policy.slots = 16;
  fx.options.patience_ms = 5000;
  fx.on_writable = act_when_writable;
  fx.arg = plan;
  fixture_open(&fx);
  plan->peer = &peers[1];
  plan->other = &peers[2];
  plan->topic = fx.topic;
  for (int i = 0; i < 3; i++) {
    peer_open(&fx, &peers[i], transport, &fluxbp_codec_newline, FIXTURE_SMALL_BUFFERS);
    peers[i].arg = plan;
  }
  peer_t *peer = plan->peer;
  peer->hook = act_when_told;

  assert_int_equal(send(peer->fd, "hello", 5, 0), 5);
  fixture_turns(&fx, 3);
  if (is_open(peer)) (void) peer_refuse(peer);
  for (int i = 0; i < 30 && is_hub_open(&fx); i++) (void) fixture_publish(&fx, plan->topic, "feed", 4);
  fixture_turns(&fx, 3);
  for (int i = 0; i < 30; i++) {
    for (int k = 0; k < 3; k++) peer_read(&peers[k]);
    fixture_turns(&fx, 1);
    if (is_hub_open(&fx) && i % 10 == 0) (void) fixture_publish(&fx, plan->topic, "on", 2);
  }
  if (is_open(peer)) (void) peer_refuse(peer);
  if (fx.hub != NULL) fixture_balances(&fx);
  stall(peer);
  advance(&fx, 1000);
  for (int i = 0; i < 10; i++) {
    peer_read(peer);
    fixture_turns(&fx, 1);
  }
  peer_hang_up(peer);
  advance(&fx, 3000);
  if (is_hub_open(&fx)) (void) fixture_publish(&fx, plan->topic, "end", 3);
  fixture_turns(&fx, 3);

  if (plan->what == RESET_OTHER && plan->when == '-') assert_true(is_hub_open(&fx));
  fixture_close(&fx);
  assert_int_equal(peer_times_told(peer, TOLD_CLOSED), 1);
  assert_int_equal(peer->trace[peer->told - 1], TOLD_CLOSED);
}

static void everything_may_be_called_from(char when) {
  for (int round = 0; round < 2; round++) {
    for (int what = 0; what < ACTION_COUNT; what++) {
      plan_t plan = {.when = when, .what = (action_t) what};
      live_a_full_life(&plan, round == 0 ? FLUXBP_TCP : FLUXBP_PIPE);
      assert_in_range(plan.times, 1, 100); /* the callback did come */
    }
  }
}

static void everything_may_be_called_from_on_data(void **state) {
  (void) state;
  everything_may_be_called_from(TOLD_DATA);
}

static void everything_may_be_called_from_on_backpressure_entered(void **state) {
  (void) state;
  everything_may_be_called_from(TOLD_ENTERED);
}

static void everything_may_be_called_from_on_backpressure_left(void **state) {
  (void) state;
  everything_may_be_called_from(TOLD_LEFT);
}

/* A connection may be sent back to older messages and lose them behind newer ones. Several gaps are told of as one. */
static void gap_covers_what_lies_further_back(void **state) {
  static const uint64_t ids[] = {20, 10, 0, 15};
  fixture_t fx;
  peer_t peer;
  fluxbp_frame_t lost = {.kind = FLUXBP__FRAME_MESSAGE};
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    lost.id = ids[i];
    fluxbp__conn_lose(peer.conn, &lost);
    if (i > 0) assert_int_equal(fixture_send(&peer, "sent", 4), 1);
  }
  fixture_turns(&fx, 3);
  peer_read(&peer);
  assert_int_equal(peer.lost, 4);
  assert_int_equal(peer.gap.first_id, 10);
  assert_int_equal(peer.gap.last_id, 20);
  peer_expects(
      &peer, "{\"gap\":{\"from\":10,\"to\":20,\"count\":2}}\nsent\n{\"gap\":{\"from\":0,\"to\":0,\"count\":1}}\nsent\n"
             "{\"gap\":{\"from\":15,\"to\":15,\"count\":1}}\nsent\n");
  fixture_close(&fx);
}

static void everything_may_be_called_from_on_gap(void **state) {
  (void) state;
  everything_may_be_called_from(TOLD_GAP);
}

static void everything_may_be_called_from_on_evicted(void **state) {
  (void) state;
  everything_may_be_called_from(TOLD_EVICTED);
}

static void everything_may_be_called_from_on_eviction_of_the_hub(void **state) {
  (void) state;
  everything_may_be_called_from(TOLD_HUB_EVICTION);
}

static void everything_may_be_called_from_on_close(void **state) {
  (void) state;
  everything_may_be_called_from(TOLD_CLOSED);
}

static void everything_may_be_called_from_on_writable(void **state) {
  (void) state;
  everything_may_be_called_from('W');
}

/* An event that waits to be told keeps the block with the clocks, but these begin anew: it was drained. */
static void clocks_go_with_the_drain_even_if_an_event_waits(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 16;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  for (int i = 0; i < 20; i++) (void) fixture_send(&peer, "x", 1);
  fixture_advance(&fx, 1000);
  assert_true(peer.conn->pressure->clocks.has_lost);
  for (int i = 0; i < 1000 && peer.conn->ring.count > 0; i++) {
    peer_read(&peer);
    fixture_turns(&fx, 1);
  }
  assert_non_null(peer.conn->pressure); /* on_backpressure and on_gap are to be told */
  assert_false(peer.conn->pressure->clocks.has_lost);
  assert_int_equal(peer.conn->pressure->clocks.refused_ms, fx.hub->engine.observed_ms);
  fixture_turns(&fx, 2);
  assert_null(peer.conn->pressure);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clocks_go_with_the_drain_even_if_an_event_waits),
      FIXTURE_ALL_TESTS(backpressure_is_told_once_each_way),
      cmocka_unit_test(full_ring_that_the_kernel_takes_is_no_backpressure),
      cmocka_unit_test(events_that_a_reset_overtakes_are_not_told),
      cmocka_unit_test(evicted_connection_hears_it_before_the_hub_and_before_its_end),
      cmocka_unit_test(everything_may_be_called_from_on_data),
      cmocka_unit_test(everything_may_be_called_from_on_backpressure_entered),
      cmocka_unit_test(everything_may_be_called_from_on_backpressure_left),
      cmocka_unit_test(gap_covers_what_lies_further_back),
      cmocka_unit_test(everything_may_be_called_from_on_gap),
      cmocka_unit_test(everything_may_be_called_from_on_evicted),
      cmocka_unit_test(everything_may_be_called_from_on_eviction_of_the_hub),
      cmocka_unit_test(everything_may_be_called_from_on_close),
      cmocka_unit_test(everything_may_be_called_from_on_writable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
