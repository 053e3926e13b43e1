/* SPDX-License-Identifier: MIT */
/*
 * deadlines: each kind is the same time away for everybody, so each has a queue in the order of due times, and one
 * timer looks at the heads of all.
 *
 * A message that has begun takes the place of the ping. A client that sends its messages in pieces would never get a
 * ping if each of them began the time anew: so the time of the last one is kept, and if the ping is overdue when a
 * message is whole, it comes at the next look.
 */
#include "deadlines.h"

#include "answers.h"
#include "intake.h"
#include "pong.h"
#include "session_grants.h"

#include <time.h>

/* How often they are looked at, and how much of the time between two looks counts. */
#define TICK_MS 100
#define TICK_COUNTS_MS (2 * TICK_MS)

/* A client that doesn't answer its ping is looked at so many times while it has the time to. */
#define PONG_LOOKS 4

static uint64_t now_ms(const struct shard *shard) {
  return uv_now(fluxbp_hub_loop(shard->hub));
}

static uint32_t clock_ms(const fluxbp_session_t *session) {
  return (uint32_t) session_shard(session)->clock_ms;
}

static void expect(fluxbp_session_t *session, enum deadline deadline, uint32_t wait_ms) {
  session_expect_nothing(session);
  if (wait_ms == 0 || session->is_closing) return;
  session->due_ms = clock_ms(session) + wait_ms;
  session->due_for = deadline;
  queue_append(&session_shard(session)->deadlines[deadline], &session->due);
}

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

void session_expect(fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  if (atomic_load(&server->is_stopping)) /* it waits for the client */
    session_expect_soon(session);
  else
    expect(session, DEADLINE_HANDSHAKE, server->options.handshake_ms);
}

void session_expect_soon(fluxbp_session_t *session) {
  uint32_t wait_ms = least(fluxbp_session_server(session)->options.handshake_ms, CLIENT_CLOSE_MS);
  expect(session, DEADLINE_SHORT_HANDSHAKE, wait_ms);
}

void session_expect_another(fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  if (atomic_load(&server->is_stopping))
    session_expect_soon(session);
  else
    expect(session, DEADLINE_IDLE, server->options.keep_alive_ms + KEEP_ALIVE_GRACE_MS);
}

void session_expect_nothing(fluxbp_session_t *session) {
  if (session->is_closing) return; /* it is in no queue, see struct fluxbp_session */
  queue_remove(&session->due);
  session->due_for = DEADLINE_NONE;
}

static bool has_handshake(const fluxbp_session_t *session) {
  return session->due_for == DEADLINE_HANDSHAKE || session->due_for == DEADLINE_SHORT_HANDSHAKE;
}

void deadlines_end_handshake(fluxbp_session_t *session) {
  if (has_handshake(session)) session_expect_nothing(session);
}

static uint32_t ping_ms(const fluxbp_session_t *session) {
  return fluxbp_session_server(session)->options.ping_ms;
}

void deadlines_expect_ping(fluxbp_session_t *session) {
  session->is_pinged = false;
  if (session_protocol(session)->ping == NULL) return;
  session->pong_from_ms = clock_ms(session);
  if (session->due_for == DEADLINE_MESSAGE)
    session->has_ping_due = true;
  else
    expect(session, DEADLINE_PING, ping_ms(session));
}

/* Messages. */

void deadlines_begin_message(fluxbp_session_t *session) {
  uint32_t message_ms = fluxbp_session_server(session)->options.message_ms;
  if (message_ms == 0 || session->due_for == DEADLINE_MESSAGE || has_handshake(session)) return;
  session->has_ping_due = session->due_for == DEADLINE_PING || session->due_for == DEADLINE_PONG;
  if (session->due_for == DEADLINE_PONG) session->pong_from_ms = clock_ms(session); /* a part of a message will do */
  session->is_pinged = false;
  expect(session, DEADLINE_MESSAGE, message_ms);
}

void deadlines_end_message(fluxbp_session_t *session) {
  if (session->due_for != DEADLINE_MESSAGE) return;
  session_expect_nothing(session);
  if (!session->has_ping_due) return;
  expect(session, DEADLINE_PING, ping_ms(session));
  if (session->due_for != DEADLINE_PING || clock_ms(session) - session->pong_from_ms < ping_ms(session)) return;
  queue_remove(&session->due);
  session->due_ms = clock_ms(session);
  queue_prepend(&session_shard(session)->deadlines[DEADLINE_PING], &session->due);
}

void deadlines_renew_message(fluxbp_session_t *session) {
  if (session->due_for != DEADLINE_MESSAGE) return;
  expect(session, DEADLINE_MESSAGE, fluxbp_session_server(session)->options.message_ms);
}

/* A client that the server doesn't read can't end its message. */
static void end_late_message(fluxbp_session_t *session) {
  if (intake_waits_for_answer(session)) {
    deadlines_renew_message(session);
    return;
  }
  atomic_fetch_add(&fluxbp_session_server(session)->late_messages, 1);
  session_close(session, FLUXBP_CLOSE_POLICY,
                "a message did not come in time: message_ms is the time from its first byte to its last");
}

/* Pings. */

