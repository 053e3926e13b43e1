/* SPDX-License-Identifier: MIT */
/*
 * ring: the newest value of a key takes the place of the queued one, however long the ring is and whatever is dropped.
 */
#include "support/ring_fixture.h"

enum { TOPIC = 5 };

/* A value of a state topic. The frame's id is the value, so that the tests can tell which one it is. */
static fluxbp_frame_t *value_of(fixture_t *f, uint64_t topic, uint64_t key, uint64_t value, size_t len) {
  fluxbp_frame_t *frame = frame_of(f, value, len);
  frame->state.topic = topic;
  frame->state.key = key;
  return frame;
}

static const fluxbp__limits_t *limits_of(const fluxbp__policy_t *policy) {
  return &policy->limits;
}

/* The ring inside of the public one comes first, its policy after it. */
static fluxbp__ring_t *inner(fixture_t *f) {
  return (fluxbp__ring_t *) f->ring;
}

typedef struct test {
  fixture_t f;
  fluxbp__policy_t policy;
} test_t;

static void open_test(test_t *t, uint32_t slots, uint64_t max_bytes) {
  fluxbp_policy_t set = policy_of(slots, max_bytes);
  open_ring_in(&t->f, 64 << 20, &set);
  assert_int_equal(fluxbp__policy_prepare(&set, &t->policy), 0);
}

static bool replace_bytes(test_t *t, uint64_t topic, uint64_t key, uint64_t value, size_t len) {
  fluxbp_frame_t *frame = value_of(&t->f, topic, key, value, len);
  fluxbp__ring_memory_t memory = {.pool = t->f.pool};
  bool replaced = fluxbp__ring_replace(inner(&t->f), &memory, limits_of(&t->policy), frame);
  assert_int_equal(frame->refs, replaced ? 2 : 1);
  fluxbp_frame_unref(frame);
  return replaced;
}

static bool replace(test_t *t, uint64_t key, uint64_t value) {
  return replace_bytes(t, TOPIC, key, value, 1);
}

static void push_value(test_t *t, uint64_t key, uint64_t value) {
  fluxbp_frame_t *frame = value_of(&t->f, TOPIC, key, value, 1);
  assert_int_equal(fluxbp_ring_push(t->f.ring, frame), 0);
  fluxbp_frame_unref(frame);
}

static void replaces_in_place_by_topic_and_key(void **state) {
  test_t t;
  (void) state;
  open_test(&t, 64, 1 << 20);
  assert_false(replace(&t, 1, 9));
  push_value(&t, 1, 10);
  fill(&t.f, 11, 11); /* of a log: never replaced */
  push_value(&t, 2, 20);
  assert_true(replace(&t, 1, 12));
  assert_true(replace_bytes(&t, TOPIC, 2, 22, 100));
  assert_false(replace(&t, 3, 30));
  assert_false(replace_bytes(&t, TOPIC + 1, 1, 40, 1));
  assert_int_equal(fluxbp_ring_count(t.f.ring), 3);
  assert_int_equal(fluxbp_ring_bytes(t.f.ring), 102);
  assert_pops(&t.f, 12);
  assert_pops(&t.f, 11);
  assert_pops(&t.f, 22);
  close_ring(&t.f);
}

static void a_pinned_head_is_not_replaced(void **state) {
  test_t t;
  (void) state;
  open_test(&t, 64, 1 << 20);
  push_value(&t, 1, 10);
  fluxbp_ring_pin_head(t.f.ring);
  assert_false(replace(&t, 1, 11));
  push_value(&t, 1, 11);
  assert_true(replace(&t, 1, 12));
  assert_pops(&t.f, 10);
  assert_pops(&t.f, 12);
  close_ring(&t.f);
}

