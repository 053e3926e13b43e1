/* SPDX-License-Identifier: MIT */
/*
 * Connections wait for their turn with what they have sent: others are read in between, and nothing is lost, whatever
 * happens to them meanwhile. The share of an iteration is so small that each read uses it up.
 */
#include "fluxbp/input.h"
#include "support/alloc_hook.h"
#include "support/fixture.h"
#include "support/socketpair.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 4096, LONG_READS = 15, LONG_BYTES = LONG_READS * READ_BYTES, TRACE = 512, CROWD = 5 };
static const uint64_t COST_NS = 20000; /* at least, of each callback; the share has 1000 */

/* Who was read, one after the other. */
static char reads[TRACE];

static void work(peer_t *peer, char told) {
  const char *name = peer->arg;
  size_t length = strlen(reads);
  if (told != TOLD_DATA && told != TOLD_TURN) return;
  if (name != NULL && length < sizeof reads - 1) reads[length] = told == TOLD_DATA ? *name : TOLD_TURN;
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < COST_NS;) {
  }
}

static void open_hub(fixture_t *fx) {
  memset(reads, 0, sizeof reads);
  fixture_init(fx);
  fx->options.read_buffer_bytes = READ_BYTES;
  fx->options.input_us = 1;
}

static void open_peer(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, const char *name) {
  peer_open(fx, peer, transport, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  peer->hook = work;
  peer->arg = (void *) (uintptr_t) name;
}

static void say(const peer_t *peer, size_t bytes) {
  static char text[LONG_BYTES];
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char) (i % 251);
  assert_int_equal(send(peer->fd, text, bytes, 0), bytes);
}

static bool has_received(fixture_t *fx, void *arg) {
  const peer_t *peer = fx->arg;
  return peer->received >= *(size_t *) arg;
}

static void run_until_received(peer_t *peer, size_t bytes) {
  peer->fx->arg = peer;
  fixture_run_until(peer->fx, has_received, &bytes, false);
}

static bool is_waiting(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return peer->conn == NULL || fluxbp_conn_is_waiting(peer->conn);
}

static void run_until_waiting(peer_t *peer) {
  fixture_run_until(peer->fx, is_waiting, peer, false);
  assert_non_null(peer->conn);
}

/* Run until the peer, which has sent LONG_BYTES, waits behind the first of them. */
static void say_much_and_wait(peer_t *peer) {
  size_t received = peer->received;
  fixture_turns(peer->fx, 4); /* the turn that finds that nothing more has come */
  assert_false(fluxbp_conn_is_waiting(peer->conn));
  say(peer, LONG_BYTES);
  run_until_waiting(peer);
  assert_in_range(peer->received, received + 1, received + LONG_BYTES - 1);
}

static void others_are_read_between_two_reads(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a, b, c;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  open_peer(&fx, &b, transport, "b");
  open_peer(&fx, &c, transport, "c");
  say(&a, LONG_BYTES);
  say(&b, 1);
  say(&c, 1);
  size_t most = 0;
  for (size_t before = 0; a.received < LONG_BYTES; before = a.received) {
    fixture_turns(&fx, 1);
    if (a.received - before > most) most = a.received - before;
  }
  assert_in_range(most, 1, 2 * READ_BYTES); /* one in a turn, and one in the poll phase behind it */
  run_until_received(&b, 1);
  run_until_received(&c, 1);
  assert_true(strchr(reads, 'b') - reads <= 3 && strchr(reads, 'c') - reads <= 3);
  assert_int_equal(b.received + c.received, 2);
  fixture_close(&fx);
}
FIXTURE_PLAIN(others_are_read_between_two_reads)

static size_t checked;

static void check_order(fluxbp_conn_t *conn, const char *data, size_t length) {
  (void) conn;
  for (size_t i = 0; i < length; i++, checked++) assert_int_equal((unsigned char) data[i], checked % LONG_BYTES % 251);
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < COST_NS;) {
  }
}

static void bytes_stay_in_their_order(const fluxbp_transport_t *transport) {
  static const fluxbp_conn_handlers_t handlers = {.size = sizeof handlers, .on_data = check_order};
  fixture_t fx;
  peer_t b;
  int fds[2];
  fluxbp_conn_t *conn;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &b, transport, "b");
  assert_int_equal(socketpair_make(transport, false, fds), 0);
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.transport = transport;
  options.handlers = &handlers;
  checked = 0;
  assert_int_equal(fluxbp_conn_adopt(fx.hub, fds[0], NULL, 0, &options, &conn), 0);
  for (int round = 1; round <= 3; round++) {
    say(&(peer_t){.fd = fds[1]}, LONG_BYTES);
    say(&b, 1);
    for (int i = 0; checked < (size_t) round * LONG_BYTES; i++) {
      assert_true(i < 10000);
      fixture_turns(&fx, 1);
    }
  }
  run_until_received(&b, 3);
  assert_int_equal(checked, 3 * LONG_BYTES);
  fluxbp_conn_reset(conn);
  fixture_turns(&fx, 3);
  (void) close(fds[1]);
  fixture_close(&fx);
}
FIXTURE_ALL(bytes_stay_in_their_order)

