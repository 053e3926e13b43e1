/* SPDX-License-Identifier: MIT */
/*
 * frame: shared bytes or encoded ones, codecs that misbehave, and markers that count.
 */
#include "frame.h"
#include "msg.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_msg_t *msg; /* "hello", key 9 */
} fixture_t;

static int set_up(void **state) {
  static fixture_t f;
  alloc_hook_init(&f.hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = 64 * 1024;
  options.allocator = alloc_hook_allocator(&f.hook);
  *state = &f;
  int err = fluxbp_pool_create(&options, &f.pool);
  return err ? err : fluxbp_msg_create_keyed(f.pool, 9, "hello", 5, &f.msg);
}

/* Fails if a frame is left, or holds a message. */
static int tear_down(void **state) {
  fixture_t *f = *state;
  fluxbp_msg_unref(f->msg);
  int err = fluxbp_pool_destroy(f->pool);
  return err != 0 || f->hook.live_blocks != 0;
}

static fluxbp_pool_stats_t stats_of(const fixture_t *f) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(f->pool, &stats);
  return stats;
}

static unsigned refs_of(const fluxbp_msg_t *msg) {
  return atomic_load(&((fluxbp_msg_t *) (uintptr_t) msg)->refs);
}

/* ---- a codec that does what a test says ---- */

typedef struct script {
  ptrdiff_t wants[3]; /* what each call returns */
  size_t capacities[3];
  int calls;
  fluxbp_publication_t seen;
} script_t;

static ptrdiff_t follow_script(script_t *script, char *out, size_t capacity) {
  assert_true(script->calls < 3);
  ptrdiff_t want = script->wants[script->calls];
  script->capacities[script->calls++] = capacity;
  if (want > 0 && (size_t) want <= capacity) memset(out, 'e', (size_t) want);
  return want;
}

static ptrdiff_t scripted_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                 size_t capacity) {
  script_t *script = codec->arg;
  script->seen = *publication;
  return follow_script(script, out, capacity);
}

static ptrdiff_t scripted_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  (void) gap;
  return follow_script(codec->arg, out, capacity);
}

static ptrdiff_t scripted_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                   size_t capacity) {
  (void) reason;
  return follow_script(codec->arg, out, capacity);
}

static fluxbp_codec_t codec_of(script_t *script) {
  return (fluxbp_codec_t){.size = sizeof(fluxbp_codec_t),
                          .name = "scripted",
                          .encode = scripted_encode,
                          .encode_gap = scripted_gap,
                          .encode_farewell = scripted_farewell,
                          .arg = script};
}

static int encode(fixture_t *f, script_t *script, fluxbp_frame_t **frame) {
  fluxbp_codec_t codec = codec_of(script);
  return fluxbp_frame_create(f->pool, f->msg, &codec, "news", 7, frame);
}

/* ---- raw ---- */

static void frame_raw_shares_the_bytes_and_holds_one_reference(void **state) {
  fixture_t *f = *state;
  const fluxbp_codec_t *codecs[] = {NULL, &fluxbp_codec_raw};
  for (int i = 0; i < 2; i++) {
    fluxbp_frame_t *frame;
    assert_int_equal(fluxbp_frame_create(f->pool, f->msg, codecs[i], "news", 7, &frame), 0);
    assert_ptr_equal(fluxbp_frame_data(frame), fluxbp_msg_data(f->msg));
    assert_int_equal(fluxbp_frame_length(frame), 5);
    assert_int_equal(fluxbp_frame_id(frame), 7);
    assert_false(fluxbp_frame_gap(frame, NULL));
    assert_int_equal(refs_of(f->msg), 2);

    assert_ptr_equal(fluxbp_frame_ref(frame), frame); /* one of the message for all of the frame */
    assert_int_equal(refs_of(f->msg), 2);
    fluxbp_frame_unref(frame);
    assert_int_equal(refs_of(f->msg), 2);
    fluxbp_frame_unref(frame);
    assert_int_equal(refs_of(f->msg), 1);
  }
}

static void frame_outlives_the_callers_message(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  assert_int_equal(fluxbp_frame_create(f->pool, f->msg, NULL, NULL, 0, &frame), 0);
  fluxbp_msg_unref(f->msg);
  f->msg = NULL;
  assert_memory_equal(fluxbp_frame_data(frame), "hello", 5);
  fluxbp_frame_unref(frame);
  assert_int_equal(stats_of(f).used_bytes, 0);
}

