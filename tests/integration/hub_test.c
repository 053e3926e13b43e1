/* SPDX-License-Identifier: MIT */
/*
 * What a hub does for all its connections: the time budget, the loop that must not sleep on work, flow control towards
 * the publisher. What it takes of memory is in memory_test.c.
 */
#include "support/patient_fixture.h"

#include "support/socketpair.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

/* Longer than anything here takes: when it fires, the loop has slept on work. */
enum { GUARD_MS = 3000 };

static void on_guard(uv_timer_t *timer) {
  *(bool *) timer->data = true;
}

/* Iterations that may sleep, until it is done. False if the loop slept until the guard woke it. */
static bool run_without_sleeping(fixture_t *fx, fixture_condition is_done, void *arg) {
  bool has_slept = false;
  uv_timer_t guard;
  guard.data = &has_slept;
  assert_int_equal(uv_timer_init(&fx->loop, &guard), 0);
  assert_int_equal(uv_timer_start(&guard, on_guard, GUARD_MS, 0), 0);
  while (!has_slept && !is_done(fx, arg)) (void) uv_run(&fx->loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *) &guard, NULL);
  fixture_turns(fx, 1);
  return !has_slept;
}

static bool has_written_all(fixture_t *fx, void *arg) {
  (void) arg;
  fluxbp_metrics_t metrics = fixture_metrics(fx);
  return metrics.accepted > 0 && metrics.queued == 0;
}

static void publish_in_prepare(uv_prepare_t *prepare) {
  fixture_t *fx = prepare->data;
  (void) fixture_publish(fx, fx->topic, "x", 1);
  uv_close((uv_handle_t *) prepare, NULL);
}

static void publishing_from_a_prepare_callback(bool begins_before_the_hub) {
  fixture_t fx;
  peer_t peer;
  uv_prepare_t prepare;
  fixture_init(&fx);
  fixture_open(&fx);
  prepare.data = &fx;
  assert_int_equal(uv_prepare_init(&fx.loop, &prepare), 0);
  assert_int_equal(uv_prepare_start(&prepare, publish_in_prepare), 0);
  if (begins_before_the_hub) { /* libuv calls the last one first */
    assert_int_equal(uv_prepare_stop(&fx.hub->engine.turn.prepare), 0);
    uv_prepare_cb cb = fx.hub->engine.turn.prepare.prepare_cb;
    assert_int_equal(uv_prepare_start(&fx.hub->engine.turn.prepare, cb), 0);
  }
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_true(run_without_sleeping(&fx, has_written_all, NULL));
  fixture_close(&fx);
}

static void publishing_from_a_later_prepare_callback_does_not_leave_the_loop_asleep(void **state) {
  (void) state;
  publishing_from_a_prepare_callback(true);
}

static void publishing_from_an_earlier_prepare_callback_does_not_leave_the_loop_asleep(void **state) {
  (void) state;
  publishing_from_a_prepare_callback(false);
}

static void options_are_checked(void **state) {
  fixture_t fx;
  fluxbp_hub_t *hub = NULL;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  fluxbp_hub_options_t options = fx.options;
  options.slice_us = 0;
  assert_int_equal(fluxbp_hub_create(&fx.loop, &options, &hub), UV_EINVAL);
  options = fx.options;
  options.sweep_ms = 0;
  assert_int_equal(fluxbp_hub_create(&fx.loop, &options, &hub), UV_EINVAL);
  options = fx.options;
  options.read_buffer_bytes = 1023;
  assert_int_equal(fluxbp_hub_create(&fx.loop, &options, &hub), UV_EINVAL);
  options = fx.options;
  fx.policy.slots = 0;
  options.policy = &fx.policy;
  assert_int_equal(fluxbp_hub_create(&fx.loop, &options, &hub), UV_EINVAL);
  assert_null(hub);
  assert_ptr_equal(fluxbp_hub_pool(fx.hub), fx.pool);
  assert_ptr_equal(fluxbp_hub_loop(fx.hub), &fx.loop);
  assert_ptr_equal(fluxbp_hub_user(fx.hub), &fx);
  fluxbp_hub_set_user(fx.hub, &hub);
  assert_ptr_equal(fluxbp_hub_user(fx.hub), &hub);
  fluxbp_hub_set_user(fx.hub, &fx);
  fixture_close(&fx);
}

