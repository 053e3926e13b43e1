/* SPDX-License-Identifier: MIT */
/*
 * history: what is kept, what goes first, and where an id stands.
 */
#include "history.h"

#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TOPICS = 8 };

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__history_t history;
  fluxbp__topic_past_t topics[TOPICS];
  uint64_t closings; /* how often its places were closed up */
} fixture_t;

static void open_history(fixture_t *f, uint64_t budget, const fluxbp__history_limits_t *limits) {
  fluxbp_pool_options_t options;
  memset(f, 0, sizeof *f);
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_init(&options);
  options.max_bytes = budget;
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__history_init(&f->history, f->pool, limits);
}

static void forget_oldest(fixture_t *f) {
  fluxbp__history_forget(&f->history, fluxbp__history_at(&f->history, f->history.first)->of);
}

static void close_history(fixture_t *f) {
  while (!fluxbp__history_is_empty(&f->history)) forget_oldest(f);
  fluxbp__history_destroy(&f->history);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static void close_up(fixture_t *f) {
  uint64_t ids[2] = {0};
  uint64_t end = f->history.end;
  uint64_t middle = f->history.first + (end - f->history.first) / 2;
  for (uint64_t number = middle; number < end && ids[0] == 0; number++)
    if (fluxbp__history_at(&f->history, number)->msg != NULL) ids[0] = fluxbp__history_at(&f->history, number)->id;
  fluxbp__history_plan(&f->history);
  uint64_t planned = fluxbp__history_planned(&f->history, middle);
  assert_int_equal(fluxbp__history_planned(&f->history, end), end);
  fluxbp__history_close_up(&f->history);
  if (planned < end) ids[1] = fluxbp__history_at(&f->history, planned)->id;
  assert_int_equal(ids[0], ids[1]); /* a place leads to the same publication as before */
  assert_int_equal(f->history.end, end);
  assert_int_equal(f->history.end - f->history.first, f->history.count);
  f->closings++;
}

/* As a hub does. */
static void put(fixture_t *f, unsigned topic, uint64_t id, size_t len) {
  static const char data[1000];
  fluxbp__topic_past_t *of = &f->topics[topic];
  fluxbp__topic_past_t *over;
  fluxbp_msg_t *msg;
  if (!fluxbp__history_may_keep(&f->history, len)) {
    fluxbp__history_pass_over(&f->history, of, id);
    return;
  }
  assert_int_equal(fluxbp_msg_create(f->pool, data, len, &msg), 0);
  while ((over = fluxbp__history_over(&f->history, of, len)) != NULL) fluxbp__history_forget(&f->history, over);
  if (fluxbp__history_is_full(&f->history) && fluxbp__history_is_sparse(&f->history)) close_up(f);
  while (fluxbp__history_is_full(&f->history) && !fluxbp__history_grow(&f->history)) forget_oldest(f);
  fluxbp__history_add(&f->history, of, msg, id, 0);
  fluxbp_msg_unref(msg);
}

static void history_is_limited_by_messages_and_by_bytes(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, &(fluxbp__history_limits_t){3, 100, 3, 100});
  put(&f, 0, 1, 30);
  put(&f, 1, 2, 30);
  put(&f, 2, 3, 40);
  assert_int_equal(f.history.bytes, 100);
  assert_int_equal(f.history.lost_id, 0);
  put(&f, 1, 4, 1); /* a fourth message */
  assert_int_equal(f.history.count, 3);
  assert_int_equal(f.topics[0].lost_id, 1);
  put(&f, 2, 5, 31); /* with 102 bytes */
  assert_int_equal(f.topics[1].lost_id, 2);
  assert_int_equal(f.history.lost_id, 2);
  assert_int_equal(f.topics[2].lost_id, 0);
  assert_int_equal(f.history.bytes, 72);
  close_history(&f);
}

static void a_topic_over_its_own_limit_pays_for_itself(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, &(fluxbp__history_limits_t){10, 1000, 4, 200});
  put(&f, 0, 1, 1);
  put(&f, 0, 2, 1);
  for (uint64_t id = 3; id <= 1000; id++) put(&f, 1, id, 1);
  assert_int_equal(f.topics[0].count, 2);
  assert_int_equal(f.topics[0].lost_id, 0);
  assert_int_equal(f.topics[1].count, 4);
  assert_int_equal(f.topics[1].lost_id, 996);
  put(&f, 1, 1001, 198); /* bytes */
  assert_int_equal(f.topics[1].count, 3);
  assert_int_equal(f.topics[1].lost_id, 998);
  put(&f, 1, 1002, 201); /* too much even alone: what comes before it is of no use */
  assert_int_equal(f.topics[1].count, 0);
  assert_int_equal(f.topics[1].lost_id, 1002);
  assert_int_equal(f.topics[0].count, 2);
  assert_int_equal(f.history.lost_id, 1002);
  assert_int_equal(f.history.unknown_lost_id, 0);
  close_history(&f);
}

