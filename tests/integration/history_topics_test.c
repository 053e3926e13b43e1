/* SPDX-License-Identifier: MIT */
/*
 * The history of each topic: a busy topic pays for itself, a quiet one can be resumed from far back, and each says how
 * far.
 */
#include "support/hub_bus_fixture.h"

#include "replay.h"
#include "support/replay_fixture.h"
#include "topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "TOPIC ID\n", and gaps as the newline codec writes them, so that a client sees what it got. */
static ptrdiff_t encode_with_id(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                size_t capacity) {
  (void) codec;
  int len = snprintf(out, capacity, "%s %" PRIu64 "\n", publication->topic, publication->id);
  return (size_t) len < capacity ? len : len + 1;
}

static fluxbp_codec_t with_id;

static void init_with_history(fixture_t *fx, uint32_t messages, uint32_t topic_messages) {
  with_id = fluxbp_codec_newline;
  with_id.encode = encode_with_id;
  fixture_init(fx);
  fx->options.history_messages = messages;
  fx->options.history_topic_messages = topic_messages;
}

static fluxbp_topic_t *open_topic(fixture_t *fx, const char *name) {
  fluxbp_topic_t *topic;
  assert_int_equal(fluxbp_topic_open(fx->hub, name, &topic), 0);
  return topic;
}

/* A peer without subscriptions. */
static void open_peer(fixture_t *fx, peer_t *peer, int small) {
  peer_open(fx, peer, FLUXBP_PIPE, &with_id, small);
  (void) fluxbp_topic_unsubscribe(fx->topic, peer->conn);
}

static int resume(peer_t *peer, fluxbp_topic_t *topic, uint64_t since_id) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(peer->fx->hub, &range);
  return fluxbp_topic_subscribe_since(topic, peer->conn, range.epoch, since_id);
}

static void a_busy_topic_leaves_quiet_ones_their_past(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  init_with_history(&fx, 100, 10);
  fixture_open(&fx);
  fluxbp_topic_t *busy = open_topic(&fx, "busy");
  fluxbp_topic_t *quiet = open_topic(&fx, "quiet");
  fluxbp_topic_t *silent = open_topic(&fx, "silent");
  replay_publish(&fx, quiet, 2);
  replay_publish(&fx, busy, 1000);
  replay_publish(&fx, quiet, 1); /* 1003 */
  open_peer(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_oldest_since(busy), 992);
  assert_int_equal(fluxbp_topic_oldest_since(quiet), 0);
  assert_int_equal(fluxbp_topic_oldest_since(silent), 0);
  assert_int_equal(resume(&peer, busy, 991), UV_ERANGE);
  assert_int_equal(resume(&peer, quiet, 1), 1);
  assert_int_equal(resume(&peer, silent, 0), 1);
  assert_int_equal(fluxbp_topic_unsubscribe(quiet, peer.conn), 1);
  replay_read_all(&peer);

  /* several at once, from one id that all of them reach back to */
  assert_int_equal(resume(&peer, quiet, 998), 1);
  assert_int_equal(resume(&peer, busy, 998), 1);
  replay_read_all(&peer);
  peer_expects(&peer, "busy 999\nbusy 1000\nbusy 1001\nbusy 1002\nquiet 1003\n");
  fixture_close(&fx);
}

static void metrics_say_why_messages_were_forgotten(void **state) {
  fixture_t fx;
  char data[60] = {0};
  (void) state;
  init_with_history(&fx, 20, 8);
  fx.options.history_topic_bytes = 50;
  fx.options.history_ms = 1000;
  fixture_open(&fx);
  fluxbp_topic_t *topics[3] = {open_topic(&fx, "a"), open_topic(&fx, "b"), open_topic(&fx, "c")};
  for (int i = 0; i < 3; i++) replay_publish(&fx, topics[i], 8);           /* 4 of them for the others' sake */
  replay_publish(&fx, topics[2], 3);                                       /* 3 for their own */
  assert_int_equal(fixture_publish(&fx, topics[2], data, sizeof data), 0); /* 8, and this one */
  assert_int_equal(fixture_metrics(&fx).history_messages, 12);
  assert_int_equal(fixture_metrics(&fx).history_bytes, 12);
  fixture_advance(&fx, 1000);
  fluxbp_metrics_t metrics = fixture_metrics(&fx);
  assert_int_equal(metrics.history_messages, 0);
  assert_int_equal(metrics.history_bytes, 0);
  assert_int_equal(metrics.history_forgotten, 28);
  assert_int_equal(metrics.history_forgotten_by_topic, 3 + 9);
  assert_int_equal(metrics.history_forgotten_by_age, 12);
  fixture_close(&fx);

  init_with_history(&fx, 0, 0);
  fixture_open(&fx);
  replay_publish(&fx, fx.topic, 5);
  assert_int_equal(fixture_metrics(&fx).history_forgotten, 0); /* there is none */
  fixture_close(&fx);
}

