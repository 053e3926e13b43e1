/* SPDX-License-Identifier: MIT */
/*
 * fixture: see fixture.h. Peers keep no copy of what they should have received; tests compare the bytes.
 */
#include "support/fixture.h"

#include "audit.h"
#include "hub.h"

#include "support/socketpair.h"
#include "support/wait.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  ITERATIONS_MAX = 20000, /* of the loop, until we give up; each waits for a millisecond at most */
  REFUSAL_MESSAGE_BYTES = 4096,
  REFUSAL_MESSAGES_MAX = 4096,
  READ_BYTES = 65536
};

static fixture_t *fixture_of(fluxbp_hub_t *hub) {
  return fluxbp_hub_user(hub);
}

static uint64_t virtual_clock(void *arg) {
  return ((fixture_t *) arg)->now_ms;
}

static void on_writable(fluxbp_hub_t *hub) {
  fixture_t *fx = fixture_of(hub);
  assert_int_equal(fx->calls, 0);
  fx->writables++;
  if (fx->on_writable != NULL) fx->on_writable(fx);
}

static void tell(peer_t *peer, char what) {
  assert_int_equal(peer->fx->calls, 0);
  if (peer->told < sizeof peer->trace - 1) peer->trace[peer->told++] = what;
  if (peer->hook != NULL) peer->hook(peer, what);
}

static void on_eviction(fluxbp_hub_t *hub, const fluxbp_eviction_t *record) {
  fixture_t *fx = fixture_of(hub);
  fx->evictions++;
  for (peer_t *peer = fx->peers; peer != NULL; peer = peer->next)
    if (peer->record.conn_id == record->conn_id) tell(peer, TOLD_HUB_EVICTION);
  if (fx->on_eviction != NULL) fx->on_eviction(fx, record);
}

static void on_data(fluxbp_conn_t *conn, const char *data, size_t len) {
  peer_t *peer = fluxbp_conn_user(conn);
  assert_non_null(data);
  peer->received += len;
  tell(peer, TOLD_DATA);
}

static void on_input_turn(fluxbp_conn_t *conn) {
  tell(fluxbp_conn_user(conn), TOLD_TURN);
}

static void on_backpressure(fluxbp_conn_t *conn, int entered) {
  tell(fluxbp_conn_user(conn), entered ? TOLD_ENTERED : TOLD_LEFT);
}

static void on_gap(fluxbp_conn_t *conn, const fluxbp_gap_t *gap) {
  peer_t *peer = fluxbp_conn_user(conn);
  peer->gap = *gap;
  peer->lost += gap->count;
  tell(peer, TOLD_GAP);
}

static int on_verdict(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  peer_t *peer = fluxbp_conn_user(conn);
  peer->record = *record;
  tell(peer, TOLD_VERDICT);
  return peer->is_spared;
}

static void on_evicted(fluxbp_conn_t *conn, const fluxbp_eviction_t *record) {
  peer_t *peer = fluxbp_conn_user(conn);
  peer->record = *record;
  tell(peer, TOLD_EVICTED);
}

static void on_reply_room(fluxbp_conn_t *conn) {
  tell(fluxbp_conn_user(conn), TOLD_REPLY_ROOM);
}

static void on_close(fluxbp_conn_t *conn, int status) {
  peer_t *peer = fluxbp_conn_user(conn);
  peer->close_status = status;
  tell(peer, TOLD_CLOSED);
  peer->conn = NULL;
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof(fluxbp_conn_handlers_t),
    .on_data = on_data,
    .on_backpressure = on_backpressure,
    .on_gap = on_gap,
    .on_verdict = on_verdict,
    .on_evicted = on_evicted,
    .on_close = on_close,
    .on_reply_room = on_reply_room,
    .on_input_turn = on_input_turn,
};

void fixture_init(fixture_t *fx) {
  memset(fx, 0, sizeof *fx);
  fx->now_ms = 1000000;
  fluxbp_pool_options_init(&fx->pool_options);
  fluxbp_hub_options_init(&fx->options);
  fluxbp_policy_init(&fx->policy);
  fx->options.clock_ms = virtual_clock;
  fx->options.clock_arg = fx;
  fx->options.on_writable = on_writable;
  fx->options.on_eviction = on_eviction;
  fx->options.user = fx;
}

void fixture_open(fixture_t *fx) {
  (void) signal(SIGPIPE, SIG_IGN);
  assert_int_equal(uv_loop_init(&fx->loop), 0);
  assert_int_equal(uv_timer_init(&fx->loop, &fx->tick), 0);
  uv_unref((uv_handle_t *) &fx->tick);
  assert_int_equal(fluxbp_pool_create(&fx->pool_options, &fx->pool), 0);
  fx->options.pool = fx->pool;
  fx->options.policy = &fx->policy;
  assert_int_equal(fluxbp_hub_create(&fx->loop, &fx->options, &fx->hub), 0);
  assert_int_equal(fluxbp_topic_open(fx->hub, "topic", &fx->topic), 0);
}

