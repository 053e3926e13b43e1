/* SPDX-License-Identifier: MIT */
/*
 * The ring beside a model of it: random calls, compared after each.
 */
#include "support/ring_fixture.h"

/* ---- beside a model ---- */

enum { MODEL_MAX = 64 };

typedef struct entry {
  fluxbp_gap_t gap; /* count > 0: a marker */
  uint64_t id;
  size_t len;
} entry_t;

/* The ring as its header describes it: entries[0] is the head. */
typedef struct model {
  fluxbp_policy_t policy;
  entry_t entries[MODEL_MAX];
  size_t count;
  entry_t tail_gap;
  int is_dropping;
  int is_pinned;
  uint64_t lost; /* messages, ever */
} model_t;

static int is_gap(const entry_t *entry) {
  return entry->gap.count > 0;
}

static size_t model_bytes(const model_t *m) {
  size_t bytes = 0;
  for (size_t i = 0; i < m->count; i++) bytes += m->entries[i].len;
  return bytes;
}

static size_t model_messages(const model_t *m) {
  size_t messages = 0;
  for (size_t i = 0; i < m->count; i++) messages += !is_gap(&m->entries[i]);
  return messages;
}

static void model_remove(model_t *m, size_t at) {
  m->count--;
  memmove(&m->entries[at], &m->entries[at + 1], (m->count - at) * sizeof(entry_t));
}

static void add_to_gap(entry_t *gap, const entry_t *lost) {
  fluxbp_gap_t more = is_gap(lost) ? lost->gap : (fluxbp_gap_t){lost->id, lost->id, 1};
  if (gap->gap.count == 0)
    gap->gap = more;
  else
    gap->gap = (fluxbp_gap_t){gap->gap.first_id, more.last_id, gap->gap.count + more.count};
  gap->len = 0;
}

static int model_fits(const model_t *m, size_t len) {
  if (m->is_dropping || m->count >= m->policy.slots) return 0;
  return model_bytes(m) + len <= m->policy.max_bytes || m->count == 0;
}

static int model_push(model_t *m, const entry_t *entry) {
  if (!model_fits(m, entry->len)) return UV_ENOBUFS;
  m->entries[m->count++] = *entry;
  return 0;
}

static int model_drop_newest(model_t *m, const entry_t *entry) {
  entry_t *last = m->count > 0 ? &m->entries[m->count - 1] : NULL;
  int extends = m->tail_gap.gap.count == 0 && last != NULL && is_gap(last);
  add_to_gap(extends ? last : &m->tail_gap, entry);
  m->is_dropping = 1;
  m->lost++;
  return 1;
}

static int model_drop_oldest(model_t *m, const entry_t *entry) {
  uint64_t lost_before = m->lost;
  size_t at = m->is_pinned ? 1 : 0;
  while (!model_fits(m, entry->len)) {
    if (m->count < at + 2) {
      (void) model_drop_newest(m, entry);
      return (int) (m->lost - lost_before);
    }
    entry_t gap = {0};
    for (int i = 0; i < 2; i++) {
      m->lost += !is_gap(&m->entries[at]);
      add_to_gap(&gap, &m->entries[at]);
      if (i == 0) model_remove(m, at);
    }
    m->entries[at] = gap;
  }
  m->entries[m->count++] = *entry;
  return (int) (m->lost - lost_before);
}

static int model_push_or_drop(model_t *m, const entry_t *entry, fluxbp_overflow_t rule) {
  if (model_push(m, entry) == 0) return 0;
  if (rule == FLUXBP_OVERFLOW_EVICT) return UV_ENOBUFS;
  return rule == FLUXBP_OVERFLOW_DROP_NEWEST || m->is_dropping ? model_drop_newest(m, entry)
                                                               : model_drop_oldest(m, entry);
}

static void model_settle(model_t *m) {
  int is_low = m->count <= m->policy.slots * m->policy.low_percent / 100 &&
               model_bytes(m) <= m->policy.max_bytes * m->policy.low_percent / 100;
  if (!m->is_dropping || !is_low) return;
  m->is_dropping = 0;
  if (m->tail_gap.gap.count > 0) m->entries[m->count++] = m->tail_gap;
  m->tail_gap = (entry_t){0};
}

static size_t model_discard(model_t *m) {
  size_t before = model_messages(m);
  m->count = m->is_pinned ? 1 : 0;
  m->tail_gap = (entry_t){0};
  m->is_dropping = 0;
  return before - model_messages(m);
}

static void assert_same_entry(const fluxbp_frame_t *frame, const entry_t *entry) {
  fluxbp_gap_t gap = {0};
  assert_int_equal(fluxbp_frame_gap(frame, &gap), is_gap(entry));
  assert_int_equal(gap.first_id, entry->gap.first_id);
  assert_int_equal(gap.last_id, entry->gap.last_id);
  assert_int_equal(gap.count, entry->gap.count);
  assert_int_equal(fluxbp_frame_id(frame), entry->id);
  assert_int_equal(fluxbp_frame_length(frame), entry->len);
}

