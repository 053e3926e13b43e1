/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions by name and by pattern beside a model of them: random topics, patterns, subscriptions, some of them
 * since an id, and connections come and go, and after each step every client has received what the model says, no more
 * and no less. The model itself compares each pattern with each name. The harness has to notice a few faults of the
 * model, or it would notice none.
 *
 *   pattern_fuzz_test SEED   replays one run
 */
#include "support/hub_bus_fixture.h"
#include "support/pattern_fixture.h"

#include "simulation/random.h"

#include <stdlib.h>

enum {
  NAMES = 8,
  PATTERNS = 8,
  CLIENTS = 4,
  SEEDS = 24,
  STEPS = 400,
  LINES_MAX = 64,
  TEXT_MAX = 40,
  MOST_OF_A_BURST = 6
};

/* The last ones become state topics when they are opened. */
static const char *const names[NAMES] = {"a", "a.b", "a/c", "a.b.c", "$a.b", "b.c", "s.b", "s.c"};
enum { FIRST_STATE = 6 };
static const char *const patterns[PATTERNS] = {"a.*", "*.b", "*/c", "a.>", ">", "a.b.c", "s.*", "*.b.>"};

typedef enum fault {
  FAULT_NONE,
  FAULT_ONCE_FOR_EACH_WAY,
  FAULT_UNOPENED_NAMES_REACH_NOBODY,
  FAULT_NO_SNAPSHOT,
  FAULTS
} fault_t;
static const char *const fault_names[FAULTS] = {"none", "a message for each way", "unopened names reach nobody",
                                                "no snapshot"};

typedef struct publication {
  int name;
  int value;
  uint64_t id;
} publication_t;

typedef struct client {
  peer_t *peer;
  bool has_name[NAMES];
  bool has_pattern[PATTERNS];
  char expected[LINES_MAX][TEXT_MAX]; /* in this step */
  int count;
} client_t;

typedef struct world {
  buses_t b; /* the second hub reads along */
  fixture_t *fx;
  bool has_bus;
  sim_random_t random;
  fault_t fault;
  fluxbp_topic_t *topics[NAMES];
  fluxbp_topic_t *opened[PATTERNS];
  int newest[NAMES]; /* of a state topic; 0: none */
  client_t clients[CLIENTS];
  publication_t log[STEPS * MOST_OF_A_BURST]; /* all that were published on log topics */
  int logged;
  uint64_t since_id;
  int published;
} world_t;

/* ---- the model ---- */

/* In how many ways a publication under that name reaches the client. */
static int ways(const world_t *w, const client_t *client, int name) {
  int count = client->has_name[name];
  bool is_known = w->topics[name] != NULL || w->fault != FAULT_UNOPENED_NAMES_REACH_NOBODY;
  for (int i = 0; i < PATTERNS; i++)
    count += client->has_pattern[i] && is_known && fluxbp_pattern_matches(patterns[i], names[name]);
  return count;
}

static void expect_line(client_t *client, int name, int value) {
  assert_true(client->count < LINES_MAX);
  (void) snprintf(client->expected[client->count++], TEXT_MAX, "%s:%d\n", names[name], value);
}

static void expect_publication(world_t *w, int name, int value) {
  for (int i = 0; i < CLIENTS; i++) {
    int count = ways(w, &w->clients[i], name);
    if (w->fault != FAULT_ONCE_FOR_EACH_WAY && count > 1) count = 1;
    while (count-- > 0) expect_line(&w->clients[i], name, value);
  }
}

/* What a subscription adds: the newest of each state topic that has not reached the client before. */
static void expect_snapshots(const world_t *w, client_t *client, const bool *reached_before) {
  for (int name = FIRST_STATE; name < NAMES; name++) {
    bool is_new = !reached_before[name] && ways(w, client, name) > 0;
    if (is_new && w->topics[name] != NULL && w->newest[name] > 0 && w->fault != FAULT_NO_SNAPSHOT)
      expect_line(client, name, w->newest[name]);
  }
}

/* ---- steps ---- */

static int random_below(world_t *w, int count) {
  return (int) sim_random_int(&w->random, 0, (uint32_t) count - 1);
}

static void open_or_destroy_topic(world_t *w) {
  int name = random_below(w, NAMES);
  if (w->topics[name] == NULL) {
    int err = name < FIRST_STATE ? fluxbp_topic_open(w->fx->hub, names[name], &w->topics[name])
                                 : fluxbp_topic_open_state(w->fx->hub, names[name], 10, &w->topics[name]);
    assert_int_equal(err, 0);
    return;
  }
  if (!sim_random_chance(&w->random, 30)) return;
  fluxbp_topic_destroy(w->topics[name]);
  w->topics[name] = NULL;
  w->newest[name] = 0;
  for (int i = 0; i < CLIENTS; i++) w->clients[i].has_name[name] = false;
}

