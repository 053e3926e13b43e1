/* SPDX-License-Identifier: MIT */
/*
 * Everything may be done in every callback. Connections send, reply, flush, pause, close and reset at random, outside
 * of callbacks and inside. In each callback the accounts balance; what became of each watched message is told once,
 * before on_close; no callback comes inside of a call. When nothing is queued any more, each connection whose lane was
 * full has been told of room, and reading is paused where the user has paused it.
 *
 *   callbacks_fuzz_test [FIRST_SEED [SEEDS]]
 */
#include "support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SEEDS = 60, PEERS = 6, STEPS = 250, ACTIONS_IN_CALLBACKS_MAX = 40, TEXT_MAX = 30000 };

typedef struct sent {
  peer_t *peer;
  int times;
} sent_t;

/* What the test knows of a connection; the `arg` of its peer. */
typedef struct client {
  bool awaits_room; /* its lane of replies was full */
  bool is_paused;   /* by the user */
} client_t;

typedef struct run {
  fixture_t fx;
  uint64_t random;
  int depth;   /* of callbacks */
  int actions; /* in the callbacks of this step */
  peer_t *peers[PEERS];
  client_t clients[PEERS];
  sent_t *sent; /* each message that was watched */
  size_t sent_count;
} run_t;

static run_t the_run;
static unsigned long first_seed = 1;
static unsigned long seed_count = SEEDS;

static uint32_t draw(uint32_t below) {
  run_t *run = &the_run;
  run->random = run->random * 6364136223846793005U + 1442695040888963407U;
  return (uint32_t) (run->random >> 33) % below;
}

static void act(peer_t *peer);

/* A transport that takes parts of what it is offered, writes parts of what waits, and answers when the test wants
 * it. */
typedef struct waiting {
  uv_buf_t rest;
  bool waits;
} waiting_t;

static int part_try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count) {
  uv_buf_t part = buffers[0];
  if (draw(4) == 0) return UV_EAGAIN;
  if (draw(2) == 0) return fluxbp_transport_tcp()->try_write(conn, buffers, count);
  part.len = 1 + draw((uint32_t) part.len);
  return fluxbp_transport_tcp()->try_write(conn, &part, 1);
}

static int part_want_writable(fluxbp_conn_t *conn, const uv_buf_t *rest) {
  *(waiting_t *) fluxbp_transport_data(conn) = (waiting_t){.rest = *rest, .waits = true};
  return 0;
}

static void part_close(fluxbp_conn_t *conn, int by_reset) {
  ((waiting_t *) fluxbp_transport_data(conn))->waits = false;
  fluxbp_transport_tcp()->close(conn, by_reset);
}

static const fluxbp_transport_t *transport_of_parts(void) {
  static fluxbp_transport_t transport;
  transport = *fluxbp_transport_tcp();
  transport.data_bytes = sizeof(waiting_t);
  transport.try_write = part_try_write;
  transport.want_writable = part_want_writable;
  transport.unwritten = NULL;
  transport.close = part_close;
  return &transport;
}

static void answer(fluxbp_conn_t *conn) {
  waiting_t *waiting = fluxbp_transport_data(conn);
  if (!waiting->waits) return;
  waiting->waits = false;
  uv_buf_t part = uv_buf_init(waiting->rest.base, draw((uint32_t) waiting->rest.len + 1));
  int taken = part.len > 0 ? uv_try_write(fluxbp_conn_stream(conn), &part, 1) : 0;
  fluxbp_transport_writable(conn, taken == UV_EAGAIN ? 0 : taken);
}

static void answer_some(void) {
  for (int i = 0; i < PEERS; i++) {
    fluxbp_conn_t *conn = the_run.peers[i]->conn;
    if (conn != NULL && fluxbp_transport_of(conn)->data_bytes > 0 && draw(2) == 0) answer(conn);
  }
}

static void act_in_callback(peer_t *peer) {
  run_t *run = &the_run;
  assert_int_equal(run->fx.calls, 0);
  if (run->fx.hub != NULL) fixture_balances(&run->fx);
  if (run->depth > 0 || run->actions >= ACTIONS_IN_CALLBACKS_MAX) return;
  run->depth++;
  for (uint32_t i = draw(4); i > 0; i--, run->actions++) act(draw(2) == 0 ? peer : run->peers[draw(PEERS)]);
  run->depth--;
  if (run->fx.hub != NULL) fixture_balances(&run->fx);
}

static void on_told(peer_t *peer, char told) {
  if (told == TOLD_REPLY_ROOM) ((client_t *) peer->arg)->awaits_room = false;
  if (told == TOLD_DATA) assert_false(((client_t *) peer->arg)->is_paused);
  if (told == TOLD_CLOSED)
    for (size_t i = 0; i < the_run.sent_count; i++)
      if (the_run.sent[i].peer == peer) assert_int_equal(the_run.sent[i].times, 1);
  act_in_callback(peer);
}

