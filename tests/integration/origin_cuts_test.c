/* SPDX-License-Identifier: MIT */
/*
 * Random publications from random origins, over two hubs of a bus, for clients that are cut off at random moments and
 * come back with the id of their last message. On log topics each connection has every message of its topics exactly
 * once and in order, but for those of its own origin. On a state topic each client ends with the newest value of every
 * key, where it has taken its own publications for what they are.
 */
#include "support/fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HUBS = 2, CLIENTS = 10, TOPICS = 3, KEYS = 96, CUTS = 600, PUBLISHED_MAX = 60000, KEPT = 20000 };

typedef struct client {
  peer_t *peer;
  uint64_t origin; /* of the present connection */
  unsigned topics; /* a bit for each log topic that it is subscribed to */
  uint64_t last_id;
  size_t parsed; /* of what the present peer has received */
  bool has_gap;
  uint64_t seen[KEYS]; /* the number of the publication that it takes for the newest of the key */
} client_t;

typedef struct world {
  fixture_t fx[HUBS];
  fluxbp_topic_t *topics[HUBS][TOPICS];
  fluxbp_topic_t *state[HUBS];
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  unsigned topic_of[PUBLISHED_MAX + 1]; /* by id; TOPICS for the state topic */
  uint64_t origin_of[PUBLISHED_MAX + 1];
  uint64_t newest[KEYS]; /* the number of the newest publication of each key; 0: there is none */
  bool is_removed[KEYS]; /* the newest is a removal */
  uint64_t published;
  client_t clients[CLIENTS];
  uint32_t seed;
} world_t;

/* "tTOPIC ID\n" of a log topic and "s KEY NUMBER\n" of the state topic, where the message says what is the rest of the
 * line; gaps as the newline codec writes them. */
static ptrdiff_t encode_line(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                             size_t capacity) {
  (void) codec;
  int len = publication->topic[0] == 's'
                ? snprintf(out, capacity, "s %.*s\n", (int) publication->length, (const char *) publication->data)
                : snprintf(out, capacity, "%s %" PRIu64 "\n", publication->topic, publication->id);
  return (size_t) len < capacity ? len : len + 1;
}

static fluxbp_codec_t line_codec;

static uint32_t next_random(world_t *w) {
  w->seed = w->seed * 1664525u + 1013904223u;
  return w->seed >> 8;
}

static void open_world(world_t *w, uint32_t seed) {
  memset(w, 0, sizeof *w);
  w->seed = seed;
  line_codec = fluxbp_codec_newline;
  line_codec.encode = encode_line;
  assert_int_equal(fluxbp_pool_create(NULL, &w->pool), 0);
  assert_int_equal(fluxbp_bus_create(w->pool, NULL, &w->bus), 0);
  for (unsigned h = 0; h < HUBS; h++) {
    fixture_init(&w->fx[h]);
    w->fx[h].options.history_messages = KEPT;
    w->fx[h].options.history_topic_messages = KEPT / 3;
    w->fx[h].options.bus = w->bus;
    fixture_open(&w->fx[h]);
    assert_int_equal(fluxbp_topic_open_state(w->fx[h].hub, "s", KEYS, &w->state[h]), 0);
    for (unsigned i = 0; i < TOPICS; i++) {
      char name[8];
      (void) snprintf(name, sizeof name, "t%u", i);
      assert_int_equal(fluxbp_topic_open(w->fx[h].hub, name, &w->topics[h][i]), 0);
    }
  }
}

static void close_world(world_t *w) {
  for (unsigned h = 0; h < HUBS; h++) {
    assert_int_equal(w->fx[h].evictions, 0);
    fixture_close(&w->fx[h]);
  }
  assert_int_equal(fluxbp_bus_destroy(w->bus), 0);
  assert_int_equal(fluxbp_pool_destroy(w->pool), 0);
}