static void frame_creation_refuses_null(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  assert_int_equal(fluxbp_frame_create(NULL, f->msg, NULL, NULL, 0, &frame), UV_EINVAL);
  assert_int_equal(fluxbp_frame_create(f->pool, NULL, NULL, NULL, 0, &frame), UV_EINVAL);
  assert_int_equal(fluxbp_frame_create(f->pool, f->msg, NULL, NULL, 0, NULL), UV_EINVAL);
  fluxbp_frame_unref(NULL);
}

/* ---- encoded ---- */

static void frame_encoded_has_bytes_of_its_own(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  assert_int_equal(fluxbp_frame_create(f->pool, f->msg, &fluxbp_codec_newline, "news", 7, &frame), 0);
  assert_int_equal(refs_of(f->msg), 1);
  assert_int_equal(fluxbp_frame_length(frame), 6);
  assert_memory_equal(fluxbp_frame_data(frame), "hello\n", 6);
  assert_int_equal(fluxbp_frame_id(frame), 7);
  assert_int_equal(stats_of(f).payload_bytes, stats_of(f).used_bytes); /* payload, like the message */
  fluxbp_frame_unref(frame);
}

static void frame_tells_the_codec_all_about_the_publication(void **state) {
  fixture_t *f = *state;
  script_t script = {.wants = {3}};
  fluxbp_frame_t *frame;
  assert_int_equal(encode(f, &script, &frame), 0);
  assert_string_equal(script.seen.topic, "news");
  assert_int_equal(script.seen.id, 7);
  assert_int_equal(script.seen.key, 9);
  assert_int_equal(script.seen.length, 5);
  assert_ptr_equal(script.seen.data, fluxbp_msg_data(f->msg));
  fluxbp_frame_unref(frame);

  fluxbp_msg_t *keyless;
  assert_int_equal(fluxbp_msg_create(f->pool, "x", 1, &keyless), 0);
  fluxbp_codec_t codec = codec_of(&script);
  script = (script_t){.wants = {3}};
  assert_int_equal(fluxbp_frame_create(f->pool, keyless, &codec, NULL, 0, &frame), 0);
  assert_int_equal(script.seen.key, 0);
  assert_null(script.seen.topic);
  fluxbp_frame_unref(frame);
  fluxbp_msg_unref(keyless);
}

static void frame_asks_a_codec_again_that_wants_more_room(void **state) {
  fixture_t *f = *state;
  script_t script = {.wants = {3000, 3000}};
  fluxbp_frame_t *frame;
  assert_int_equal(encode(f, &script, &frame), 0);
  assert_int_equal(script.calls, 2);
  assert_true(script.capacities[0] >= 5);
  assert_int_equal(script.capacities[1], 3000);
  assert_int_equal(fluxbp_frame_length(frame), 3000);
  assert_int_equal(((const char *) fluxbp_frame_data(frame))[2999], 'e');
  fluxbp_frame_unref(frame);
}

static void frame_takes_less_than_the_codec_asked_for(void **state) {
  fixture_t *f = *state;
  script_t script = {.wants = {3000, 2999}};
  fluxbp_frame_t *frame;
  assert_int_equal(encode(f, &script, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), 2999);
  fluxbp_frame_unref(frame);
}

static void frame_refuses_a_codec_that_lies_about_its_need(void **state) {
  fixture_t *f = *state;
  script_t script = {.wants = {3000, 3001}};
  fluxbp_frame_t *frame;
  uint64_t before = stats_of(f).used_bytes;
  assert_int_equal(encode(f, &script, &frame), UV_EINVAL);
  assert_int_equal(script.calls, 2);
  assert_int_equal(stats_of(f).used_bytes, before);
}

static void frame_passes_a_codecs_refusal_through(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  uint64_t before = stats_of(f).used_bytes;
  script_t script = {.wants = {UV_EPROTO}};
  assert_int_equal(encode(f, &script, &frame), UV_EPROTO);
  script = (script_t){.wants = {3000, UV_EILSEQ}};
  assert_int_equal(encode(f, &script, &frame), UV_EILSEQ);
  assert_int_equal(stats_of(f).used_bytes, before);
  assert_int_equal(refs_of(f->msg), 1);
}

static void frame_of_no_bytes_is_refused(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  script_t script = {.wants = {0}};
  assert_int_equal(encode(f, &script, &frame), UV_EINVAL);
}

