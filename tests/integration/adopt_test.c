/* SPDX-License-Identifier: MIT */
/*
 * Connections on sockets that a program has accepted itself: bytes that it has read come first, and after an error the
 * socket is as it was.
 */
#include "support/adopt_fixture.h"
#include "support/alloc_hook.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

/* The two ends are connected to each other as before, and closing one doesn't reset the other. */
static void expect_connected(const int fds[2]) {
  char text[8];
  struct linger linger;
  socklen_t length = sizeof linger;
  assert_int_equal(getsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, &length), 0);
  assert_int_equal(linger.l_onoff, 0);
  for (int i = 0; i < 2; i++) {
    say(fds[i], "ping");
    socketpair_block(fds[1 - i]);
    assert_int_equal(recv(fds[1 - i], text, sizeof text, 0), 4);
    assert_memory_equal(text, "ping", 4);
    socketpair_unblock(fds);
  }
}

static void bytes_that_were_read_come_first(const fluxbp_transport_t *transport) {
  adoption_t a;
  begin(&a, transport);
  say(a.fds[1], "world");
  assert_int_equal(adopt(&a, "hello "), 0);
  assert_false(is_open(a.fds[0]));
  assert_int_equal(peer_state(&a.peer), FLUXBP__CONN_OPEN);
  assert_int_equal(received_length, 0);
  wait_for_data(&a, "hello world");
  assert_int_equal(fluxbp_topic_subscribe(a.fx.topic, a.peer.conn), 1);
  assert_int_equal(fixture_publish(&a.fx, a.fx.topic, "news", 4), 1);
  peer_wait_for(&a.peer, 4);
  fluxbp_conn_close(a.peer.conn, 1000);
  peer_wait_for_eof(&a.peer);
  peer_hang_up(&a.peer);
  peer_wait_for_close(&a.peer);
  assert_int_equal(a.peer.close_status, 0);
  fixture_close(&a.fx);
}
FIXTURE_ALL(bytes_that_were_read_come_first)

static void nothing_needs_to_have_been_read(const fluxbp_transport_t *transport) {
  adoption_t a;
  begin(&a, transport);
  say(a.fds[1], "hello");
  assert_int_equal(fluxbp_conn_adopt(a.fx.hub, a.fds[0], NULL, 0, &a.options, &a.peer.conn), 0);
  wait_for_data(&a, "hello");
  fixture_close(&a.fx);
}
FIXTURE_ALL(nothing_needs_to_have_been_read)

/* Neither the bytes nor FIN behind them, though the kernel has no data. */
static void a_pause_holds_the_bytes_back(const fluxbp_transport_t *transport) {
  adoption_t a;
  begin(&a, transport);
  assert_int_equal(adopt(&a, "hello"), 0);
  assert_int_equal(fluxbp_conn_pause_read(a.peer.conn), 0);
  assert_int_equal(shutdown(a.fds[1], SHUT_WR), 0);
  fixture_advance(&a.fx, 1000);
  assert_int_equal(received_length, 0);
  assert_int_equal(half_closes, 0);
  a.fx.calls++;
  fluxbp_conn_resume_read(a.peer.conn);
  a.fx.calls--;
  wait_for_data(&a, "hello");
  for (int i = 0; i < 100 && half_closes == 0; i++) (void) fixture_run(&a.fx, UV_RUN_ONCE);
  assert_int_equal(half_closes, 1);
  fixture_close(&a.fx);
}
FIXTURE_ALL(a_pause_holds_the_bytes_back)

static void pause_and_resume(peer_t *peer, char told) {
  if (told != TOLD_DATA) return;
  assert_int_equal(fluxbp_conn_pause_read(peer->conn), 0);
  fluxbp_conn_resume_read(peer->conn);
}

static void pause_reading(peer_t *peer, char told) {
  if (told == TOLD_DATA) assert_int_equal(fluxbp_conn_pause_read(peer->conn), 0);
}

