/* SPDX-License-Identifier: MIT */
/*
 * probe_linux: the options of a connection's socket.
 */
#include "support/fixture.h"

#include "support/socket_options.h"

static void a_connection_has_the_options_wherever_its_socket_is_from(void **state) {
  fixture_t fx;
  peer_t peer;
  uv_os_fd_t fd;
  (void) state;
  fixture_init(&fx);
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, 0);
  assert_int_equal(uv_fileno((uv_handle_t *) fluxbp_conn_stream(peer.conn), &fd), 0);
  assert_true(socket_has_options(fd));
  assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
  fixture_close(&fx);
}

static void the_kernel_waits_for_twice_the_stall_limit(void **state) {
  fixture_t fx;
  peer_t peer;
  uv_os_fd_t fd;
  (void) state;
  fixture_init(&fx);
  fx.policy.stall_ms = 20000;
  fixture_open(&fx);
  peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, 0);
  assert_int_equal(uv_fileno((uv_handle_t *) fluxbp_conn_stream(peer.conn), &fd), 0);
  assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 40000);

  fx.policy.stall_ms = 25000;
  assert_int_equal(fluxbp_hub_set_policy(fx.hub, &fx.policy), 0);
  assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 50000);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_connection_has_the_options_wherever_its_socket_is_from),
      cmocka_unit_test(the_kernel_waits_for_twice_the_stall_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
