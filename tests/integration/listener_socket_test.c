/* SPDX-License-Identifier: MIT */
/*
 * listener: the kinds of socket that it listens on, the files of UNIX sockets, and adopted descriptors.
 */
#include "support/listener_fixture.h"

#include "support/socket_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static fixture_t f;
static char folder[] = "/tmp/fluxbp-listener-XXXXXX";
static char path[sizeof folder + sizeof "/socket"];

static int make_folder(void **state) {
  (void) state;
  if (mkdtemp(folder) == NULL) return -1;
  (void) snprintf(path, sizeof path, "%s/socket", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void) state;
  (void) unlink(path);
  return rmdir(folder);
}

static bool exists(void) {
  struct stat file;
  return lstat(path, &file) == 0;
}

static mode_t mode_of(void) {
  struct stat file;
  assert_int_equal(lstat(path, &file), 0);
  return file.st_mode & 0777;
}

/* A socket bound to `path`, which listens if `backlog` isn't 0. */
static int bind_path(int type, int backlog) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, path, strlen(path));
  int fd = socket(AF_UNIX, type, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof address), 0);
  if (backlog > 0) assert_int_equal(listen(fd, backlog), 0);
  return fd;
}

static int open_unix(void) {
  fluxbp_listener_t *listener;
  return fluxbp_listener_open_unix(&f.loop, path, &f.options, &listener);
}

/* IPv6 address, port 0. */
static int open_ipv6(const char *text) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6};
  assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  return fluxbp_listener_open_tcp(&f.loop, (const struct sockaddr *) &address, &f.options, &f.listener);
}

/* Connect by IPv4 to the port of a listener on IPv6. */
static int connect_ipv4(void) {
  struct sockaddr_in6 bound;
  int length = sizeof bound;
  assert_int_equal(fluxbp_listener_address(f.listener, (struct sockaddr *) &bound, &length), 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = bound.sin6_port};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  f.clients[f.client_count++] = fd;
  return connect(fd, (const struct sockaddr *) &address, sizeof address) == 0 ? 0 : -errno;
}

static void an_ipv6_socket_takes_both_kinds_of_peer(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_per_address = 1;
  fixture_open_loop(&f);
  assert_int_equal(open_ipv6("::"), 0);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  assert_int_equal(f.peer.ss_family, AF_INET6);
  assert_int_equal(connect_ipv4(), 0);
  fixture_accepts(&f, 2); /* another address than ::1, to its limit, too */
  assert_true(IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *) &f.peer)->sin6_addr));
  assert_int_equal(connect_ipv4(), 0);
  fixture_refuses(&f, 1);
  fixture_close(&f);
}

static void an_ipv6_socket_may_take_only_its_own_kind(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.ipv6_only = 1;
  fixture_open_loop(&f);
  assert_int_equal(open_ipv6("::"), 0);
  assert_int_equal(connect_ipv4(), -ECONNREFUSED);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  fixture_close(&f);
}

static void a_port_is_not_shared_unless_it_was_asked_for(void **state) {
  struct sockaddr_in address;
  int length = sizeof address;
  fluxbp_listener_t *other;
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  assert_int_equal(fluxbp_listener_address(f.listener, (struct sockaddr *) &address, &length), 0);
  f.options.reuse_port = 1; /* it alone doesn't suffice */
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, (const struct sockaddr *) &address, &f.options, &other),
                   UV_EADDRINUSE);
  fixture_close(&f);
}

static void listeners_that_share_a_port_both_accept(void **state) {
  enum { CLIENTS = 100 }; /* that all go to the same one of two: 1 in 2^99 */
  struct sockaddr_in address;
  int length = sizeof address;
  fluxbp_listener_stats_t stats;
  fluxbp_listener_t *other;
  (void) state;
  fixture_init(&f);
  f.options.reuse_port = 1;
  fixture_open(&f);
  assert_int_equal(fluxbp_listener_address(f.listener, (struct sockaddr *) &address, &length), 0);
  assert_int_equal(fluxbp_listener_open_tcp(&f.loop, (const struct sockaddr *) &address, &f.options, &other), 0);
  for (int i = 0; i < CLIENTS; i++) (void) fixture_connect(&f);
  fixture_accepts(&f, CLIENTS);
  fluxbp_listener_get_stats(other, &stats);
  assert_in_range(stats.accepted, 1, CLIENTS - 1);
  assert_int_equal(fixture_stats(&f).accepted + stats.accepted, CLIENTS);

  while (f.count > 0) fixture_drop(&f);
  fluxbp_listener_close(other, NULL);
  fixture_close(&f);
}