static void hub_without_connections_does_not_keep_the_loop_alive(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(uv_loop_alive(&fx.loop), 0);
  fixture_close(&fx);
}

static int count_until_two(fluxbp_conn_t *conn, void *arg) {
  int *count = arg;
  fluxbp_conn_reset(conn);
  return ++*count == 2 ? 7 : 0;
}

static void each_conn_stops_when_it_is_told_and_may_close(void **state) {
  fixture_t fx;
  int count = 0;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  for (int i = 0; i < 3; i++) (void) peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_hub_connections(fx.hub), 3);
  assert_int_equal(fluxbp_hub_each_conn(fx.hub, count_until_two, &count), 7);
  assert_int_equal(count, 2);
  fixture_turns(&fx, 2);
  assert_int_equal(fluxbp_hub_connections(fx.hub), 1);
  fixture_close(&fx);
}

static void small_slice_spreads_writing_over_iterations(const fluxbp_transport_t *transport) {
  enum { PEERS = 100, MESSAGES = 10 };
  fixture_t fx;
  peer_t *peers[PEERS];
  fixture_init(&fx);
  fx.options.slice_us = 1;
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) peers[i] = peer_new(&fx, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < MESSAGES; i++) assert_int_equal(fixture_publish(&fx, fx.topic, "x", 1), PEERS);
  fixture_turns(&fx, 1);
  uint64_t written = fixture_metrics(&fx).written;
  assert_in_range(written, 1, PEERS * MESSAGES - 1);
  fixture_balances(&fx);
  assert_true(run_without_sleeping(&fx, has_written_all, NULL));
  for (int i = 0; i < PEERS; i++) {
    peer_read(peers[i]);
    peer_expects(peers[i], "xxxxxxxxxx");
  }
  assert_int_equal(fixture_metrics(&fx).writes, PEERS);
  fixture_close(&fx);
}
FIXTURE_ALL(small_slice_spreads_writing_over_iterations)

static void small_slice_drains_refused_connections_too(void **state) {
  enum { PEERS = 20 };
  fixture_t fx;
  peer_t *peers[PEERS];
  size_t sent[PEERS];
  (void) state;
  fixture_init(&fx);
  fx.options.slice_us = 1;
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) {
    peers[i] = peer_new(&fx, i % 2 ? FLUXBP_TCP : FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    sent[i] = peer_refuse(peers[i]);
  }
  for (int i = 0; i < 100; i++) assert_int_equal(fixture_publish(&fx, fx.topic, "tail", 4), PEERS);
  for (int i = 0; i < PEERS; i++) {
    peer_wait_for(peers[i], sent[i] + 400);
    assert_int_equal(peers[i]->len, sent[i] + 400);
    assert_memory_equal(peers[i]->data + sent[i] + 396, "tail", 4);
  }
  fixture_close(&fx);
}

/* Flow control. How long a connection may hold the publisher up is in patience_test.c. */
static bool is_told_writable(fixture_t *fx, void *arg) {
  return fx->writables >= *(int *) arg;
}

static void remember_fill(fixture_t *fx) {
  *(uint64_t *) fx->arg = peer_stats(fx->peers).queued;
  assert_int_equal(fluxbp_hub_is_writable(fx->hub), 1);
}

