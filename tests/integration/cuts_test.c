/* SPDX-License-Identifier: MIT */
/*
 * Clients are cut off at random moments, thousands of times, and come back with the id of their last message, to one
 * hub or to any of two that read a bus: each has every message of its topics exactly once and in order in the end.
 */
#include "conn_backlog.h"
#include "support/fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 12, CUTS = 1000, TOPICS = 3, HUBS_MAX = 2, PUBLISHED_MAX = 190000, KEPT = 20000 };

typedef struct client {
  peer_t *peer;
  unsigned topics; /* a bit for each that it is subscribed to */
  uint64_t last_id;
  size_t parsed; /* of what the present peer has received */
  bool has_gap;  /* it didn't read for too long, was told so, and has to come back for what it lost */
  uint64_t received;
} client_t;

typedef struct cuts {
  fixture_t fx[HUBS_MAX];
  unsigned hubs;
  fluxbp_topic_t *topics[HUBS_MAX][TOPICS];
  fluxbp_pool_t *pool; /* of the bus, if there is one */
  fluxbp_bus_t *bus;
  uint32_t numbers[TOPICS];
  unsigned topic_of[PUBLISHED_MAX + 1]; /* by id */
  uint64_t published;
  client_t clients[CLIENTS];
  uint32_t seed;
} cuts_t;

/* "TOPIC ID\n", and gaps as the newline codec writes them, so that a client sees what it got. */
static ptrdiff_t encode_with_id(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                size_t capacity) {
  (void) codec;
  int len = snprintf(out, capacity, "%s %" PRIu64 "\n", publication->topic, publication->id);
  return (size_t) len < capacity ? len : len + 1;
}

static fluxbp_codec_t with_id;

static uint32_t next_random(cuts_t *c) {
  c->seed = c->seed * 1664525u + 1013904223u;
  return c->seed >> 8;
}

static void open_cuts(cuts_t *c, unsigned hubs, uint32_t seed) {
  memset(c, 0, sizeof *c);
  c->seed = seed;
  c->hubs = hubs;
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  if (hubs > 1) {
    assert_int_equal(fluxbp_pool_create(NULL, &c->pool), 0);
    assert_int_equal(fluxbp_bus_create(c->pool, NULL, &c->bus), 0);
  }
  for (unsigned h = 0; h < hubs; h++) {
    fixture_init(&c->fx[h]);
    c->fx[h].options.history_messages = KEPT;
    c->fx[h].options.bus = c->bus;
    fixture_open(&c->fx[h]);
  }
  for (unsigned i = 0; i < TOPICS; i++) {
    char name[8];
    (void) snprintf(name, sizeof name, "t%u", i);
    if (c->bus != NULL) assert_int_equal(fluxbp_bus_topic(c->bus, name, &c->numbers[i]), 0);
    for (unsigned h = 0; h < hubs; h++) assert_int_equal(fluxbp_topic_open(c->fx[h].hub, name, &c->topics[h][i]), 0);
  }
}

static void close_cuts(cuts_t *c) {
  for (unsigned h = 0; h < c->hubs; h++) {
    assert_int_equal(c->fx[h].evictions, 0);
    fixture_close(&c->fx[h]);
  }
  if (c->bus == NULL) return;
  assert_int_equal(fluxbp_bus_destroy(c->bus), 0);
  assert_int_equal(fluxbp_pool_destroy(c->pool), 0);
}

static void publish(cuts_t *c) {
  unsigned topic = next_random(c) % TOPICS;
  fluxbp_msg_t *msg;
  c->topic_of[++c->published] = topic;
  if (c->bus == NULL) {
    assert_true(fixture_publish(&c->fx[0], c->topics[0][topic], "m", 1) >= 0);
    return;
  }
  uint64_t id;
  assert_int_equal(fluxbp_msg_create(c->pool, "m", 1, &msg), 0);
  assert_int_equal(fluxbp_bus_publish(c->bus, c->numbers[topic], msg, &id), 0);
  assert_int_equal(id, c->published);
  fluxbp_msg_unref(msg);
}

/* Every whole line that has come is the next message of its topics. */
static void check(cuts_t *c, client_t *client) {
  peer_t *peer = client->peer;
  for (;;) {
    char *line = peer->data + client->parsed;
    char *newline = peer->len > client->parsed ? memchr(line, '\n', peer->len - client->parsed) : NULL;
    if (newline == NULL) return;
    client->has_gap = *line == '{';
    if (client->has_gap) return;
    unsigned topic;
    uint64_t id;
    assert_int_equal(sscanf(line, "t%u %" SCNu64, &topic, &id), 2);
    uint64_t expected = client->last_id + 1;
    while (!(client->topics & 1u << c->topic_of[expected])) expected++;
    assert_int_equal(id, expected);
    assert_int_equal(topic, c->topic_of[id]);
    client->last_id = id;
    client->received++;
    client->parsed = (size_t) (newline + 1 - peer->data);
  }
}

