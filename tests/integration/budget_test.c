/* SPDX-License-Identifier: MIT */
/*
 * The budget and the limit of the kernel's memory: who is evicted for them, in which order, how many, and who is not.
 */
#include "conn_backlog.h"
#include "support/fixture.h"

#include "pool.h"

#include <stdlib.h>
#include <string.h>

#define MIB ((size_t) 1 << 20)

enum {
  BUDGET_MIB = 16,
  MESSAGE_BYTES = 1024,
  PIECE_BYTES =
      (256 << 10) - 512, /* a block of 256 KiB, of which the budget has 64: payload may take 60, 56 are tight */
};

static char payload[10 << 20];

/* Nobody is judged for being slow, and rings have room for more than there is. */
static void open_with_budget(fixture_t *fx) {
  fixture_init(fx);
  fx->pool_options.max_bytes = BUDGET_MIB * MIB;
  fx->policy.stall_ms = 0;
  fx->policy.slow_ms = 0;
  fx->policy.slots = FLUXBP_SLOTS_MAX;
  fx->policy.max_bytes = 2 * BUDGET_MIB * MIB;
  fixture_open(fx);
}

static fluxbp_pool_stats_t pool_stats(const fixture_t *fx) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(fx->pool, &stats);
  return stats;
}

/* A client that doesn't read, with so many pieces in its ring. */
static void peer_open_stuck(fixture_t *fx, peer_t *peer, int pieces) {
  peer_open(fx, peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
  for (int i = 0; i < pieces; i++) assert_int_equal(fixture_send(peer, payload, PIECE_BYTES), 1);
}

/* ---- a pool of 16 MB under load ---- */

enum { CLIENTS = 10, STALLING = 5, BURST = 100, STALL_EVERY = 50, ITERATIONS_MAX = 3000 };

typedef struct load {
  fixture_t fx;
  peer_t peers[CLIENTS]; /* the first of them stall, in their order */
  uint64_t sent[CLIENTS];
  int next; /* of them, where the publisher goes on */
  int refusals;
} load_t;

/* A burst for everybody. What the budget refuses is tried again in the next iteration. */
static void publish_burst(load_t *load) {
  uint64_t message[MESSAGE_BYTES / sizeof(uint64_t)] = {0};
  for (; load->next < CLIENTS * BURST; load->next++) {
    int i = load->next % CLIENTS;
    if (load->peers[i].conn == NULL) continue;
    message[0] = load->sent[i];
    int is_queued = fixture_send(&load->peers[i], message, sizeof message);
    if (is_queued == UV_ENOBUFS) {
      load->refusals++;
      return;
    }
    assert_int_equal(is_queued, 1);
    load->sent[i]++;
  }
  load->next = 0;
}

/*
 * Nobody who stays has waited for longer. It is mostly who was the first to stall; but where a busy machine's kernel is
 * late, one that reads from small buffers may have waited, too.
 */
static void on_budget_eviction(fixture_t *fx, const fluxbp_eviction_t *record) {
  load_t *load = fx->arg;
  assert_int_equal(record->reason, FLUXBP_EVICT_BUDGET);
  assert_in_range(record->conn_id, 1, STALLING);
  for (int i = 0; i < CLIENTS; i++)
    if (load->peers[i].conn != NULL && peer_state(&load->peers[i]) == FLUXBP__CONN_OPEN)
      assert_in_range(peer_stats(&load->peers[i]).oldest_ms, 0, record->oldest_ms);
}

static void assert_has_everything(const load_t *load, int i) {
  const peer_t *peer = &load->peers[i];
  assert_int_equal(peer->len, load->sent[i] * MESSAGE_BYTES);
  for (uint64_t n = 0; n < load->sent[i]; n++) {
    uint64_t number;
    memcpy(&number, peer->data + n * MESSAGE_BYTES, sizeof number);
    assert_int_equal(number, n);
  }
}

static void budget_evicts_who_has_waited_longest_and_costs_nobody_else_anything(void **state) {
  static load_t load;
  fixture_t *fx = &load.fx;
  (void) state;
  open_with_budget(fx);
  fx->arg = &load;
  fx->on_eviction = on_budget_eviction;
  for (int i = 0; i < CLIENTS; i++)
    peer_open(fx, &load.peers[i], FLUXBP_TCP, &fluxbp_codec_raw,
              i < STALLING ? FIXTURE_SMALL_BUFFERS : FIXTURE_LARGE_BUFFERS);

  for (int now = 0; now < ITERATIONS_MAX && fx->evictions < STALLING; now++) {
    publish_burst(&load);
    for (int i = 0; i < CLIENTS; i++)
      if (i >= STALLING || now < i * STALL_EVERY) peer_read(&load.peers[i]);
    fixture_advance(fx, 10);
    assert_in_range(pool_stats(fx).used_bytes, 0, BUDGET_MIB * MIB);
  }
  assert_int_equal(fx->evictions, STALLING);
  assert_in_range(load.refusals, 1, ITERATIONS_MAX);
  assert_in_range(pool_stats(fx).peak_used_bytes, BUDGET_MIB * MIB / 8 * 7, BUDGET_MIB * MIB);
  for (int i = STALLING; i < CLIENTS; i++) {
    peer_wait_for(&load.peers[i], load.sent[i] * MESSAGE_BYTES);
    assert_has_everything(&load, i);
  }
  fixture_close(fx);
}

/* ---- who is evicted, and when ---- */

static void no_room_for_a_message_evicts_nobody_inside_the_call(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_budget(&fx);
  peer_open_stuck(&fx, &peer, 0);
  fixture_advance(&fx, 1000);
  int is_queued = 1;
  while (is_queued == 1)
    is_queued = fixture_send(&peer, payload, PIECE_BYTES); /* the fixture sees to it that nothing is told */
  assert_int_equal(is_queued, UV_ENOBUFS);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  assert_int_equal(fixture_metrics(&fx).evictions[FLUXBP_EVICT_BUDGET], 0);

  fixture_turns(&fx, 1);
  assert_string_equal(peer.trace, "EHX");
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_BUDGET);
  assert_int_equal(peer.close_status, UV_ECONNABORTED);
  assert_int_equal(pool_stats(&fx).payload_bytes, 0);
  fixture_close(&fx);
}