static void patient_hub_waits_from_the_high_watermark_to_the_low_one(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  uint64_t fill = 99;
  int once = 1;
  patient_open(&fx, 5000);
  fx.on_writable = remember_fill;
  fx.arg = &fill;
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  patient_fill(&peer, 7);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 1);
  patient_fill(&peer, 8);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 0);
  fixture_turns(&fx, 5);
  assert_int_equal(fx.writables, 0);
  fixture_run_until(&fx, is_told_writable, &once, true);
  assert_in_range(fill, 0, 4);
  fixture_turns(&fx, 5);
  assert_int_equal(fx.writables, 1);
  fixture_close(&fx);
}
FIXTURE_ALL(patient_hub_waits_from_the_high_watermark_to_the_low_one)

static void hub_is_writable_again_after_an_ordinary_flush_without_sleeping(void **state) {
  fixture_t fx;
  peer_t peer;
  uint64_t fill;
  int once = 1;
  (void) state;
  patient_open(&fx, 5000);
  fx.on_writable = remember_fill;
  fx.arg = &fill;
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  patient_fill(&peer, 8);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 0);
  assert_true(run_without_sleeping(&fx, is_told_writable, &once));
  fixture_close(&fx);
}

static void impatient_hub_is_always_writable(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  patient_open(&fx, 0);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  patient_fill(&peer, 15);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 1);
  peer_wait_for(&peer, 1);
  fixture_turns(&fx, 5);
  assert_int_equal(fx.writables, 0);
  fixture_close(&fx);
}

static void patience_runs_out(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t peer;
  patient_open(&fx, 1000);
  peer_open(&fx, &peer, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  patient_fill(&peer, 8);
  fixture_advance(&fx, 750);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 0);
  assert_int_equal(fx.writables, 0);
  fixture_advance(&fx, 500);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 1);
  assert_int_equal(fx.writables, 1);
  patient_fill(&peer, 12); /* it has had its chance */
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 1);
  fixture_close(&fx);
}
FIXTURE_ALL(patience_runs_out)

static void hub_is_writable_when_the_connection_goes(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t one;
  peer_t other;
  patient_open(&fx, 5000);
  peer_open(&fx, &one, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer_open(&fx, &other, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&one);
  (void) peer_refuse(&other);
  patient_fill(&one, 8);
  patient_fill(&other, 8);
  fluxbp_conn_reset(one.conn);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 0);
  fixture_turns(&fx, 3);
  assert_int_equal(fx.writables, 0);
  fluxbp_conn_close(other.conn, 5000);
  assert_int_equal(fluxbp_hub_is_writable(fx.hub), 1);
  fixture_turns(&fx, 3);
  assert_int_equal(fx.writables, 1);
  fixture_close(&fx);
}
FIXTURE_ALL(hub_is_writable_when_the_connection_goes)