static void destroy_pattern(world_t *w) {
  int pattern = random_below(w, PATTERNS);
  if (w->opened[pattern] == NULL) return;
  fluxbp_topic_destroy(w->opened[pattern]);
  w->opened[pattern] = NULL;
  for (int i = 0; i < CLIENTS; i++) w->clients[i].has_pattern[pattern] = false;
}

/* Subscribe since an id, which is `w->since_id` from now on. False: that goes too far back, or the topic has no ids. */
static bool resume(world_t *w, client_t *client, fluxbp_topic_t *topic, bool is_subscribed) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(w->fx->hub, &range);
  uint64_t back = sim_random_int(&w->random, 0, 30), oldest = fluxbp_topic_oldest_since(topic);
  w->since_id = range.newest_id > back ? range.newest_id - back : 0;
  int result = fluxbp_topic_subscribe_since(topic, client->peer->conn, range.epoch, w->since_id);
  if (fluxbp_topic_is_state(topic))
    assert_int_equal(result, UV_EINVAL);
  else
    assert_int_equal(result, w->since_id < oldest ? UV_ERANGE : !is_subscribed);
  return result >= 0;
}

/* What was published since then on that name, or on names that the pattern of that number matches, whatever the client
 * has had of it. */
static void expect_past(world_t *w, client_t *client, bool by_name, int number) {
  for (int i = 0; i < w->logged; i++) {
    const publication_t *past = &w->log[i];
    bool is_match = by_name ? past->name == number : fluxbp_pattern_matches(patterns[number], names[past->name]) != 0;
    if (past->id > w->since_id && is_match) expect_line(client, past->name, past->value);
  }
}

static void subscribe_or_unsubscribe(world_t *w) {
  client_t *client = &w->clients[random_below(w, CLIENTS)];
  bool by_name = sim_random_chance(&w->random, 40), reached_before[NAMES];
  int number = random_below(w, by_name ? NAMES : PATTERNS);
  fluxbp_topic_t *topic = by_name ? w->topics[number] : w->opened[number];
  bool *has = by_name ? &client->has_name[number] : &client->has_pattern[number];
  if (topic == NULL && by_name) return;
  if (topic == NULL) topic = w->opened[number] = pattern_open(w->fx, patterns[number]);
  assert_int_equal(fluxbp_topic_has(topic, client->peer->conn), *has);
  if (sim_random_chance(&w->random, 40)) {
    assert_int_equal(fluxbp_topic_unsubscribe(topic, client->peer->conn), *has);
    *has = false;
    return;
  }
  for (int name = 0; name < NAMES; name++) reached_before[name] = ways(w, client, name) > 0;
  if (sim_random_chance(&w->random, 50)) {
    if (!resume(w, client, topic, *has)) return;
    if (!*has) expect_past(w, client, by_name, number);
  } else {
    assert_int_equal(fluxbp_topic_subscribe(topic, client->peer->conn), !*has);
  }
  *has = true;
  expect_snapshots(w, client, reached_before);
}

static void open_client(world_t *w, client_t *client) {
  memset(client, 0, sizeof *client);
  client->peer = peer_new(w->fx, FLUXBP_PIPE, pattern_codec(), FIXTURE_LARGE_BUFFERS);
  (void) fluxbp_topic_unsubscribe(w->fx->topic, client->peer->conn);
}

static void replace_client(world_t *w) {
  client_t *client = &w->clients[random_below(w, CLIENTS)];
  fluxbp_conn_reset(client->peer->conn);
  open_client(w, client);
}

static bool may_publish(const world_t *w, int name) {
  if (w->topics[name] == NULL) return w->has_bus && name < FIRST_STATE; /* unopened state topics would be logs */
  return true;
}

static void publish(world_t *w) {
  int name = random_below(w, NAMES), value = ++w->published;
  char text[16];
  fluxbp_msg_t *msg;
  if (!may_publish(w, name)) return;
  int length = snprintf(text, sizeof text, "%d", value);
  assert_int_equal(fluxbp_msg_create_keyed(w->fx->pool, 1, text, (size_t) length, &msg), 0);
  if (w->has_bus)
    assert_int_equal(fluxbp_bus_publish_to(w->b.bus, names[name], msg, NULL), 0);
  else
    assert_true(fluxbp_topic_publish(w->topics[name], msg) >= 0);
  fluxbp_msg_unref(msg);
  if (name >= FIRST_STATE) {
    w->newest[name] = value;
  } else {
    fluxbp_history_range_t range;
    if (w->has_bus) turns(&w->b, 2);
    fluxbp_hub_history(w->fx->hub, &range);
    w->log[w->logged++] = (publication_t){.name = name, .value = value, .id = range.newest_id};
  }
  expect_publication(w, name, value);
}

static void publish_burst(world_t *w) {
  for (int left = 1 + random_below(w, MOST_OF_A_BURST); left > 0; left--) publish(w);
}

/* ---- both sides ---- */

static int compare_lines(const void *one, const void *other) {
  return strcmp(one, other);
}