static void assert_same(const fluxbp__ring_t *ring, const model_t *m) {
  assert_int_equal(ring->count, m->count);
  assert_int_equal(fluxbp__ring_messages(ring), model_messages(m));
  assert_int_equal(ring->bytes, model_bytes(m));
  assert_int_equal(ring->is_dropping, m->is_dropping);
  for (uint32_t i = 0; i < ring->count; i++) {
    assert_same_entry(fluxbp__ring_at(ring, i), &m->entries[i]);
    assert_int_equal(fluxbp__ring_at(ring, i)->refs, 1);
  }
}

static uint32_t next_random(uint32_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed >> 3;
}

/* All that can happen to a connection's ring, in random order, on a ring with random limits. -1: a rule for each
 * push. */
static void drive(uint32_t seed, int rule_or_all) {
  uint32_t random = seed * 2654435761u | 1;
  fluxbp_policy_t set = policy_of(2 + next_random(&random) % 60, 20 + next_random(&random) % 400);
  set.low_percent = next_random(&random) % 60;
  set.high_percent = 60;
  fixture_t f;
  open_ring_in(&f, 1 << 20, &set);
  fluxbp__policy_t policy;
  assert_int_equal(fluxbp__policy_prepare(&set, &policy), 0);
  fluxbp__ring_t ring;
  fluxbp__ring_memory_t memory = {.pool = f.pool};
  fluxbp__ring_init(&ring);
  model_t m = {.policy = set};
  uint64_t pushed = 0;
  uint64_t popped = 0;
  uint64_t discarded = 0;

  for (int turn = 0; turn < 3000; turn++) {
    int pushes = turn / 200 % 2 ? 40 : 70; /* it fills and it drains */
    int what = (int) (next_random(&random) % 100);
    fluxbp_overflow_t rule = (fluxbp_overflow_t) (rule_or_all < 0 ? (int) (next_random(&random) % 3) : rule_or_all);
    if (what < pushes) {
      entry_t entry = {.id = pushed + 1, .len = 1 + next_random(&random) % (next_random(&random) % 8 ? 8 : 20)};
      fluxbp_frame_t *frame = frame_of(&f, entry.id, entry.len);
      int is_plain = what % 8 == 0;
      int result = is_plain ? fluxbp__ring_push(&ring, &memory, &policy.limits, frame)
                            : fluxbp__ring_push_or_drop(&ring, &memory, &policy.limits, frame, rule);
      int expected = is_plain ? model_push(&m, &entry) : model_push_or_drop(&m, &entry, rule);
      fluxbp_frame_unref(frame);
      assert_int_equal(result, expected);
      pushed += result >= 0;
    } else if (what < 96) {
      fluxbp_frame_t *frame = fluxbp__ring_pop(&ring);
      fluxbp__ring_settle(&ring, &memory, &policy.limits);
      assert_int_equal(frame != NULL, m.count > 0);
      if (frame != NULL) {
        assert_same_entry(frame, &m.entries[0]);
        popped += !is_gap(&m.entries[0]);
        fluxbp_frame_unref(frame);
        model_remove(&m, 0);
        m.is_pinned = 0;
      }
      model_settle(&m);
    } else if (what < 99) {
      ring.is_head_pinned = ring.count > 0;
      m.is_pinned = m.count > 0;
    } else if (next_random(&random) % 8 == 0) {
      size_t result = fluxbp__ring_discard(&ring);
      fluxbp__ring_settle(&ring, &memory, &policy.limits);
      assert_int_equal(result, model_discard(&m));
      discarded += result;
    }
    assert_same(&ring, &m);
    assert_int_equal(pushed, popped + discarded + m.lost + model_messages(&m)); /* nothing silent */
    assert_true(!ring.has_array || ring.capacity <= set.slots);
  }
  (void) fluxbp__ring_clear(&ring, &memory);
  fluxbp__ring_memory_clear(&memory);
  assert_int_equal(used_bytes(&f), 0); /* no frame leaked, and the slots are back */
  close_ring(&f);
}

static void drive_many(int rule) {
  for (uint32_t seed = 1; seed <= 40; seed++) {
    print_message("seed %u, rule %d\r", seed, rule); /* what to repeat after a failure */
    drive(seed, rule);
  }
}

static void ring_is_as_its_model_when_it_drops_the_newest(void **state) {
  (void) state;
  drive_many(FLUXBP_OVERFLOW_DROP_NEWEST);
}

static void ring_is_as_its_model_when_it_drops_the_oldest(void **state) {
  (void) state;
  drive_many(FLUXBP_OVERFLOW_DROP_OLDEST);
}

static void ring_is_as_its_model_when_it_evicts(void **state) {
  (void) state;
  drive_many(FLUXBP_OVERFLOW_EVICT);
}

static void ring_is_as_its_model_when_the_rule_changes(void **state) {
  (void) state;
  drive_many(-1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ring_is_as_its_model_when_it_drops_the_newest),
      cmocka_unit_test(ring_is_as_its_model_when_it_drops_the_oldest),
      cmocka_unit_test(ring_is_as_its_model_when_it_evicts),
      cmocka_unit_test(ring_is_as_its_model_when_the_rule_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
