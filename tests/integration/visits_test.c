/* SPDX-License-Identifier: MIT */
/*
 * Visits: of the members of a topic, the topics of a connection and the topics of a hub, with functions that change
 * what they are called for.
 */
#include "support/alloc_hook.h"
#include "support/fixture.h"

#include <stdio.h>
#include <string.h>

enum { PEERS = 12, TOPICS = 40 };

typedef struct visits {
  fixture_t fx;
  peer_t peers[PEERS];
  fluxbp_topic_t *topics[TOPICS];
  int count;          /* visits so far */
  int stop_at;        /* the visit that returns 7; 0: none */
  unsigned seen;      /* peers, a bit for each */
  int depth;          /* of visits within visits */
  unsigned seen_each; /* in the inner visits, all of them together */
} visits_t;

static void open_visits(visits_t *v) {
  memset(v, 0, sizeof *v);
  fixture_init(&v->fx);
  fixture_open(&v->fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&v->fx, &v->peers[i], FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
}

static void open_topics(visits_t *v) {
  for (int i = 0; i < TOPICS; i++) {
    char name[16];
    (void) snprintf(name, sizeof name, "t%d", i);
    assert_int_equal(fluxbp_topic_open(v->fx.hub, name, &v->topics[i]), 0);
  }
}

static unsigned bit_of(const visits_t *v, const fluxbp_conn_t *conn) {
  for (unsigned i = 0; i < PEERS; i++)
    if (v->peers[i].conn == conn) return 1u << i;
  fail();
  return 0;
}

static int note(visits_t *v) {
  v->count++;
  return v->count == v->stop_at ? 7 : 0;
}

static int count_conn(fluxbp_conn_t *conn, void *arg) {
  visits_t *v = arg;
  unsigned bit = bit_of(v, conn);
  assert_false(v->seen & bit); /* each one once */
  v->seen |= bit;
  return note(v);
}

static void every_member_is_visited_until_a_visit_ends_it(void **state) {
  visits_t v;
  (void) state;
  open_visits(&v);
  assert_int_equal(fluxbp_topic_each_member(v.fx.topic, count_conn, &v), 0);
  assert_int_equal(v.seen, (1u << PEERS) - 1);
  v.seen = 0;
  v.count = 0;
  v.stop_at = 5;
  assert_int_equal(fluxbp_topic_each_member(v.fx.topic, count_conn, &v), 7);
  assert_int_equal(v.count, 5);
  fixture_close(&v.fx);
}

static int unsubscribe_it(fluxbp_conn_t *conn, void *arg) {
  visits_t *v = arg;
  assert_int_equal(fluxbp_topic_unsubscribe(v->fx.topic, conn), 1);
  return count_conn(conn, arg);
}

static int reset_it(fluxbp_conn_t *conn, void *arg) {
  int result = count_conn(conn, arg);
  fluxbp_conn_reset(conn);
  return result;
}

static int close_it(fluxbp_conn_t *conn, void *arg) {
  int result = count_conn(conn, arg);
  fluxbp_conn_close(conn, 0);
  return result;
}

static void a_visit_may_end_the_membership_of_its_connection(void **state) {
  int (*const visits[])(fluxbp_conn_t *, void *) = {unsubscribe_it, reset_it, close_it};
  (void) state;
  for (int i = 0; i < 3; i++) {
    visits_t v;
    open_visits(&v);
    assert_int_equal(fluxbp_topic_each_member(v.fx.topic, visits[i], &v), 0);
    assert_int_equal(v.seen, (1u << PEERS) - 1);
    assert_int_equal(fluxbp_topic_subscribers(v.fx.topic), 0);
    fixture_turns(&v.fx, 3);
    fixture_close(&v.fx);
  }
}

/* The next two leave, the last one that has left comes back, and a message goes to all. */
static int change_others(fluxbp_conn_t *conn, void *arg) {
  visits_t *v = arg;
  int result = count_conn(conn, arg);
  int index = __builtin_ctz(bit_of(v, conn));
  if (v->count > 4) return result;
  for (int i = 1; i <= 2; i++) {
    peer_t *other = &v->peers[(index + i) % PEERS];
    (void) fluxbp_topic_unsubscribe(v->fx.topic, other->conn);
    if (i == 2) assert_true(fluxbp_topic_subscribe(v->fx.topic, other->conn) >= 0);
  }
  (void) fixture_publish(&v->fx, v->fx.topic, "m", 1);
  return result;
}

static void a_visit_may_change_other_memberships(void **state) {
  visits_t v;
  (void) state;
  open_visits(&v);
  assert_int_equal(fluxbp_topic_each_member(v.fx.topic, change_others, &v), 0);
  for (int i = 0; i < PEERS; i++) /* a member that has stayed, or is there again, has been visited */
    if (fluxbp_topic_has(v.fx.topic, v.peers[i].conn)) assert_true(v.seen & 1u << i);
  fixture_turns(&v.fx, 3);
  fixture_close(&v.fx);
}

static int destroy_the_topic(fluxbp_conn_t *conn, void *arg) {
  visits_t *v = arg;
  fluxbp_topic_t *again;
  int result = count_conn(conn, arg);
  if (v->count != 3) return result;
  fluxbp_topic_destroy(v->fx.topic);
  v->fx.topic = NULL;
  assert_int_equal(fluxbp_topic_open(v->fx.hub, "topic", &again), 0); /* probably at the same address */
  for (int i = 0; i < PEERS; i++) assert_int_equal(fluxbp_topic_subscribe(again, v->peers[i].conn), 1);
  return result;
}

static void visits_end_with_the_topic(void **state) {
  visits_t v;
  (void) state;
  open_visits(&v);
  assert_int_equal(fluxbp_topic_each_member(v.fx.topic, destroy_the_topic, &v), 0);
  assert_int_equal(v.count, 3);
  fixture_close(&v.fx);
}

static int visit_within(fluxbp_conn_t *conn, void *arg) {
  visits_t *v = arg;
  (void) conn;
  if (v->depth == 0) {
    v->depth++;
    v->seen = 0;
    assert_int_equal(fluxbp_topic_each_member(v->fx.topic, reset_it, v), 0);
    v->depth--;
  }
  v->seen_each++;
  return 0;
}

static void a_visit_may_begin_visits(void **state) {
  visits_t v;
  (void) state;
  open_visits(&v);
  assert_int_equal(fluxbp_topic_each_member(v.fx.topic, visit_within, &v), 0);
  assert_int_equal(v.seen, (1u << PEERS) - 1);
  assert_int_equal(v.seen_each, 1); /* the inner ones have reset the rest */
  fixture_close(&v.fx);
}

static int close_the_hub(fluxbp_conn_t *conn, void *arg) {
  visits_t *v = arg;
  (void) conn;
  v->count++;
  fluxbp_hub_close(v->fx.hub, fixture_on_hub_closed);
  return 0;
}

static void a_visit_may_close_the_hub(void **state) {
  visits_t v;
  (void) state;
  open_visits(&v);
  assert_int_equal(fluxbp_topic_each_member(v.fx.topic, close_the_hub, &v), 0);
  assert_int_equal(v.count, 1);
  fixture_close(&v.fx);
}

/* ---- topics of a connection ---- */

static int count_topic(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  assert_non_null(fluxbp_topic_name(topic));
  return note(v);
}

static int leave_topic(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  assert_int_equal(fluxbp_topic_unsubscribe(topic, v->peers[0].conn), 1);
  return note(v);
}

static int destroy_topic(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  fluxbp_topic_destroy(topic);
  return note(v);
}

static int reset_conn(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  (void) topic;
  fluxbp_conn_reset(v->peers[0].conn);
  return note(v);
}

/* It destroys the topic with the next name and opens one at its place. */
static int destroy_another(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  char name[16];
  int index;
  assert_int_equal(sscanf(fluxbp_topic_name(topic), "t%d", &index), 1);
  (void) snprintf(name, sizeof name, "t%d", (index + 1) % TOPICS);
  fluxbp_topic_t *other = fluxbp_topic_find(v->fx.hub, name);
  if (other != NULL) fluxbp_topic_destroy(other);
  return note(v);
}

static void the_topics_of_a_connection_are_visited_whatever_a_visit_does(void **state) {
  int (*const visits[])(fluxbp_topic_t *, void *) = {count_topic, leave_topic, destroy_topic, reset_conn,
                                                     destroy_another};
  const int counts[] = {TOPICS, TOPICS, TOPICS, 1, -1};
  (void) state;
  for (int i = 0; i < 5; i++) {
    visits_t v;
    open_visits(&v);
    open_topics(&v);
    assert_int_equal(fluxbp_topic_unsubscribe(v.fx.topic, v.peers[0].conn), 1);
    assert_int_equal(fluxbp_conn_each_topic(v.peers[0].conn, count_topic, &v), 0);
    assert_int_equal(v.count, 0);
    for (int t = 0; t < TOPICS; t++) assert_int_equal(fluxbp_topic_subscribe(v.topics[t], v.peers[0].conn), 1);
    assert_int_equal(fluxbp_conn_each_topic(v.peers[0].conn, visits[i], &v), 0);
    if (counts[i] >= 0) assert_int_equal(v.count, counts[i]);
    int left = 0;
    for (int t = 0; t < TOPICS; t++) {
      char name[16];
      (void) snprintf(name, sizeof name, "t%d", t);
      left += fluxbp_topic_find(v.fx.hub, name) != NULL;
    }
    if (visits[i] == destroy_another) assert_true(v.count >= left && v.count < TOPICS);
    fixture_close(&v.fx);
  }
}

/* A pattern is among the topics of its subscribers; the state topics that match it aren't. */
static void a_connection_has_the_topics_that_it_has_subscribed_to(void **state) {
  visits_t v;
  fluxbp_topic_t *pattern, *prices;
  (void) state;
  open_visits(&v);
  assert_int_equal(fluxbp_topic_open_pattern(v.fx.hub, "prices.>", &pattern), 0);
  assert_int_equal(fluxbp_topic_open_state(v.fx.hub, "prices.a", 10, &prices), 0);
  assert_int_equal(fluxbp_topic_subscribe(pattern, v.peers[0].conn), 1);
  assert_int_equal(fluxbp_conn_each_topic(v.peers[0].conn, count_topic, &v), 0);
  assert_int_equal(v.count, 2);
  v.count = 0;
  assert_int_equal(fluxbp_topic_each_member(prices, count_conn, &v), 0);
  assert_int_equal(v.count, 0);
  assert_int_equal(fluxbp_topic_each_member(pattern, count_conn, &v), 0);
  assert_int_equal(v.count, 1);
  fixture_close(&v.fx);
}

/* ---- topics of a hub ---- */

/* So many that the table grows. */
static int open_more(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  char name[32];
  (void) topic;
  for (int i = 0; i < 10; i++) {
    (void) snprintf(name, sizeof name, "new%d", v->count * 10 + i);
    assert_int_equal(fluxbp_topic_open(v->fx.hub, name, &v->topics[0]), 0);
  }
  return note(v);
}

static void the_topics_of_a_hub_are_visited_whatever_a_visit_does(void **state) {
  int (*const visits[])(fluxbp_topic_t *, void *) = {count_topic, destroy_topic, open_more};
  (void) state;
  for (int i = 0; i < 3; i++) {
    visits_t v;
    fluxbp_topic_t *pattern;
    open_visits(&v);
    open_topics(&v);
    assert_int_equal(fluxbp_topic_open_pattern(v.fx.hub, ">", &pattern), 0);
    assert_int_equal(fluxbp_hub_each_topic(v.fx.hub, visits[i], &v), 0);
    assert_int_equal(v.count, TOPICS + 2);
    if (visits[i] == destroy_topic) v.fx.topic = NULL;
    fixture_close(&v.fx);
  }
}

static int destroy_all_of_it(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  (void) topic;
  if (v->depth++ == 0) assert_int_equal(fluxbp_conn_each_topic(v->peers[0].conn, destroy_topic, v), 0);
  return 0;
}

static void visits_within_visits_may_destroy_what_is_to_be_visited(void **state) {
  visits_t v;
  (void) state;
  open_visits(&v);
  open_topics(&v);
  for (int t = 0; t < TOPICS; t++) assert_int_equal(fluxbp_topic_subscribe(v.topics[t], v.peers[0].conn), 1);
  v.fx.topic = NULL;
  assert_int_equal(fluxbp_hub_each_topic(v.fx.hub, destroy_all_of_it, &v), 0);
  assert_int_equal(v.count, TOPICS + 1);
  assert_int_equal(v.depth, 1);
  fixture_close(&v.fx);
}

/* Each visit destroys the topics with the next two numbers. */
static int destroy_two(fluxbp_topic_t *topic, void *arg) {
  visits_t *v = arg;
  int index = -1;
  for (int i = 0; i < TOPICS; i++)
    if (v->topics[i] == topic) index = i;
  for (int i = 1; index >= 0 && i <= 2; i++) {
    fluxbp_topic_t **other = &v->topics[(index + i) % TOPICS];
    if (*other != NULL) fluxbp_topic_destroy(*other);
    *other = NULL;
  }
  return note(v);
}

static void a_topic_that_was_destroyed_is_not_visited(void **state) {
  (void) state;
  for (uint32_t history = 0; history <= 100; history += 100) { /* with a history it may be dormant */
    visits_t v;
    memset(&v, 0, sizeof v);
    fixture_init(&v.fx);
    v.fx.options.history_messages = history;
    fixture_open(&v.fx);
    open_topics(&v);
    for (int i = 0; i < TOPICS; i++) assert_int_equal(fixture_publish(&v.fx, v.topics[i], "m", 1), 0);
    assert_int_equal(fluxbp_hub_each_topic(v.fx.hub, destroy_two, &v), 0);
    int left = 0;
    for (int i = 0; i < TOPICS; i++) left += v.topics[i] != NULL;
    assert_true(v.count >= left && v.count < TOPICS);
    v.count = 0;
    assert_int_equal(fluxbp_hub_each_topic(v.fx.hub, count_topic, &v), 0);
    assert_int_equal(v.count, left + 1);
    fixture_close(&v.fx);
  }
}

static void visits_need_memory(void **state) {
  visits_t v;
  alloc_hook_t hook;
  (void) state;
  memset(&v, 0, sizeof v);
  fixture_init(&v.fx);
  alloc_hook_init(&hook);
  v.fx.pool_options.allocator = alloc_hook_allocator(&hook);
  fixture_open(&v.fx);
  for (int i = 0; i < 2; i++) peer_open(&v.fx, &v.peers[i], FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  alloc_hook_fail_once(&hook, 1);
  assert_int_equal(fluxbp_topic_each_member(v.fx.topic, count_conn, &v), UV_ENOMEM);
  alloc_hook_fail_once(&hook, 1);
  assert_int_equal(fluxbp_conn_each_topic(v.peers[0].conn, count_topic, &v), UV_ENOMEM);
  alloc_hook_fail_once(&hook, 1);
  assert_int_equal(fluxbp_hub_each_topic(v.fx.hub, count_topic, &v), UV_ENOMEM);
  assert_int_equal(v.count, 0);
  alloc_hook_heal(&hook);
  fixture_close(&v.fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_member_is_visited_until_a_visit_ends_it),
      cmocka_unit_test(a_visit_may_end_the_membership_of_its_connection),
      cmocka_unit_test(a_visit_may_change_other_memberships),
      cmocka_unit_test(visits_end_with_the_topic),
      cmocka_unit_test(a_visit_may_begin_visits),
      cmocka_unit_test(a_visit_may_close_the_hub),
      cmocka_unit_test(the_topics_of_a_connection_are_visited_whatever_a_visit_does),
      cmocka_unit_test(a_connection_has_the_topics_that_it_has_subscribed_to),
      cmocka_unit_test(the_topics_of_a_hub_are_visited_whatever_a_visit_does),
      cmocka_unit_test(visits_within_visits_may_destroy_what_is_to_be_visited),
      cmocka_unit_test(a_topic_that_was_destroyed_is_not_visited),
      cmocka_unit_test(visits_need_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
