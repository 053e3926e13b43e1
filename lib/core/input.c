/* SPDX-License-Identifier: MIT */
/*
 * input: the queue of connections whose input waits, and what is done when one has its turn.
 *
 * Design notes
 *
 * - A connection that is readable when the share of the iteration is used up is held: its transport reads no more, and
 *   it stands in the queue. The queue has the time first, so as long as it isn't empty no connection is read beside it.
 *   While there is time for all none of this costs anything.
 * - A connection that has used a quantum of an iteration isn't read again in it: libuv would read up to 32 times.
 * - A held connection on a built-in transport is read here, by read(), once a turn. If that brings less than there was
 *   room for, libuv reads on. FIN and errors are found in the same way, so a held connection needs no watch, unlike a
 *   paused one.
 * - Another transport is asked to read once (read_once). One that can't be asked reads on when its connection has its
 *   turn, and is held again after what it has handed over. As that cost isn't known before, few of these have their
 *   turn in one iteration.
 * - A connection that is paused while it is held isn't held any more, as reading is stopped already. It keeps its place
 *   in the queue, where nothing is done for it.
 */
#include "input.h"

#include "conn_blocks.h"
#include "conn_end.h"
#include "fluxbp/input.h"
#include "transport.h"
#include "transport_stream.h"

#include <netinet/in.h>
#include <string.h>

/* Connections with other transports that read on in one iteration. */
enum { OTHERS_AT_ONCE = 8 };

/* An IPv4 address, the network of an IPv6 address, or 0. */
static uint64_t key_of_address(const struct sockaddr_storage *address) {
  uint64_t key = 0;
  if (address->ss_family == AF_INET) {
    key = ntohl(((const struct sockaddr_in *) (const void *) address)->sin_addr.s_addr);
  } else if (address->ss_family == AF_INET6) {
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr;
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(v6);
    for (int i = is_v4 ? 12 : 0; i < (is_v4 ? 16 : 8); i++) key = key << 8 | v6->s6_addr[i];
  }
  return key;
}

uint64_t fluxbp__conn_input_key(fluxbp_conn_t *conn) {
  const fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  struct sockaddr_storage address = {0};
  int length = sizeof address;
  if (engine->input_key != NULL) return engine->input_key(conn);
  bool is_tcp = fluxbp__conn_transport(conn)->stream == FLUXBP_STREAM_TCP;
  if (!is_tcp || uv_tcp_getpeername(&conn->uv.tcp, (struct sockaddr *) &address, &length) != 0) return 0;
  return key_of_address(&address);
}

/* The connection has a rare block. */
static void enqueue(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp__fair_item_t *item = &conn->rare->turn;
  conn->rare->conn = conn;
  fluxbp__fair_queue_add(&engine->input.queue, item, fluxbp__fair_item_is_out(item) ? fluxbp__conn_input_key(conn) : 0);
  fluxbp__turn_wake(&engine->turn);
}

void fluxbp__conn_hold(fluxbp_conn_t *conn) {
  fluxbp__input_t *input = &fluxbp__conn_engine(conn)->input;
  if (!fluxbp__conn_take_rare(conn)) return;
  conn->is_held = true;
  fluxbp__conn_transport(conn)->read_stop(conn);
  bool was_out = fluxbp__fair_item_is_out(&conn->rare->turn);
  enqueue(conn);
  if (was_out && input->reader == conn) fluxbp__fair_queue_charge(&input->queue, &conn->rare->turn, input->reader_ns);
}

void fluxbp__conn_note_read(fluxbp_conn_t *conn, uint64_t used_ns) {
  fluxbp__input_t *input = &fluxbp__conn_engine(conn)->input;
  fluxbp__input_note_read(input, conn, used_ns);
  if (conn->rare != NULL) fluxbp__fair_queue_charge(&input->queue, &conn->rare->turn, used_ns);
  if (conn->transport < FLUXBP__TRANSPORTS_BUILT_IN || conn->state == FLUXBP__CONN_CLOSING) return;
  bool is_read = !conn->is_read_paused && !conn->has_peer_closed && !conn->is_held;
  if (is_read && !fluxbp__input_may_read(input, conn)) fluxbp__conn_hold(conn);
}

void fluxbp__conn_left_queue(fluxbp__fair_item_t *item) {
  fluxbp__conn_release_rare(FLUXBP__CONTAINER(item, fluxbp__rare_t, turn)->conn);
}

static void read_on(fluxbp_conn_t *conn) {
  conn->is_held = false;
  int err = fluxbp__conn_transport(conn)->read_start(conn);
  if (err) fluxbp__conn_fail(conn, err);
}

