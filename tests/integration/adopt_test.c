/* SPDX-License-Identifier: MIT */
/*
 * Connections on sockets that a program has accepted itself: bytes that it has read come first, and after an error the
 * socket or the handle is as it was.
 */
#include "support/alloc_hook.h"
#include "support/fixture.h"
#include "support/socketpair.h"

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

static void say(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
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

/* What the connection's on_data got, besides its length. */
static char received[4096];
static size_t received_length;

static void note_data(fluxbp_conn_t *conn, const char *data, size_t length) {
  peer_t *peer = fluxbp_conn_user(conn);
  assert_int_equal(peer->fx->calls, 0);
  assert_true(received_length + length < sizeof received);
  memcpy(received + received_length, data, length);
  received_length += length;
  received[received_length] = '\0';
  if (peer->hook != NULL) peer->hook(peer, TOLD_DATA);
}

static int half_closes;

static int keep_open(fluxbp_conn_t *conn) {
  (void) conn;
  half_closes++;
  return 1;
}

/* The options of a peer, with the handlers above. */
static fluxbp_conn_options_t options_of(peer_t *peer, const fluxbp_transport_t *transport,
                                        fluxbp_conn_handlers_t *handlers) {
  fluxbp_conn_options_t options = peer_options(peer, transport, &fluxbp_codec_raw);
  *handlers = *options.handlers;
  handlers->on_data = note_data;
  handlers->on_half_close = keep_open;
  options.handlers = handlers;
  received_length = 0;
  half_closes = 0;
  return options;
}

typedef struct adoption {
  fixture_t fx;
  peer_t peer;
  int fds[2];
  fluxbp_conn_handlers_t handlers;
  fluxbp_conn_options_t options;
} adoption_t;

static void open_sockets(adoption_t *a, const fluxbp_transport_t *transport) {
  memset(&a->peer, 0, sizeof a->peer);
  a->peer.fx = &a->fx;
  a->options = options_of(&a->peer, transport, &a->handlers);
  assert_int_equal(socketpair_make(transport, false, a->fds), 0);
  a->peer.fd = a->fds[1];
  a->peer.next = a->fx.peers;
  a->fx.peers = &a->peer;
}

static void begin(adoption_t *a, const fluxbp_transport_t *transport) {
  fixture_init(&a->fx);
  fixture_open(&a->fx);
  open_sockets(a, transport);
}

static int adopt(adoption_t *a, const char *text) {
  a->fx.calls++;
  int err = fluxbp_conn_adopt(a->fx.hub, a->fds[0], text, strlen(text), &a->options, &a->peer.conn);
  a->fx.calls--;
  return err;
}

static bool has_received(fixture_t *fx, void *arg) {
  (void) fx;
  return received_length >= strlen(arg);
}

static void wait_for_data(adoption_t *a, const char *text) {
  fixture_run_until(&a->fx, has_received, (void *) (uintptr_t) text, false);
  assert_string_equal(received, text);
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

/* Handles of libuv. */

typedef struct host {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  adoption_t a;
  int reads, closes;
  int result;
  bool adopts;
  uv_write_t write;
  int writes;
} host_t;

static void on_host_closed(uv_handle_t *handle) {
  ((host_t *) handle->data)->closes++;
}

static int adopt_handle(host_t *host, const char *data, size_t length) {
  host->a.fx.calls++;
  int err = fluxbp_conn_adopt_stream(host->a.fx.hub, &host->uv.stream, on_host_closed, data, length, &host->a.options,
                                     &host->a.peer.conn);
  host->a.fx.calls--;
  return err;
}

static void on_host_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  static char memory[256];
  (void) handle;
  (void) suggested;
  *buffer = uv_buf_init(memory, sizeof memory);
}

static void on_host_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  host_t *host = stream->data;
  if (count <= 0) return;
  host->reads++;
  if (host->adopts) host->result = adopt_handle(host, buffer->base, (size_t) count);
}

static void begin_host(host_t *host, const fluxbp_transport_t *transport) {
  memset(host, 0, sizeof *host);
  begin(&host->a, transport);
  if (transport->stream == FLUXBP_STREAM_TCP) {
    assert_int_equal(uv_tcp_init(&host->a.fx.loop, &host->uv.tcp), 0);
    assert_int_equal(uv_tcp_open(&host->uv.tcp, host->a.fds[0]), 0);
  } else {
    assert_int_equal(uv_pipe_init(&host->a.fx.loop, &host->uv.pipe, 0), 0);
    assert_int_equal(uv_pipe_open(&host->uv.pipe, host->a.fds[0]), 0);
  }
  host->uv.handle.data = host;
  assert_int_equal(uv_read_start(&host->uv.stream, on_host_alloc, on_host_read), 0);
}

/* In the callback that was given the first bytes. */
static void a_handle_is_adopted_with_what_it_has_read(const fluxbp_transport_t *transport) {
  host_t host;
  begin_host(&host, transport);
  host.adopts = true;
  host.result = 1;
  say(host.a.fds[1], "hello ");
  wait_for_data(&host.a, "hello ");
  assert_int_equal(host.result, 0);
  say(host.a.fds[1], "world");
  wait_for_data(&host.a, "hello world");
  assert_int_equal(host.reads, 1);
  assert_int_equal(host.closes, 1);
  assert_int_equal(fixture_send(&host.a.peer, "answer", 6), 1);
  peer_wait_for(&host.a.peer, 6);
  fixture_close(&host.a.fx);
}
FIXTURE_ALL(a_handle_is_adopted_with_what_it_has_read)