/* A hub may have yet to read what its client has from another one. */
static void resume(client_t *client, fluxbp_topic_t *topic) {
  fixture_t *fx = client->peer->fx;
  fluxbp_history_range_t range;
  fluxbp_hub_history(fx->hub, &range);
  int result;
  while ((result = fluxbp_topic_subscribe_since(topic, client->peer->conn, range.epoch, client->last_id)) == UV_EAGAIN)
    fixture_turns(fx, 1);
  assert_int_equal(result, 1);
}

static void connect_client(cuts_t *c, client_t *client, const fluxbp_transport_t *transport) {
  unsigned hub = next_random(c) % c->hubs;
  int small = next_random(c) % 2 ? FIXTURE_SMALL_BUFFERS : FIXTURE_LARGE_BUFFERS;
  client->peer = peer_new(&c->fx[hub], transport, &with_id, small);
  (void) fluxbp_topic_unsubscribe(c->fx[hub].topic, client->peer->conn);
  client->parsed = 0;
  client->has_gap = false;
  for (unsigned i = 0; i < TOPICS; i++)
    if (client->topics & 1u << i) resume(client, c->topics[hub][i]);
}

/* The client is gone, with whatever was on its way to it. */
static void cut(cuts_t *c, client_t *client) {
  peer_read(client->peer);
  check(c, client);
  if (next_random(c) % 2)
    peer_break(client->peer);
  else
    peer_hang_up(client->peer);
  if (client->peer->conn != NULL && next_random(c) % 2) fluxbp_conn_reset(client->peer->conn);
}

static void go_on_for_a_while(cuts_t *c) {
  for (uint32_t i = next_random(c) % 40; i > 0 && c->published < PUBLISHED_MAX; i--) publish(c);
  for (unsigned h = 0; h < c->hubs; h++) fixture_turns(&c->fx[h], (int) (next_random(c) % 3));
}

/* The client's kernel has it, too: on a busy machine it gets the last bytes some time after ours has taken them. */
static bool has_everything(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return peer->conn->catching_up == 0 && peer->conn->ring.count == 0 && fluxbp__conn_unacked_bytes(peer->conn) == 0;
}

static void read_all(cuts_t *c, client_t *client) {
  peer_t *peer = client->peer;
  while (peer->fx->hub->topics.last_id < c->published) fixture_turns(peer->fx, 1);
  fixture_run_until(peer->fx, has_everything, peer, true);
  for (int i = 0; i < 3; i++) {
    fixture_turns(peer->fx, 1);
    peer_read(peer);
  }
  check(c, client);
}

/* Every message of its topics; if it was told of a gap, it comes back once more. */
static int finish(cuts_t *c, client_t *client, const fluxbp_transport_t *transport) {
  read_all(c, client);
  int gaps = client->has_gap;
  if (client->has_gap) {
    cut(c, client);
    connect_client(c, client, transport);
    read_all(c, client);
  }
  uint64_t due = 0;
  for (uint64_t id = 1; id <= c->published; id++) due += client->topics >> c->topic_of[id] & 1u;
  assert_int_equal(client->received, due);
  return gaps;
}

static void cut_again_and_again(unsigned hubs, const fluxbp_transport_t *transport) {
  static cuts_t c;
  int cuts = FIXTURE_IS_SANITIZED ? CUTS / 3 : CUTS;
  int gaps = 0;
  open_cuts(&c, hubs, 99 + (transport == FLUXBP_PIPE));
  for (unsigned i = 0; i < CLIENTS; i++) {
    c.clients[i].topics = 1 + i % ((1u << TOPICS) - 1);
    connect_client(&c, &c.clients[i], transport);
  }
  for (int done = 0; done < cuts || (gaps == 0 && c.published < PUBLISHED_MAX);) { /* gaps are up to the kernel */
    go_on_for_a_while(&c);
    client_t *client = &c.clients[next_random(&c) % CLIENTS];
    if (next_random(&c) % 2) {
      peer_read(client->peer);
      check(&c, client);
    }
    client_t *victim = client->has_gap ? client : &c.clients[next_random(&c) % CLIENTS];
    if (!client->has_gap && next_random(&c) % 4 != 0) continue;
    gaps += client->has_gap;
    cut(&c, victim);
    connect_client(&c, victim, transport);
    if (++done % 500 == 0) fixture_balances(&c.fx[0]);
  }
  for (unsigned i = 0; i < CLIENTS; i++) gaps += finish(&c, &c.clients[i], transport);
  assert_true(gaps > 0); /* they happened, and were mended */
  close_cuts(&c);
}

static void cuts_on_one_hub_lose_and_double_nothing(const fluxbp_transport_t *transport) {
  cut_again_and_again(1, transport);
}
FIXTURE_BOTH(cuts_on_one_hub_lose_and_double_nothing)

static void cuts_between_two_hubs_lose_and_double_nothing(const fluxbp_transport_t *transport) {
  cut_again_and_again(2, transport);
}
FIXTURE_BOTH(cuts_between_two_hubs_lose_and_double_nothing)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIXTURE_TESTS(cuts_on_one_hub_lose_and_double_nothing),
      FIXTURE_TESTS(cuts_between_two_hubs_lose_and_double_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
