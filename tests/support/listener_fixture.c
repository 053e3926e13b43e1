/* SPDX-License-Identifier: MIT */
/*
 * listener_fixture: see listener_fixture.h.
 */
#include "support/listener_fixture.h"

#include "support/wait.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  ITERATIONS_MAX = 20000, /* of the loop, until we give up; each waits for a millisecond at most */
  QUIET_TURNS = 20,       /* in which something would have happened */
  CLIENT_TIMEOUT_MS = 10000
};

static fixture_t *fixture_of(fluxbp_listener_t *listener) {
  return fluxbp_listener_user(listener);
}

static uint64_t virtual_clock(void *arg) {
  return ((fixture_t *) arg)->now_ms;
}

static int count_descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  assert_non_null(directory);
  while (readdir(directory) != NULL) count++;
  (void) closedir(directory);
  return count;
}

static void on_accept(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_permit_t permit) {
  fixture_t *f = fixture_of(listener);
  assert_int_equal(f->calls, 0);
  assert_in_range(f->count, 0, FIXTURE_PEERS_MAX - 1);
  memset(&f->peer, 0, sizeof f->peer);
  memcpy(&f->peer, peer,
         peer->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
         : peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                       : sizeof peer->sa_family);
  f->accepted[f->count++] = (accepted_t){listener, fd, permit};
  f->total++;
  if (f->on_accept != NULL) f->on_accept(f);
}

static int on_refused(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_refusal_t reason, fluxbp_permit_t permit) {
  fixture_t *f = fixture_of(listener);
  assert_int_equal(f->calls, 0);
  assert_in_range(peer->sa_family, AF_UNIX, AF_INET6);
  f->refused++;
  f->reason = reason;
  bool is_taken = f->takes_refused;
  if (is_taken) f->taken[f->taken_count++] = (accepted_t){listener, fd, permit};
  if (f->on_refused != NULL) f->on_refused(f);
  return is_taken;
}

static void on_error(fluxbp_listener_t *listener, int err) {
  fixture_t *f = fixture_of(listener);
  assert_int_equal(f->calls, 0);
  f->errors++;
  f->error = err;
}

/* The first loop of a process opens descriptors that libuv keeps. */
static void open_first_loop(void) {
  uv_loop_t loop;
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(uv_loop_close(&loop), 0);
}

void fixture_init(fixture_t *f) {
  open_first_loop();
  memset(f, 0, sizeof *f);
  shim_reset();
  f->descriptors = count_descriptors();
  f->now_ms = 1000000;
  fluxbp_listener_options_init(&f->options);
  f->options.on_accept = on_accept;
  f->options.on_refused = on_refused;
  f->options.on_error = on_error;
  f->options.clock_ms = virtual_clock;
  f->options.clock_arg = f;
  f->options.user = f;
}

void fixture_open_loop(fixture_t *f) {
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  f->options.pool = f->pool;
  assert_int_equal(uv_loop_init(&f->loop), 0);
  assert_int_equal(uv_timer_init(&f->loop, &f->tick), 0);
}

static struct sockaddr_in loopback(const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
  return address;
}

void fixture_open(fixture_t *f) {
  struct sockaddr_in address = loopback("127.0.0.1");
  fixture_open_loop(f);
  assert_int_equal(fluxbp_listener_open_tcp(&f->loop, (const struct sockaddr *) &address, &f->options, &f->listener),
                   0);
}

void fixture_open_unix(fixture_t *f, const char *path) {
  fixture_open_loop(f);
  assert_int_equal(fluxbp_listener_open_unix(&f->loop, path, &f->options, &f->listener), 0);
}

static int add_client(fixture_t *f, int fd) {
  assert_in_range(f->client_count, 0, FIXTURE_PEERS_MAX - 1);
  f->clients[f->client_count++] = fd;
  assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  return fd;
}

int fixture_connect_from(fixture_t *f, const char *from) {
  struct sockaddr_storage address;
  int length = sizeof address;
  assert_int_equal(fluxbp_listener_address(f->listener, (struct sockaddr *) &address, &length), 0);
  int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  if (from != NULL) {
    struct sockaddr_in own = loopback(from);
    assert_int_equal(bind(fd, (const struct sockaddr *) &own, sizeof own), 0);
  }
  assert_int_equal(connect(fd, (const struct sockaddr *) &address, (socklen_t) length), 0);
  return add_client(f, fd);
}

int fixture_connect(fixture_t *f) {
  return fixture_connect_from(f, NULL);
}

int fixture_connect_unix(fixture_t *f, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  assert_in_range(strlen(path), 1, sizeof address.sun_path - 1);
  memcpy(address.sun_path, path, strlen(path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (const struct sockaddr *) &address, sizeof address), 0);
  return add_client(f, fd);
}

