/* SPDX-License-Identifier: MIT */
/*
 * Peers that take nothing for a long time, alive and dead, with the kernel's own word about them. The network and
 * the kernel run in real time, the hub's clock is the test's: half a minute of observed time passes in some seconds.
 */
#include "support/fixture.h"

#include "support/netns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SMALL_RECEIVE_BUFFER = 16384, SWEEP_MS = 250, TRICKLE_BYTES = 300, FEED_BYTES = 100000 };

static fixture_t fx;

/* A connection to a client on a link of its own. */
typedef struct client {
  netns_link_t wire;
  peer_t peer;
} client_t;

static void client_open(client_t *client, const fluxbp_policy_t *policy) {
  int fds[2];
  assert_int_equal(netns_link_open(&client->wire), 0);
  assert_int_equal(netns_link_connect(&client->wire, SMALL_RECEIVE_BUFFER, fds), 0);
  peer_adopt(&fx, &client->peer, FLUXBP_TCP, &fluxbp_codec_raw, fds);
  if (policy != NULL) assert_int_equal(fluxbp_conn_set_policy(client->peer.conn, policy), 0);
}

static void client_cut(client_t *client) {
  assert_int_equal(netns_link_shape(&client->wire, NETNS_CUT), 0);
}

static fluxbp_policy_t without_other_verdicts(void) {
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.stall_ms = 0;
  policy.slow_ms = 0;
  return policy;
}

static fluxbp__sample_t sample_of(const client_t *client) {
  fluxbp__sample_t sample;
  fluxbp__probe_sample(fluxbp__transport_fd(client->peer.conn), &sample);
  return sample;
}

static bool is_past(fixture_t *fixture, void *arg) {
  return uv_hrtime() >= *(uint64_t *) arg || !uv_loop_alive(&fixture->loop); /* nobody is left: nothing to wait for */
}

/* `ms` of the hub's time, with `real_ms` of everybody else's in each sweep interval. */
static void pass(uint64_t ms, uint64_t real_ms) {
  for (uint64_t passed_ms = 0; passed_ms < ms; passed_ms += SWEEP_MS) {
    uint64_t until_ns = uv_hrtime() + real_ms * 1000000;
    fixture_run_until(&fx, is_past, &until_ns, false);
    fixture_advance(&fx, SWEEP_MS);
  }
}

static bool is_window_closed(fixture_t *fixture, void *arg) {
  (void) fixture;
  fluxbp__sample_t sample = sample_of(arg);
  return sample.window == 0 && sample.unacked_packets == 0;
}

static bool is_unanswering(fixture_t *fixture, void *arg) {
  (void) fixture;
  fluxbp__sample_t sample = sample_of(arg);
  return fluxbp__sample_unanswered(&sample) >= 2;
}

static int begin(void **state) {
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  return 0;
}

static void end(client_t *client) {
  netns_link_close(&client->wire);
}

static int finish(void **state) {
  (void) state;
  fixture_close(&fx);
  return 0;
}