/* Publish for one of the clients, or for none. */
static void publish(world_t *w) {
  client_t *sender = next_random(w) % 4 != 0 ? &w->clients[next_random(w) % CLIENTS] : NULL;
  fluxbp_bus_publish_options_t options;
  fluxbp_msg_t *msg;
  char text[64], name[8] = "s";
  uint64_t id, number = w->published + 1;
  unsigned topic = next_random(w) % (TOPICS + 2);
  if (topic >= TOPICS) {
    /* most of the time a connection sets keys of its own, as long as there are enough for all */
    unsigned key = next_random(w) % KEYS;
    if (sender != NULL && next_random(w) % 16 != 0) key = (unsigned) (sender->origin * 4 + next_random(w) % 4) % KEYS;
    int len = snprintf(text, sizeof text, "%u %" PRIu64, key, number);
    bool is_removal = next_random(w) % 3 == 0;
    int err = is_removal ? fluxbp_msg_create_removal(w->pool, key, NULL, text, (size_t) len, &msg)
                         : fluxbp_msg_create_keyed(w->pool, key, text, (size_t) len, &msg);
    assert_int_equal(err, 0);
    if (!is_removal || (w->newest[key] != 0 && !w->is_removed[key])) { /* else there is nothing to remove */
      w->newest[key] = number;
      w->is_removed[key] = is_removal;
      if (sender != NULL) sender->seen[key] = number;
    }
    topic = TOPICS;
  } else {
    (void) snprintf(name, sizeof name, "t%u", topic);
    assert_int_equal(fluxbp_msg_create(w->pool, "m", 1, &msg), 0);
  }
  fluxbp_bus_publish_options_init(&options);
  options.name = name;
  options.origin = sender != NULL ? sender->origin : 0;
  assert_int_equal(fluxbp_bus_publish_with(w->bus, msg, &options, &id), 0);
  fluxbp_msg_unref(msg);
  assert_int_equal(id, number);
  w->published = id;
  w->topic_of[id] = topic;
  w->origin_of[id] = options.origin;
}

static bool is_due(const world_t *w, const client_t *client, uint64_t id) {
  bool is_subscribed = w->topic_of[id] < TOPICS && (client->topics & 1u << w->topic_of[id]);
  return is_subscribed && w->origin_of[id] != client->origin;
}

static void check_value(client_t *client, const char *line) {
  unsigned key;
  uint64_t number;
  assert_int_equal(sscanf(line, "s %u %" SCNu64, &key, &number), 2);
  client->seen[key] = number;
}

/* Every whole line that has come is the next message of its log topics, or a value. */
static void check(world_t *w, client_t *client) {
  peer_t *peer = client->peer;
  for (;;) {
    char *line = peer->data + client->parsed;
    char *newline = peer->len > client->parsed ? memchr(line, '\n', peer->len - client->parsed) : NULL;
    if (newline == NULL) return;
    if (*line == '{') client->has_gap = true;
    if (client->has_gap) return;
    client->parsed = (size_t) (newline + 1 - peer->data);
    if (*line == 's') {
      check_value(client, line);
      continue;
    }
    unsigned topic;
    uint64_t id;
    assert_int_equal(sscanf(line, "t%u %" SCNu64, &topic, &id), 2);
    uint64_t expected = client->last_id + 1;
    while (!is_due(w, client, expected)) expected++;
    assert_int_equal(id, expected);
    assert_int_equal(topic, w->topic_of[id]);
    client->last_id = id;
  }
}

static void resume(client_t *client, fluxbp_topic_t *topic) {
  fixture_t *fx = client->peer->fx;
  fluxbp_history_range_t range;
  fluxbp_hub_history(fx->hub, &range);
  int result;
  while ((result = fluxbp_topic_subscribe_since(topic, client->peer->conn, range.epoch, client->last_id)) == UV_EAGAIN)
    fixture_turns(fx, 1);
  assert_int_equal(result, 1);
}

