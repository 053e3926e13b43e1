/* SPDX-License-Identifier: MIT */
/*
 * The limits of every field of policies, hubs and connections: what is taken works afterwards, with connections, sweeps
 * and the longest times; what wouldn't is refused where it is set. limits_parts_test.c has the other structs.
 */
#include "support/fixture.h"
#include "support/limits.h"
#include "support/socketpair.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- policy ---- */

static void init_policy(void *policy) {
  fluxbp_policy_init((fluxbp_policy_t *) policy);
  ((fluxbp_policy_t *) policy)->low_percent = 0; /* so that the high one may be as low as it can */
}

/* A client that has stopped reading is looked at, for as long as the connection stays. */
static void use_connection(fixture_t *fx) {
  peer_t *peer = peer_new(fx, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
  assert_true(fx->hub->engine.alarm.due_ms > fx->now_ms);
  assert_true(fx->hub->engine.alarm.due_ms <= fx->now_ms + fx->options.sweep_ms);
  assert_in_range(fixture_publish_text(fx, fx->topic, "one more"), 1, 2);
  fixture_advance(fx, 2 * (uint64_t) fx->options.sweep_ms);
}

static int refuse_policy(const fluxbp_policy_t *policy) {
  fixture_t fx;
  fluxbp_hub_t *hub = NULL;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_t *peer = peer_new(&fx, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fluxbp__policy_t before = fx.hub->engine.policy;
  fluxbp_hub_options_t options = fx.options;
  options.policy = policy;
  int err = fluxbp_hub_create(&fx.loop, &options, &hub);
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, policy), err);
  assert_int_equal(fluxbp_conn_set_policy(peer->conn, policy), err);
  assert_memory_equal(&fx.hub->engine.policy, &before, sizeof before);
  assert_ptr_equal(peer->conn->policy, &fx.hub->engine.policy);
  fixture_close(&fx);
  return err;
}

static int make_policy(const void *options) {
  const fluxbp_policy_t *policy = options;
  fixture_t fx;
  fluxbp__policy_t prepared;
  if (fluxbp__policy_prepare(policy, &prepared) != 0) return refuse_policy(policy);

  fixture_init(&fx); /* from the beginning */
  fx.policy = *policy;
  fixture_open(&fx);
  use_connection(&fx);
  fixture_close(&fx);

  fixture_init(&fx); /* and at run time */
  fixture_open(&fx);
  peer_t *peer = peer_new(&fx, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, policy), 0);
  use_connection(&fx);
  assert_int_equal(fluxbp_conn_set_policy(peer->conn, policy), 0);
  fixture_close(&fx);
  return 0;
}

static void policy_fields_are_taken_up_to_their_limits(void **state) {
  static const limits_field_t fields[] = {
      LIMITS_OTHER(fluxbp_policy_t, size),
      LIMITS_NUMBER(fluxbp_policy_t, slots, 2, FLUXBP_SLOTS_MAX),
      LIMITS_NUMBER(fluxbp_policy_t, high_percent, 1, 100),
      LIMITS_NUMBER(fluxbp_policy_t, low_percent, 0, 49), /* below the default of the high one */
      LIMITS_NUMBER(fluxbp_policy_t, overflow, 0, FLUXBP_OVERFLOW_EVICT),
      LIMITS_NUMBER(fluxbp_policy_t, max_bytes, 1, FLUXBP_RING_BYTES_MAX),
      LIMITS_NUMBER(fluxbp_policy_t, stall_ms, 0, FLUXBP_TIME_MS_MAX),
      LIMITS_NUMBER(fluxbp_policy_t, slow_ms, 0, FLUXBP_TIME_MS_MAX),
      LIMITS_NUMBER(fluxbp_policy_t, lag_ms, 0, FLUXBP_TIME_MS_MAX),
      LIMITS_NUMBER(fluxbp_policy_t, grace_ms, 0, FLUXBP_TIME_MS_MAX),
      LIMITS_SIGNED(fluxbp_policy_t, is_shadow, INT_MIN, INT_MAX),
      LIMITS_NUMBER(fluxbp_policy_t, soft_bytes, 0, FLUXBP_RING_BYTES_MAX),
      LIMITS_NUMBER(fluxbp_policy_t, soft_ms, 0, FLUXBP_TIME_MS_MAX),
      LIMITS_SIGNED(fluxbp_policy_t, is_budget_exempt, INT_MIN, INT_MAX),
  };
  (void) state;
  limits_walk(&(limits_struct_t){.name = "fluxbp_policy",
                                 .header = "policy.h",
                                 .size = sizeof(fluxbp_policy_t),
                                 .fields = fields,
                                 .count = COUNT(fields),
                                 .init = init_policy,
                                 .make = make_policy});
}