/* All together are over their limit: the oldest goes, whoever has it. */
static void the_whole_has_a_limit_too(void **state) {
  fixture_t fx;
  (void) state;
  init_with_history(&fx, 25, 10);
  fixture_open(&fx);
  assert_int_equal(fluxbp_hub_oldest_id(fx.hub), 0);
  fluxbp_topic_t *topics[3] = {open_topic(&fx, "a"), open_topic(&fx, "b"), open_topic(&fx, "c")};
  for (int i = 0; i < 3; i++) replay_publish(&fx, topics[i], 10);
  assert_int_equal(fluxbp_topic_oldest_since(topics[0]), 5);
  assert_int_equal(fluxbp_hub_oldest_id(fx.hub), 6);
  assert_int_equal(fluxbp_topic_oldest_since(topics[1]), 0);
  replay_publish(&fx, topics[2], 5); /* its own */
  assert_int_equal(fluxbp_topic_oldest_since(topics[0]), 5);
  assert_int_equal(fluxbp_topic_oldest_since(topics[2]), 25);
  assert_int_equal(fx.hub->topics.history.count, 25);
  fixture_close(&fx);
}

static void a_message_that_is_too_large_costs_its_own_topic_alone(void **state) {
  fixture_t fx;
  peer_t peer;
  char data[60] = {0};
  (void) state;
  init_with_history(&fx, 100, 0);
  fx.options.history_bytes = 100;
  fx.options.history_topic_bytes = 50;
  fixture_open(&fx);
  fluxbp_topic_t *large = open_topic(&fx, "large");
  fluxbp_topic_t *quiet = open_topic(&fx, "quiet");
  replay_publish(&fx, quiet, 1);
  replay_publish(&fx, large, 1);
  open_peer(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, quiet, 0), 1);
  assert_int_equal(resume(&peer, large, 0), 1);
  assert_int_equal(fixture_publish(&fx, large, data, sizeof data), 1); /* 3 */
  replay_publish(&fx, large, 1);
  assert_int_equal(fluxbp_topic_oldest_since(large), 3);
  assert_int_equal(fluxbp_topic_oldest_since(quiet), 0);
  replay_read_all(&peer);
  peer_expects(&peer, "{\"gap\":{\"from\":1,\"to\":3,\"count\":3}}\nlarge 4\n");
  assert_int_equal(peer_stats(&peer).dropped, 3);

  peer_t late;
  open_peer(&fx, &late, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&late, quiet, 0), 1);
  replay_read_all(&late);
  peer_expects(&late, "quiet 1\n");
  fixture_close(&fx);
}

/* What is known of a topic goes with it; then it is taken to have lost as much as any that was removed. */
static void a_topic_that_was_removed_is_not_said_to_reach_back(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  init_with_history(&fx, 20, 10);
  fixture_open(&fx);
  fluxbp_topic_t *kept = open_topic(&fx, "kept");
  fluxbp_topic_t *gone = open_topic(&fx, "gone");
  replay_publish(&fx, gone, 12);
  fluxbp_topic_destroy(gone); /* it has messages */
  gone = open_topic(&fx, "gone");
  assert_int_equal(fluxbp_topic_oldest_since(gone), 2);
  fluxbp_topic_destroy(gone);
  replay_publish(&fx, kept, 10);
  fluxbp_topic_t *other = open_topic(&fx, "other");
  replay_publish(&fx, other, 10); /* 32: the last of `gone` goes, and with it what is known of it */
  assert_int_equal(fx.hub->topics.dormant, 0);
  gone = open_topic(&fx, "gone");
  assert_int_equal(fluxbp_topic_oldest_since(gone), 12);
  assert_int_equal(fluxbp_topic_oldest_since(open_topic(&fx, "new")), 12);
  assert_int_equal(fluxbp_topic_oldest_since(kept), 0);
  assert_int_equal(fluxbp_topic_oldest_since(other), 0);
  open_peer(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, gone, 11), UV_ERANGE);
  assert_int_equal(resume(&peer, gone, 12), 1);
  fixture_close(&fx);
}

