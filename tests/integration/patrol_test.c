/* SPDX-License-Identifier: MIT */
/*
 * The patrol over connections that the kernel hasn't refused, and what becomes of peers that don't answer. The
 * sockets are real, the kernel's word about them is the test's: the functions of probe.h are here, which hides
 * probe_linux.c.
 */
#include "conn_end.h"
#include "support/fixture.h"

#include <stdlib.h>

enum { PEERS_MAX = 300, FDS_MAX = 4096, ROUND_MS = 12500 };

/* What the kernel says of a socket, and how often it was asked. */
typedef struct fake {
  int64_t unacked;
  uint32_t retransmits;
  uint32_t probes;
  uint64_t heard_ms; /* of uv_hrtime; 0: long ago */
  bool answers;      /* right after the next sample */
  int asked;
} fake_t;

static fake_t fakes[FDS_MAX]; /* by socket */

static fake_t *fake_of(uv_os_fd_t fd) {
  assert_in_range(fd, 0, FDS_MAX - 1);
  return &fakes[fd];
}

int fluxbp__probe_prepare(uv_os_fd_t fd) {
  *fake_of(fd) = (fake_t){0};
  return 0;
}

void fluxbp__probe_prepare_listening(uv_os_sock_t fd) {
  (void) fd;
}

int64_t fluxbp__probe_unacked(uv_os_fd_t fd) {
  if (fd < 0) return -1;
  fake_of(fd)->asked++;
  return fake_of(fd)->unacked;
}

void fluxbp__probe_sample(uv_os_fd_t fd, fluxbp__sample_t *sample) {
  *sample = (fluxbp__sample_t){0};
  if (fd < 0) return;
  fake_t *fake = fake_of(fd);
  *sample = (fluxbp__sample_t){.is_known = true,
                               .unacked_packets = fake->retransmits > 0,
                               .retransmits = fake->retransmits,
                               .probes = fake->probes,
                               .last_ack_recv_ms = (uint32_t) (uv_hrtime() / 1000000 - fake->heard_ms)};
  if (fake->answers) fake->retransmits = fake->probes = 0;
}

uint64_t fluxbp__probe_kernel_share(void) {
  return UINT64_MAX;
}

static peer_t peers[PEERS_MAX];

static fake_t *fake(const peer_t *peer) {
  return fake_of(fluxbp__transport_fd(peer->conn));
}

static void open_peers(fixture_t *fx, int count) {
  fixture_open(fx);
  for (int i = 0; i < count; i++) peer_open(fx, &peers[i], FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
}

/* One connection with the default policy; its peer has taken something, and answers nothing from now on. */
static void open_silent(fixture_t *fx) {
  open_peers(fx, 1);
  assert_int_equal(fixture_send(&peers[0], "small", 5), 1);
  fixture_turns(fx, 1);
  *fake(&peers[0]) = (fake_t){.unacked = 5, .retransmits = 2};
}

static bool is_watched(const peer_t *peer) {
  return peer->conn->pressure != NULL;
}

static void wait_until_watched(fixture_t *fx, const peer_t *peer) {
  for (int ms = 0; ms <= ROUND_MS && !is_watched(peer); ms += 250) fixture_advance(fx, 250);
  assert_true(is_watched(peer));
}

static void each_connection_is_looked_at_once_in_a_round(void **state) {
  static const int counts[] = {1, 10, 130, PEERS_MAX};
  (void) state;
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    fixture_t fx;
    fixture_init(&fx);
    open_peers(&fx, counts[i]);
    (void) fixture_publish(&fx, fx.topic, "x", 1);
    fixture_turns(&fx, 2);
    for (int n = 0; n < counts[i]; n++) *fake(&peers[n]) = (fake_t){.unacked = 1}; /* on its way */
    int before = 0;
    for (int round = 0; round < 4; round++) {
      fixture_advance(&fx, ROUND_MS);
      int least = INT32_MAX;
      int most = 0;
      for (int n = 0; n < counts[i]; n++) {
        if (fake(&peers[n])->asked < least) least = fake(&peers[n])->asked;
        if (fake(&peers[n])->asked > most) most = fake(&peers[n])->asked;
      }
      assert_in_range(most, least, least + 1);
      if (round > 0) assert_in_range(most, before, before + 2);
      before = most;
    }
    assert_in_range(before, 3, 5); /* in 50 s */
    fixture_close(&fx);
  }
}