static void reading_may_be_paused_by_the_first_bytes(const fluxbp_transport_t *transport) {
  for (int resumes_at_once = 0; resumes_at_once < 2; resumes_at_once++) {
    adoption_t a;
    begin(&a, transport);
    a.peer.hook = resumes_at_once ? pause_and_resume : pause_reading;
    say(a.fds[1], "world");
    assert_int_equal(adopt(&a, "hello "), 0);
    if (!resumes_at_once) {
      wait_for_data(&a, "hello ");
      fixture_turns(&a.fx, 10);
      assert_string_equal(received, "hello ");
      fluxbp_conn_resume_read(a.peer.conn);
    }
    wait_for_data(&a, "hello world");
    fixture_close(&a.fx);
  }
}
FIXTURE_ALL(reading_may_be_paused_by_the_first_bytes)

static void reset_it(peer_t *peer, char told) {
  if (told == TOLD_DATA) fluxbp_conn_reset(peer->conn);
}

/* By the program at once, in on_data, and by the end of the hub. */
static void the_end_may_come_first(const fluxbp_transport_t *transport) {
  for (int way = 0; way < 4; way++) {
    adoption_t a;
    begin(&a, transport);
    assert_int_equal(adopt(&a, "hello"), 0);
    if (way == 0) fluxbp_conn_reset(a.peer.conn);
    if (way == 1) fluxbp_conn_close(a.peer.conn, 0);
    if (way == 2) a.peer.hook = reset_it;
    if (way < 3) peer_wait_for_close(&a.peer);
    fixture_close(&a.fx);
    assert_int_equal(received_length, way == 2 ? 5 : 0);
    assert_string_equal(a.peer.trace, "X");
  }
}
FIXTURE_ALL(the_end_may_come_first)

static void resume_and_reset_the_other(peer_t *peer, char told) {
  peer_t *other = peer->arg;
  if (told != TOLD_DATA) return;
  fluxbp_conn_resume_read(other->conn);
  fluxbp_conn_reset(other->conn);
}