static void who_was_refused_less_than_a_sweep_ago_stays(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_budget(&fx);
  peer_open_stuck(&fx, &peer, 57);
  assert_int_equal(fixture_send(&peer, payload, MIB), UV_ENOBUFS); /* and so is the publisher */
  fixture_advance(&fx, 249);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 1);
  assert_null(peer.conn);
  assert_int_equal(peer.record.oldest_ms, 250);
  fixture_close(&fx);
}

static void draining_connection_is_reset_when_its_room_is_needed(void **state) {
  fixture_t fx;
  peer_t peer;
  fluxbp_msg_t *msg;
  (void) state;
  open_with_budget(&fx);
  peer_open_stuck(&fx, &peer, 32);
  fluxbp_conn_close(peer.conn, 60000);
  fixture_advance(&fx, 10000);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);

  assert_int_equal(fluxbp_msg_create(fx.pool, payload, 6 * MIB + MIB / 2, &msg), 0);
  fixture_turns(&fx, 1);
  assert_string_equal(peer.trace, "X");
  assert_int_equal(peer.close_status, UV_ENOBUFS);
  fluxbp_msg_unref(msg);
  fixture_close(&fx);
}

/* What the hub counted for the last one that was evicted. */
static void note_kernel_bytes(peer_t *peer, char told) {
  if (told == TOLD_EVICTED) *(uint64_t *) peer->fx->arg = peer->conn->pressure->kernel_bytes;
}

static void limit_of_the_kernels_memory_evicts_as_many_as_needed(void **state) {
  enum { PEERS = 20, LIMIT_BYTES = 65536 };
  fixture_t fx;
  peer_t peers[PEERS];
  uint64_t last_bytes = 0;
  uint64_t kernel_bytes = 0;
  (void) state;
  fixture_init(&fx);
  fx.options.max_kernel_bytes = LIMIT_BYTES;
  fx.arg = &last_bytes;
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) {
    peer_open_stuck(&fx, &peers[i], 0);
    peers[i].hook = note_kernel_bytes;
    kernel_bytes += fluxbp__conn_unacked_bytes(peers[i].conn);
    fx.now_ms++;
  }
  assert_in_range(kernel_bytes, 2 * LIMIT_BYTES, UINT64_MAX);

  fixture_advance(&fx, 250);
  kernel_bytes = fixture_metrics(&fx).kernel_bytes;
  assert_in_range(fx.evictions, 1, PEERS - 1);
  assert_in_range(kernel_bytes, 1, LIMIT_BYTES);
  assert_in_range(kernel_bytes + last_bytes, LIMIT_BYTES + 1, UINT64_MAX);
  for (int i = 0; i < PEERS; i++) {
    bool is_evicted = i < fx.evictions;
    assert_int_equal(peers[i].record.reason, is_evicted ? FLUXBP_EVICT_BUDGET : FLUXBP_EVICT_NONE);
    assert_int_equal(peers[i].conn == NULL, is_evicted);
  }
  int evictions = fx.evictions;
  fixture_advance(&fx, 1000);
  assert_int_equal(fx.evictions, evictions);
  fixture_close(&fx);
}