static void connections_that_come_and_go_hide_nobody(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_peers(&fx, 200);
  (void) fixture_publish(&fx, fx.topic, "x", 1);
  fixture_turns(&fx, 2);
  for (int n = 0; n < 200; n++) *fake(&peers[n]) = (fake_t){.unacked = 1};
  int gone = 0;
  for (int ms = 0; ms < 2 * ROUND_MS; ms += 250) {
    if (gone < 90 && ms % 500 == 0) {
      fluxbp_conn_reset(peers[gone++].conn); /* the first ones: the last take their places */
      fixture_turns(&fx, 2);
    }
    fixture_advance(&fx, 250);
  }
  for (int n = gone; n < 200; n++) assert_in_range(fake(&peers[n])->asked, 1, 4);
  fixture_close(&fx);
}

static void who_has_acknowledged_everything_is_not_asked_about_again(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_peers(&fx, 5);
  fixture_advance(&fx, 3 * ROUND_MS);
  for (int n = 0; n < 5; n++) assert_int_equal(fake(&peers[n])->asked, 1);

  assert_int_equal(fixture_send(&peers[3], "x", 1), 1);
  fake(&peers[3])->unacked = 1;
  fixture_advance(&fx, 2 * ROUND_MS);
  assert_int_equal(fake(&peers[3])->asked, 3);
  fake(&peers[3])->unacked = 0;
  fixture_advance(&fx, 3 * ROUND_MS);
  assert_int_equal(fake(&peers[3])->asked, 4); /* it has arrived */
  for (int n = 0; n < 3; n++) assert_int_equal(fake(&peers[n])->asked, 1);

  fluxbp_conn_close(peers[3].conn, 1000); /* what the patrol has noted of it is none of its status */
  peer_wait_for_eof(&peers[3]);
  peer_hang_up(&peers[3]);
  peer_wait_for_close(&peers[3]);
  assert_int_equal(peers[3].close_status, 0);
  fluxbp__conn_fail(peers[2].conn, UV_ECONNRESET);
  peer_wait_for_close(&peers[2]);
  assert_int_equal(peers[2].close_status, UV_ECONNRESET);
  fixture_close(&fx);
}

