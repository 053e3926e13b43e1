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
  fixture_close(&fx);
}

/* It would count the time of a closed window, and cut off a peer that is alive. */
static void no_timer_of_the_kernel_judges_a_connection(void **state) {
  static const uint32_t stalls_ms[] = {0, 5000, 60000};
  (void) state;
  for (size_t i = 0; i < sizeof stalls_ms / sizeof stalls_ms[0]; i++) {
    fixture_t fx;
    peer_t peer;
    uv_os_fd_t fd;
    fixture_init(&fx);
    fx.policy.stall_ms = stalls_ms[i];
    fixture_open(&fx);
    peer_open(&fx, &peer, FLUXBP_TCP, &fluxbp_codec_raw, 0);
    assert_int_equal(uv_fileno((uv_handle_t *) fluxbp_conn_stream(peer.conn), &fd), 0);
    assert_int_equal(socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    fixture_close(&fx);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_connection_has_the_options_wherever_its_socket_is_from),
      cmocka_unit_test(no_timer_of_the_kernel_judges_a_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