static void of_several_values_the_newest_is_replaced(void **state) {
  (void) state;
  for (uint32_t slots = 16; slots <= 256; slots *= 16) { /* searched, and by the index */
    test_t t;
    open_test(&t, slots, 1 << 20);
    uint64_t others = slots > 16 ? 40 : 4;
    push_value(&t, 1, 10);
    for (uint64_t i = 0; i < others; i++) push_value(&t, 100 + i, 100 + i);
    push_value(&t, 1, 11);
    assert_true(replace(&t, 1, 12));
    assert_pops(&t.f, 10);
    for (uint64_t i = 0; i < others; i++) assert_pops(&t.f, 100 + i);
    assert_pops(&t.f, 12);
    close_ring(&t.f);
  }
}

static void a_larger_value_must_fit(void **state) {
  test_t t;
  (void) state;
  open_test(&t, 64, 100);
  push_value(&t, 1, 10);
  push_value(&t, 2, 20);
  assert_true(replace_bytes(&t, TOPIC, 1, 11, 99));
  assert_false(replace_bytes(&t, TOPIC, 2, 21, 2));
  assert_int_equal(fluxbp_ring_bytes(t.f.ring), 100);
  assert_true(replace_bytes(&t, TOPIC, 1, 12, 5));
  assert_pops(&t.f, 12);
  assert_pops(&t.f, 20);
  close_ring(&t.f);
}