static void a_hub_without_tcp_connections_has_no_timer(void **state) {
  fixture_t fx;
  peer_t local;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_false(uv_is_active((uv_handle_t *) &fx.hub->engine.alarm.timer));
  peer_open(&fx, &local, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  fixture_turns(&fx, 2);
  assert_false(uv_is_active((uv_handle_t *) &fx.hub->engine.alarm.timer));

  peer_t *peer = &peers[0];
  peer_open(&fx, peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  assert_true(uv_is_active((uv_handle_t *) &fx.hub->engine.alarm.timer));
  assert_false(uv_has_ref((uv_handle_t *) &fx.hub->engine.alarm.timer)); /* it doesn't keep the loop alive */
  fluxbp_conn_reset(peer->conn);
  fixture_advance(&fx, ROUND_MS);
  assert_int_equal(fx.hub->engine.patrol.open_count, 0);
  assert_true(fx.hub->engine.patrol.due_ms == UINT64_MAX);
  fixture_close(&fx);
}

static void who_answers_nothing_is_unreachable_after_thirty_seconds(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_silent(&fx);
  wait_until_watched(&fx, &peers[0]);
  assert_false(peer_stats(&peers[0]).is_refused);
  assert_int_equal(fixture_metrics(&fx).kernel_bytes, 0); /* which counts what is refused */
  fluxbp_eviction_t evidence;
  fixture_advance(&fx, 20000);
  fluxbp_conn_get_evidence(peers[0].conn, &evidence);
  assert_in_range(evidence.unanswered_ms, 20000, 20250);
  assert_int_equal(evidence.unanswered, 2);
  fake(&peers[0])->retransmits = 6;
  fixture_advance(&fx, 9500);
  assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  assert_int_equal(peers[0].told, 0);
  fixture_advance(&fx, 500);
  assert_null(peers[0].conn);
  assert_string_equal(peers[0].trace, "VEHX");
  assert_int_equal(peers[0].close_status, UV_ECONNABORTED);
  assert_int_equal(peers[0].record.reason, FLUXBP_EVICT_UNREACHABLE);
  assert_int_equal(peers[0].record.cause, FLUXBP_CAUSE_UNREACHABLE);
  assert_int_equal(peers[0].record.unanswered, 6);
  assert_in_range(peers[0].record.unanswered_ms, 30000, 30250);
  assert_int_equal(peers[0].record.kernel_bytes, 5);
  assert_int_equal(peers[0].record.queued, 0);
  fixture_close(&fx);
}

static void probes_count_as_retransmissions_do(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_silent(&fx);
  *fake(&peers[0]) = (fake_t){.unacked = 5, .probes = 2};
  wait_until_watched(&fx, &peers[0]);
  fixture_advance(&fx, 30250);
  assert_int_equal(peers[0].record.reason, FLUXBP_EVICT_UNREACHABLE);
  fixture_close(&fx);
}

static void who_answers_is_left_alone_and_owns_nothing(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_silent(&fx);
  wait_until_watched(&fx, &peers[0]);
  fixture_advance(&fx, 29000);
  fake(&peers[0])->retransmits = 0; /* between two samples: the verdict looks again */
  fixture_advance(&fx, 5000);
  assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  assert_false(is_watched(&peers[0]));
  assert_int_equal(peers[0].told, 0);
  fixture_close(&fx);
}

/* The patrol has found it silent, and the sample that follows tells that it isn't. */
static void an_answer_between_two_samples_leaves_nothing_behind(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_silent(&fx);
  fake(&peers[0])->answers = true;
  fixture_advance(&fx, 2 * ROUND_MS);
  assert_int_equal(fake(&peers[0])->retransmits, 0);
  assert_false(is_watched(&peers[0]));

  fake(&peers[0])->answers = false; /* and if it is gone later, that is found */
  fake(&peers[0])->retransmits = 2;
  wait_until_watched(&fx, &peers[0]);
  fixture_advance(&fx, 30250);
  assert_int_equal(peers[0].record.reason, FLUXBP_EVICT_UNREACHABLE);
  fixture_close(&fx);
}

static void a_verdict_falls_on_a_fresh_look(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.policy.stall_ms = 15500; /* 31 s: between two samples */
  open_silent(&fx);
  wait_until_watched(&fx, &peers[0]);
  fixture_advance(&fx, 30750);
  fake(&peers[0])->heard_ms = uv_hrtime() / 1000000; /* after the last sample */
  fixture_advance(&fx, 500);
  assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 30000);
  assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 1000);
  assert_int_equal(peers[0].record.reason, FLUXBP_EVICT_UNREACHABLE);
  fixture_close(&fx);
}

static void what_is_sent_meanwhile_puts_nothing_off(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_silent(&fx);
  wait_until_watched(&fx, &peers[0]);
  for (int i = 0; i < 119; i++) {
    assert_int_equal(fixture_send(&peers[0], "more", 4), 1); /* the kernel takes it */
    fake(&peers[0])->unacked += 4;
    fixture_turns(&fx, 2);
    fixture_advance(&fx, 250);
    assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  }
  fixture_advance(&fx, 500);
  assert_int_equal(peers[0].record.reason, FLUXBP_EVICT_UNREACHABLE);
  fixture_close(&fx);
}