static void fin_comes_behind_all_that_was_sent(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  say_much_and_wait(&a);
  assert_int_equal(shutdown(a.fd, SHUT_WR), 0);
  peer_wait_for_close(&a);
  assert_int_equal(a.received, LONG_BYTES);
  assert_int_equal(a.close_status, UV_EOF);
  fixture_close(&fx);
}
FIXTURE_ALL(fin_comes_behind_all_that_was_sent)

static int half_closes;

static int stay(fluxbp_conn_t *conn) {
  (void) conn;
  return ++half_closes;
}

static void a_connection_that_stays_behind_fin_waits_no_more(const fluxbp_transport_t *transport) {
  static const fluxbp_conn_handlers_t handlers = {
      .size = sizeof handlers, .on_data = check_order, .on_half_close = stay};
  fixture_t fx;
  int fds[2];
  fluxbp_conn_t *conn;
  open_hub(&fx);
  fixture_open(&fx);
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  options.transport = transport;
  options.handlers = &handlers;
  assert_int_equal(socketpair_make(transport, false, fds), 0);
  assert_int_equal(fluxbp_conn_adopt(fx.hub, fds[0], NULL, 0, &options, &conn), 0);
  checked = 0;
  half_closes = 0;
  say(&(peer_t){.fd = fds[1]}, LONG_BYTES);
  assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
  for (int i = 0; half_closes == 0; i++) {
    assert_true(i < 10000);
    fixture_turns(&fx, 1);
  }
  fixture_turns(&fx, 4);
  assert_int_equal(checked, LONG_BYTES);
  assert_int_equal(half_closes, 1);
  assert_false(fluxbp_conn_is_waiting(conn));
  fluxbp_conn_reset(conn);
  fixture_turns(&fx, 3);
  (void) close(fds[1]);
  fixture_close(&fx);
}
FIXTURE_ALL(a_connection_that_stays_behind_fin_waits_no_more)

static void a_reset_is_found_while_it_waits(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  assert_int_equal(fixture_send(&a, "unread", 6), 1);
  fixture_turns(&fx, 4);
  say_much_and_wait(&a);
  peer_break(&a);
  peer_wait_for_close(&a);
  assert_int_equal(a.close_status, UV_ECONNRESET);
  fixture_close(&fx);
}
FIXTURE_ALL(a_reset_is_found_while_it_waits)

static void a_pause_holds_while_it_waits(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  say_much_and_wait(&a);
  size_t received = a.received;
  assert_int_equal(fluxbp_conn_pause_read(a.conn), 0);
  assert_false(fluxbp_conn_is_waiting(a.conn));
  fixture_turns(&fx, 20);
  fixture_advance(&fx, 1000);
  assert_int_equal(a.received, received);
  fluxbp_conn_resume_read(a.conn);
  run_until_received(&a, LONG_BYTES);

  say_much_and_wait(&a);
  assert_int_equal(fluxbp_conn_pause_read(a.conn), 0);
  fluxbp_conn_resume_read(a.conn);
  run_until_received(&a, 2 * LONG_BYTES);
  assert_int_equal(a.received, 2 * LONG_BYTES);
  fixture_close(&fx);
}
FIXTURE_ALL(a_pause_holds_while_it_waits)