static void on_sent(fluxbp_conn_t *conn, void *arg, int status) {
  sent_t *sent = &the_run.sent[(size_t) (uintptr_t) arg];
  assert_ptr_equal(conn, sent->peer->conn);
  assert_true(status == 0 || status == UV_ENOBUFS || status == UV_ECANCELED);
  assert_int_equal(sent->times, 0);
  sent->times++;
  act_in_callback(sent->peer);
}

static int on_half_close(fluxbp_conn_t *conn) {
  act_in_callback(fluxbp_conn_user(conn));
  return draw(2) == 0;
}

static void on_writable(fixture_t *fx) {
  (void) fx;
  act_in_callback(the_run.peers[draw(PEERS)]);
}

static void on_eviction(fixture_t *fx, const fluxbp_eviction_t *record) {
  (void) fx;
  (void) record;
  act_in_callback(the_run.peers[draw(PEERS)]);
}

/* The peers of the fixture have no on_half_close. */
static void handle_half_close(fluxbp_conn_t *conn) {
  static fluxbp_conn_handlers_t handlers;
  handlers = *conn->handlers;
  handlers.on_half_close = on_half_close;
  conn->handlers = &handlers;
}

static void send_one(peer_t *peer, int is_reply) {
  static char text[TEXT_MAX];
  run_t *run = &the_run;
  fluxbp_msg_t *msg;
  fluxbp_send_options_t options;
  size_t length = draw(4) == 0 ? 1 + draw(TEXT_MAX) : 1 + draw(100);
  memset(text, is_reply ? 'r' : 'm', length);
  if (fluxbp_msg_create(run->fx.pool, text, length, &msg) != 0) return; /* the budget is used up */
  fluxbp_send_options_init(&options);
  options.is_reply = is_reply;
  if (draw(2) == 0) {
    options.on_sent = on_sent;
    options.arg = (void *) (uintptr_t) run->sent_count;
    run->sent = realloc(run->sent, (run->sent_count + 1) * sizeof *run->sent);
    run->sent[run->sent_count++] = (sent_t){.peer = peer};
  }
  size_t place = run->sent_count - 1;
  int result = fluxbp_conn_send_with(peer->conn, msg, &options);
  if (options.on_sent != NULL && result != 1) run->sent[place].times = 1; /* nothing is told */
  fluxbp_msg_unref(msg);
  if (peer->conn->is_lane_full) ((client_t *) peer->arg)->awaits_room = true;
}

static void close_with(peer_t *peer) {
  fluxbp_msg_t *msg;
  if (fluxbp_msg_create(the_run.fx.pool, "bye", 3, &msg) != 0) return;
  (void) fluxbp_conn_close_with(peer->conn, msg, draw(2) * 500);
  fluxbp_msg_unref(msg);
}

static void act(peer_t *peer) {
  run_t *run = &the_run;
  char data[64] = {0};
  if (run->fx.hub == NULL || peer->conn == NULL) return;
  run->fx.calls++;
  switch (draw(32)) {
  case 0:
    if (draw(40) == 0) fluxbp_conn_close(peer->conn, draw(2) * 300);
    break;
  case 1:
    if (draw(40) == 0) close_with(peer);
    break;
  case 2:
    if (draw(60) == 0) fluxbp_conn_reset(peer->conn);
    break;
  case 3:
    if (fluxbp_conn_pause_read(peer->conn) == 0) ((client_t *) peer->arg)->is_paused = true;
    break;
  case 4:
  case 5:
    fluxbp_conn_resume_read(peer->conn);
    ((client_t *) peer->arg)->is_paused = false;
    break;
  case 6:
  case 7:
    (void) fluxbp_conn_flush(peer->conn);
    break;
  case 8:
    fluxbp_hub_flush(run->fx.hub);
    break;
  case 9:
    if (draw(400) == 0) fluxbp_hub_close(run->fx.hub, fixture_on_hub_closed);
    break;
  case 10:
    if (draw(100) == 0) fluxbp_hub_drain(run->fx.hub, 300, NULL);
    break;
  case 11:
    if (peer->fd >= 0 && draw(20) == 0) (void) shutdown(peer->fd, SHUT_WR);
    break;
  case 12:
    if (draw(60) == 0) peer_break(peer);
    break;
  case 13:
  case 14:
    if (peer->fd >= 0) (void) send(peer->fd, data, sizeof data, MSG_NOSIGNAL);
    break;
  case 15:
    for (uint32_t i = draw(2 * FLUXBP_REPLIES_MAX); i > 0; i--) send_one(peer, 1);
    break;
  case 16:
  case 17:
  case 18:
    (void) fluxbp_topic_publish_bytes(run->fx.topic, data, sizeof data);
    break;
  default:
    send_one(peer, draw(2) == 0);
    break;
  }
  run->fx.calls--;
}