/* The connection stays until `ms` have passed. With the longest sweeps, so that a week is over in 10 000 of them; and
 * on a pipe, where no acknowledgement that comes late by the real clock is progress. */
static void evicts_after(fluxbp_policy_t policy, uint64_t ms, fluxbp_evict_reason_t reason) {
  fixture_t fx;
  fixture_init(&fx);
  policy.high_percent = 1;
  policy.low_percent = 0;
  fx.policy = policy;
  fx.options.sweep_ms = FLUXBP_SWEEP_MS_MAX;
  fixture_open(&fx);
  peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
  for (int i = 0; i < 3; i++) assert_int_equal(fixture_publish_text(&fx, fx.topic, "above the watermark"), 1);
  fixture_advance(&fx, ms - 1);
  assert_int_equal(peer_state(peer), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 2);
  assert_int_equal(peer_times_told(peer, TOLD_EVICTED), 1);
  assert_int_equal(peer->record.reason, reason);
  fixture_close(&fx);
}

static fluxbp_policy_t without_limits(void) {
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.stall_ms = policy.slow_ms = policy.lag_ms = policy.grace_ms = 0;
  return policy;
}

static void the_longest_times_are_kept_to_the_millisecond(void **state) {
  (void) state;
  fluxbp_policy_t policy = without_limits();
  policy.stall_ms = FLUXBP_TIME_MS_MAX;
  evicts_after(policy, FLUXBP_TIME_MS_MAX, FLUXBP_EVICT_STALLED);
  policy = without_limits();
  policy.slow_ms = FLUXBP_TIME_MS_MAX;
  evicts_after(policy, FLUXBP_TIME_MS_MAX, FLUXBP_EVICT_SLOW);
  policy = without_limits();
  policy.lag_ms = FLUXBP_TIME_MS_MAX;
  evicts_after(policy, FLUXBP_TIME_MS_MAX + 1, FLUXBP_EVICT_LAG);
  policy = without_limits();
  policy.soft_bytes = 1;
  policy.soft_ms = FLUXBP_TIME_MS_MAX;
  evicts_after(policy, FLUXBP_TIME_MS_MAX, FLUXBP_EVICT_SOFT_LIMIT);
  policy = without_limits();
  policy.stall_ms = 1;
  policy.grace_ms = FLUXBP_TIME_MS_MAX;
  evicts_after(policy, FLUXBP_TIME_MS_MAX, FLUXBP_EVICT_STALLED);
}

static void an_age_that_32_bits_cannot_hold_does_not_wrap(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.policy = without_limits();
  fx.options.sweep_ms = FLUXBP_SWEEP_MS_MAX;
  fixture_open(&fx);
  peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
  assert_int_equal(fixture_send(peer, "x", 1), 1); /* the head may be partly written */
  fixture_advance(&fx, (uint64_t) UINT32_MAX + FLUXBP_SWEEP_MS_MAX);
  assert_true(peer_stats(peer).oldest_ms == UINT32_MAX);
  assert_true(peer_stats(peer).since_progress_ms == UINT32_MAX);
  fixture_close(&fx);
}

static uint64_t real_clock(void *arg) {
  (void) arg;
  return uv_hrtime() / 1000000;
}

static bool has_been_evicted(fixture_t *fx, void *arg) {
  (void) fx;
  return peer_times_told(arg, TOLD_EVICTED) == 1;
}

/* The sweep comes by the library's own timer: with one in a minute the test would run into its iterations. On a pipe,
 * since the patrol of TCP connections begins a sweep every 12.5 s. */