static void history_finds_what_comes_after_an_id_where_ids_have_holes(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, &(fluxbp__history_limits_t){1000, 1 << 20, 60, 1 << 20});
  assert_int_equal(fluxbp__history_after(&f.history, 5), 0);
  for (uint64_t id = 10; id <= 1000; id += 10)
    put(&f, id / 100 % 2, id, 1); /* some of it is forgotten, in the middle */
  for (uint64_t id = 0; id <= 1005; id++) {
    uint64_t number = fluxbp__history_after(&f.history, id);
    assert_true(number == f.history.end || fluxbp__history_at(&f.history, number)->id > id);
    assert_true(number == f.history.first || fluxbp__history_at(&f.history, number - 1)->id <= id);
  }
  close_history(&f);
}

static void history_numbers_go_on_beyond_thirty_two_bits(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, &(fluxbp__history_limits_t){100, 1 << 20, 100, 1 << 20});
  f.history.first = f.history.end = UINT32_MAX - 150;
  for (uint64_t id = UINT32_MAX - 150; id < UINT32_MAX + (uint64_t) 150; id++) {
    put(&f, 0, id, 1);
    assert_int_equal(fluxbp__history_after(&f.history, id - 1), id);
    assert_int_equal(fluxbp__history_at(&f.history, id)->id, id);
  }
  assert_int_equal(f.history.count, 100);
  close_history(&f);
}

static void history_without_memory_to_grow_wants_the_first_to_go(void **state) {
  fixture_t f;
  (void) state;
  open_history(&f, 64 * 1024, &(fluxbp__history_limits_t){100000, 1 << 20, 100000, 1 << 20});
  uint64_t id = 0;
  while (f.history.lost_id == 0) put(&f, 0, ++id, 1);
  assert_in_range(f.history.count, 64, 1000);
  uint64_t count = f.history.count;
  for (int i = 0; i < 500; i++) put(&f, 0, ++id, 1);
  assert_int_equal(f.history.count, count);
  assert_int_equal(fluxbp__history_at(&f.history, f.history.end - 1)->id, id);
  close_history(&f);
}

/* A quiet topic's message stays at the front while a busy one passes: places, and memory, don't grow with what has
 * passed. */
static void places_of_what_was_forgotten_are_closed_up(void **state) {
  enum { PUBLISHED = 100000 };
  fixture_t f;
  (void) state;
  open_history(&f, 1 << 20, &(fluxbp__history_limits_t){1000, 1 << 20, 100, 1 << 20});
  put(&f, 0, 1, 1);
  for (uint64_t id = 2; id <= 1000; id++) put(&f, 1, id, 1);
  uint64_t capacity = f.history.capacity;
  uint64_t calls = f.hook.allocs;
  for (uint64_t id = 1001; id <= PUBLISHED; id++) put(&f, 1, id, 1);
  assert_int_equal(f.history.capacity, capacity);
  assert_in_range(capacity, 101, 4 * 101);
  assert_int_equal(f.hook.allocs, calls);
  assert_in_range(f.closings, 1, PUBLISHED / (capacity / 2)); /* so each frees half of the places */
  assert_int_equal(fluxbp__history_at(&f.history, f.history.first)->id, 1);
  close_history(&f);
}

/* The model: all that was ever published, of which a publication is there or not. */
typedef struct model {
  struct {
    unsigned topic;
    size_t len;
    bool is_there;
  } all[4001];
  uint64_t newest;
  uint64_t lost[TOPICS];
} model_t;

static void model_count(const model_t *m, int topic, uint64_t *count, uint64_t *bytes) {
  *count = *bytes = 0;
  for (uint64_t id = 1; id <= m->newest; id++) {
    if (!m->all[id].is_there || (topic >= 0 && m->all[id].topic != (unsigned) topic)) continue;
    ++*count;
    *bytes += m->all[id].len;
  }
}

static void model_forget(model_t *m, int topic) {
  for (uint64_t id = 1; id <= m->newest; id++) {
    if (!m->all[id].is_there || (topic >= 0 && m->all[id].topic != (unsigned) topic)) continue;
    m->all[id].is_there = false;
    m->lost[m->all[id].topic] = id;
    return;
  }
}

