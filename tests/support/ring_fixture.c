/* SPDX-License-Identifier: MIT */
/*
 * ring_fixture: see ring_fixture.h.
 */
#include "support/ring_fixture.h"

fluxbp_policy_t policy_of(uint32_t slots, uint64_t max_bytes) {
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.slots = slots;
  policy.max_bytes = max_bytes;
  return policy;
}

void open_ring_in(fixture_t *f, uint64_t budget, const fluxbp_policy_t *policy) {
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = budget;
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  assert_int_equal(fluxbp_ring_create(f->pool, policy, &f->ring), 0);
}

void open_ring(fixture_t *f, uint32_t slots, uint64_t max_bytes) {
  fluxbp_policy_t policy = policy_of(slots, max_bytes);
  open_ring_in(f, 64 << 20, &policy);
}

/* The pool refuses to go while a frame, a message or the ring is left. */
void close_ring(fixture_t *f) {
  fluxbp_ring_destroy(f->ring);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

uint64_t used_bytes(const fixture_t *f) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(f->pool, &stats);
  return stats.used_bytes;
}

fluxbp_frame_t *frame_of(fixture_t *f, uint64_t id, size_t len) {
  static const char text[64 * 1024];
  fluxbp_msg_t *msg;
  fluxbp_frame_t *frame;
  assert_true(len <= sizeof text);
  assert_int_equal(fluxbp_msg_create(f->pool, text, len, &msg), 0);
  assert_int_equal(fluxbp_frame_create(f->pool, msg, NULL, NULL, id, &frame), 0);
  fluxbp_msg_unref(msg);
  return frame;
}

/* Push a message of `len` bytes; the ring has the only reference afterwards. */
int push_bytes(fixture_t *f, uint64_t id, size_t len) {
  fluxbp_frame_t *frame = frame_of(f, id, len);
  int result = fluxbp_ring_push(f->ring, frame);
  fluxbp_frame_unref(frame);
  return result;
}

int push(fixture_t *f, uint64_t id) {
  return push_bytes(f, id, 1);
}

int push_or_drop_bytes(fixture_t *f, uint64_t id, size_t len, fluxbp_overflow_t rule) {
  fluxbp_frame_t *frame = frame_of(f, id, len);
  int result = fluxbp_ring_push_or_drop(f->ring, frame, rule);
  fluxbp_frame_unref(frame);
  return result;
}

int push_or_drop(fixture_t *f, uint64_t id, fluxbp_overflow_t rule) {
  return push_or_drop_bytes(f, id, 1, rule);
}

void fill(fixture_t *f, uint64_t first_id, uint64_t last_id) {
  for (uint64_t id = first_id; id <= last_id; id++) assert_int_equal(push(f, id), 0);
}

void assert_pops(fixture_t *f, uint64_t id) {
  fluxbp_frame_t *head = fluxbp_ring_head(f->ring);
  fluxbp_frame_t *frame = fluxbp_ring_pop(f->ring);
  assert_non_null(frame);
  assert_ptr_equal(frame, head);
  assert_false(fluxbp_frame_gap(frame, NULL));
  assert_int_equal(fluxbp_frame_id(frame), id);
  assert_int_equal(frame->refs, 1); /* it is ours now, and nobody else's */
  fluxbp_frame_unref(frame);
}

void assert_pops_gap(fixture_t *f, uint64_t first_id, uint64_t last_id, uint64_t count) {
  fluxbp_frame_t *frame = fluxbp_ring_pop(f->ring);
  assert_non_null(frame);
  fluxbp_gap_t gap;
  assert_true(fluxbp_frame_gap(frame, &gap));
  assert_int_equal(gap.first_id, first_id);
  assert_int_equal(gap.last_id, last_id);
  assert_int_equal(gap.count, count);
  fluxbp_frame_unref(frame);
}

void assert_is_empty(fixture_t *f) {
  assert_null(fluxbp_ring_head(f->ring));
  assert_null(fluxbp_ring_pop(f->ring));
  assert_int_equal(fluxbp_ring_count(f->ring), 0);
  assert_int_equal(fluxbp_ring_bytes(f->ring), 0);
  assert_int_equal(fluxbp_ring_fill_percent(f->ring), 0);
}