void fixture_turns(fixture_t *f, int turns) {
  for (int i = 0; i < turns; i++) (void) uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void on_tick(uv_timer_t *timer) {
  (void) timer;
}

void fixture_run_until_at(fixture_t *f, fixture_condition is_done, size_t number, const char *what, const char *file,
                          int line) {
  assert_int_equal(uv_timer_start(&f->tick, on_tick, 1, 1), 0);
  bool done = is_done(f, number);
  for (int i = 0; i < ITERATIONS_MAX && !done; i++) {
    (void) uv_run(&f->loop, UV_RUN_ONCE);
    done = is_done(f, number);
  }
  (void) uv_timer_stop(&f->tick);
  if (!done) wait_fail(what, file, line);
}

static bool has_accepted(fixture_t *f, size_t total) {
  return f->total >= total;
}

void fixture_accepts(fixture_t *f, size_t total) {
  fixture_run_until(f, has_accepted, total);
  fixture_turns(f, QUIET_TURNS);
  assert_int_equal(f->total, total);
}

static bool has_refused(fixture_t *f, size_t refused) {
  fluxbp_listener_stats_t stats = fixture_stats(f);
  return stats.refused_connections + stats.refused_address >= refused;
}

void fixture_refuses(fixture_t *f, size_t refused) {
  fixture_run_until(f, has_refused, refused);
  fixture_turns(f, QUIET_TURNS);
  assert_int_equal(fixture_stats(f).refused_connections + fixture_stats(f).refused_address, refused);
}

static bool has_rested(fixture_t *f, size_t number) {
  (void) number;
  return !uv_is_active((const uv_handle_t *) &f->listener->rest);
}

/* Not by uv_run alone: the timer of the rest may be over already when uv_run looks at its timers, and with none left
 * the loop would sleep for ever. The tick of fixture_run_until is always left. */
void fixture_rest(fixture_t *f) {
  fixture_run_until(f, has_rested, 0);
}

void fixture_stays_paused(fixture_t *f, uint32_t reasons) {
  assert_int_equal(fixture_stats(f).paused, reasons);
  assert_false(uv_is_active((const uv_handle_t *) &f->listener->poll)); /* or the loop would never sleep */
  uint64_t calls = shim_calls(SHIM_ACCEPT4);
  fixture_turns(f, QUIET_TURNS);
  assert_int_equal(shim_calls(SHIM_ACCEPT4), calls);
  assert_int_equal(fixture_stats(f).paused, reasons);
}

void fixture_advance(fixture_t *f, uint64_t ms) {
  f->now_ms += ms;
  if (uv_is_active((const uv_handle_t *) &f->listener->timer)) fluxbp__listener_on_timer(&f->listener->timer);
}

static void drop(fixture_t *f, const accepted_t *peer) {
  assert_int_equal(close(peer->fd), 0);
  f->calls++;
  assert_int_equal(fluxbp_listener_release(peer->listener, peer->permit), 0);
  f->calls--;
}

void fixture_drop(fixture_t *f) {
  assert_true(f->count > 0);
  drop(f, &f->accepted[--f->count]);
}

void fixture_drop_taken(fixture_t *f) {
  assert_true(f->taken_count > 0);
  drop(f, &f->taken[--f->taken_count]);
}

fluxbp_listener_stats_t fixture_stats(const fixture_t *f) {
  fluxbp_listener_stats_t stats;
  fluxbp_listener_get_stats(f->listener, &stats);
  return stats;
}

int client_reads(int fd) {
  char data[64];
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&wait, 1, CLIENT_TIMEOUT_MS), 1);
  ssize_t count = read(fd, data, sizeof data);
  return count < 0 ? -errno : (int) count;
}

static void on_closed(fluxbp_listener_t *listener) {
  fixture_t *f = fixture_of(listener);
  assert_int_equal(f->calls, 0);
  assert_ptr_equal(f->listener, listener);
  f->listener = NULL;
}

static bool is_closed(fixture_t *f, size_t number) {
  (void) number;
  return f->listener == NULL;
}

void fixture_close_listener(fixture_t *f) {
  f->calls++;
  fluxbp_listener_close(f->listener, on_closed);
  f->calls--;
  fixture_run_until(f, is_closed, 0);
}

void fixture_close_loop(fixture_t *f) {
  uv_close((uv_handle_t *) &f->tick, NULL);
  wait_for_end(&f->loop);
  assert_int_equal(uv_loop_close(&f->loop), 0);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
  for (size_t i = 0; i < f->client_count; i++) assert_int_equal(close(f->clients[i]), 0);
  assert_int_equal(count_descriptors(), f->descriptors);
}

void fixture_close(fixture_t *f) {
  while (f->count > 0) fixture_drop(f);
  while (f->taken_count > 0) fixture_drop_taken(f);
  if (f->listener != NULL) {
    assert_int_equal(fixture_stats(f).connections, 0);
    assert_int_equal(fixture_stats(f).refusals, 0);
    fixture_close_listener(f);
  }
  fixture_close_loop(f);
}