static void frame_over_the_maximum_is_refused_before_memory_is_asked_for(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  script_t script = {.wants = {(ptrdiff_t) FLUXBP_MSG_MAX_BYTES + 1}};
  assert_int_equal(encode(f, &script, &frame), UV_E2BIG);
  script = (script_t){.wants = {PTRDIFF_MAX}};
  assert_int_equal(encode(f, &script, &frame), UV_E2BIG);
  assert_int_equal(stats_of(f).refused, 0);

  script = (script_t){.wants = {(ptrdiff_t) FLUXBP_MSG_MAX_BYTES}};
  assert_int_equal(encode(f, &script, &frame), UV_ENOBUFS); /* of this size the budget decides */
}

/* ---- memory ---- */

static void frame_leaves_nothing_behind_when_the_allocator_refuses(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  uint64_t before = stats_of(f).used_bytes;

  alloc_hook_fail_once(&f->hook, 1);
  assert_int_equal(fluxbp_frame_create(f->pool, f->msg, NULL, NULL, 0, &frame), UV_ENOMEM);
  for (uint64_t nth = 1; nth <= 2; nth++) { /* the guess, and the larger frame */
    fluxbp_pool_trim(f->pool);
    script_t script = {.wants = {3000, 3000}};
    alloc_hook_fail_once(&f->hook, nth);
    assert_int_equal(encode(f, &script, &frame), UV_ENOMEM);
    assert_int_equal(script.calls, nth - 1);
  }
  assert_int_equal(f->hook.failures, 3);
  assert_int_equal(stats_of(f).used_bytes, before);
  assert_int_equal(refs_of(f->msg), 1);
}

static void frame_says_enobufs_when_the_budget_is_used_up(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  script_t script = {.wants = {64 * 1024}};
  assert_int_equal(encode(f, &script, &frame), UV_ENOBUFS);
  assert_int_equal(stats_of(f).refused, 1);
}

/* ---- gaps ---- */

static fluxbp_frame_t *frame_with_id(fixture_t *f, uint64_t id) {
  fluxbp_frame_t *frame;
  assert_int_equal(fluxbp_frame_create(f->pool, f->msg, NULL, NULL, id, &frame), 0);
  return frame;
}

static void extend(fixture_t *f, fluxbp_frame_t *marker, uint64_t id) {
  fluxbp_frame_t *lost = frame_with_id(f, id);
  fluxbp__frame_extend_gap(marker, lost);
  fluxbp_frame_unref(lost);
}

static fluxbp_frame_t *marker_of(fixture_t *f, uint64_t id) {
  fluxbp_frame_t *lost = frame_with_id(f, id);
  fluxbp_frame_t *marker;
  lost->time_ms = 1234;
  assert_int_equal(fluxbp__frame_create_gap(f->pool, lost, &marker), 0);
  fluxbp_frame_unref(lost);
  return marker;
}

static void assert_gap(const fluxbp_frame_t *marker, uint64_t first_id, uint64_t last_id, uint64_t count) {
  fluxbp_gap_t gap;
  assert_true(fluxbp_frame_gap(marker, &gap));
  assert_int_equal(gap.first_id, first_id);
  assert_int_equal(gap.last_id, last_id);
  assert_int_equal(gap.count, count);
}

static void frame_marker_has_no_bytes_and_the_age_of_what_was_lost(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *marker = marker_of(f, 17);
  assert_gap(marker, 17, 17, 1);
  assert_null(fluxbp_frame_data(marker));
  assert_int_equal(fluxbp_frame_length(marker), 0);
  assert_int_equal(marker->time_ms, 1234);
  assert_true(fluxbp_frame_gap(marker, NULL));
  fluxbp_frame_unref(marker);
}

static void frame_marker_grows_with_each_loss(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *marker = marker_of(f, 17);
  extend(f, marker, 18);
  assert_gap(marker, 17, 18, 2);
  extend(f, marker, 40);
  assert_gap(marker, 17, 40, 3);

  fluxbp_frame_t *later = marker_of(f, 50);
  extend(f, later, 60);
  fluxbp__frame_extend_gap(marker, later); /* all those of another marker */
  assert_gap(marker, 17, 60, 5);
  fluxbp_frame_unref(later);
  fluxbp_frame_unref(marker);
}

/* A connection that was sent back to older messages may lose some of them behind newer ones. */
static void frame_marker_covers_what_lies_further_back(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *marker = marker_of(f, 40);
  extend(f, marker, 50);
  extend(f, marker, 17);
  assert_gap(marker, 17, 50, 3);
  extend(f, marker, 0);
  extend(f, marker, 30);
  assert_gap(marker, 17, 50, 5);
  fluxbp_frame_unref(marker);
}