static void a_short_limit_does_not_wait_for_a_long_sweep(void **state) {
  (void) state;
  static const fluxbp_evict_reason_t reasons[] = {FLUXBP_EVICT_STALLED, FLUXBP_EVICT_LAG, FLUXBP_EVICT_SOFT_LIMIT};
  for (size_t i = 0; i < COUNT(reasons); i++) {
    fixture_t fx;
    fixture_init(&fx);
    fx.policy = without_limits();
    uint32_t *limits_ms[] = {&fx.policy.stall_ms, &fx.policy.lag_ms, &fx.policy.soft_ms};
    *limits_ms[i] = 50;
    fx.policy.soft_bytes = reasons[i] == FLUXBP_EVICT_SOFT_LIMIT;
    fx.options.sweep_ms = FLUXBP_SWEEP_MS_MAX;
    fx.options.clock_ms = real_clock;
    fixture_open(&fx);
    peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(peer);
    assert_int_equal(fixture_send(peer, "x", 1), 1); /* the head may be partly written */
    fixture_run_until(&fx, has_been_evicted, peer, false);
    assert_int_equal(peer->record.reason, reasons[i]);
    fixture_close(&fx);
  }
}

static void a_short_limit_that_is_set_later_does_not_wait_either(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.policy = without_limits();
  fx.options.sweep_ms = FLUXBP_SWEEP_MS_MAX;
  fixture_open(&fx);
  peer_t *peer = peer_new(&fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS); /* no patrol */
  (void) peer_refuse(peer);
  assert_int_equal(fx.hub->engine.alarm.due_ms, fx.now_ms + FLUXBP_SWEEP_MS_MAX);
  fx.policy.lag_ms = 1000;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &fx.policy), 0);
  assert_int_equal(fx.hub->engine.alarm.due_ms, fx.now_ms + 1000);
  fx.policy.lag_ms = 10;
  assert_int_equal(fluxbp_conn_set_policy(peer->conn, &fx.policy), 0);
  assert_int_equal(fx.hub->engine.alarm.due_ms, fx.now_ms + 10);
  fixture_close(&fx);
}

/* ---- hub ---- */

static void init_hub(void *options) {
  fixture_t fx;
  fixture_init(&fx);
  *(fluxbp_hub_options_t *) options = fx.options;
}

static int make_hub(const void *given) {
  fixture_t fx;
  uv_loop_t loop;
  fluxbp_hub_t *hub = NULL;
  fluxbp_hub_options_t options = *(const fluxbp_hub_options_t *) given;
  fixture_init(&fx);
  options.clock_arg = &fx;
  options.user = &fx;
  assert_int_equal(uv_loop_init(&loop), 0);
  int err = fluxbp_hub_create(&loop, &options, &hub);
  if (!err) fluxbp_hub_close(hub, NULL);
  (void) uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
  if (err) return err;

  fx.options = options;
  fixture_open(&fx);
  use_connection(&fx);
  fixture_close(&fx);
  return 0;
}