static void a_staged_message_is_not_held_against_who_is_watched(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_silent(&fx);
  wait_until_watched(&fx, &peers[0]);
  fixture_advance(&fx, 10000); /* nothing has moved for longer than stall_ms */
  assert_int_equal(fixture_send(&peers[0], "more", 4), 1);
  fluxbp__sweep_now(&fx.hub->sweep);
  fixture_turns(&fx, 2);
  assert_int_equal(fx.evictions, 0);
  assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  fixture_close(&fx);
}

static void a_shadow_only_reports_it(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.policy.is_shadow = 1;
  open_silent(&fx);
  wait_until_watched(&fx, &peers[0]);
  fixture_advance(&fx, 90000);
  assert_int_equal(peer_state(&peers[0]), FLUXBP__CONN_OPEN);
  assert_string_equal(peers[0].trace, "VH");
  assert_int_equal(peers[0].record.reason, FLUXBP_EVICT_UNREACHABLE);
  assert_true(peers[0].record.is_shadow);
  assert_int_equal(fixture_metrics(&fx).shadow_evictions[FLUXBP_EVICT_UNREACHABLE], 1);
  *fake(&peers[0]) = (fake_t){0};
  fixture_advance(&fx, 3000);
  assert_false(is_watched(&peers[0]));
  fixture_close(&fx);
}

static void who_is_spared_has_the_time_again(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_silent(&fx);
  peers[0].is_spared = true;
  wait_until_watched(&fx, &peers[0]);
  fixture_advance(&fx, 59000);
  assert_string_equal(peers[0].trace, "V");
  peers[0].is_spared = false;
  fixture_advance(&fx, 1500);
  assert_string_equal(peers[0].trace, "VVEHX");
  fixture_close(&fx);
}

static void a_crowd_that_answers_nothing_has_twice_the_time(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_peers(&fx, 20);
  (void) fixture_publish(&fx, fx.topic, "x", 1);
  fixture_turns(&fx, 2);
  for (int n = 0; n < 20; n++) *fake(&peers[n]) = (fake_t){.unacked = 1, .retransmits = 2};
  fixture_advance(&fx, ROUND_MS);
  for (int n = 0; n < 20; n++) assert_true(is_watched(&peers[n]));
  fixture_advance(&fx, 45000);
  assert_int_equal(fx.evictions, 0);
  assert_int_equal(fixture_metrics(&fx).crowd_slow_events, 1);
  fixture_advance(&fx, 20000);
  assert_int_equal(fx.evictions, 20);
  fixture_close(&fx);
}

/* The kernel gives up on a peer by itself in the end: by keepalive, or after a quarter of an hour. */
static void what_the_kernel_gives_up_is_no_verdict(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  open_peers(&fx, 1);
  fluxbp__conn_fail(peers[0].conn, UV_ETIMEDOUT);
  peer_wait_for_close(&peers[0]);
  assert_string_equal(peers[0].trace, "X");
  assert_int_equal(peers[0].close_status, UV_ETIMEDOUT);
  assert_int_equal(fx.evictions, 0);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_connection_is_looked_at_once_in_a_round),
      cmocka_unit_test(connections_that_come_and_go_hide_nobody),
      cmocka_unit_test(who_has_acknowledged_everything_is_not_asked_about_again),
      cmocka_unit_test(a_hub_without_tcp_connections_has_no_timer),
      cmocka_unit_test(who_answers_nothing_is_unreachable_after_thirty_seconds),
      cmocka_unit_test(probes_count_as_retransmissions_do),
      cmocka_unit_test(who_answers_is_left_alone_and_owns_nothing),
      cmocka_unit_test(an_answer_between_two_samples_leaves_nothing_behind),
      cmocka_unit_test(a_verdict_falls_on_a_fresh_look),
      cmocka_unit_test(what_is_sent_meanwhile_puts_nothing_off),
      cmocka_unit_test(a_staged_message_is_not_held_against_who_is_watched),
      cmocka_unit_test(a_shadow_only_reports_it),
      cmocka_unit_test(who_is_spared_has_the_time_again),
      cmocka_unit_test(a_crowd_that_answers_nothing_has_twice_the_time),
      cmocka_unit_test(what_the_kernel_gives_up_is_no_verdict),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
