/* SPDX-License-Identifier: MIT */
/*
 * The portable fallback: linked with lib/core/probe_none.c instead of the system's own probe, the library evicts as
 * fairly as it can by what the kernel takes, and admits that it doesn't know why.
 */
#include "support/fixture.h"

#include <errno.h>

static void stalled_is_found_without_the_kernels_help(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(&peer);
  fixture_advance(&fx, 4750);
  assert_int_equal(peer_state(&peer), FLUXBP__CONN_OPEN);
  fixture_advance(&fx, 250);
  assert_null(peer.conn);
  assert_int_equal(peer.record.reason, FLUXBP_EVICT_STALLED);
  assert_int_equal(peer.record.cause, FLUXBP_CAUSE_UNKNOWN);
  assert_int_equal(peer.record.kernel_bytes, 0);
  fixture_close(&fx);
}

static void what_the_kernel_takes_is_progress(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  for (int i = 0; i < 3; i++) {
    (void) peer_refuse(&peer);
    fixture_advance(&fx, 4500);
    uint64_t written = peer_stats(&peer).written;
    while (peer_stats(&peer).written == written) peer_wait_for(&peer, peer.len + 1);
  }
  assert_int_equal(fx.evictions, 0);
  fixture_close(&fx);
}

/* SO_LINGER is no matter of the probe. */
static void a_reset_reaches_the_client(void **state) {
  (void) state;
  for (int is_evicted = 0; is_evicted < 2; is_evicted++) {
    fixture_t fx;
    peer_t peer;
    fixture_init(&fx);
    fixture_open(&fx);
    peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
    (void) peer_refuse(&peer);
    if (is_evicted)
      fixture_advance(&fx, 5000);
    else
      fluxbp_conn_reset(peer.conn);
    peer_wait_for_close(&peer);
    assert_int_equal(peer.close_status, is_evicted ? UV_ECONNABORTED : UV_ECANCELED);
    assert_int_equal(peer.error, ECONNRESET);
    assert_false(peer.has_eof);
    fixture_close(&fx);
  }
}

static void nobody_knows_a_limit_of_kernel_bytes(void **state) {
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  assert_true(fx.hub->options.max_kernel_bytes == UINT64_MAX);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stalled_is_found_without_the_kernels_help),
      cmocka_unit_test(what_the_kernel_takes_is_progress),
      cmocka_unit_test(a_reset_reaches_the_client),
      cmocka_unit_test(nobody_knows_a_limit_of_kernel_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