/* It is in four rings and in memory once: evicting three of them frees nothing, the fourth frees all of it. */
static void message_that_several_have_goes_with_the_last_of_them(void **state) {
  enum { SHARING = 4, PEERS };
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  open_with_budget(&fx);
  for (int i = 0; i < SHARING; i++) peer_open_stuck(&fx, &peers[i], 0);
  assert_int_equal(fixture_publish(&fx, fx.topic, payload, 10 * MIB), SHARING);
  fx.now_ms++;
  peer_open_stuck(&fx, &peers[SHARING], 18);
  fixture_advance(&fx, 250);
  assert_int_equal(fx.evictions, SHARING);
  assert_int_equal(peer_state(&peers[SHARING]), FLUXBP__CONN_OPEN);
  fixture_close(&fx);
}

/* It is the head of each, of which the kernel has some: it goes when their sockets are closed, and is counted before.
 */
static void head_that_several_have_goes_with_the_last_of_them(void **state) {
  enum { SHARING = 4, PEERS };
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  open_with_budget(&fx);
  for (int i = 0; i < SHARING; i++) peer_open(&fx, &peers[i], FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(fixture_publish(&fx, fx.topic, payload, 10 * MIB), SHARING);
  fluxbp_hub_flush(fx.hub);
  fx.now_ms++;
  peer_open_stuck(&fx, &peers[SHARING], 18);
  fixture_advance(&fx, 250);
  assert_int_equal(fx.evictions, SHARING);
  assert_int_equal(peer_state(&peers[SHARING]), FLUXBP__CONN_OPEN);
  fixture_close(&fx);
}

/* What they have of their own is freed by each: one is enough. */
static void message_that_several_have_is_not_counted_for_each(void **state) {
  enum { PEERS = 4 };
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  open_with_budget(&fx);
  for (int i = 0; i < PEERS; i++) {
    peer_open_stuck(&fx, &peers[i], 4);
    fx.now_ms++;
  }
  assert_int_equal(fixture_publish(&fx, fx.topic, payload, 10 * MIB), PEERS);
  fixture_advance(&fx, 250);
  assert_int_equal(fx.evictions, 1);
  assert_null(peers[0].conn);
  fixture_close(&fx);
}

/* ---- connections that are exempt ---- */

static void set_exempt(const peer_t *peer, int is_exempt) {
  fluxbp_policy_t policy = peer->fx->policy;
  policy.is_budget_exempt = is_exempt;
  assert_int_equal(fluxbp_conn_set_policy(peer->conn, &policy), 0);
}

/* It has waited for longer than the other one, and its memory is what the other one lacks. */
static void exempt_connection_stays_and_another_goes(void **state) {
  fixture_t fx;
  peer_t exempt, other;
  (void) state;
  open_with_budget(&fx);
  peer_open_stuck(&fx, &exempt, 40);
  set_exempt(&exempt, 1);
  fx.now_ms++;
  peer_open_stuck(&fx, &other, 18);
  fixture_advance(&fx, 250);
  assert_null(other.conn);
  assert_int_equal(other.record.reason, FLUXBP_EVICT_BUDGET);
  assert_int_equal(peer_state(&exempt), FLUXBP__CONN_OPEN);
  assert_in_range(pool_stats(&fx).payload_bytes, 40 * (256 << 10), 41 * (256 << 10));

  peer_wait_for(&exempt, 40 * PIECE_BYTES); /* and before that, what it took to be refused */
  assert_int_equal(peer_stats(&exempt).dropped, 0);
  fixture_close(&fx);
}

static void assert_sleeps(fixture_t *fx) {
  fixture_turns(fx, 5);
  assert_false(uv_is_active((const uv_handle_t *) &fx->hub->engine.turn.idle));
}

static void publishers_are_refused_while_exempt_connections_hold_everything(void **state) {
  enum { PEERS = 4 };
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  open_with_budget(&fx);
  for (int i = 0; i < PEERS; i++) {
    peer_open_stuck(&fx, &peers[i], 0);
    set_exempt(&peers[i], 1);
  }
  int is_queued = 1;
  for (int i = 0; is_queued == 1; i++) is_queued = fixture_send(&peers[i % PEERS], payload, PIECE_BYTES);
  assert_int_equal(is_queued, UV_ENOBUFS);
  for (int s = 0; s < 10; s++) {
    fixture_advance(&fx, 1000);
    assert_sleeps(&fx); /* until the next sweep */
    assert_int_equal(fixture_send(&peers[0], payload, PIECE_BYTES), UV_ENOBUFS);
    assert_int_equal(fixture_publish(&fx, fx.topic, payload, PIECE_BYTES), UV_ENOBUFS);
  }
  assert_int_equal(fx.evictions, 0);
  assert_in_range(pool_stats(&fx).used_bytes, BUDGET_MIB * MIB / 8 * 7, BUDGET_MIB * MIB);

  peer_wait_for(&peers[0], 8 * PIECE_BYTES); /* one of them reads */
  assert_int_equal(fixture_publish(&fx, fx.topic, payload, PIECE_BYTES), PEERS);
  set_exempt(&peers[1], 0); /* and one of them is exempt no more */
  while (fixture_send(&peers[2], payload, PIECE_BYTES) == 1) {
  }
  fixture_advance(&fx, 250);
  assert_null(peers[1].conn);
  assert_int_equal(fx.evictions, 1);
  fixture_close(&fx);
}

static void exempt_connection_may_drain_until_its_deadline(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  open_with_budget(&fx);
  peer_open_stuck(&fx, &peer, 58);
  set_exempt(&peer, 1);
  fluxbp_conn_close(peer.conn, 60000);
  fixture_advance(&fx, 59999);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DRAINING);
  fixture_advance(&fx, 1);
  assert_null(peer.conn);
  assert_int_equal(peer.close_status, UV_ETIMEDOUT);
  fixture_close(&fx);
}