static void frame_marker_counts_losses_without_an_id(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *marker = marker_of(f, 0);
  assert_gap(marker, 0, 0, 1);
  extend(f, marker, 20);
  assert_gap(marker, 20, 20, 2);
  extend(f, marker, 0);
  assert_gap(marker, 20, 20, 3);
  extend(f, marker, 22);
  assert_gap(marker, 20, 22, 4);
  fluxbp_frame_unref(marker);
}

static void frame_marker_takes_over_what_a_lost_notice_told(void **state) {
  fixture_t *f = *state;
  fluxbp_gap_t gap = {.first_id = 30, .last_id = 35, .count = 6};
  fluxbp_frame_t *notice;
  assert_int_equal(fluxbp__frame_create_gap_notice(f->pool, &fluxbp_codec_newline, &gap, &notice), 0);
  fluxbp_frame_t *marker = marker_of(f, 17);
  fluxbp__frame_extend_gap(marker, notice);
  assert_gap(marker, 17, 35, 7);
  fluxbp_frame_unref(notice);
  fluxbp_frame_unref(marker);
}

static void frame_marker_comes_out_of_the_reserve_for_control(void **state) {
  fixture_t *f = *state;
  uint64_t before = stats_of(f).payload_bytes;
  fluxbp_frame_t *marker = marker_of(f, 17);
  assert_int_equal(stats_of(f).payload_bytes, before);
  fluxbp_frame_unref(marker);

  fluxbp_frame_t *lost = frame_with_id(f, 18);
  alloc_hook_fail_from(&f->hook, 1);
  fluxbp_pool_trim(f->pool);
  assert_int_equal(fluxbp__frame_create_gap(f->pool, lost, &marker), UV_ENOMEM);
  fluxbp_frame_unref(lost);
}

/* ---- notices ---- */

static void frame_notice_is_the_codecs_word(void **state) {
  fixture_t *f = *state;
  fluxbp_gap_t gap = {.first_id = 1, .last_id = 2, .count = 2};
  fluxbp_frame_t *frame;
  const char *text = "{\"gap\":{\"from\":1,\"to\":2,\"count\":2}}\n";
  assert_int_equal(fluxbp__frame_create_gap_notice(f->pool, &fluxbp_codec_newline, &gap, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), strlen(text));
  assert_memory_equal(fluxbp_frame_data(frame), text, strlen(text));
  assert_false(fluxbp_frame_gap(frame, NULL)); /* not a marker any more */
  fluxbp_frame_unref(frame);

  text = "{\"evicted\":\"unreachable\"}\n";
  assert_int_equal(fluxbp__frame_create_farewell(f->pool, &fluxbp_codec_newline, FLUXBP_EVICT_UNREACHABLE, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), strlen(text));
  assert_memory_equal(fluxbp_frame_data(frame), text, strlen(text));
  assert_int_equal(frame->kind, FLUXBP__FRAME_NOTICE);
  fluxbp_frame_unref(frame);
}

static void frame_notice_may_be_longer_than_guessed(void **state) {
  fixture_t *f = *state;
  fluxbp_frame_t *frame;
  script_t script = {.wants = {1000, 1000}};
  fluxbp_codec_t codec = codec_of(&script);
  assert_int_equal(fluxbp__frame_create_farewell(f->pool, &codec, FLUXBP_EVICT_SLOW, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), 1000);
  fluxbp_frame_unref(frame);

  fluxbp_gap_t gap = {.count = 1};
  script = (script_t){.wants = {1000, 1000}};
  assert_int_equal(fluxbp__frame_create_gap_notice(f->pool, &codec, &gap, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), 1000);
  fluxbp_frame_unref(frame);

  script = (script_t){.wants = {UV_EPROTO}};
  assert_int_equal(fluxbp__frame_create_gap_notice(f->pool, &codec, &gap, &frame), UV_EPROTO);
}

static void frame_notice_is_null_if_the_codec_has_no_word(void **state) {
  fixture_t *f = *state;
  fluxbp_gap_t gap = {.count = 1};
  fluxbp_frame_t *frame = (fluxbp_frame_t *) f;
  assert_int_equal(fluxbp__frame_create_gap_notice(f->pool, &fluxbp_codec_raw, &gap, &frame), 0);
  assert_null(frame);
  frame = (fluxbp_frame_t *) f;
  assert_int_equal(fluxbp__frame_create_farewell(f->pool, &fluxbp_codec_raw, FLUXBP_EVICT_SLOW, &frame), 0);
  assert_null(frame);
}

