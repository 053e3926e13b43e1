/* SPDX-License-Identifier: MIT */
/*
 * Sockets that a program brings to its server: one that listens, and clients that the program has accepted itself.
 */
#include "support/server_fixture.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct server_fixture f;

static int setup(void **state) {
  (void) state;
  server_fixture_init(&f);
  return 0;
}

static int teardown(void **state) {
  (void) state;
  server_fixture_end(&f);
  return 0;
}

static void a_socket_that_is_not_taken_stays_the_programs(void **state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX}; /* bound to a name that the kernel chooses */
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  (void) state;
  assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof address.sun_family), 0);
  assert_int_equal(listen(fd, 1), 0);
  server_fixture_start(&f);
  assert_int_equal(fluxbp_server_adopt(f.server, fd, FLUXBP_SPEAK_LINES), UV_EINVAL);
  server_fixture_close(&f, 0);
  assert_int_equal(close(fd), 0);
}

/* A listening socket of the program's, at a free port of 127.0.0.1. */
static int listen_here(struct sockaddr_in *address) {
  socklen_t length = sizeof *address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(bind(fd, (const struct sockaddr *) address, sizeof *address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *) address, &length), 0);
  assert_int_equal(listen(fd, 8), 0);
  return fd;
}

/* Connect a peer to the program's socket. @return what the program has accepted */
static int accept_here(struct peer *peer, int listening, const struct sockaddr_in *address) {
  *peer = (struct peer){.fixture = &f, .fd = socket(AF_INET, SOCK_STREAM, 0)};
  assert_int_equal(connect(peer->fd, (const struct sockaddr *) address, sizeof *address), 0);
  int accepted = accept(listening, NULL, NULL);
  assert_true(accepted >= 0);
  return accepted;
}

static void clients_that_the_program_has_accepted_are_served(uint32_t thread_count) {
  struct sockaddr_in address;
  struct peer reader, browser;
  int listening = listen_here(&address);
  f.options.threads = thread_count;
  server_fixture_start(&f);
  int accepted = accept_here(&reader, listening, &address);
  assert_int_equal(fluxbp_server_adopt_client(f.server, accepted, FLUXBP_SPEAK_LINES, NULL, 0), 0);
  accepted = accept_here(&browser, listening, &address);
  peer_send(&browser, "POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\n"
                      "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
  while (fluxbp_server_session_count(f.server) == 0) (void) uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_int_equal(fluxbp_server_adopt_client(f.server, accepted, FLUXBP_SPEAK_HTTP, NULL, 0), 0);
  peer_send(&browser, "hello"); /* it may: it comes by a loopback address, which the options trust */
  peer_expect(&browser, "HTTP/1.1 20");
  peer_expect(&reader, "hello\n");
  server_fixture_close(&f, 100);
  peer_expect_end(&reader);
  peer_close(&reader);
  peer_close(&browser);
  assert_int_equal(close(listening), 0);
}

static void the_loop_serves_clients_that_the_program_has_accepted(void **state) {
  (void) state;
  clients_that_the_program_has_accepted_are_served(0);
}

static void threads_serve_clients_that_the_program_has_accepted(void **state) {
  (void) state;
  clients_that_the_program_has_accepted_are_served(2);
}

/* The program has read the beginning, to see what the client speaks. */
static void what_the_program_has_read_comes_first(void **state) {
  static const char REST[] = "/livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
  struct sockaddr_in address;
  struct peer whole, half;
  int listening = listen_here(&address);
  (void) state;
  f.options.threads = 1;
  server_fixture_start(&f);
  int accepted = accept_here(&half, listening, &address);
  assert_int_equal(fluxbp_server_adopt_client(f.server, accepted, FLUXBP_SPEAK_HTTP, "GET ", 4), 0);
  peer_send(&half, REST);
  peer_expect(&half, "HTTP/1.1 200");
  accepted = accept_here(&whole, listening, &address);
  assert_int_equal(fluxbp_server_adopt_client(f.server, accepted, FLUXBP_SPEAK_LINES, "PING\nPI", 7), 0);
  peer_expect(&whole, "+PONG\n");
  peer_send(&whole, "NG\n");
  peer_expect(&whole, "+PONG\n");
  server_fixture_close(&f, 0);
  peer_close(&half);
  peer_close(&whole);
  assert_int_equal(close(listening), 0);
}

static void an_accepted_socket_that_is_not_taken_stays_the_programs(void **state) {
  struct sockaddr_in address;
  struct peer served, other;
  int pair[2], listening = listen_here(&address);
  (void) state;
  f.options.max_connections = 1;
  server_fixture_start(&f);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  assert_int_equal(fluxbp_server_adopt_client(f.server, pair[0], FLUXBP_SPEAK_LINES, NULL, 0), UV_EINVAL);
  assert_int_equal(fluxbp_server_adopt_client(f.server, listening, FLUXBP_SPEAK_LINES, NULL, 0), UV_ENOTCONN);
  assert_int_equal(fluxbp_server_adopt_client(f.server, -1, FLUXBP_SPEAK_LINES, NULL, 0), UV_EBADF);
  int first = accept_here(&served, listening, &address);
  assert_int_equal(fluxbp_server_adopt_client(f.server, first, (fluxbp_speak_t) 7, NULL, 0), UV_EINVAL);
  assert_int_equal(fluxbp_server_adopt_client(f.server, first, FLUXBP_SPEAK_LINES, NULL, 0), 0);
  int second = accept_here(&other, listening, &address);
  assert_int_equal(fluxbp_server_adopt_client(f.server, second, FLUXBP_SPEAK_LINES, NULL, 0), UV_EMFILE);
  peer_close(&served);
  int err = UV_EMFILE;
  for (int i = 0; i < 1000 && err == UV_EMFILE; i++) { /* until the first client's place is free */
    step_once(&f);
    err = fluxbp_server_adopt_client(f.server, second, FLUXBP_SPEAK_LINES, NULL, 0);
  }
  assert_int_equal(err, 0);
  int third = accept_here(&served, listening, &address);
  fluxbp_server_close(f.server, 0, NULL);
  assert_int_equal(fluxbp_server_adopt_client(f.server, third, FLUXBP_SPEAK_HTTP, NULL, 0), UV_ECANCELED);
  f.server = NULL;
  peer_close(&served);
  peer_close(&other);
  assert_int_equal(close(third) | close(pair[0]) | close(pair[1]) | close(listening), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_socket_that_is_not_taken_stays_the_programs, setup, teardown),
      cmocka_unit_test_setup_teardown(the_loop_serves_clients_that_the_program_has_accepted, setup, teardown),
      cmocka_unit_test_setup_teardown(threads_serve_clients_that_the_program_has_accepted, setup, teardown),
      cmocka_unit_test_setup_teardown(what_the_program_has_read_comes_first, setup, teardown),
      cmocka_unit_test_setup_teardown(an_accepted_socket_that_is_not_taken_stays_the_programs, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
