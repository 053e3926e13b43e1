/* SPDX-License-Identifier: MIT */
/*
 * Connections on handles of libuv that a program has read from itself: bytes that it has read come first, and after an
 * error the handle is as it was.
 */
#include "support/adopt_fixture.h"

#include <unistd.h>

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
      FIXTURE_ALL_TESTS(a_handle_is_adopted_with_what_it_has_read),
      FIXTURE_ALL_TESTS(a_handle_with_writes_is_busy),
      cmocka_unit_test(other_handles_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