/* Lines in any order: the snapshots of several topics have none. */
static bool are_same_lines(client_t *client) {
  char lines[LINES_MAX][TEXT_MAX];
  int count = 0;
  memset(lines, 0, sizeof lines);
  for (size_t at = 0; at < client->peer->len; count++) {
    const char *end = memchr(client->peer->data + at, '\n', client->peer->len - at);
    if (end == NULL || count == LINES_MAX) return false;
    size_t length = (size_t) (end + 1 - client->peer->data) - at;
    if (length >= TEXT_MAX) return false;
    memcpy(lines[count], client->peer->data + at, length);
    at += length;
  }
  if (count != client->count) return false;
  qsort(lines, (size_t) count, TEXT_MAX, compare_lines);
  qsort(client->expected, (size_t) count, TEXT_MAX, compare_lines);
  for (int i = 0; i < count; i++)
    if (strcmp(lines[i], client->expected[i]) != 0) return false;
  return true;
}

static bool is_same_text(const client_t *client) {
  size_t at = 0;
  for (int i = 0; i < client->count; i++) {
    size_t length = strlen(client->expected[i]);
    if (at + length > client->peer->len || memcmp(client->peer->data + at, client->expected[i], length) != 0)
      return false;
    at += length;
  }
  return at == client->peer->len;
}

static bool has_received(world_t *w, client_t *client, bool is_ordered) {
  (void) w;
  pattern_read_all(client->peer);
  bool is_right = is_ordered ? is_same_text(client) : are_same_lines(client);
  peer_forget(client->peer);
  client->count = 0;
  return is_right;
}

static void check_subscribers(const world_t *w) {
  size_t by_name[NAMES] = {0}, by_pattern[PATTERNS] = {0};
  for (int i = 0; i < CLIENTS; i++) {
    for (int name = 0; name < NAMES; name++) by_name[name] += w->clients[i].has_name[name];
    for (int pattern = 0; pattern < PATTERNS; pattern++) by_pattern[pattern] += w->clients[i].has_pattern[pattern];
  }
  for (int name = 0; name < NAMES; name++)
    if (w->topics[name] != NULL) assert_int_equal(fluxbp_topic_subscribers(w->topics[name]), by_name[name]);
  for (int i = 0; i < PATTERNS; i++)
    if (w->opened[i] != NULL) assert_int_equal(fluxbp_topic_subscribers(w->opened[i]), by_pattern[i]);
}

static bool take_step(world_t *w) {
  uint32_t drawn = sim_random_int(&w->random, 0, 99);
  bool is_publication = drawn < 50, is_right = true;
  if (is_publication)
    publish_burst(w);
  else if (drawn < 80)
    subscribe_or_unsubscribe(w);
  else if (drawn < 92)
    open_or_destroy_topic(w);
  else if (drawn < 97)
    destroy_pattern(w);
  else
    replace_client(w);
  check_subscribers(w);
  if (w->has_bus) turns(&w->b, 3);
  for (int i = 0; i < CLIENTS; i++)
    if (!has_received(w, &w->clients[i], is_publication)) is_right = false;
  return is_right;
}

/* Returns the step after which a client had received something else, or -1. */
static int run(uint64_t seed, fault_t fault) {
  world_t *w = calloc(1, sizeof *w);
  int wrong = -1;
  assert_non_null(w);
  w->random.state = seed;
  w->fault = fault;
  w->has_bus = seed % 2 == 0;
  init(&w->b, 64, 1);
  if (!w->has_bus) w->b.fx[0].options.bus = NULL;
  if (seed % 4 > 1) w->b.fx[0].options.history_messages = 20;
  open_hubs(&w->b);
  w->fx = &w->b.fx[0];
  for (int i = 0; i < CLIENTS; i++) open_client(w, &w->clients[i]);
  for (int step = 0; step < STEPS && wrong < 0; step++)
    if (!take_step(w)) wrong = step;
  close_hubs(&w->b);
  free(w);
  return wrong;
}

static void clients_receive_what_the_model_says(void **state) {
  (void) state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    int wrong = run(seed, FAULT_NONE);
    if (wrong >= 0) print_error("seed %d, step %d\n", (int) seed, wrong);
    assert_int_equal(wrong, -1);
  }
}

static void harness_notices_every_seeded_fault(void **state) {
  int missed = 0;
  (void) state;
  for (int fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
    int wrong = -1;
    for (uint64_t seed = 0; seed < SEEDS && wrong < 0; seed++) wrong = run(seed, (fault_t) fault);
    printf("%28s: %s\n", fault_names[fault], wrong >= 0 ? "noticed" : "MISSED");
    missed += wrong < 0;
  }
  assert_int_equal(missed, 0);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    int wrong = run(strtoull(argv[1], NULL, 0), FAULT_NONE);
    printf(wrong >= 0 ? "wrong after step %d\n" : "well\n", wrong);
    return wrong >= 0;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clients_receive_what_the_model_says),
      cmocka_unit_test(harness_notices_every_seeded_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