/* The kernel sends it half a dozen probes, and it answers each. */
static void living_client_with_a_closed_window_is_never_unreachable(void **state) {
  (void) state;
  fluxbp_policy_t off = without_other_verdicts();
  fluxbp_policy_t shadow;
  fluxbp_policy_init(&shadow);
  shadow.is_shadow = 1;
  static client_t unjudged; /* until the fixture is closed */
  static client_t shadowed; /* until the fixture is closed */
  client_open(&unjudged, &off);
  client_open(&shadowed, &shadow);
  (void) peer_refuse(&unjudged.peer);
  (void) peer_refuse(&shadowed.peer);
  fixture_run_until(&fx, is_window_closed, &unjudged, false);
  fixture_run_until(&fx, is_window_closed, &shadowed, false);
  pass(120000, 15);
  assert_int_equal(peer_state(&unjudged.peer), FLUXBP__CONN_OPEN);
  assert_int_equal(unjudged.peer.told, 0);
  assert_int_equal(peer_state(&shadowed.peer), FLUXBP__CONN_OPEN);
  assert_int_equal(shadowed.peer.record.reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(shadowed.peer.record.cause, FLUXBP_CAUSE_NOT_READING);
  assert_int_equal(peer_times_told(&shadowed.peer, TOLD_VERDICT), 1);
  end(&unjudged);
  end(&shadowed);
}

static void dead_client_with_a_closed_window_is_unreachable(void **state) {
  (void) state;
  fluxbp_policy_t off = without_other_verdicts();
  static client_t client; /* until the fixture is closed */
  client_open(&client, &off);
  (void) peer_refuse(&client.peer);
  fixture_run_until(&fx, is_window_closed, &client, false);
  client_cut(&client);
  fixture_run_until(&fx, is_unanswering, &client, false);
  pass(40000, 1);
  const fluxbp_eviction_t *record = &client.peer.record;
  assert_string_equal(fluxbp_evict_reason_name(record->reason), "unreachable");
  assert_string_equal(fluxbp_cause_name(record->cause), "unreachable");
  assert_in_range(record->unanswered, 2, 10);
  assert_in_range(record->unanswered_ms, 30000, 30500);
  assert_in_range(record->since_progress_ms, 30000, 40000);
  assert_true(record->queued > 0);
  end(&client);
}

/* Everything was taken by the kernel: nothing is refused, and there is no sweep. */
static void small_data_to_a_dead_client_is_found(void **state) {
  (void) state;
  static client_t dead;  /* until the fixture is closed */
  static client_t alive; /* until the fixture is closed */
  client_open(&dead, NULL);
  client_open(&alive, NULL);
  client_cut(&dead);
  assert_int_equal(fixture_publish(&fx, fx.topic, "small", 5), 2);
  fixture_run_until(&fx, is_unanswering, &dead, false);
  assert_null(dead.peer.conn->pressure);
  pass(13000 + 30500, 1);
  const fluxbp_eviction_t *record = &dead.peer.record;
  assert_string_equal(fluxbp_evict_reason_name(record->reason), "unreachable");
  assert_int_equal(record->kernel_bytes, 5);
  assert_in_range(record->unanswered_ms, 30000, 30500);
  assert_int_equal(record->queued, 0);
  assert_int_equal(peer_state(&alive.peer), FLUXBP__CONN_OPEN);
  assert_null(alive.peer.conn->pressure);
  end(&dead);
  end(&alive);
}

/* It reads a little all the time, and its window opens only now and then. The default policy evicts it, with what is
 * true. */
static void trickle_is_evicted_for_what_it_does(void **state) {
  static char message[1000];
  (void) state;
  static client_t client; /* until the fixture is closed */
  client_open(&client, NULL);
  uint64_t read = 0;
  for (uint64_t ms = 0; ms < 60000 && client.peer.record.reason == FLUXBP_EVICT_NONE; ms += SWEEP_MS) {
    for (int i = 0; i < FEED_BYTES / (int) sizeof message * SWEEP_MS / 1000; i++)
      (void) fixture_send(&client.peer, message, sizeof message);
    ssize_t len = recv(client.peer.fd, message, TRICKLE_BYTES * SWEEP_MS / 1000, 0);
    if (len > 0) read += (uint64_t) len;
    pass(SWEEP_MS, 10);
  }
  const fluxbp_eviction_t *record = &client.peer.record;
  bool is_stalled = record->reason == FLUXBP_EVICT_STALLED;
  assert_true(is_stalled || record->reason == FLUXBP_EVICT_SLOW);
  assert_true(record->cause == FLUXBP_CAUSE_NOT_READING || record->cause == FLUXBP_CAUSE_READS_SLOWLY);
  assert_in_range(is_stalled ? record->since_progress_ms : record->backpressured_ms, 5000, 5500);
  assert_int_equal(record->unanswered_ms, 0);
  assert_true(record->queued_bytes > 0 && record->kernel_bytes > 0 && record->dropped > 0);
  assert_true(read > 0);
  if (is_stalled) { /* and learns of it */
    peer_wait_for_eof(&client.peer);
    assert_int_equal(client.peer.error, ECONNRESET);
  }
  end(&client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(living_client_with_a_closed_window_is_never_unreachable, begin, finish),
      cmocka_unit_test_setup_teardown(dead_client_with_a_closed_window_is_unreachable, begin, finish),
      cmocka_unit_test_setup_teardown(small_data_to_a_dead_client_is_found, begin, finish),
      cmocka_unit_test_setup_teardown(trickle_is_evicted_for_what_it_does, begin, finish),
  };
  const char *problem = netns_enter();
  if (problem != NULL) {
    const char *ci = getenv("CI");
    bool may_skip = ci == NULL || strcmp(ci, "true") != 0;
    printf("%s: no network to test on: %s\n", may_skip ? "skipped" : "failed", problem);
    return may_skip ? 77 : EXIT_FAILURE;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