/* ---- notes ---- */

static int encode_noted(fixture_t *f, script_t *script, size_t note_bytes, fluxbp_frame_t **frame) {
  fluxbp_codec_t codec = codec_of(script);
  codec.note_bytes = note_bytes;
  return fluxbp_frame_create(f->pool, f->msg, &codec, "news", 7, frame);
}

static void frame_keeps_the_note_behind_its_bytes(void **state) {
  fixture_t *f = *state;
  script_t scripts[] = {{.wants = {20}}, {.wants = {500, 500}}}; /* at once, and with more room */
  for (int i = 0; i < 2; i++) {
    fluxbp_frame_t *frame;
    size_t length = (size_t) scripts[i].wants[0];
    assert_int_equal(encode_noted(f, &scripts[i], 12, &frame), 0);
    assert_int_equal(fluxbp_frame_length(frame), length - 12);
    assert_int_equal(frame->note_bytes, 12);
    assert_int_equal(frame->data[length - 1], 'e');
    fluxbp_frame_unref(frame);
  }
}

static void codec_that_encodes_nothing_but_its_note_is_refused(void **state) {
  fixture_t *f = *state;
  for (ptrdiff_t length = 1; length <= 12; length++) {
    script_t script = {.wants = {length}};
    fluxbp_frame_t *frame;
    assert_int_equal(encode_noted(f, &script, 12, &frame), UV_EINVAL);
  }
}

static void codec_with_notes_that_are_too_long_is_refused(void **state) {
  fixture_t *f = *state;
  script_t script = {.wants = {FLUXBP_CODEC_NOTE_BYTES_MAX + 1}};
  fluxbp_frame_t *frame;
  assert_int_equal(encode_noted(f, &script, FLUXBP_CODEC_NOTE_BYTES_MAX + 1, &frame), UV_EINVAL);
  assert_int_equal(script.calls, 0);
  assert_int_equal(encode_noted(f, &script, FLUXBP_CODEC_NOTE_BYTES_MAX, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), 1);
  fluxbp_frame_unref(frame);
}

static void codec_of_an_earlier_version_has_no_notes(void **state) {
  fixture_t *f = *state;
  script_t script = {.wants = {20}};
  fluxbp_codec_t codec = codec_of(&script);
  fluxbp_frame_t *frame;
  codec.size = offsetof(fluxbp_codec_t, note_bytes);
  codec.note_bytes = 12; /* what happens to be behind it */
  assert_int_equal(fluxbp_frame_create(f->pool, f->msg, &codec, "news", 7, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), 20);
  fluxbp_frame_unref(frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(frame_raw_shares_the_bytes_and_holds_one_reference),
      TEST(frame_outlives_the_callers_message),
      TEST(frame_creation_refuses_null),
      TEST(frame_encoded_has_bytes_of_its_own),
      TEST(frame_tells_the_codec_all_about_the_publication),
      TEST(frame_asks_a_codec_again_that_wants_more_room),
      TEST(frame_takes_less_than_the_codec_asked_for),
      TEST(frame_refuses_a_codec_that_lies_about_its_need),
      TEST(frame_passes_a_codecs_refusal_through),
      TEST(frame_of_no_bytes_is_refused),
      TEST(frame_over_the_maximum_is_refused_before_memory_is_asked_for),
      TEST(frame_leaves_nothing_behind_when_the_allocator_refuses),
      TEST(frame_says_enobufs_when_the_budget_is_used_up),
      TEST(frame_marker_has_no_bytes_and_the_age_of_what_was_lost),
      TEST(frame_marker_grows_with_each_loss),
      TEST(frame_marker_covers_what_lies_further_back),
      TEST(frame_marker_counts_losses_without_an_id),
      TEST(frame_marker_takes_over_what_a_lost_notice_told),
      TEST(frame_marker_comes_out_of_the_reserve_for_control),
      TEST(frame_notice_is_the_codecs_word),
      TEST(frame_notice_may_be_longer_than_guessed),
      TEST(frame_notice_is_null_if_the_codec_has_no_word),
      TEST(frame_keeps_the_note_behind_its_bytes),
      TEST(codec_that_encodes_nothing_but_its_note_is_refused),
      TEST(codec_with_notes_that_are_too_long_is_refused),
      TEST(codec_of_an_earlier_version_has_no_notes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