/* Have a transport that isn't built in read once. It may be paused or held meanwhile. */
static void ask_to_read(fluxbp_conn_t *conn, int (*read_once)(fluxbp_conn_t *)) {
  conn->is_held = false;
  int has_more = read_once(conn);
  if (conn->state == FLUXBP__CONN_CLOSING || conn->has_peer_closed) return;
  if (has_more && !conn->is_held && !conn->is_read_paused) fluxbp__conn_hold(conn);
}

/* Read once from a held connection. */
static void read_once(fluxbp_conn_t *conn) {
  const fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  size_t most = fluxbp__engine_read_bytes(engine);
  ssize_t count = fluxbp__stream_read(conn, most);
  if (count < 0 && count != UV_EAGAIN) conn->is_held = false; /* there is nothing more to read */
  if (count != UV_EAGAIN) fluxbp_transport_received(conn, engine->read_buffer, count);
  bool is_held = conn->state != FLUXBP__CONN_CLOSING && conn->is_held;
  if (is_held && (count < 0 || (size_t) count < most)) read_on(conn);
}

static void tell_turn(fluxbp_conn_t *conn) {
  conn->wants_turn = false;
  if (conn->state != FLUXBP__CONN_OPEN) return;
  void (*on_input_turn)(fluxbp_conn_t *) = FLUXBP__HANDLER(conn, on_input_turn);
  if (on_input_turn != NULL) on_input_turn(conn);
}

/* Returns whether the connection reads on by itself, as its transport can't be asked. */
static bool have_turn_to_read(fluxbp_conn_t *conn) {
  int (*by_transport)(fluxbp_conn_t *) = FLUXBP__ENTRY(fluxbp__conn_transport(conn), read_once);
  if (conn->transport < FLUXBP__TRANSPORTS_BUILT_IN) {
    read_once(conn);
  } else if (by_transport != NULL) {
    ask_to_read(conn, by_transport);
  } else {
    read_on(conn);
    return true;
  }
  return false;
}

static bool have_turn(fluxbp_conn_t *conn) {
  if (!conn->wants_turn) return conn->is_held && have_turn_to_read(conn);
  tell_turn(conn);
  return false;
}

static bool visit(fluxbp__engine_t *engine, fluxbp_conn_t *conn) {
  fluxbp__input_t *input = &engine->input;
  fluxbp__input_begin(input, true);
  bool reads_on = have_turn(conn);
  uint64_t used_ns = fluxbp__input_end(input);
  if (conn->rare == NULL) return reads_on; /* it was closed */
  fluxbp__fair_queue_charge(&input->queue, &conn->rare->turn, used_ns);
  if (conn->state != FLUXBP__CONN_CLOSING && fluxbp_conn_is_waiting(conn)) enqueue(conn);
  return reads_on;
}

bool fluxbp__input_run(fluxbp__engine_t *engine) {
  fluxbp__input_t *input = &engine->input;
  unsigned others = 0;
  fluxbp__input_renew(input);
  while (fluxbp__input_has_time(input) && others < OTHERS_AT_ONCE) {
    fluxbp__fair_item_t *item = fluxbp__fair_queue_next(&input->queue);
    if (item == NULL) return false;
    others += visit(engine, FLUXBP__CONTAINER(item, fluxbp__rare_t, turn)->conn);
  }
  if (input->queue.waiting > 0) fluxbp__ledger_make_input_wait(&engine->ledger);
  return input->queue.waiting > 0;
}

int fluxbp_conn_may_go_on(fluxbp_conn_t *conn) {
  fluxbp__input_t *input = &fluxbp__conn_engine(conn)->input;
  return input->depth > 0 && fluxbp__input_may_go_on(input);
}

int fluxbp_conn_wait_turn(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (!fluxbp__conn_take_rare(conn)) return UV_ENOMEM;
  conn->wants_turn = true;
  enqueue(conn);
  return 0;
}

int fluxbp_conn_is_waiting(const fluxbp_conn_t *conn) {
  return conn->is_held || conn->wants_turn;
}

void fluxbp_conn_begin_input(fluxbp_conn_t *conn) {
  fluxbp__input_begin(&fluxbp__conn_engine(conn)->input, false);
}

void fluxbp_conn_end_input(fluxbp_conn_t *conn) {
  fluxbp__input_t *input = &fluxbp__conn_engine(conn)->input;
  uint64_t used_ns = fluxbp__input_end(input);
  if (input->depth == 0) fluxbp__conn_note_read(conn, used_ns);
}