static void model_put(model_t *m, const fluxbp__history_limits_t *limits, unsigned topic, size_t len) {
  uint64_t count, bytes;
  bool is_kept = len <= limits->bytes && len <= limits->topic_bytes;
  for (;;) {
    model_count(m, (int) topic, &count, &bytes);
    if (count == 0 || (is_kept && count < limits->topic_messages && bytes + len <= limits->topic_bytes)) break;
    model_forget(m, (int) topic);
  }
  for (; is_kept;) {
    model_count(m, -1, &count, &bytes);
    if (count < limits->messages && bytes + len <= limits->bytes) break;
    model_forget(m, -1);
  }
  m->newest++;
  m->all[m->newest].topic = topic;
  m->all[m->newest].len = len;
  m->all[m->newest].is_there = is_kept;
  if (!is_kept) m->lost[topic] = m->newest;
}

static void compare(const fixture_t *f, const model_t *m) {
  uint64_t number = f->history.first;
  uint64_t count = 0;
  for (uint64_t id = 1; id <= m->newest; id++) {
    if (!m->all[id].is_there) continue;
    while (fluxbp__history_at(&f->history, number)->msg == NULL) number++;
    const fluxbp__past_t *past = fluxbp__history_at(&f->history, number++);
    assert_int_equal(past->id, id);
    assert_ptr_equal(past->of, &f->topics[m->all[id].topic]);
    count++;
  }
  assert_int_equal(f->history.count, count);
  for (int topic = 0; topic < TOPICS; topic++) {
    const fluxbp__topic_past_t *of = &f->topics[topic];
    uint64_t bytes, at = of->first, last = of->first;
    model_count(m, topic, &count, &bytes);
    assert_int_equal(of->count, count);
    assert_int_equal(of->bytes, bytes);
    assert_int_equal(of->lost_id, m->lost[topic]);
    uint32_t distance = 0;
    for (uint64_t i = 0; i < count; i++) { /* linked from the oldest to the newest, */
      assert_ptr_equal(fluxbp__history_at(&f->history, at)->of, of);
      last = at;
      distance ^= fluxbp__history_at(&f->history, at)->link;
      at += distance;
    }
    if (count == 0) continue;
    assert_int_equal(last, of->last);
    for (uint64_t i = 1; i < count; i++) { /* and back */
      distance ^= fluxbp__history_at(&f->history, last)->link;
      last -= distance;
    }
    assert_int_equal(last, of->first);
  }
}

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* A few busy topics and some that aren't; every now and then a message that is too large. */
static void history_is_what_a_simple_model_says(void **state) {
  static model_t m;
  uint64_t closings = 0;
  (void) state;
  for (uint32_t run = 1; run <= 30; run++) {
    fixture_t f;
    uint32_t seed = run;
    memset(&m, 0, sizeof m);
    fluxbp__history_limits_t limits = {.messages = 20 + next_random(&seed) % 200,
                                       .bytes = 200 + next_random(&seed) % 4000};
    limits.topic_messages = 1 + next_random(&seed) % limits.messages;
    limits.topic_bytes = limits.bytes / (1 + next_random(&seed) % 4);
    open_history(&f, 4 << 20, &limits);
    for (int i = 0; i < 1500; i++) {
      unsigned topic = next_random(&seed) % 8 != 0 ? next_random(&seed) % 2 : next_random(&seed) % TOPICS;
      size_t len =
          next_random(&seed) % 200 == 0 ? limits.topic_bytes + next_random(&seed) % 2 : 1 + next_random(&seed) % 30;
      if (len > 1000) len = 1000;
      model_put(&m, &limits, topic, len);
      put(&f, topic, m.newest, len);
      if (i % 7 == 0) compare(&f, &m);
    }
    closings += f.closings;
    close_history(&f);
  }
  assert_true(closings > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(history_is_limited_by_messages_and_by_bytes),
      cmocka_unit_test(a_topic_over_its_own_limit_pays_for_itself),
      cmocka_unit_test(history_finds_what_comes_after_an_id_where_ids_have_holes),
      cmocka_unit_test(history_numbers_go_on_beyond_thirty_two_bits),
      cmocka_unit_test(history_without_memory_to_grow_wants_the_first_to_go),
      cmocka_unit_test(places_of_what_was_forgotten_are_closed_up),
      cmocka_unit_test(history_is_what_a_simple_model_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
