/* SPDX-License-Identifier: MIT */
/*
 * deadlines: each kind is the same time away for everybody, so each has a queue in the order of due times, and one timer
 * looks at the heads of all.
 */
#include "deadlines.h"

#include "answers.h"
#include "intake.h"
#include "pong.h"
#include "server/http/http_client.h"

/* How often they are looked at, and how much of the time between two looks counts. */
#define TICK_MS 100
#define TICK_COUNTS_MS (2 * TICK_MS)

/* A client that doesn't answer its ping is looked at so many times while it has the time to. */
#define PONG_LOOKS 4

static uint64_t now_ms(const struct clients *clients) {
  return uv_now(fluxbp_hub_loop(clients->hub));
}

static void wait_in(struct queue *queue, struct client *client, uint32_t wait_ms) {
  client_expect_nothing(client);
  if (wait_ms == 0 || client->is_closing) return;
  client->due_ms = (uint32_t) client_clients(client)->clock_ms + wait_ms;
  queue_append(queue, &client->due);
}

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

void client_expect(struct client *client) {
  const struct server *server = client_server(client);
  if (atomic_load(&server->is_stopping)) /* it waits for the client */
    client_expect_soon(client);
  else
    wait_in(&client_clients(client)->handshakes, client, server->options->handshake_ms);
}

void client_expect_soon(struct client *client) {
  uint32_t wait_ms = least(client_server(client)->options->handshake_ms, CLIENT_CLOSE_MS);
  wait_in(&client_clients(client)->short_handshakes, client, wait_ms);
}

void client_expect_another(struct client *client) {
  const struct server *server = client_server(client);
  if (atomic_load(&server->is_stopping))
    client_expect_soon(client);
  else
    wait_in(&client_clients(client)->idles, client, server->options->keep_alive_ms + KEEP_ALIVE_GRACE_MS);
}

void client_expect_nothing(struct client *client) {
  if (!client->is_closing) queue_remove(&client->due); /* else it is in no queue, see struct client */
}

void deadlines_expect_ping(struct client *client) {
  client->is_pinged = false;
  if (client_protocol(client)->ping == NULL) return;
  wait_in(&client_clients(client)->pings, client, client_server(client)->options->ping_ms);
}

bool deadlines_has_more_to_get(const struct client *client) {
  fluxbp_liveness_t liveness;
  if (atomic_load(&client_server(client)->is_stopping)) return false;
  fluxbp_conn_get_liveness(client_conn(client), &liveness);
  return liveness.acked_bytes < liveness.accepted_bytes;
}

static void expect_pong(struct client *client) {
  uint32_t look_ms = client_server(client)->options->ping_ms / PONG_LOOKS;
  wait_in(&client_clients(client)->pongs, client, look_ms > 0 ? look_ms : 1);
}

static void send_ping(struct client *client, uint32_t at_ms) {
  if (client_protocol(client)->ping(client)) {
    client->is_pinged = true;
    client->pong_from_ms = at_ms;
    expect_pong(client);
  } else {
    deadlines_expect_ping(client);
  }
}

/* The next ping comes after the answer to this one: the acknowledgement of another would begin the time anew. */
static void look_for_pong(struct client *client, uint32_t at_ms) {
  fluxbp_liveness_t liveness;
  fluxbp_conn_get_liveness(client_conn(client), &liveness);
  client->pong_from_ms = pong_from_ms(&liveness, client->pong_from_ms, at_ms);
  if (intake_is_held(client)) client->pong_from_ms = at_ms; /* it isn't read: its pong may have come */
  if (pong_is_overdue(client->pong_from_ms, client_server(client)->options->ping_ms, at_ms))
    client_close(client, WEBSOCKET_POLICY, "no answer to a ping");
  else
    expect_pong(client);
}

/* Whether something that the client has sent waits for the gateway, and not for the backbone. Each command and each request has
 * --handshake of its own for that. */
static bool is_held_up(const struct client *client) {
  bool is_due = client->protocol == PROTOCOL_HTTP && http_is_due(client);
  return is_due ? http_waits_for_room(client) : intake_is_held(client) && !answers_are_due(client);
}

/* A client that sends no more may be gone altogether: then nothing of it moves. */
static void end_handshake(struct client *client) {
  client_expect_nothing(client);
  if (!client->ends_when_answered)
    client_protocol(client)->is_late(client);
  else if (is_held_up(client) || deadlines_has_more_to_get(client))
    client_expect(client);
  else
    client_end(client, "gone");
}

static struct client *due_of(const struct queue *queue, uint32_t at_ms) {
  struct queue_link *first = queue_first(queue);
  if (first == NULL) return NULL;
  struct client *client = QUEUE_ITEM(first, struct client, due);
  return (int32_t) (at_ms - client->due_ms) >= 0 ? client : NULL;
}

static void end_late(const struct queue *queue, uint32_t at_ms) {
  struct client *client;
  while ((client = due_of(queue, at_ms)) != NULL) end_handshake(client);
}

/* What the state topics of this hub take for frames. */
static void tell_state_bytes(struct clients *clients) {
  const struct text_list *names = &clients->server->options->state_topics;
  size_t bytes = 0;
  for (size_t i = 0; i < names->count; i++)
    bytes += fluxbp_topic_frame_bytes(fluxbp_topic_find(clients->hub, names->texts[i]));
  atomic_fetch_add(&clients->server->state_frame_bytes, bytes - clients->state_frame_bytes); /* may subtract */
  clients->state_frame_bytes = bytes;
}

static void on_tick(uv_timer_t *timer) {
  struct clients *clients = timer->data;
  tell_state_bytes(clients);
  if (clients->index == 0) server_expire(clients->server);
  struct client *client;
  uint64_t passed_ms = now_ms(clients) - clients->ticked_ms;
  clients->ticked_ms += passed_ms;
  clients->clock_ms += passed_ms < TICK_COUNTS_MS ? passed_ms : TICK_COUNTS_MS;
  uint32_t at_ms = (uint32_t) clients->clock_ms;
  end_late(&clients->handshakes, at_ms);
  end_late(&clients->short_handshakes, at_ms);
  end_late(&clients->idles, at_ms);
  while ((client = due_of(&clients->pings, at_ms)) != NULL) send_ping(client, at_ms);
  while ((client = due_of(&clients->pongs, at_ms)) != NULL) look_for_pong(client, at_ms);
}

void deadlines_init(struct clients *clients) {
  queue_init(&clients->pings);
  queue_init(&clients->pongs);
  queue_init(&clients->handshakes);
  queue_init(&clients->short_handshakes);
  queue_init(&clients->idles);
  uv_timer_init(fluxbp_hub_loop(clients->hub), &clients->timer);
  uv_unref((uv_handle_t *) &clients->timer);
  clients->timer.data = clients;
  clients->ticked_ms = now_ms(clients);
  (void) uv_timer_start(&clients->timer, on_tick, TICK_MS, TICK_MS); /* it can't fail with a callback */
}