/* Its memory goes in the same iteration of the loop, before the bytes are due. */
static void a_reset_forgets_the_bytes(const fluxbp_transport_t *transport) {
  adoption_t a;
  peer_t other;
  begin(&a, transport);
  assert_int_equal(adopt(&a, "hello"), 0);
  assert_int_equal(fluxbp_conn_pause_read(a.peer.conn), 0);
  peer_open(&a.fx, &other, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  other.arg = &a.peer;
  other.hook = resume_and_reset_the_other;
  say(other.fd, "x");
  peer_wait_for_close(&a.peer);
  fixture_turns(&a.fx, 3);
  assert_int_equal(received_length, 0);
  fixture_close(&a.fx);
}
FIXTURE_ALL(a_reset_forgets_the_bytes)

static int make_socket(int domain, int type) {
  int fd = socket(domain, type | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  return fd;
}

static void other_descriptors_are_refused(void **state) {
  adoption_t a;
  int unix_fds[2];
  (void) state;
  begin(&a, FLUXBP_TCP);
  assert_int_equal(socketpair_make(FLUXBP_PIPE, false, unix_fds), 0);
  int listening = make_socket(AF_INET, SOCK_STREAM);
  assert_int_equal(listen(listening, 1), 0);
  const struct {
    int fd;
    int is_for_pipe;
    int error;
  } cases[] = {
      {make_socket(AF_INET, SOCK_DGRAM), 0, UV_EPROTOTYPE},
      {make_socket(AF_INET6, SOCK_STREAM), 1, UV_EPROTOTYPE},
      {make_socket(AF_UNIX, SOCK_SEQPACKET), 1, UV_EPROTOTYPE},
      {dup(unix_fds[0]), 0, UV_EPROTOTYPE},
      {dup(a.fds[0]), 1, UV_EPROTOTYPE},
      {make_socket(AF_INET, SOCK_STREAM), 0, UV_ENOTCONN},
      {make_socket(AF_UNIX, SOCK_STREAM), 1, UV_ENOTCONN},
      {listening, 0, UV_ENOTCONN},
      {open("/dev/null", O_RDWR | O_CLOEXEC), 0, UV_ENOTSOCK},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    a.options.transport = cases[i].is_for_pipe ? FLUXBP_PIPE : FLUXBP_TCP;
    fluxbp_conn_t *conn = NULL;
    assert_int_equal(fluxbp_conn_adopt(a.fx.hub, cases[i].fd, "x", 1, &a.options, &conn), cases[i].error);
    assert_null(conn);
    fixture_turns(&a.fx, 2);
    assert_int_equal(close(cases[i].fd), 0);
  }
  fluxbp_conn_t *conn = NULL;
  assert_int_equal(fluxbp_conn_adopt(a.fx.hub, -1, NULL, 0, &a.options, &conn), UV_EBADF);
  assert_int_equal(fluxbp_conn_adopt(a.fx.hub, a.fds[0], NULL, 1, &a.options, &conn), UV_EINVAL);
  assert_int_equal(fluxbp_conn_adopt(a.fx.hub, a.fds[0], NULL, 0, &a.options, NULL), UV_EINVAL);
  fixture_turns(&a.fx, 2);
  assert_int_equal(a.peer.told, 0);
  assert_int_equal(fluxbp_hub_connections(a.fx.hub), 0);
  expect_connected(a.fds);
  for (int i = 0; i < 2; i++) (void) close(unix_fds[i]);
  (void) close(a.fds[0]);
  fixture_close(&a.fx);
}

/* Whichever allocation fails, the socket is the program's, and works. */
static void memory_that_is_short_leaves_the_socket(const fluxbp_transport_t *transport) {
  adoption_t a;
  alloc_hook_t hook;
  fixture_init(&a.fx);
  alloc_hook_init(&hook);
  a.fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&a.fx);
  open_sockets(&a, transport);
  int failures = 0;
  for (int err = UV_ENOMEM; err != 0; failures++) {
    alloc_hook_fail_once(&hook, (uint64_t) failures + 1);
    err = adopt(&a, "hello");
    alloc_hook_heal(&hook);
    if (err == 0) break;
    assert_int_equal(err, UV_ENOMEM);
    fixture_turns(&a.fx, 3);
    assert_int_equal(a.peer.told, 0);
    assert_true(is_open(a.fds[0]));
    expect_connected(a.fds);
  }
  assert_true(failures >= 2);
  wait_for_data(&a, "hello");
  fixture_close(&a.fx);
}
FIXTURE_ALL(memory_that_is_short_leaves_the_socket)

static void bytes_beyond_the_budget_are_refused(void **state) {
  adoption_t a;
  (void) state;
  fixture_init(&a.fx);
  a.fx.pool_options.max_bytes = 65536;
  fixture_open(&a.fx);
  open_sockets(&a, FLUXBP_TCP);
  static char bytes[100000];
  assert_int_equal(fluxbp_conn_adopt(a.fx.hub, a.fds[0], bytes, sizeof bytes, &a.options, &a.peer.conn), UV_ENOBUFS);
  expect_connected(a.fds);
  (void) close(a.fds[0]);
  fixture_close(&a.fx);
}

static void without_descriptors_the_socket_is_left(void **state) {
  adoption_t a;
  struct rlimit limit;
  (void) state;
  begin(&a, FLUXBP_TCP);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  struct rlimit none = {.rlim_cur = 1, .rlim_max = limit.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  int err = adopt(&a, "hello");
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  assert_int_equal(err, UV_EMFILE);
  fixture_turns(&a.fx, 2);
  expect_connected(a.fds);
  assert_int_equal(adopt(&a, "hello"), 0);
  wait_for_data(&a, "hello");
  fixture_close(&a.fx);
}

static void a_transport_that_fails_leaves_the_socket(void **state) {
  int *const errors[] = {&transport_faults.open_error, &transport_faults.preread_error,
                         &transport_faults.read_start_error};
  (void) state;
  for (int i = 0; i < 3; i++) {
    adoption_t a;
    transport_fixture_reset();
    begin(&a, transport_pass_through());
    *errors[i] = UV_EPROTO;
    assert_int_equal(adopt(&a, "hello"), UV_EPROTO);
    *errors[i] = 0;
    fixture_turns(&a.fx, 3);
    expect_connected(a.fds);
    assert_int_equal(adopt(&a, "hello"), 0);
    wait_for_data(&a, "hello");
    fixture_close(&a.fx);
    assert_int_equal(transport_calls.open_now, 0);
  }
}

static void a_transport_without_preread_takes_an_untouched_socket(void **state) {
  adoption_t a;
  (void) state;
  transport_fixture_reset();
  begin(&a, transport_blind());
  assert_int_equal(adopt(&a, "hello"), UV_ENOTSUP);
  fixture_turns(&a.fx, 2);
  expect_connected(a.fds);
  assert_int_equal(adopt(&a, ""), 0);
  fixture_close(&a.fx);
}

static void take_long(peer_t *peer, char told) {
  uint64_t begun_ns = uv_hrtime();
  (void) peer;
  (void) told;
  while (uv_hrtime() - begun_ns < 10000) {
  }
}

/* A program's copy of a built-in table: the first bytes use up the turn of the connection, which waits for the next. */
static void the_first_bytes_may_end_the_turn(void **state) {
  static fluxbp_transport_t copy;
  adoption_t a;
  (void) state;
  copy = *FLUXBP_TCP;
  fixture_init(&a.fx);
  a.fx.options.input_us = 1;
  fixture_open(&a.fx);
  open_sockets(&a, &copy);
  a.peer.hook = take_long;
  assert_int_equal(adopt(&a, "hello "), 0);
  wait_for_data(&a, "hello ");
  fixture_turns(&a.fx, 3);
  say(a.fds[1], "world");
  wait_for_data(&a, "hello world");
  assert_int_equal(peer_state(&a.peer), FLUXBP__CONN_OPEN);
  fixture_close(&a.fx);
}

static void a_closing_hub_adopts_nothing(void **state) {
  adoption_t a;
  (void) state;
  begin(&a, FLUXBP_TCP);
  fluxbp_hub_close(a.fx.hub, fixture_on_hub_closed);
  assert_int_equal(adopt(&a, "hello"), UV_ECANCELED);
  expect_connected(a.fds);
  (void) close(a.fds[0]);
  fixture_close_hub(&a.fx);
  fixture_close(&a.fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_ALL_TESTS(bytes_that_were_read_come_first),
      FIXTURE_ALL_TESTS(nothing_needs_to_have_been_read),
      FIXTURE_ALL_TESTS(a_pause_holds_the_bytes_back),
      FIXTURE_ALL_TESTS(reading_may_be_paused_by_the_first_bytes),
      FIXTURE_ALL_TESTS(the_end_may_come_first),
      FIXTURE_ALL_TESTS(a_reset_forgets_the_bytes),
      cmocka_unit_test(other_descriptors_are_refused),
      FIXTURE_ALL_TESTS(memory_that_is_short_leaves_the_socket),
      cmocka_unit_test(bytes_beyond_the_budget_are_refused),
      cmocka_unit_test(without_descriptors_the_socket_is_left),
      cmocka_unit_test(a_transport_that_fails_leaves_the_socket),
      cmocka_unit_test(a_transport_without_preread_takes_an_untouched_socket),
      cmocka_unit_test(the_first_bytes_may_end_the_turn),
      cmocka_unit_test(a_closing_hub_adopts_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