bool deadlines_has_more_to_get(const fluxbp_session_t *session) {
  fluxbp_liveness_t liveness;
  if (atomic_load(&fluxbp_session_server(session)->is_stopping)) return false;
  fluxbp_conn_get_liveness(fluxbp_session_conn(session), &liveness);
  return liveness.acked_bytes < liveness.accepted_bytes;
}

static void expect_pong(fluxbp_session_t *session) {
  uint32_t look_ms = ping_ms(session) / PONG_LOOKS;
  expect(session, DEADLINE_PONG, look_ms > 0 ? look_ms : 1);
}

static void send_ping(fluxbp_session_t *session, uint32_t at_ms) {
  if (session_protocol(session)->ping(session)) {
    session->is_pinged = true;
    session->pong_from_ms = at_ms;
    expect_pong(session);
  } else {
    deadlines_expect_ping(session);
  }
}

/* The next ping comes after the answer to this one: the acknowledgement of another would begin the time anew. */
static void look_for_pong(fluxbp_session_t *session, uint32_t at_ms) {
  fluxbp_liveness_t liveness;
  fluxbp_conn_get_liveness(fluxbp_session_conn(session), &liveness);
  session->pong_from_ms = pong_from_ms(&liveness, session->pong_from_ms, at_ms);
  if (intake_is_behind(session)) session->pong_from_ms = at_ms; /* it isn't read: its pong may have come */
  if (pong_is_overdue(session->pong_from_ms, ping_ms(session), at_ms))
    session_close(session, FLUXBP_CLOSE_POLICY, "no answer to a ping");
  else
    expect_pong(session);
}

/* Whether something that the client has sent waits for the server, and not for the backbone. Each command and each
 * request has --handshake of its own for that. */
static bool is_held_up(const fluxbp_session_t *session) {
  enum protocol_due due = session_due(session);
  return due != DUE_NOTHING ? due == DUE_ROOM : intake_is_behind(session) && !answers_are_due(session);
}

/* A client that sends no more may be gone altogether: then nothing of it moves. */
static void end_handshake(fluxbp_session_t *session) {
  session_expect_nothing(session);
  if (!session->ends_when_answered)
    session_protocol(session)->end_wait(session);
  else if (is_held_up(session) || deadlines_has_more_to_get(session))
    session_expect(session);
  else
    session_end(session, "gone");
}

static fluxbp_session_t *first_due(const struct shard *shard, enum deadline deadline, uint32_t at_ms) {
  struct queue_link *first = queue_first(&shard->deadlines[deadline]);
  if (first == NULL) return NULL;
  fluxbp_session_t *session = QUEUE_ITEM(first, fluxbp_session_t, due);
  return (int32_t) (at_ms - session->due_ms) >= 0 ? session : NULL;
}

static void end_late(const struct shard *shard, enum deadline deadline, uint32_t at_ms) {
  fluxbp_session_t *session;
  while ((session = first_due(shard, deadline, at_ms)) != NULL) end_handshake(session);
}

/* What the state topics of this hub take for frames. */
static void tell_state_bytes(struct shard *shard) {
  const fluxbp_text_list_t *names = &shard->server->options.state_topics;
  size_t bytes = 0;
  for (size_t i = 0; i < names->count; i++)
    bytes += fluxbp_topic_frame_bytes(fluxbp_topic_find(shard->hub, names->texts[i]));
  atomic_fetch_add(&shard->server->state_frame_bytes, bytes - shard->state_frame_bytes); /* may subtract */
  shard->state_frame_bytes = bytes;
}

static void on_tick(uv_timer_t *timer) {
  struct shard *shard = timer->data;
  tell_state_bytes(shard);
  if (shard->index == 0) server_expire(shard->server);
  session_grants_expire(shard, (uint64_t) time(NULL));
  fluxbp_session_t *session;
  uint64_t passed_ms = now_ms(shard) - shard->ticked_ms;
  shard->ticked_ms += passed_ms;
  shard->clock_ms += passed_ms < TICK_COUNTS_MS ? passed_ms : TICK_COUNTS_MS;
  uint32_t at_ms = (uint32_t) shard->clock_ms;
  end_late(shard, DEADLINE_HANDSHAKE, at_ms);
  end_late(shard, DEADLINE_SHORT_HANDSHAKE, at_ms);
  end_late(shard, DEADLINE_IDLE, at_ms);
  while ((session = first_due(shard, DEADLINE_MESSAGE, at_ms)) != NULL) end_late_message(session);
  while ((session = first_due(shard, DEADLINE_PING, at_ms)) != NULL) send_ping(session, at_ms);
  while ((session = first_due(shard, DEADLINE_PONG, at_ms)) != NULL) look_for_pong(session, at_ms);
}

void deadlines_init(struct shard *shard) {
  for (size_t deadline = 0; deadline < DEADLINE_COUNT; deadline++) queue_init(&shard->deadlines[deadline]);
  uv_timer_init(fluxbp_hub_loop(shard->hub), &shard->timer);
  uv_unref((uv_handle_t *) &shard->timer);
  shard->timer.data = shard;
  shard->ticked_ms = now_ms(shard);
  (void) uv_timer_start(&shard->timer, on_tick, TICK_MS, TICK_MS); /* it can't fail with a callback */
}