static void hub_fields_are_taken_up_to_their_limits(void **state) {
  static const limits_field_t fields[] = {
      LIMITS_OTHER(fluxbp_hub_options_t, size),
      LIMITS_OTHER(fluxbp_hub_options_t, pool),
      LIMITS_OTHER(fluxbp_hub_options_t, bus),
      LIMITS_OTHER(fluxbp_hub_options_t, policy),
      LIMITS_NUMBER(fluxbp_hub_options_t, slice_us, 1, UINT32_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, sweep_ms, 1, FLUXBP_SWEEP_MS_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, patience_ms, 0, FLUXBP_TIME_MS_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, read_buffer_bytes, FLUXBP_READ_BUFFER_BYTES_MIN,
                    FLUXBP_READ_BUFFER_BYTES_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, max_kernel_bytes, 0, UINT64_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, history_messages, 0, FLUXBP_HISTORY_MESSAGES_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, history_bytes, 0, UINT64_MAX),
      LIMITS_SIGNED(fluxbp_hub_options_t, block_sigpipe, INT_MIN, INT_MAX),
      LIMITS_OTHER(fluxbp_hub_options_t, on_writable),
      LIMITS_OTHER(fluxbp_hub_options_t, on_eviction),
      LIMITS_OTHER(fluxbp_hub_options_t, clock_ms),
      LIMITS_OTHER(fluxbp_hub_options_t, clock_arg),
      LIMITS_OTHER(fluxbp_hub_options_t, user),
      LIMITS_NUMBER(fluxbp_hub_options_t, history_topic_messages, 0, FLUXBP_HISTORY_MESSAGES_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, history_topic_bytes, 0, UINT64_MAX),
      LIMITS_NUMBER(fluxbp_hub_options_t, history_ms, 0, FLUXBP_TIME_MS_MAX),
      LIMITS_OTHER(fluxbp_hub_options_t, on_members),
      LIMITS_NUMBER(fluxbp_hub_options_t, input_us, 1, UINT32_MAX),
      LIMITS_OTHER(fluxbp_hub_options_t, input_key),
      LIMITS_NUMBER(fluxbp_hub_options_t, io_uring, FLUXBP_IO_URING_AUTO, FLUXBP_IO_URING_OFF),
  };
  (void) state;
  limits_walk(&(limits_struct_t){.name = "fluxbp_hub_options",
                                 .header = "hub_options.h",
                                 .size = sizeof(fluxbp_hub_options_t),
                                 .fields = fields,
                                 .count = COUNT(fields),
                                 .init = init_hub,
                                 .make = make_hub});
}

/* ---- connection ---- */

static void init_conn(void *options) {
  fluxbp_conn_options_init((fluxbp_conn_options_t *) options);
}

static int make_conn(const void *given) {
  fixture_t fx;
  int fds[2];
  const fluxbp_conn_options_t *options = given;
  fluxbp_conn_t *conn = NULL;
  fixture_init(&fx);
  fixture_open(&fx);
  int err = fluxbp_conn_create(fx.hub, options, &conn);
  if (!err) {
    assert_int_equal(socketpair_make(options->transport, false, fds), 0);
    assert_int_equal(socketpair_open(conn, options->transport, fds[0]), 0);
    assert_int_equal(fluxbp_conn_start(conn), 0);
    if (options->user_bytes > 0) {
      memset(fluxbp_conn_user(conn), 0x5a, options->user_bytes);
      assert_ptr_equal(fluxbp_conn_of_user(fluxbp_conn_user(conn), options->user_bytes), conn);
    }
    fixture_turns(&fx, 2);
    close(fds[1]);
  }
  fixture_close(&fx);
  return err;
}

static void conn_fields_are_taken_up_to_their_limits(void **state) {
  static const limits_field_t fields[] = {
      LIMITS_OTHER(fluxbp_conn_options_t, size),  LIMITS_OTHER(fluxbp_conn_options_t, transport),
      LIMITS_OTHER(fluxbp_conn_options_t, codec), LIMITS_OTHER(fluxbp_conn_options_t, handlers),
      LIMITS_OTHER(fluxbp_conn_options_t, user),  LIMITS_NUMBER(fluxbp_conn_options_t, user_bytes, 0, UINT16_MAX),
  };
  (void) state;
  limits_walk(&(limits_struct_t){.name = "fluxbp_conn_options",
                                 .header = "conn.h",
                                 .size = sizeof(fluxbp_conn_options_t),
                                 .fields = fields,
                                 .count = COUNT(fields),
                                 .init = init_conn,
                                 .make = make_conn});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(policy_fields_are_taken_up_to_their_limits),
      cmocka_unit_test(the_longest_times_are_kept_to_the_millisecond),
      cmocka_unit_test(an_age_that_32_bits_cannot_hold_does_not_wrap),
      cmocka_unit_test(a_short_limit_does_not_wait_for_a_long_sweep),
      cmocka_unit_test(a_short_limit_that_is_set_later_does_not_wait_either),
      cmocka_unit_test(hub_fields_are_taken_up_to_their_limits),
      cmocka_unit_test(conn_fields_are_taken_up_to_their_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