static void exempt_connection_stays_beyond_the_limit_of_the_kernels_memory(void **state) {
  enum { PEERS = 4 };
  fixture_t fx;
  peer_t peers[PEERS];
  (void) state;
  fixture_init(&fx);
  fx.policy.stall_ms = 0;
  fx.options.max_kernel_bytes = 1;
  fixture_open(&fx);
  for (int i = 0; i < PEERS; i++) peer_open_stuck(&fx, &peers[i], 0);
  set_exempt(&peers[0], 1);
  fixture_advance(&fx, 1000);
  assert_int_equal(fx.evictions, PEERS - 1);
  assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  assert_in_range(fixture_metrics(&fx).kernel_bytes, 2, UINT64_MAX); /* its own are counted */
  assert_sleeps(&fx);
  fixture_close(&fx);
}

/* Without a pressure block it couldn't be told when the socket is writable. */
static void exempt_connection_without_a_pressure_block_goes(void **state) {
  enum { BLOCKS = 400000, BLOCK_BYTES = 64 };
  static void *blocks[BLOCKS];
  fixture_t fx;
  peer_t peer;
  fluxbp_msg_t *msg;
  int count = 0;
  (void) state;
  open_with_budget(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  set_exempt(&peer, 1);
  assert_int_equal(fluxbp_msg_create(fx.pool, payload, 4 * MIB, &msg), 0);
  while (count < BLOCKS && fluxbp__pool_alloc(fx.pool, FLUXBP__CONTROL, BLOCK_BYTES, &blocks[count]) == 0) count++;
  assert_in_range(count, 1, BLOCKS - 1);
  for (int i = 0; i < 2; i++) /* room for a frame, not for a pressure block */
    fluxbp__pool_free(fx.pool, FLUXBP__CONTROL, blocks[--count], BLOCK_BYTES);
  fx.calls++;
  assert_int_equal(fluxbp_conn_send(peer.conn, msg), 1);
  assert_int_equal(fluxbp_conn_flush(peer.conn), 0);
  fx.calls--;
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_DOOMED);
  fluxbp_msg_unref(msg);
  while (count > 0) fluxbp__pool_free(fx.pool, FLUXBP__CONTROL, blocks[--count], BLOCK_BYTES);
  fixture_turns(&fx, 3);
  assert_null(peer.conn);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_BUDGET);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(budget_evicts_who_has_waited_longest_and_costs_nobody_else_anything),
      cmocka_unit_test(no_room_for_a_message_evicts_nobody_inside_the_call),
      cmocka_unit_test(who_was_refused_less_than_a_sweep_ago_stays),
      cmocka_unit_test(draining_connection_is_reset_when_its_room_is_needed),
      cmocka_unit_test(limit_of_the_kernels_memory_evicts_as_many_as_needed),
      cmocka_unit_test(message_that_several_have_goes_with_the_last_of_them),
      cmocka_unit_test(head_that_several_have_goes_with_the_last_of_them),
      cmocka_unit_test(message_that_several_have_is_not_counted_for_each),
      cmocka_unit_test(exempt_connection_stays_and_another_goes),
      cmocka_unit_test(publishers_are_refused_while_exempt_connections_hold_everything),
      cmocka_unit_test(exempt_connection_may_drain_until_its_deadline),
      cmocka_unit_test(exempt_connection_stays_beyond_the_limit_of_the_kernels_memory),
      cmocka_unit_test(exempt_connection_without_a_pressure_block_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
