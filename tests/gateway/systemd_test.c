/* SPDX-License-Identifier: MIT */
/*
 * systemd: what the service manager hears, and which of its sockets is which. The manager is a socket of ours, and
 * variables in the environment. Skipped where the gateway is built without libsystemd.
 */
#include "gateway/systemd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIPPED 77
#define BEATS 3
#define NONE (-1)

struct manager {
  int fd;
  int beats; /* WATCHDOG=1 that came */
  uv_loop_t loop;
  uv_poll_t poll;
};

static void set_number(const char *name, long number) {
  char text[32];
  snprintf(text, sizeof text, "%ld", number);
  setenv(name, text, 1);
}

/* A socket of a name that the kernel chooses, in its own name space: no file is left. */
static int set_up(void **state) {
  static struct manager manager;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t length = sizeof address.sun_family;
  char name[sizeof address.sun_path + 1];
  memset(&manager, 0, sizeof manager);
  manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (bind(manager.fd, (const struct sockaddr *) &address, length) != 0) return -1;
  length = sizeof address;
  if (getsockname(manager.fd, (struct sockaddr *) &address, &length) != 0) return -1;
  size_t name_length = length - offsetof(struct sockaddr_un, sun_path);
  memcpy(name, address.sun_path, name_length);
  name[0] = '@';
  name[name_length] = '\0';
  setenv("NOTIFY_SOCKET", name, 1);
  *state = &manager;
  return 0;
}

static int tear_down(void **state) {
  static const char *const variables[] = {"NOTIFY_SOCKET",  "LISTEN_PID",   "LISTEN_FDS",
                                          "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"};
  const struct manager *manager = *state;
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) unsetenv(variables[i]);
  return close(manager->fd);
}

static void assert_heard(const struct manager *manager, const char *text) {
  char heard[256];
  ssize_t length = recv(manager->fd, heard, sizeof heard - 1, MSG_DONTWAIT);
  assert_true(length >= 0);
  heard[length] = '\0';
  assert_string_equal(heard, text);
}

static void assert_nothing_heard(const struct manager *manager) {
  char byte;
  assert_int_equal(recv(manager->fd, &byte, sizeof byte, MSG_DONTWAIT), -1);
}

static void the_manager_hears_that_we_serve_and_that_we_end(void **state) {
  const struct manager *manager = *state;
  systemd_ready("serving tcp=127.0.0.1:9000");
  assert_heard(manager, "READY=1\nSTATUS=serving tcp=127.0.0.1:9000");
  systemd_stopping();
  assert_heard(manager, "STOPPING=1\nSTATUS=draining");
  assert_nothing_heard(manager);
}

static void without_a_manager_nothing_happens(void **state) {
  struct manager *manager = *state;
  unsetenv("NOTIFY_SOCKET");
  systemd_ready("serving");
  systemd_stopping();
  assert_int_equal(uv_loop_init(&manager->loop), 0);
  assert_int_equal(systemd_watchdog(&manager->loop), 0);
  systemd_watchdog_close();
  assert_int_equal(uv_loop_close(&manager->loop), 0);
  assert_int_equal(systemd_listen_fd("tcp"), NONE);
  assert_nothing_heard(manager);
}

static void on_heard(uv_poll_t *poll, int status, int events) {
  struct manager *manager = poll->data;
  (void) events;
  assert_int_equal(status, 0);
  assert_heard(manager, "WATCHDOG=1");
  if (++manager->beats < BEATS) return;
  uv_close((uv_handle_t *) poll, NULL); /* the loop ends: the watchdog alone doesn't keep it */
}

static void the_watchdog_beats_while_the_loop_runs(void **state) {
  struct manager *manager = *state;
  set_number("WATCHDOG_PID", getpid());
  setenv("WATCHDOG_USEC", "20000", 1);
  assert_int_equal(uv_loop_init(&manager->loop), 0);
  assert_int_equal(uv_poll_init(&manager->loop, &manager->poll, manager->fd), 0);
  manager->poll.data = manager;
  assert_int_equal(uv_poll_start(&manager->poll, UV_READABLE, on_heard), 0);
  assert_int_equal(systemd_watchdog(&manager->loop), 0);
  uv_run(&manager->loop, UV_RUN_DEFAULT);
  assert_int_equal(manager->beats, BEATS);
  systemd_watchdog_close();
  uv_run(&manager->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&manager->loop), 0);
}

static void a_watchdog_of_another_process_is_left_alone(void **state) {
  struct manager *manager = *state;
  set_number("WATCHDOG_PID", getppid());
  setenv("WATCHDOG_USEC", "20000", 1);
  assert_int_equal(uv_loop_init(&manager->loop), 0);
  assert_int_equal(systemd_watchdog(&manager->loop), 0);
  assert_int_equal(uv_loop_close(&manager->loop), 0); /* no handle was left */
}

/* Pretends to be started with so many sockets from 3 on, and gives what the name stands for. */
static int given(int count, const char *names, const char *name) {
  set_number("LISTEN_PID", getpid());
  set_number("LISTEN_FDS", count);
  if (names != NULL) setenv("LISTEN_FDNAMES", names, 1);
  for (int fd = 3; fd < 3 + count; fd++)
    if (fcntl(fd, F_GETFD) == -1) assert_int_equal(dup2(STDIN_FILENO, fd), fd);
  return systemd_listen_fd(name);
}

static void sockets_are_found_by_their_names(void **state) {
  (void) state;
  assert_int_equal(given(2, "http:tcp", "http"), 3);
  assert_int_equal(given(2, "http:tcp", "tcp"), 4);
  assert_int_equal(given(2, "http:tcp", "tcp-length"), NONE);
}

static void sockets_without_a_name_of_ours_are_taken_in_order(void **state) {
  (void) state;
  assert_int_equal(given(2, NULL, "tcp"), 3);
  assert_int_equal(given(2, NULL, "tcp-length"), 4);
  assert_int_equal(given(2, NULL, "http"), NONE);
  assert_int_equal(given(3, "gateway.socket:gateway.socket:gateway.socket", "http"), 5);
}

static void sockets_for_another_process_are_left_alone(void **state) {
  (void) state;
  set_number("LISTEN_PID", getppid());
  setenv("LISTEN_FDS", "1", 1);
  assert_int_equal(systemd_listen_fd("tcp"), NONE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_manager_hears_that_we_serve_and_that_we_end, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_a_manager_nothing_happens, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_watchdog_beats_while_the_loop_runs, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_watchdog_of_another_process_is_left_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(sockets_are_found_by_their_names, set_up, tear_down),
      cmocka_unit_test_setup_teardown(sockets_without_a_name_of_ours_are_taken_in_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown(sockets_for_another_process_are_left_alone, set_up, tear_down),
  };
  if (!GATEWAY_HAS_SYSTEMD) return SKIPPED;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