static void a_dropping_ring_still_replaces(void **state) {
  test_t t;
  (void) state;
  open_test(&t, 4, 1 << 20);
  for (uint64_t key = 1; key <= 4; key++) push_value(&t, key, key);
  fluxbp_frame_t *frame = value_of(&t.f, TOPIC, 5, 5, 1);
  assert_int_equal(fluxbp_ring_push_or_drop(t.f.ring, frame, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  fluxbp_frame_unref(frame);
  assert_true(replace(&t, 3, 33));
  assert_pops(&t.f, 1);
  assert_pops(&t.f, 2);
  assert_pops(&t.f, 33);
  assert_pops(&t.f, 4);
  close_ring(&t.f);
}

/* The marker changes its place when an index is made while it waits, and again when the dropping ends. */
static void a_dropping_ring_may_get_an_index(void **state) {
  enum { SLOTS = 40 };
  test_t t;
  (void) state;
  open_test(&t, SLOTS, 1 << 20);
  for (uint64_t key = 1; key <= SLOTS; key++) push_value(&t, key, key);
  assert_int_equal(push_or_drop(&t.f, 100, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  assert_false(inner(&t.f)->has_index);
  assert_true(replace(&t, 33, 133));
  assert_true(inner(&t.f)->has_index);
  assert_int_equal(push_or_drop(&t.f, 101, FLUXBP_OVERFLOW_DROP_NEWEST), 1); /* the same gap */
  for (uint64_t key = 1; key <= SLOTS; key++) assert_pops(&t.f, key == 33 ? 133 : key);
  assert_pops_gap(&t.f, 100, 101, 2);
  assert_is_empty(&t.f);
  close_ring(&t.f);
}

static void a_ring_with_an_index_may_drop_and_be_discarded(void **state) {
  enum { SLOTS = 40 };
  test_t t;
  (void) state;
  open_test(&t, SLOTS, 1 << 20);
  for (uint64_t key = 1; key <= SLOTS; key++) push_value(&t, key, key);
  assert_true(replace(&t, 1, 101));
  assert_true(inner(&t.f)->has_index);
  assert_int_equal(push_or_drop(&t.f, 100, FLUXBP_OVERFLOW_DROP_NEWEST), 1);
  assert_int_equal(fluxbp_ring_discard(t.f.ring), SLOTS);
  assert_false(inner(&t.f)->has_index);
  assert_is_empty(&t.f);
  close_ring(&t.f); /* which finds that the marker has gone, too */
}

static bool is_of_that_key(void *arg, const fluxbp_frame_t *value) {
  return value->state.key == *(const uint64_t *) arg;
}

/* Slots get other frames: those that stay keep their order, and the newest of a key is still the one that is
 * replaced. */
static void values_may_be_taken_out(void **state) {
  (void) state;
  for (uint32_t slots = 16; slots <= 256; slots *= 16) { /* searched, and by the index */
    test_t t;
    uint64_t key = 1;
    uint64_t others = slots > 16 ? 40 : 3;
    open_test(&t, slots, 1 << 20);
    push_value(&t, 1, 10); /* pinned: it stays */
    fluxbp_ring_pin_head(t.f.ring);
    for (uint64_t i = 0; i < others; i++) push_value(&t, 1, 100 + i);
    push_value(&t, 2, 20);
    fill(&t.f, 30, 30);
    push_value(&t, 2, 21);
    push_value(&t, 1, 11);
    assert_true(replace(&t, 1, 12));
    assert_int_equal(inner(&t.f)->has_index, slots > 16);
    assert_int_equal(fluxbp__ring_take_values(inner(&t.f), is_of_that_key, &key), others + 1);
    assert_int_equal(fluxbp_ring_count(t.f.ring), 4);
    assert_int_equal(fluxbp_ring_bytes(t.f.ring), 4);
    assert_false(replace(&t, 1, 13));
    assert_true(replace(&t, 2, 22));
    assert_int_equal(fluxbp__ring_take_values(inner(&t.f), is_of_that_key, &key), 0);
    assert_pops(&t.f, 10);
    assert_pops(&t.f, 20);
    assert_pops(&t.f, 30);
    assert_pops(&t.f, 22);
    close_ring(&t.f);
  }
}

/* Whatever the limits say. The array gets longer, and the index and the marker's place in it go. */
static void the_last_comes_behind_a_loss(void **state) {
  enum { SLOTS = 40 };
  test_t t;
  (void) state;
  open_test(&t, SLOTS, 1 << 20);
  for (uint64_t key = 1; key <= SLOTS; key++) push_value(&t, key, key);
  assert_true(replace(&t, 1, 101));
  assert_true(inner(&t.f)->has_index);
  assert_int_equal(push_or_drop(&t.f, 200, FLUXBP_OVERFLOW_DROP_NEWEST), 1);

  fluxbp__ring_memory_t memory = {.pool = t.f.pool};
  fluxbp_frame_t *last = frame_of(&t.f, 300, 1);
  alloc_hook_fail_once(&t.f.hook, 1);
  assert_int_not_equal(fluxbp__ring_push_last(inner(&t.f), &memory, last), 0);
  assert_int_equal(fluxbp_ring_count(t.f.ring), SLOTS); /* nothing has changed */
  assert_int_equal(fluxbp__ring_push_last(inner(&t.f), &memory, last), 0);
  fluxbp_frame_unref(last);
  for (uint64_t key = 1; key <= SLOTS; key++) assert_pops(&t.f, key == 1 ? 101 : key);
  assert_pops_gap(&t.f, 200, 200, 1);
  assert_pops(&t.f, 300);
  assert_is_empty(&t.f);
  close_ring(&t.f);
}

/* What the ring should hold, oldest first. A key of 0 is a message of a log. */
typedef struct model {
  uint64_t keys[512];
  uint64_t values[512];
  size_t count;
} model_t;

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static bool model_replace(model_t *model, uint64_t key, uint64_t value, bool is_pinned) {
  for (size_t i = model->count; i-- > (is_pinned ? 1U : 0U);) {
    if (model->keys[i] != key) continue;
    model->values[i] = value;
    return true;
  }
  return false;
}

static void model_pop(model_t *model) {
  model->count--;
  memmove(model->keys, model->keys + 1, model->count * sizeof model->keys[0]);
  memmove(model->values, model->values + 1, model->count * sizeof model->values[0]);
}

static void is_what_the_model_says(uint32_t slots, uint32_t key_count, bool has_memory) {
  enum { STEPS = 40000 };
  test_t t;
  model_t model = {.count = 0};
  uint32_t seed = slots + key_count;
  bool is_pinned = false;
  open_test(&t, slots, 1 << 20);
  for (uint64_t step = 1; step <= STEPS; step++) {
    uint64_t key = 1 + next_random(&seed) % key_count;
    uint32_t action = next_random(&seed) % 100;
    if (!has_memory && fluxbp_ring_count(t.f.ring) > 20) alloc_hook_fail_from(&t.f.hook, 1);
    if (action < 60) { /* as a connection does while it is refused */
      bool replaced = replace(&t, key, step);
      assert_int_equal(replaced, model_replace(&model, key, step, is_pinned));
      if (!replaced && model.count < slots && model.count < inner(&t.f)->capacity) {
        push_value(&t, key, step);
        model.keys[model.count] = key;
        model.values[model.count++] = step;
      }
    } else if (action < 65 && model.count > 0 && !is_pinned) {
      fluxbp_ring_pin_head(t.f.ring);
      is_pinned = true;
    } else if (action < 75 && model.count < slots && model.count < inner(&t.f)->capacity) {
      fill(&t.f, step, step);
      model.keys[model.count] = 0;
      model.values[model.count++] = step;
    } else if (model.count > 0 && (action < 90 || step % 997 < 30)) {
      assert_pops(&t.f, model.values[0]);
      model_pop(&model);
      is_pinned = false;
    } else if (model.count == inner(&t.f)->capacity && model.count < slots && has_memory) {
      fill(&t.f, step, step); /* which makes it grow */
      model.keys[model.count] = 0;
      model.values[model.count++] = step;
    }
    alloc_hook_heal(&t.f.hook);
    assert_int_equal(fluxbp_ring_count(t.f.ring), model.count);
  }
  while (model.count > 0) {
    assert_pops(&t.f, model.values[0]);
    model_pop(&model);
  }
  close_ring(&t.f);
}

static void a_short_ring_is_what_the_model_says(void **state) {
  (void) state;
  is_what_the_model_says(16, 10, true);
}

static void a_long_ring_is_what_the_model_says(void **state) {
  (void) state;
  is_what_the_model_says(256, 200, true);
  is_what_the_model_says(300, 400, true);
}

static void a_ring_without_memory_for_an_index_is_what_the_model_says(void **state) {
  (void) state;
  is_what_the_model_says(64, 60, false);
}

static void dropping_the_oldest_leaves_the_rest_replaceable(void **state) {
  test_t t;
  (void) state;
  open_test(&t, 32, 1 << 20);
  for (uint64_t key = 1; key <= 32; key++) push_value(&t, key, key);
  fluxbp_ring_pin_head(t.f.ring);
  assert_true(replace(&t, 30, 130)); /* there is an index now */
  for (uint64_t key = 33; key <= 36; key++) {
    fluxbp_frame_t *frame = value_of(&t.f, TOPIC, key, key, 1);
    assert_true(fluxbp_ring_push_or_drop(t.f.ring, frame, FLUXBP_OVERFLOW_DROP_OLDEST) > 0);
    fluxbp_frame_unref(frame);
  }
  assert_false(replace(&t, 1, 101)); /* pinned */
  assert_false(replace(&t, 3, 103)); /* dropped */
  for (uint64_t key = 7; key <= 36; key++) assert_true(replace(&t, key, 200 + key));
  assert_pops(&t.f, 1);
  assert_pops_gap(&t.f, 2, 6, 5);
  for (uint64_t key = 7; key <= 36; key++) assert_pops(&t.f, 200 + key);
  assert_is_empty(&t.f);
  close_ring(&t.f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(replaces_in_place_by_topic_and_key),
      cmocka_unit_test(a_pinned_head_is_not_replaced),
      cmocka_unit_test(of_several_values_the_newest_is_replaced),
      cmocka_unit_test(a_larger_value_must_fit),
      cmocka_unit_test(values_may_be_taken_out),
      cmocka_unit_test(a_dropping_ring_still_replaces),
      cmocka_unit_test(a_dropping_ring_may_get_an_index),
      cmocka_unit_test(a_ring_with_an_index_may_drop_and_be_discarded),
      cmocka_unit_test(the_last_comes_behind_a_loss),
      cmocka_unit_test(a_short_ring_is_what_the_model_says),
      cmocka_unit_test(a_long_ring_is_what_the_model_says),
      cmocka_unit_test(a_ring_without_memory_for_an_index_is_what_the_model_says),
      cmocka_unit_test(dropping_the_oldest_leaves_the_rest_replaceable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