void fixture_balances(const fixture_t *fx) {
  assert_true(fluxbp__audit_balances(&fx->hub->engine));
}

void fixture_on_hub_closed(fluxbp_hub_t *hub) {
  fixture_t *fx = fixture_of(hub);
  assert_int_equal(fx->calls, 0);
  fx->hub_closes++;
  fx->hub = NULL;
}

static bool is_hub_closed(fixture_t *fx, void *arg) {
  (void) arg;
  return fx->hub == NULL;
}

void fixture_close_hub(fixture_t *fx) {
  if (fx->hub != NULL) fluxbp_hub_close(fx->hub, fixture_on_hub_closed);
  fixture_run_until(fx, is_hub_closed, NULL, false);
}

void fixture_close(fixture_t *fx) {
  if (fx->hub != NULL) fixture_balances(fx);
  fixture_close_hub(fx);
  assert_int_equal(fx->hub_closes, 1);
  for (peer_t *peer = fx->peers, *next; peer != NULL; peer = next) {
    next = peer->next;
    assert_null(peer->conn);
    peer_hang_up(peer);
    free(peer->data);
    if (fx->frees_peers) free(peer);
  }
  uv_close((uv_handle_t *) &fx->tick, NULL);
  wait_for_end(&fx->loop);
  assert_int_equal(uv_loop_close(&fx->loop), 0);
  assert_int_equal(fluxbp_pool_destroy(fx->pool), 0);
}

static void on_tick(uv_timer_t *timer) {
  (void) timer;
}

void fixture_run_until_at(fixture_t *fx, fixture_condition is_done, void *arg, bool clients_read, const char *what,
                          const char *file, int line) {
  assert_int_equal(uv_timer_start(&fx->tick, on_tick, 1, 1), 0);
  bool done = false;
  for (int i = 0; i < ITERATIONS_MAX && !done; i++) {
    if (clients_read)
      for (peer_t *peer = fx->peers; peer != NULL; peer = peer->next) peer_read(peer);
    done = is_done(fx, arg);
    if (!done) (void) uv_run(&fx->loop, UV_RUN_ONCE);
  }
  (void) uv_timer_stop(&fx->tick);
  if (!done) wait_fail(what, file, line);
}

static void on_overdue(uv_timer_t *tick) {
  const wait_place_t *place = tick->data;
  wait_fail("the end of uv_run", place->file, place->line);
}

int fixture_run_at(fixture_t *fx, uv_run_mode mode, const char *file, int line) {
  wait_place_t place = {file, line};
  fx->tick.data = &place;
  assert_int_equal(uv_timer_start(&fx->tick, on_overdue, WAIT_MAX_MS, 0), 0);
  int result = uv_run(&fx->loop, mode);
  (void) uv_timer_stop(&fx->tick);
  return result;
}

void fixture_turns(fixture_t *fx, int turns) {
  for (int i = 0; i < turns; i++) (void) uv_run(&fx->loop, UV_RUN_NOWAIT);
}

void fixture_advance(fixture_t *fx, uint64_t ms) {
  while (ms > 0) {
    uint64_t step_ms = ms < fx->options.sweep_ms ? ms : fx->options.sweep_ms;
    fx->now_ms += step_ms;
    ms -= step_ms;
    fluxbp__sweep_now(&fx->hub->sweep);
    fixture_turns(fx, 3);
  }
}

int fixture_publish(fixture_t *fx, fluxbp_topic_t *topic, const void *data, size_t len) {
  fx->calls++;
  int result = fluxbp_topic_publish_bytes(topic, data, len);
  fx->calls--;
  return result;
}

int fixture_publish_text(fixture_t *fx, fluxbp_topic_t *topic, const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  assert_in_range(len, 1, sizeof text - 1);
  return fixture_publish(fx, topic, text, (size_t) len);
}

int fixture_send(peer_t *peer, const void *data, size_t len) {
  peer->fx->calls++;
  int result = fluxbp_conn_send_bytes(peer->conn, data, len);
  peer->fx->calls--;
  return result;
}

fluxbp_metrics_t fixture_metrics(const fixture_t *fx) {
  fluxbp_metrics_t metrics;
  fluxbp_hub_get_metrics(fx->hub, &metrics);
  return metrics;
}

fluxbp_conn_options_t peer_options(peer_t *peer, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec) {
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.transport = transport;
  options.codec = codec;
  options.handlers = &handlers;
  options.user = peer;
  return options;
}