static void a_unix_socket_is_made_and_removed(void **state) {
  (void) state;
  fixture_init(&f);
  f.options.max_per_address = 1; /* which is not for UNIX sockets */
  fixture_open_unix(&f, path);
  for (int i = 0; i < 5; i++) (void) fixture_connect_unix(&f, path);
  fixture_accepts(&f, 5);
  assert_int_equal(f.peer.ss_family, AF_UNIX);
  assert_true(exists());
  fixture_close(&f);
  assert_false(exists());
}

static void a_unix_socket_gets_its_permissions(void **state) {
  (void) state;
  mode_t mask = umask(022);
  for (int round = 0; round < 2; round++) {
    fixture_init(&f);
    if (round == 1) f.options.unix_mode = 0660;
    fixture_open_unix(&f, path);
    assert_int_equal(mode_of(), round == 1 ? 0660 : 0755);
    fixture_close(&f);
  }
  (void) umask(mask);
}

static void a_socket_file_that_nobody_listens_on_is_replaced(void **state) {
  (void) state;
  assert_int_equal(close(bind_path(SOCK_STREAM, 1)), 0);
  assert_true(exists());
  fixture_init(&f);
  fixture_open_unix(&f, path);
  (void) fixture_connect_unix(&f, path);
  fixture_accepts(&f, 1);
  fixture_close(&f);
  assert_false(exists());
}

static void a_path_that_somebody_listens_on_is_left_alone(void **state) {
  static const int TYPES[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
  (void) state;
  for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
    fixture_init(&f);
    fixture_open_loop(&f);
    int fd = bind_path(TYPES[i], TYPES[i] == SOCK_DGRAM ? 0 : 5);
    assert_int_equal(open_unix(), UV_EADDRINUSE);
    assert_true(exists());
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    fixture_close_loop(&f);
  }
}

static void a_path_whose_server_is_too_busy_to_answer_is_left_alone(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  int fd = bind_path(SOCK_STREAM, 1);
  (void) fixture_connect_unix(&f, path); /* a queue of 1 holds two */
  (void) fixture_connect_unix(&f, path);
  assert_int_equal(open_unix(), UV_EADDRINUSE);
  assert_true(exists());
  assert_int_equal(close(fd), 0);
  assert_int_equal(unlink(path), 0);
  fixture_close_loop(&f);
}

static void a_file_that_is_no_socket_is_never_removed(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  assert_int_equal(write(fd, "mine", 4), 4);
  assert_int_equal(close(fd), 0);
  assert_int_equal(open_unix(), UV_EEXIST);
  struct stat file;
  assert_int_equal(lstat(path, &file), 0);
  assert_int_equal(file.st_size, 4);
  assert_int_equal(unlink(path), 0);

  assert_int_equal(symlink("/nowhere", path), 0);
  assert_int_equal(open_unix(), UV_EEXIST);
  assert_true(exists());
  assert_int_equal(unlink(path), 0);
  fixture_close_loop(&f);
}

static void the_file_of_a_successor_is_not_removed(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open_unix(&f, path);
  assert_int_equal(unlink(path), 0);
  int successor = bind_path(SOCK_STREAM, 1);
  fixture_close_listener(&f);
  assert_true(exists());
  assert_int_equal(close(successor), 0);
  assert_int_equal(unlink(path), 0);
  fixture_close_loop(&f);
}

static void a_path_that_is_too_long_or_empty_is_refused(void **state) {
  struct sockaddr_un address;
  char longest[sizeof address.sun_path];
  char too_long[sizeof address.sun_path + 1];
  fluxbp_listener_t *listener;
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  memset(too_long, 'x', sizeof too_long - 1);
  too_long[sizeof too_long - 1] = '\0';
  assert_int_equal(fluxbp_listener_open_unix(&f.loop, too_long, &f.options, &listener), UV_ENAMETOOLONG);
  assert_int_equal(fluxbp_listener_open_unix(&f.loop, "", &f.options, &listener), UV_EINVAL);
  assert_int_equal(fluxbp_listener_open_unix(&f.loop, NULL, &f.options, &listener), UV_EINVAL);

  int length = snprintf(longest, sizeof longest, "%s/", folder);
  memset(longest + length, 'x', sizeof longest - (size_t) length - 1);
  longest[sizeof longest - 1] = '\0';
  assert_int_equal(fluxbp_listener_open_unix(&f.loop, longest, &f.options, &f.listener), 0);
  assert_int_equal(access(longest, F_OK), 0);
  fixture_close(&f);
  assert_int_equal(access(longest, F_OK), -1);
}

static void a_folder_that_is_not_there_is_told(void **state) {
  fluxbp_listener_t *listener;
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  assert_int_equal(fluxbp_listener_open_unix(&f.loop, "/tmp/no/such/folder", &f.options, &listener), UV_ENOENT);
  fixture_close_loop(&f);
}