static void messages_are_forgotten_by_their_age(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  init_with_history(&fx, 100, 0);
  fx.options.history_ms = 10000;
  fixture_open(&fx);
  fluxbp_topic_t *news = open_topic(&fx, "news");
  replay_publish(&fx, news, 2);
  fixture_advance(&fx, 6000);
  replay_publish(&fx, fx.topic, 3); /* 5 */
  fixture_advance(&fx, 3750);
  assert_int_equal(fx.hub->topics.history.count, 5);
  fixture_advance(&fx, 250); /* nothing is published, and nobody asks */
  assert_int_equal(fx.hub->topics.history.count, 3);
  assert_int_equal(fluxbp_topic_oldest_since(news), 2);
  assert_int_equal(fluxbp_topic_oldest_since(fx.topic), 0);
  fx.now_ms += 6000; /* the next look is that of a client that asks */
  open_peer(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&peer, fx.topic, 4), UV_ERANGE);
  assert_int_equal(fx.hub->topics.history.count, 0);
  replay_publish(&fx, news, 1);
  fx.now_ms += 10000;
  replay_publish(&fx, news, 1); /* and here that of a publication */
  assert_int_equal(fx.hub->topics.history.count, 1);
  fixture_close(&fx);
}

static bool has_forgotten(fixture_t *fx, void *arg) {
  (void) arg;
  return fx->hub->topics.history.count == 0;
}

/* The connection, which keeps the loop alive, is no reason for a look. */
static void a_timer_forgets_by_age(void **state) {
  fixture_t fx;
  peer_t peer;
  (void) state;
  init_with_history(&fx, 100, 0);
  fx.options.history_ms = 20;
  fx.options.sweep_ms = 10;
  fx.options.clock_ms = NULL; /* the loop's */
  fixture_open(&fx);
  replay_publish(&fx, fx.topic, 5);
  open_peer(&fx, &peer, FIXTURE_LARGE_BUFFERS);
  fixture_run_until(&fx, has_forgotten, NULL, false);
  fixture_close(&fx);
}