void peer_adopt(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec,
                const int fds[2]) {
  memset(peer, 0, sizeof *peer);
  peer->fx = fx;
  peer->next = fx->peers;
  fx->peers = peer;
  fluxbp_conn_options_t options = peer_options(peer, transport, codec);
  assert_int_equal(fluxbp_conn_create(fx->hub, &options, &peer->conn), 0);
  assert_int_equal(socketpair_open(peer->conn, transport, fds[0]), 0);
  peer->fd = fds[1];
  assert_int_equal(fluxbp_conn_start(peer->conn), 0);
  assert_int_equal(fluxbp_topic_subscribe(fx->topic, peer->conn), 1);
}

void peer_open(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec,
               int small) {
  int fds[2];
  assert_int_equal(socketpair_make(transport, small == FIXTURE_SMALL_BUFFERS, fds), 0);
  peer_adopt(fx, peer, transport, codec, fds);
}

peer_t *peer_new(fixture_t *fx, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec, int small) {
  peer_t *peer = malloc(sizeof *peer);
  assert_non_null(peer);
  fx->frees_peers = true;
  peer_open(fx, peer, transport, codec, small);
  return peer;
}

size_t peer_refuse(peer_t *peer) {
  char data[REFUSAL_MESSAGE_BYTES];
  size_t len = 0;
  memset(data, 'r', sizeof data);
  for (int i = 0; i < REFUSAL_MESSAGES_MAX; i++) {
    if (peer_stats(peer).is_refused) return len;
    assert_int_equal(fixture_send(peer, data, sizeof data), 1);
    fluxbp_hub_flush(peer->fx->hub);
    len += sizeof data;
  }
  fail_msg("the kernel takes everything");
  return 0;
}

void peer_read_turns(peer_t *peer) {
  for (int i = 0; i < 4; i++) {
    fixture_turns(peer->fx, 1);
    peer_read(peer);
  }
}

void peer_read(peer_t *peer) {
  while (peer->fd >= 0 && !peer->has_eof && peer->error == 0) {
    if (peer->capacity - peer->len < READ_BYTES) {
      peer->capacity = peer->capacity * 2 + READ_BYTES;
      peer->data = realloc(peer->data, peer->capacity);
      assert_non_null(peer->data);
    }
    ssize_t len = recv(peer->fd, peer->data + peer->len, READ_BYTES, 0);
    if (len < 0 && errno == EAGAIN) return;
    if (len < 0)
      peer->error = errno;
    else if (len == 0)
      peer->has_eof = true;
    else
      peer->len += (size_t) len;
  }
}

void peer_hang_up(peer_t *peer) {
  if (peer->fd >= 0) (void) close(peer->fd);
  peer->fd = -1;
}

void peer_break(peer_t *peer) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  (void) setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  peer_hang_up(peer);
}

void peer_forget(peer_t *peer) {
  peer->len = 0;
}

fluxbp_conn_stats_t peer_stats(const peer_t *peer) {
  fluxbp_conn_stats_t stats;
  fluxbp_conn_get_stats(peer->conn, &stats);
  return stats;
}

fluxbp__conn_state_t peer_state(const peer_t *peer) {
  return (fluxbp__conn_state_t) peer->conn->state;
}

int peer_times_told(const peer_t *peer, char what) {
  int times = 0;
  for (size_t i = 0; i < peer->told; i++) times += peer->trace[i] == what;
  return times;
}

typedef struct expectation {
  peer_t *peer;
  size_t len;
  fluxbp__conn_state_t state;
} expectation_t;

static bool has_received(fixture_t *fx, void *arg) {
  const expectation_t *expected = arg;
  (void) fx;
  peer_read(expected->peer);
  return expected->peer->len >= expected->len;
}

void peer_wait_for(peer_t *peer, size_t len) {
  expectation_t expected = {.peer = peer, .len = len};
  fixture_run_until(peer->fx, has_received, &expected, false);
}

static bool has_ended(fixture_t *fx, void *arg) {
  peer_t *peer = arg;
  (void) fx;
  peer_read(peer);
  return peer->has_eof || peer->error != 0;
}

void peer_wait_for_eof(peer_t *peer) {
  fixture_run_until(peer->fx, has_ended, peer, false);
}

static bool is_closed(fixture_t *fx, void *arg) {
  peer_t *peer = arg;
  (void) fx;
  peer_read(peer);
  return peer->conn == NULL && (peer->fd < 0 || peer->has_eof || peer->error != 0);
}

void peer_wait_for_close(peer_t *peer) {
  fixture_run_until(peer->fx, is_closed, peer, false);
}

static bool is_in_state(fixture_t *fx, void *arg) {
  const expectation_t *expected = arg;
  (void) fx;
  return expected->peer->conn != NULL && peer_state(expected->peer) == expected->state;
}

void peer_wait_for_state(peer_t *peer, fluxbp__conn_state_t state) {
  expectation_t expected = {.peer = peer, .state = state};
  fixture_run_until(peer->fx, is_in_state, &expected, false);
}

void peer_expects(const peer_t *peer, const char *text) {
  assert_int_equal(peer->len, strlen(text));
  assert_memory_equal(peer->data, text, peer->len);
}