static void a_polite_end_reads_on_in_turn(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  say_much_and_wait(&a);
  size_t received = a.received;
  assert_int_equal(fixture_send(&a, "bye", 3), 1);
  fluxbp_conn_close(a.conn, 1000);
  peer_wait_for(&a, 3);
  peer_wait_for_eof(&a);
  assert_int_equal(a.error, 0); /* nothing unread has made a reset of it */
  assert_int_equal(a.received, received);
  peer_hang_up(&a);
  peer_wait_for_close(&a);
  assert_int_equal(a.close_status, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(a_polite_end_reads_on_in_turn)

static void it_may_be_reset_while_it_waits(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a, b;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  open_peer(&fx, &b, transport, "b");
  say_much_and_wait(&a);
  say(&b, LONG_BYTES);
  fluxbp_conn_reset(a.conn);
  run_until_received(&b, LONG_BYTES);
  assert_null(a.conn);
  fixture_turns(&fx, 4);
  assert_int_equal(fixture_metrics(&fx).input_waiting, 0);
  fixture_close(&fx);
}
FIXTURE_ALL(it_may_be_reset_while_it_waits)

static void close_hub_at_turn(peer_t *peer, char told) {
  if (told != TOLD_TURN) return;
  fluxbp_hub_close(peer->fx->hub, fixture_on_hub_closed);
}

static void the_hub_may_be_closed_while_some_wait(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a, b;
  for (int in_turn = 0; in_turn < 2; in_turn++) {
    open_hub(&fx);
    fixture_open(&fx);
    open_peer(&fx, &a, transport, "a");
    open_peer(&fx, &b, transport, "b");
    say_much_and_wait(&a);
    say(&b, LONG_BYTES);
    assert_int_equal(fluxbp_conn_wait_turn(b.conn), 0);
    if (in_turn) b.hook = close_hub_at_turn;
    if (in_turn) peer_wait_for_close(&b);
    fixture_close(&fx);
  }
}
FIXTURE_ALL(the_hub_may_be_closed_while_some_wait)

/* ---- on_input_turn ---- */

static void a_turn_comes_from_the_loop_once(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  fixture_turns(&fx, 4);
  assert_int_equal(fluxbp_conn_wait_turn(a.conn), 0);
  assert_int_equal(fluxbp_conn_wait_turn(a.conn), 0);
  assert_int_equal(peer_times_told(&a, TOLD_TURN), 0);
  assert_true(fluxbp_conn_is_waiting(a.conn));
  assert_true(uv_loop_alive(&fx.loop));
  fixture_turns(&fx, 4);
  assert_int_equal(peer_times_told(&a, TOLD_TURN), 1);
  assert_false(fluxbp_conn_is_waiting(a.conn));

  assert_int_equal(fluxbp_conn_wait_turn(a.conn), 0);
  assert_int_equal(fixture_send(&a, "bye", 3), 1);
  fluxbp_conn_close(a.conn, 1000);
  assert_int_equal(fluxbp_conn_wait_turn(a.conn), UV_ENOTCONN);
  fixture_turns(&fx, 4);
  assert_int_equal(peer_times_told(&a, TOLD_TURN), 1);
  fixture_close(&fx);
}
FIXTURE_ALL(a_turn_comes_from_the_loop_once)

static void wait_again(peer_t *peer, char told) {
  work(peer, told);
  if (told == TOLD_TURN && peer_times_told(peer, TOLD_TURN) < 5) assert_int_equal(fluxbp_conn_wait_turn(peer->conn), 0);
}

static void a_turn_and_reads_alternate_with_those_of_others(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a, b;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  open_peer(&fx, &b, transport, "b");
  a.hook = wait_again;
  fixture_turns(&fx, 4);
  assert_int_equal(fluxbp_conn_wait_turn(a.conn), 0);
  say(&b, LONG_BYTES);
  run_until_received(&b, LONG_BYTES);
  assert_int_equal(peer_times_told(&a, TOLD_TURN), 5);
  assert_true(strncmp(reads, "TbTbTbTb", 8) == 0 || strncmp(reads, "TTbTbTbTb", 9) == 0);
  fixture_close(&fx);
}
FIXTURE_BOTH(a_turn_and_reads_alternate_with_those_of_others)

static int answers[4];

static void ask(peer_t *peer, char told) {
  if (told != TOLD_TURN) return;
  answers[0] = fluxbp_conn_may_go_on(peer->conn);
  fluxbp_conn_begin_input(peer->conn); /* nested: nothing is new */
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < COST_NS;) {
  }
  fluxbp_conn_end_input(peer->conn);
  for (int i = 1; i < 4; i++) answers[i] = fluxbp_conn_may_go_on(peer->conn);
}

static void a_turn_is_over_when_its_time_is(void **state) {
  fixture_t fx;
  peer_t a;
  (void) state;
  open_hub(&fx);
  fixture_open(&fx);
  open_peer(&fx, &a, FLUXBP_TCP, "a");
  a.hook = ask;
  assert_false(fluxbp_conn_may_go_on(a.conn)); /* it has no turn */
  assert_int_equal(fluxbp_conn_wait_turn(a.conn), 0);
  fixture_turns(&fx, 4);
  assert_true(answers[0]);
  assert_false(answers[1] || answers[2] || answers[3]);

  fluxbp_conn_begin_input(a.conn);
  assert_true(fluxbp_conn_may_go_on(a.conn));
  for (uint64_t begun_ns = uv_hrtime(); uv_hrtime() - begun_ns < COST_NS;) {
  }
  fluxbp_conn_end_input(a.conn);
  fluxbp_conn_begin_input(a.conn);
  assert_false(fluxbp_conn_may_go_on(a.conn)); /* the share of this iteration is used up */
  fluxbp_conn_end_input(a.conn);
  assert_true(fixture_metrics(&fx).input_us >= 2 * COST_NS / 1000);
  fixture_close(&fx);
}

/* ---- fairness ---- */

static uint64_t key_of_name(fluxbp_conn_t *conn) {
  const peer_t *peer = fluxbp_conn_user(conn);
  return (uint64_t) * (const char *) peer->arg;
}

static void keys_alternate_whatever_the_number_of_connections(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t crowd[CROWD], b;
  open_hub(&fx);
  fx.options.input_key = key_of_name;
  fixture_open(&fx);
  for (int i = 0; i < CROWD; i++) open_peer(&fx, &crowd[i], transport, "m");
  open_peer(&fx, &b, transport, "b");
  fixture_turns(&fx, 4);
  for (int i = 0; i < CROWD; i++) say(&crowd[i], LONG_BYTES);
  say(&b, LONG_BYTES);
  run_until_received(&b, LONG_BYTES);
  size_t others = 0;
  for (const char *at = reads; *at != '\0'; at++) others += *at == 'm';
  assert_in_range(others, LONG_READS - 2, LONG_READS + 2);
  assert_true(fixture_metrics(&fx).input_waiting > 0);
  assert_true(fixture_metrics(&fx).input_waits > 0);
  for (int i = 0; i < CROWD; i++) run_until_received(&crowd[i], LONG_BYTES);
  fixture_turns(&fx, 4 * CROWD);
  assert_int_equal(fixture_metrics(&fx).input_waiting, 0);
  fixture_close(&fx);
}
FIXTURE_BOTH(keys_alternate_whatever_the_number_of_connections)

static void without_memory_it_is_read_when_there_is_time(const fluxbp_transport_t *transport) {
  fixture_t fx;
  peer_t a, b;
  alloc_hook_t hook;
  alloc_hook_init(&hook);
  open_hub(&fx);
  fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&fx);
  open_peer(&fx, &a, transport, "a");
  open_peer(&fx, &b, transport, "b");
  fixture_turns(&fx, 4);
  uint64_t blocks = hook.live_blocks;
  alloc_hook_fail_from(&hook, 1);
  assert_int_equal(fluxbp_conn_wait_turn(a.conn), UV_ENOMEM);
  say(&a, LONG_BYTES);
  say(&b, LONG_BYTES);
  run_until_received(&a, LONG_BYTES);
  run_until_received(&b, LONG_BYTES);
  assert_true(hook.failures > 1);
  alloc_hook_heal(&hook);

  say(&a, LONG_BYTES);
  say(&b, LONG_BYTES);
  run_until_received(&a, 2 * LONG_BYTES);
  run_until_received(&b, 2 * LONG_BYTES);
  fixture_turns(&fx, 4);
  assert_in_range(hook.live_blocks, blocks, blocks + 2); /* the table's; connections keep nothing */
  fixture_close(&fx);
}
FIXTURE_BOTH(without_memory_it_is_read_when_there_is_time)