/* The forgetting of one topic comes to a slow client in the middle of what it is to get. */
static void gaps_of_several_topics_are_in_order(void **state) {
  fixture_t fx;
  peer_t both;
  peer_t one;
  (void) state;
  init_with_history(&fx, 100, 4);
  fixture_open(&fx);
  fluxbp_topic_t *busy = open_topic(&fx, "busy");
  fluxbp_topic_t *quiet = open_topic(&fx, "quiet");
  replay_publish(&fx, quiet, 2);
  replay_publish(&fx, busy, 3);
  replay_publish(&fx, quiet, 1);
  replay_publish(&fx, busy, 1); /* 7 */
  open_peer(&fx, &both, FIXTURE_LARGE_BUFFERS);
  open_peer(&fx, &one, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(resume(&both, quiet, 0), 1);
  assert_int_equal(resume(&both, busy, 2), 1);
  assert_int_equal(resume(&one, quiet, 0), 1);
  replay_publish(&fx, busy, 2); /* 8 and 9: 3 and 4 are forgotten before anything is sent */
  replay_read_all(&both);
  replay_read_all(&one);
  peer_expects(&both, "{\"gap\":{\"from\":1,\"to\":4,\"count\":4}}\nbusy 5\nquiet 6\nbusy 7\nbusy 8\nbusy 9\n");
  peer_expects(&one, "quiet 1\nquiet 2\nquiet 6\n");
  assert_int_equal(both.lost, 4);
  fixture_close(&fx);
}

/* Hubs on a bus have the same history, whichever topics they know. */
static void hubs_on_a_bus_agree(void **state) {
  buses_t b;
  uint32_t numbers[3];
  static const char *const names[] = {"busy", "quiet", "other"};
  (void) state;
  init(&b, 1024, 1);
  for (int i = 0; i < 2; i++) {
    b.fx[i].options.history_messages = 20;
    b.fx[i].options.history_topic_messages = 8;
  }
  open_hubs(&b);
  for (int i = 0; i < 3; i++) assert_int_equal(fluxbp_bus_topic(b.bus, names[i], &numbers[i]), 0);
  for (int i = 0; i < 3; i++) (void) open_topic(&b.fx[0], names[i]);
  for (int i = 0; i < 500; i++) {
    unsigned topic = i % 10 != 0 ? 0 : i % 20 != 0 ? 1 : 2;
    assert_int_equal(publish_on(&b, numbers[topic], "x", 1, NULL), 0);
    if (i % 50 == 0) turns(&b, 3);
  }
  turns(&b, 3);
  const fluxbp__history_t *first = &b.fx[0].hub->topics.history;
  const fluxbp__history_t *second = &b.fx[1].hub->topics.history;
  assert_int_equal(first->count, 20);
  assert_int_equal(second->count, 20);
  for (int i = 0; i < 3; i++)
    assert_int_equal(fluxbp_topic_oldest_since(open_topic(&b.fx[0], names[i])),
                     fluxbp_topic_oldest_since(open_topic(&b.fx[1], names[i])));
  for (uint64_t place = 0; place < first->end - first->first; place++)
    assert_int_equal(fluxbp__history_at(first, first->first + place)->id,
                     fluxbp__history_at(second, second->first + place)->id);
  close_hubs(&b);
}

static void recording_allocates_nothing_in_steady_state(void **state) {
  fixture_t fx;
  fluxbp_pool_stats_t before;
  fluxbp_pool_stats_t after;
  (void) state;
  init_with_history(&fx, 1000, 100);
  fixture_open(&fx);
  fluxbp_topic_t *topics[3] = {open_topic(&fx, "a"), open_topic(&fx, "b"), open_topic(&fx, "quiet")};
  replay_publish(&fx, topics[2], 50);
  for (int i = 0; i < 2000; i++) replay_publish(&fx, topics[i % 2], 1);
  fluxbp_pool_get_stats(fx.pool, &before);
  for (int i = 0; i < 20000; i++) replay_publish(&fx, topics[i % 2], 1);
  fluxbp_pool_get_stats(fx.pool, &after);
  assert_int_equal(after.allocator_calls, before.allocator_calls);
  assert_int_equal(fluxbp_topic_oldest_since(topics[2]), 0);
  assert_int_equal(fx.hub->topics.history.count, 250);
  fixture_close(&fx);
}

/* ---- a simple model: all that was ever published, of which a publication is there or not ---- */

enum { TOPICS = 5, CLIENTS = 12, PUBLISHED = 6000 };

typedef struct model {
  fixture_t fx;
  uint32_t seed;
  fluxbp_topic_t *topics[TOPICS];
  unsigned topic_of[PUBLISHED + 1];
  bool is_there[PUBLISHED + 1];
  uint64_t newest;
  uint64_t count, topic_count[TOPICS], lost[TOPICS];
} model_t;

typedef struct client {
  peer_t *peer;
  uint64_t since[TOPICS]; /* UINT64_MAX: it isn't subscribed */
} client_t;

static uint32_t next_random(model_t *m) {
  m->seed = m->seed * 1664525u + 1013904223u;
  return m->seed >> 8;
}

static void model_forget(model_t *m, int topic) {
  for (uint64_t id = 1;; id++) {
    if (!m->is_there[id] || (topic >= 0 && m->topic_of[id] != (unsigned) topic)) continue;
    m->is_there[id] = false;
    m->lost[m->topic_of[id]] = id;
    m->count--;
    m->topic_count[m->topic_of[id]]--;
    return;
  }
}

static void model_publish(model_t *m) {
  unsigned topic = next_random(m) % 10 != 0 ? next_random(m) % 2 : next_random(m) % TOPICS;
  if (m->topic_count[topic] == m->fx.options.history_topic_messages) model_forget(m, (int) topic);
  if (m->count == m->fx.options.history_messages) model_forget(m, -1);
  m->topic_of[++m->newest] = topic;
  m->is_there[m->newest] = true;
  m->count++;
  m->topic_count[topic]++;
  replay_publish(&m->fx, m->topics[topic], 1);
}

/* Each topic from an id of its own, or refused just as the model says. */
static void connect_client(model_t *m, client_t *client) {
  client->peer =
      peer_new(&m->fx, FLUXBP_PIPE, &with_id, next_random(m) % 2 ? FIXTURE_SMALL_BUFFERS : FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(m->fx.topic, client->peer->conn);
  for (unsigned i = 0; i < TOPICS; i++) {
    uint64_t span = m->newest - m->lost[i] + 2;
    uint64_t since = m->newest - (span < m->newest ? next_random(m) % span : next_random(m) % (m->newest + 1));
    client->since[i] = UINT64_MAX;
    if (next_random(m) % 2) continue;
    int result = resume(client->peer, m->topics[i], since);
    assert_int_equal(result, since < m->lost[i] ? UV_ERANGE : 1);
    if (result == 1) client->since[i] = since;
  }
}

static uint64_t next_due(const model_t *m, const client_t *client, uint64_t id) {
  for (id++; id <= m->newest; id++)
    if (client->since[m->topic_of[id]] < id) return id;
  return 0;
}

/* It has had everything that was due to it, in order: each message, or a gap with just that number of messages. Returns
 * how many were lost. */
static uint64_t check_client(model_t *m, client_t *client) {
  peer_t *peer = client->peer;
  uint64_t last = 0;
  uint64_t lost = 0;
  replay_read_all(peer);
  if (peer->len > 0) peer->data[peer->len - 1] = '\0';
  for (char *line = peer->len > 0 ? strtok(peer->data, "\n") : NULL; line != NULL; line = strtok(NULL, "\n")) {
    uint64_t from, to, count;
    unsigned topic;
    uint64_t due = next_due(m, client, last);
    if (sscanf(line, "{\"gap\":{\"from\":%" SCNu64 ",\"to\":%" SCNu64 ",\"count\":%" SCNu64 "}}", &from, &to, &count) ==
        3) {
      assert_int_equal(from, due);
      for (uint64_t i = 1; i < count; i++) due = next_due(m, client, due);
      assert_int_equal(to, due);
      lost += count;
    } else {
      assert_int_equal(sscanf(line, "t%u %" SCNu64, &topic, &to), 2);
      assert_int_equal(to, due);
      assert_int_equal(topic, m->topic_of[to]);
    }
    last = to;
  }
  assert_int_equal(next_due(m, client, last), 0);
  assert_int_equal(peer->lost, lost);
  return lost;
}

static void compare(const model_t *m) {
  const fluxbp__history_t *history = &m->fx.hub->topics.history;
  assert_int_equal(history->count, m->count);
  for (unsigned i = 0; i < TOPICS; i++) assert_int_equal(fluxbp_topic_oldest_since(m->topics[i]), m->lost[i]);
  uint64_t number = history->first;
  for (uint64_t id = 1; id <= m->newest; id++) {
    if (!m->is_there[id]) continue;
    while (fluxbp__history_at(history, number)->msg == NULL) number++;
    assert_int_equal(fluxbp__history_at(history, number++)->id, id);
  }
}

static uint64_t run_model(uint32_t seed) {
  static model_t m;
  client_t clients[CLIENTS];
  uint64_t lost = 0;
  memset(&m, 0, sizeof m);
  m.seed = seed;
  uint32_t messages = 100 + next_random(&m) % 900;
  init_with_history(&m.fx, messages, 1 + next_random(&m) % messages);
  fixture_open(&m.fx);
  for (unsigned i = 0; i < TOPICS; i++) {
    char name[8];
    (void) snprintf(name, sizeof name, "t%u", i);
    m.topics[i] = open_topic(&m.fx, name);
  }
  for (int i = 0; i < CLIENTS; i++) connect_client(&m, &clients[i]);
  while (m.newest < PUBLISHED) {
    for (uint32_t i = next_random(&m) % 200; i > 0 && m.newest < PUBLISHED; i--) model_publish(&m);
    client_t *client = &clients[next_random(&m) % CLIENTS];
    uint32_t chance = next_random(&m) % 8;
    if (chance < 4) fixture_turns(&m.fx, 1);
    if (chance < 2) peer_read(client->peer);
    if (chance == 7) {
      lost += check_client(&m, client);
      peer_hang_up(client->peer);
      connect_client(&m, client);
    }
    compare(&m);
  }
  for (int i = 0; i < CLIENTS; i++) lost += check_client(&m, &clients[i]);
  fixture_close(&m.fx);
  return lost;
}

static void clients_get_what_a_simple_model_says(void **state) {
  uint64_t lost = 0;
  (void) state;
  for (uint32_t seed = 1; seed <= (FIXTURE_IS_SANITIZED ? 5 : 20); seed++) lost += run_model(seed);
  assert_true(lost > 0); /* some were overtaken */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_busy_topic_leaves_quiet_ones_their_past),
      cmocka_unit_test(metrics_say_why_messages_were_forgotten),
      cmocka_unit_test(the_whole_has_a_limit_too),
      cmocka_unit_test(a_message_that_is_too_large_costs_its_own_topic_alone),
      cmocka_unit_test(a_topic_that_was_removed_is_not_said_to_reach_back),
      cmocka_unit_test(messages_are_forgotten_by_their_age),
      cmocka_unit_test(a_timer_forgets_by_age),
      cmocka_unit_test(gaps_of_several_topics_are_in_order),
      cmocka_unit_test(hubs_on_a_bus_agree),
      cmocka_unit_test(recording_allocates_nothing_in_steady_state),
      cmocka_unit_test(clients_get_what_a_simple_model_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