static void without_memory_nothing_is_left_of_a_socket(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(open_unix(), UV_ENOMEM);
  assert_false(exists());
  fixture_close_loop(&f);
}

static void an_inherited_socket_is_adopted_and_its_path_kept(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  int fd = bind_path(SOCK_STREAM, 5);
  assert_int_equal(fluxbp_listener_adopt(&f.loop, fd, &f.options, &f.listener), 0);
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  (void) fixture_connect_unix(&f, path);
  fixture_accepts(&f, 1);
  fixture_close(&f);
  assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was the listener's */
  assert_true(exists());
  assert_int_equal(unlink(path), 0);
}

/* So that a connection doesn't need to set them, one by one. */
static void what_is_accepted_has_the_options_of_connections(void **state) {
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  assert_true(socket_has_options(f.accepted[0].fd));
  fixture_close(&f);
}

static void what_is_accepted_by_an_adopted_socket_has_them_too(void **state) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (const struct sockaddr *) &any, sizeof any), 0);
  assert_int_equal(listen(fd, 5), 0);
  assert_int_equal(fluxbp_listener_adopt(&f.loop, fd, &f.options, &f.listener), 0);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  assert_true(socket_has_options(f.accepted[0].fd));
  fixture_close(&f);
}

/* It isn't adopted, and stays as it was. */
static void is_not_adopted(int fd, int expected) {
  fluxbp_listener_t *listener;
  int flags = fcntl(fd, F_GETFL);
  assert_int_equal(fluxbp_listener_adopt(&f.loop, fd, &f.options, &listener), expected);
  if (fd < 0) return;
  assert_int_equal(fcntl(fd, F_GETFL), flags);
  assert_int_equal(fcntl(fd, F_GETFD), 0);
  assert_int_equal(close(fd), 0);
}

static void what_is_no_listening_stream_socket_is_not_adopted(void **state) {
  int ends[2];
  (void) state;
  fixture_init(&f);
  fixture_open_loop(&f);
  is_not_adopted(-1, UV_EBADF);
  assert_int_equal(pipe(ends), 0);
  is_not_adopted(ends[0], UV_ENOTSOCK);
  is_not_adopted(ends[1], UV_ENOTSOCK);
  is_not_adopted(socket(AF_INET, SOCK_STREAM, 0), UV_EINVAL); /* doesn't listen */
  is_not_adopted(socket(AF_INET, SOCK_DGRAM, 0), UV_EINVAL);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); /* connected */
  is_not_adopted(ends[0], UV_EINVAL);
  is_not_adopted(ends[1], UV_EINVAL);
  is_not_adopted(bind_path(SOCK_SEQPACKET, 5), UV_EINVAL);
  assert_int_equal(unlink(path), 0);
  fixture_close_loop(&f);
}

static void a_socket_is_not_adopted_twice(void **state) {
  fluxbp_listener_t *listener;
  (void) state;
  fixture_init(&f);
  fixture_open(&f);
  assert_int_equal(fluxbp_listener_adopt(&f.loop, f.listener->socket.fd, &f.options, &listener), UV_EEXIST);
  (void) fixture_connect(&f);
  fixture_accepts(&f, 1);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_ipv6_socket_takes_both_kinds_of_peer),
      cmocka_unit_test(an_ipv6_socket_may_take_only_its_own_kind),
      cmocka_unit_test(a_port_is_not_shared_unless_it_was_asked_for),
      cmocka_unit_test(listeners_that_share_a_port_both_accept),
      cmocka_unit_test(a_unix_socket_is_made_and_removed),
      cmocka_unit_test(a_unix_socket_gets_its_permissions),
      cmocka_unit_test(a_socket_file_that_nobody_listens_on_is_replaced),
      cmocka_unit_test(a_path_that_somebody_listens_on_is_left_alone),
      cmocka_unit_test(a_path_whose_server_is_too_busy_to_answer_is_left_alone),
      cmocka_unit_test(a_file_that_is_no_socket_is_never_removed),
      cmocka_unit_test(the_file_of_a_successor_is_not_removed),
      cmocka_unit_test(a_path_that_is_too_long_or_empty_is_refused),
      cmocka_unit_test(a_folder_that_is_not_there_is_told),
      cmocka_unit_test(without_memory_nothing_is_left_of_a_socket),
      cmocka_unit_test(an_inherited_socket_is_adopted_and_its_path_kept),
      cmocka_unit_test(what_is_accepted_has_the_options_of_connections),
      cmocka_unit_test(what_is_accepted_by_an_adopted_socket_has_them_too),
      cmocka_unit_test(what_is_no_listening_stream_socket_is_not_adopted),
      cmocka_unit_test(a_socket_is_not_adopted_twice),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