static void obedient_publisher_loses_nothing(const fluxbp_transport_t *transport) {
  enum { MESSAGES = 2000, BYTES = 512 };
  fixture_t fx;
  peer_t slow;
  peer_t fast;
  char data[BYTES];
  int published = 0;
  memset(data, 'x', sizeof data);
  patient_open(&fx, 5000);
  peer_open(&fx, &slow, transport, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  peer_open(&fx, &fast, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < 1000000 && published < MESSAGES; i++) {
    while (fluxbp_hub_is_writable(fx.hub) && published < MESSAGES) {
      assert_int_equal(fixture_publish(&fx, fx.topic, data, sizeof data), 2);
      published++;
    }
    fixture_turns(&fx, 1);
    peer_read(&fast);
    if (i % 10 == 0) peer_read(&slow);
  }
  assert_int_equal(published, MESSAGES);
  peer_wait_for(&slow, MESSAGES * BYTES);
  peer_wait_for(&fast, MESSAGES * BYTES);
  assert_int_equal(fx.evictions, 0);
  assert_int_equal(fixture_metrics(&fx).dropped, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(obedient_publisher_loses_nothing)

static void message_outlives_the_hubs_own_pool(void **state) {
  fixture_t fx;
  fluxbp_hub_t *own = NULL;
  fluxbp_msg_t *msg = NULL;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_int_equal(fluxbp_hub_create(&fx.loop, NULL, &own), 0);
  assert_int_equal(fluxbp_msg_create(fluxbp_hub_pool(own), "still here", 10, &msg), 0);
  fluxbp_hub_close(own, NULL);
  fixture_turns(&fx, 3);
  assert_int_equal(fluxbp_msg_length(msg), 10);
  assert_memory_equal(fluxbp_msg_data(msg), "still here", 10);
  assert_int_equal(fixture_publish(&fx, fx.topic, fluxbp_msg_data(msg), fluxbp_msg_length(msg)), 0);
  fluxbp_msg_unref(msg); /* the pool goes with it: the leak checker watches */
  fixture_close(&fx);
}

static void message_is_published_on_two_hubs(void **state) {
  fixture_t one;
  fixture_t other;
  peer_t first;
  peer_t second;
  fluxbp_msg_t *msg;
  (void) state;
  fixture_init(&one);
  fixture_init(&other);
  fixture_open(&one);
  fixture_open(&other);
  peer_open(&one, &first, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer_open(&other, &second, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_msg_create(one.pool, "shared", 6, &msg), 0);
  assert_int_equal(fluxbp_topic_publish(one.topic, msg), 1);
  assert_int_equal(fluxbp_topic_publish(other.topic, msg), 1);
  fluxbp_msg_unref(msg);
  peer_wait_for(&first, 6);
  peer_wait_for(&second, 6);
  fixture_close(&other);
  fixture_close(&one);
}

static void *use_a_hub_that_blocks_sigpipe(void *arg) {
  bool *is_blocked = arg;
  fixture_t fx;
  peer_t peer;
  sigset_t signals;
  fixture_init(&fx);
  fx.options.block_sigpipe = 1;
  fixture_open(&fx);
  (void) signal(SIGPIPE, SIG_DFL);
  (void) pthread_sigmask(SIG_BLOCK, NULL, &signals);
  *is_blocked = sigismember(&signals, SIGPIPE);
  peer_open(&fx, &peer, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  if (*is_blocked) {
    peer_hang_up(&peer);
    (void) fixture_publish(&fx, fx.topic, "boom", 4);
    fluxbp_hub_flush(fx.hub); /* EPIPE, and a signal that stays pending */
  }
  fixture_close(&fx);
  return NULL;
}

static void sigpipe_can_be_blocked(void **state) {
  pthread_t thread;
  bool is_blocked = false;
  (void) state;
  assert_int_equal(pthread_create(&thread, NULL, use_a_hub_that_blocks_sigpipe, &is_blocked), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(is_blocked);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_are_checked),
      cmocka_unit_test(hub_without_connections_does_not_keep_the_loop_alive),
      cmocka_unit_test(each_conn_stops_when_it_is_told_and_may_close),
      cmocka_unit_test(publishing_from_an_earlier_prepare_callback_does_not_leave_the_loop_asleep),
      cmocka_unit_test(publishing_from_a_later_prepare_callback_does_not_leave_the_loop_asleep),
      FIXTURE_ALL_TESTS(small_slice_spreads_writing_over_iterations),
      cmocka_unit_test(small_slice_drains_refused_connections_too),
      FIXTURE_ALL_TESTS(patient_hub_waits_from_the_high_watermark_to_the_low_one),
      cmocka_unit_test(hub_is_writable_again_after_an_ordinary_flush_without_sleeping),
      cmocka_unit_test(impatient_hub_is_always_writable),
      FIXTURE_ALL_TESTS(patience_runs_out),
      FIXTURE_ALL_TESTS(hub_is_writable_when_the_connection_goes),
      FIXTURE_ALL_TESTS(obedient_publisher_loses_nothing),
      cmocka_unit_test(message_outlives_the_hubs_own_pool),
      cmocka_unit_test(message_is_published_on_two_hubs),
      cmocka_unit_test(sigpipe_can_be_blocked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
