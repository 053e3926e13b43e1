/* SPDX-License-Identifier: MIT */
/*
 * tls_client: see the header. A protocol of its own until the handshake has ended.
 *
 * What a client may do by its certificate is found out then, and holds as long as the connection.
 */
#include "tls_client.h"

#include "deadlines.h"
#include "server/log.h"
#include "session_grants.h"

#include <stdio.h>
#include <string.h>

/* Of the budget, that parts of records may fill. */
#define INPUT_PART 8

#define PLAIN_TEXT "this address speaks TLS"

static const struct listener *listener_of(const fluxbp_session_t *session) {
  return &fluxbp_session_server(session)->listeners[session->listener];
}

static void log_problem(const fluxbp_session_t *session, const char *event, const char *problem) {
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  server_log(fluxbp_session_server(session), FLUXBP_LOG_WARN, event, log_number("conn", fluxbp_session_id(session)),
             log_word("peer", peer), log_phrase("reason", problem));
}

/* The transport's handlers. */

static int fail(fluxbp_session_t *session, const char *problem) {
  atomic_fetch_add(&fluxbp_session_server(session)->tls_failed, 1);
  log_problem(session, "tls_failed", problem);
  session_end(session, "TLS failed");
  return 1;
}

static int on_handshake(fluxbp_conn_t *conn, int err, const char *problem) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  fluxbp_server_t *server = fluxbp_session_server(session);
  if (session->is_closing) return 1;
  if (err != 0) return fail(session, problem);
  const char *refusal = session->tls_refusal;
  atomic_fetch_add(&server->tls_handshakes, 1);
  if (fluxbp_tls_is_resumed(conn)) atomic_fetch_add(&server->tls_resumed, 1);
  session_expect_nothing(session);
  if (!session_take_certificate(session, &problem) && refusal == NULL) refusal = problem;
  session_begin(session, refusal);
  return 1;
}

/* The answer to a client that speaks no TLS, in its protocol. */
static size_t on_plain(fluxbp_conn_t *conn, const char *data, size_t received, char *answer, size_t capacity) {
  static const char body[] = PLAIN_TEXT ": use https:// or wss://\n";
  int length = 0;
  (void) data;
  (void) received;
  switch (listener_of(fluxbp_conn_user(conn))->protocol->kind) {
  case PROTOCOL_HTTP:
    length = snprintf(answer, capacity,
                      "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                      "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                      sizeof body - 1, body);
    break;
  case PROTOCOL_LENGTH:
    length = snprintf(answer, capacity, "%c%c%c%c-ERR " PLAIN_TEXT, 0, 0, 0, (int) sizeof("-ERR " PLAIN_TEXT) - 1);
    break;
  default:
    length = snprintf(answer, capacity, "-ERR " PLAIN_TEXT "\n");
    break;
  }
  return length > 0 && (size_t) length < capacity ? (size_t) length : 0;
}

int tls_client_init(struct shard *shard) {
  fluxbp_tls_transport_options_t options;
  if (shard->server->options.tls == NULL) return 0;
  fluxbp_tls_transport_options_init(&options);
  options.tls = shard->server->options.tls;
  options.on_handshake = on_handshake;
  options.on_plain = on_plain;
  options.input_bytes = shard->server->options.budget / INPUT_PART / shard->server->shard_count;
  options.record_ms = shard->server->options.message_ms;
  return fluxbp_tls_transport_create(shard->hub, &options, &shard->tls);
}

/* The protocol. */

/* Behind the header of a proxy. */
static size_t take_tls(fluxbp_session_t *session, const char *data, size_t length) {
  if (fluxbp_tls_secure(fluxbp_session_conn(session), data, length) != 0) session_cut_off(session, "out of memory");
  return length;
}

static void end_tls_wait(fluxbp_session_t *session) {
  (void) fail(session, "the handshake did not end in time");
}

static void end_tls(fluxbp_session_t *session) {
  (void) session;
}

const struct protocol protocol_tls = {
    .kind = PROTOCOL_TLS,
    .name = "tls",
    .says_when_it_ends = true,
    .take = take_tls,
    .end_wait = end_tls_wait,
    .end = end_tls,
};

void tls_client_begin(fluxbp_session_t *session, const char *refusal) {
  session->protocol = PROTOCOL_TLS;
  session->tls_refusal = refusal;
  if (refusal != NULL)
    session_expect_soon(session);
  else
    session_expect(session);
}

bool tls_client_refuse_hello(fluxbp_session_t *session, const char *data, size_t length) {
  static const char hello[] = {0x16, 0x03}; /* a record of a handshake, and the version 3.x */
  bool is_waiting = session->protocol == PROTOCOL_TLS || session->protocol == PROTOCOL_PROXIED;
  if (is_waiting || length < sizeof hello || memcmp(data, hello, sizeof hello) != 0) return false;
  log_problem(session, "tls_to_plain", "the client speaks TLS, and this address does not");
  session_end(session, "the client speaks TLS");
  return true;
}