static void on_host_written(uv_write_t *request, int status) {
  host_t *host = request->handle->data;
  assert_int_equal(status, 0);
  host->writes++;
}

static bool has_written(fixture_t *fx, void *arg) {
  (void) fx;
  return ((host_t *) arg)->writes > 0;
}

static void a_handle_with_writes_is_busy(const fluxbp_transport_t *transport) {
  static char bytes[4 << 20];
  host_t host;
  begin_host(&host, transport);
  uv_buf_t buffer = uv_buf_init(bytes, sizeof bytes);
  assert_int_equal(uv_write(&host.write, &host.uv.stream, &buffer, 1, on_host_written), 0);
  assert_true(uv_stream_get_write_queue_size(&host.uv.stream) > 0);
  assert_int_equal(adopt_handle(&host, NULL, 0), UV_EBUSY);
  assert_null(host.a.peer.conn);
  fixture_run_until(&host.a.fx, has_written, &host, true); /* and its reading goes on */
  say(host.a.fds[1], "x");
  while (host.reads == 0) (void) fixture_run(&host.a.fx, UV_RUN_ONCE);
  assert_int_equal(adopt_handle(&host, NULL, 0), 0);
  say(host.a.fds[1], "hello");
  wait_for_data(&host.a, "hello");
  assert_int_equal(host.reads, 1);
  fixture_close(&host.a.fx);
}
FIXTURE_ALL(a_handle_with_writes_is_busy)

static void on_host_shut(uv_shutdown_t *request, int status) {
  *(int *) request->data = status == 0;
}

static void other_handles_are_refused(void **state) {
  host_t host;
  uv_loop_t other_loop;
  uv_tcp_t tcp;
  uv_pipe_t ipc;
  fluxbp_conn_t *conn = NULL;
  (void) state;
  begin_host(&host, FLUXBP_TCP);
  fluxbp_hub_t *hub = host.a.fx.hub;
  const fluxbp_conn_options_t *options = &host.a.options;
  assert_int_equal(fluxbp_conn_adopt_stream(hub, NULL, NULL, NULL, 0, options, &conn), UV_EINVAL);

  assert_int_equal(uv_tcp_init(&host.a.fx.loop, &tcp), 0);
  assert_int_equal(fluxbp_conn_adopt_stream(hub, (uv_stream_t *) &tcp, NULL, NULL, 0, options, &conn), UV_EBADF);
  uv_close((uv_handle_t *) &tcp, NULL);
  assert_int_equal(fluxbp_conn_adopt_stream(hub, (uv_stream_t *) &tcp, NULL, NULL, 0, options, &conn), UV_EINVAL);
  assert_int_equal(uv_pipe_init(&host.a.fx.loop, &ipc, 1), 0);
  assert_int_equal(fluxbp_conn_adopt_stream(hub, (uv_stream_t *) &ipc, NULL, NULL, 0, options, &conn), UV_EINVAL);
  uv_close((uv_handle_t *) &ipc, NULL);
  fixture_turns(&host.a.fx, 2);

  assert_int_equal(uv_loop_init(&other_loop), 0);
  assert_int_equal(uv_tcp_init(&other_loop, &tcp), 0);
  assert_int_equal(uv_tcp_open(&tcp, dup(host.a.fds[0])), 0);
  assert_int_equal(fluxbp_conn_adopt_stream(hub, (uv_stream_t *) &tcp, NULL, NULL, 0, options, &conn), UV_EINVAL);
  uv_close((uv_handle_t *) &tcp, NULL);
  assert_int_equal(uv_run(&other_loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&other_loop), 0);

  host.a.options.transport = FLUXBP_PIPE;
  assert_int_equal(adopt_handle(&host, NULL, 0), UV_EPROTOTYPE);
  host.a.options.transport = FLUXBP_TCP;
  uv_shutdown_t request;
  int is_shut = 0;
  request.data = &is_shut;
  assert_int_equal(uv_shutdown(&request, &host.uv.stream, on_host_shut), 0);
  while (!is_shut) (void) fixture_run(&host.a.fx, UV_RUN_ONCE);
  assert_int_equal(adopt_handle(&host, NULL, 0), UV_ENOTCONN);

  say(host.a.fds[1], "still read by its owner");
  while (host.reads == 0) (void) fixture_run(&host.a.fx, UV_RUN_ONCE);
  assert_int_equal(host.closes, 0);
  uv_close(&host.uv.handle, on_host_closed);
  fixture_turns(&host.a.fx, 2);
  fixture_close(&host.a.fx);
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
      FIXTURE_ALL_TESTS(a_handle_is_adopted_with_what_it_has_read),
      FIXTURE_ALL_TESTS(a_handle_with_writes_is_busy),
      cmocka_unit_test(other_handles_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