/* It may publish before it subscribes: what it missed has its own messages in between. */
static void connect_client(world_t *w, client_t *client, const fluxbp_transport_t *transport) {
  unsigned hub = next_random(w) % HUBS;
  int small = next_random(w) % 2 ? FIXTURE_SMALL_BUFFERS : FIXTURE_LARGE_BUFFERS;
  client->peer = peer_new(&w->fx[hub], transport, &line_codec, small);
  client->origin = fluxbp_conn_origin(client->peer->conn);
  client->parsed = 0;
  client->has_gap = false;
  memset(client->seen, 0, sizeof client->seen);
  (void) fluxbp_topic_unsubscribe(w->fx[hub].topic, client->peer->conn);
  for (uint32_t i = next_random(w) % 4; i > 0; i--) publish(w);
  for (unsigned i = 0; i < TOPICS; i++)
    if (client->topics & 1u << i) resume(client, w->topics[hub][i]);
  assert_int_equal(fluxbp_topic_subscribe(w->state[hub], client->peer->conn), 1);
}

static void cut(world_t *w, client_t *client) {
  peer_read(client->peer);
  check(w, client);
  if (next_random(w) % 2)
    peer_break(client->peer);
  else
    peer_hang_up(client->peer);
  if (client->peer->conn != NULL && next_random(w) % 2) fluxbp_conn_reset(client->peer->conn);
}

static void go_on_for_a_while(world_t *w) {
  for (uint32_t i = next_random(w) % 40; i > 0 && w->published < PUBLISHED_MAX - 4; i--) publish(w);
  for (unsigned h = 0; h < HUBS; h++) fixture_turns(&w->fx[h], (int) (next_random(w) % 3));
}

static bool has_everything(fixture_t *fx, void *arg) {
  const peer_t *peer = arg;
  (void) fx;
  return peer->conn->catching_up == 0 && peer->conn->ring.count == 0;
}

static void read_all(world_t *w, client_t *client) {
  peer_t *peer = client->peer;
  while (peer->fx->hub->topics.last_id < w->published) fixture_turns(peer->fx, 1);
  fixture_run_until(peer->fx, has_everything, peer, true);
  for (int i = 0; i < 3; i++) {
    fixture_turns(peer->fx, 1);
    peer_read(peer);
  }
  check(w, client);
}

/* A client that has come after a removal doesn't know the key. */
static void has_newest_values(const world_t *w, const client_t *client) {
  for (unsigned key = 0; key < KEYS; key++) {
    bool never_had_it = w->is_removed[key] && client->seen[key] == 0;
    if (!never_had_it) assert_int_equal(client->seen[key], w->newest[key]);
  }
}

static void publications_of_random_origins(const fluxbp_transport_t *transport) {
  static world_t w;
  int cuts = FIXTURE_IS_SANITIZED ? CUTS / 3 : CUTS;
  open_world(&w, 7 + (transport == FLUXBP_PIPE));
  for (unsigned i = 0; i < CLIENTS; i++) {
    w.clients[i].topics = 1 + i % ((1u << TOPICS) - 1);
    connect_client(&w, &w.clients[i], transport);
  }
  for (int done = 0; done < cuts;) {
    go_on_for_a_while(&w);
    client_t *client = &w.clients[next_random(&w) % CLIENTS];
    if (next_random(&w) % 2) {
      peer_read(client->peer);
      check(&w, client);
    }
    client_t *victim = client->has_gap ? client : &w.clients[next_random(&w) % CLIENTS];
    if (!client->has_gap && next_random(&w) % 4 != 0) continue;
    cut(&w, victim);
    connect_client(&w, victim, transport);
    if (++done % 200 == 0)
      for (unsigned h = 0; h < HUBS; h++) fixture_balances(&w.fx[h]);
  }
  for (unsigned i = 0; i < CLIENTS; i++) {
    client_t *client = &w.clients[i];
    read_all(&w, client);
    if (client->has_gap) {
      cut(&w, client);
      connect_client(&w, client, transport);
      read_all(&w, client);
    }
  }
  for (unsigned i = 0; i < CLIENTS; i++) { /* the last one that came back may have published */
    client_t *client = &w.clients[i];
    read_all(&w, client);
    assert_false(client->has_gap);
    for (uint64_t id = client->last_id + 1; id <= w.published; id++) assert_false(is_due(&w, client, id));
    has_newest_values(&w, client);
  }
  close_world(&w);
}
FIXTURE_BOTH(publications_of_random_origins)

int main(void) {
  const struct CMUnitTest tests[] = {FIXTURE_TESTS(publications_of_random_origins)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