static void hubs_refuse_a_share_of_nothing(void **state) {
  uv_loop_t loop;
  fluxbp_hub_options_t options;
  fluxbp_hub_t *hub;
  (void) state;
  assert_int_equal(uv_loop_init(&loop), 0);
  fluxbp_hub_options_init(&options);
  assert_int_equal(options.input_us, 1000);
  options.input_us = 0;
  assert_int_equal(fluxbp_hub_create(&loop, &options, &hub), UV_EINVAL);
  assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_PLAIN_TESTS(others_are_read_between_two_reads),
      FIXTURE_ALL_TESTS(bytes_stay_in_their_order),
      FIXTURE_ALL_TESTS(fin_comes_behind_all_that_was_sent),
      FIXTURE_ALL_TESTS(a_connection_that_stays_behind_fin_waits_no_more),
      FIXTURE_ALL_TESTS(a_reset_is_found_while_it_waits),
      FIXTURE_ALL_TESTS(a_pause_holds_while_it_waits),
      FIXTURE_ALL_TESTS(a_polite_end_reads_on_in_turn),
      FIXTURE_ALL_TESTS(it_may_be_reset_while_it_waits),
      FIXTURE_ALL_TESTS(the_hub_may_be_closed_while_some_wait),
      FIXTURE_ALL_TESTS(a_turn_comes_from_the_loop_once),
      FIXTURE_TESTS(a_turn_and_reads_alternate_with_those_of_others),
      cmocka_unit_test(a_turn_is_over_when_its_time_is),
      FIXTURE_TESTS(keys_alternate_whatever_the_number_of_connections),
      FIXTURE_TESTS(without_memory_it_is_read_when_there_is_time),
      cmocka_unit_test(hubs_refuse_a_share_of_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