/* As fixture_advance, of a hub that may be closed meanwhile. */
static void let_time_pass(fixture_t *fx, int sweeps) {
  for (int i = 0; i < sweeps && fx->hub != NULL && !fx->hub->engine.is_closing; i++) {
    fx->now_ms += fx->options.sweep_ms;
    fluxbp__sweep_now(&fx->hub->sweep);
    fixture_turns(fx, 2);
  }
}

static bool is_at_rest(fixture_t *fx, void *arg) {
  (void) arg;
  if (fx->hub == NULL) return true;
  answer_some();
  for (int i = 0; i < PEERS; i++) {
    const fluxbp_conn_t *conn = the_run.peers[i]->conn;
    bool is_open = conn != NULL && conn->state == FLUXBP__CONN_OPEN;
    if (is_open && (peer_stats(the_run.peers[i]).queued > 0 || conn->pressure != NULL)) return false;
  }
  return true;
}

/* Nothing is queued: the lane is not full, the user was told so, and reading is paused if the user wants it. */
static void expect_rest(const peer_t *peer) {
  const client_t *client = peer->arg;
  if (the_run.fx.hub == NULL || peer->conn == NULL || peer->conn->state != FLUXBP__CONN_OPEN) return;
  assert_false(peer->conn->is_lane_full);
  assert_false(client->awaits_room);
  assert_int_equal(peer->conn->is_read_paused, client->is_paused);
}

static void run_seed(uint64_t seed, const fluxbp_transport_t *transport) {
  run_t *run = &the_run;
  memset(run, 0, sizeof *run);
  run->random = seed * 2654435761U + 12345;
  fixture_t *fx = &run->fx;
  fixture_init(fx);
  fx->policy.slots = 4U << draw(4);
  fx->policy.max_bytes = 1000U << draw(8);
  fx->policy.overflow = (fluxbp_overflow_t) draw(3);
  fx->policy.soft_bytes = draw(2) * 20000;
  fx->policy.soft_ms = 2000;
  fx->policy.is_shadow = draw(5) == 0;
  fx->on_writable = on_writable;
  fx->on_eviction = on_eviction;
  fx->options.patience_ms = draw(2) * 1000;
  fx->pool_options.max_bytes = draw(3) == 0 ? 400000 : 64 << 20;
  fixture_open(fx);
  for (int i = 0; i < PEERS; i++) {
    run->peers[i] = peer_new(fx, transport, &fluxbp_codec_newline, (int) draw(2));
    handle_half_close(run->peers[i]->conn);
    run->peers[i]->hook = on_told;
    run->peers[i]->arg = &run->clients[i];
    run->peers[i]->is_spared = draw(2) == 0;
  }
  for (int step = 0; step < STEPS && fx->hub != NULL; step++) {
    run->actions = 0;
    for (uint32_t i = draw(6); i > 0; i--) act(run->peers[draw(PEERS)]);
    if (draw(3) == 0) peer_read(run->peers[draw(PEERS)]);
    answer_some();
    if (draw(10) == 0) let_time_pass(fx, 1 + (int) draw(8));
    fixture_turns(fx, (int) draw(3));
    if (fx->hub != NULL) fixture_balances(fx);
  }
  run->actions = ACTIONS_IN_CALLBACKS_MAX;
  if (fx->hub != NULL) fixture_run_until(fx, is_at_rest, NULL, true);
  for (int i = 0; i < PEERS; i++) expect_rest(run->peers[i]);
  if (fx->hub == NULL) fx->hub_closes = 1;
  fixture_close(fx);
  for (size_t i = 0; i < run->sent_count; i++) assert_int_equal(run->sent[i].times, 1);
  free(run->sent);
}

static void anything_may_be_done_in_a_callback(const fluxbp_transport_t *transport) {
  for (unsigned long seed = first_seed; seed < first_seed + seed_count; seed++) {
    if (getenv("FUZZ_TRACE") != NULL) print_message("seed %lu\n", seed);
    run_seed(seed, transport);
  }
}
FIXTURE_BOTH(anything_may_be_done_in_a_callback)

static void anything_may_be_done_with_a_transport_that_takes_parts(void **state) {
  (void) state;
  anything_may_be_done_in_a_callback(transport_of_parts());
}

int main(int argc, char **argv) {
  if (argc > 1) first_seed = strtoul(argv[1], NULL, 10);
  if (argc > 2) seed_count = strtoul(argv[2], NULL, 10);
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(anything_may_be_done_in_a_callback),
      cmocka_unit_test(anything_may_be_done_with_a_transport_that_takes_parts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
