/* SPDX-License-Identifier: MIT */
/*
 * deadlines: each kind is the same time away for everybody, so each has a queue in the order of due times, and one
 * timer looks at the heads of all.
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

static void wait_in(struct queue *queue, fluxbp_session_t *session, uint32_t wait_ms) {
  session_expect_nothing(session);
  if (wait_ms == 0 || session->is_closing) return;
  session->due_ms = (uint32_t) session_shard(session)->clock_ms + wait_ms;
  queue_append(queue, &session->due);
}

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

void session_expect(fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  if (atomic_load(&server->is_stopping)) /* it waits for the client */
    session_expect_soon(session);
  else
    wait_in(&session_shard(session)->handshakes, session, server->options.handshake_ms);
}

void session_expect_soon(fluxbp_session_t *session) {
  uint32_t wait_ms = least(fluxbp_session_server(session)->options.handshake_ms, CLIENT_CLOSE_MS);
  wait_in(&session_shard(session)->short_handshakes, session, wait_ms);
}

void session_expect_another(fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  if (atomic_load(&server->is_stopping))
    session_expect_soon(session);
  else
    wait_in(&session_shard(session)->idles, session, server->options.keep_alive_ms + KEEP_ALIVE_GRACE_MS);
}

void session_expect_nothing(fluxbp_session_t *session) {
  if (!session->is_closing) queue_remove(&session->due); /* else it is in no queue, see struct fluxbp_session */
}

void deadlines_expect_ping(fluxbp_session_t *session) {
  session->is_pinged = false;
  if (session_protocol(session)->ping == NULL) return;
  wait_in(&session_shard(session)->pings, session, fluxbp_session_server(session)->options.ping_ms);
}

bool deadlines_has_more_to_get(const fluxbp_session_t *session) {
  fluxbp_liveness_t liveness;
  if (atomic_load(&fluxbp_session_server(session)->is_stopping)) return false;
  fluxbp_conn_get_liveness(fluxbp_session_conn(session), &liveness);
  return liveness.acked_bytes < liveness.accepted_bytes;
}

static void expect_pong(fluxbp_session_t *session) {
  uint32_t look_ms = fluxbp_session_server(session)->options.ping_ms / PONG_LOOKS;
  wait_in(&session_shard(session)->pongs, session, look_ms > 0 ? look_ms : 1);
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
  if (intake_is_held(session)) session->pong_from_ms = at_ms; /* it isn't read: its pong may have come */
  if (pong_is_overdue(session->pong_from_ms, fluxbp_session_server(session)->options.ping_ms, at_ms))
    session_close(session, FLUXBP_CLOSE_POLICY, "no answer to a ping");
  else
    expect_pong(session);
}

/* Whether something that the client has sent waits for the server, and not for the backbone. Each command and each
 * request has --handshake of its own for that. */
static bool is_held_up(const fluxbp_session_t *session) {
  enum protocol_due due = session_due(session);
  return due != DUE_NOTHING ? due == DUE_ROOM : intake_is_held(session) && !answers_are_due(session);
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

static fluxbp_session_t *due_of(const struct queue *queue, uint32_t at_ms) {
  struct queue_link *first = queue_first(queue);
  if (first == NULL) return NULL;
  fluxbp_session_t *session = QUEUE_ITEM(first, fluxbp_session_t, due);
  return (int32_t) (at_ms - session->due_ms) >= 0 ? session : NULL;
}

static void end_late(const struct queue *queue, uint32_t at_ms) {
  fluxbp_session_t *session;
  while ((session = due_of(queue, at_ms)) != NULL) end_handshake(session);
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
  end_late(&shard->handshakes, at_ms);
  end_late(&shard->short_handshakes, at_ms);
  end_late(&shard->idles, at_ms);
  while ((session = due_of(&shard->pings, at_ms)) != NULL) send_ping(session, at_ms);
  while ((session = due_of(&shard->pongs, at_ms)) != NULL) look_for_pong(session, at_ms);
}

void deadlines_init(struct shard *shard) {
  queue_init(&shard->pings);
  queue_init(&shard->pongs);
  queue_init(&shard->handshakes);
  queue_init(&shard->short_handshakes);
  queue_init(&shard->idles);
  uv_timer_init(fluxbp_hub_loop(shard->hub), &shard->timer);
  uv_unref((uv_handle_t *) &shard->timer);
  shard->timer.data = shard;
  shard->ticked_ms = now_ms(shard);
  (void) uv_timer_start(&shard->timer, on_tick, TICK_MS, TICK_MS); /* it can't fail with a callback */
}
