/* SPDX-License-Identifier: MIT */
/*
 * What the load client finds out about one client's stream: messages with a checksum, sequences, numbered lines.
 */
#include "common/message.h"
#include "loadclient/integrity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { RUN = 0x5f1c0de5 };

static struct integrity_rules our_run = {.kind = INTEGRITY_MESSAGES, .run = RUN, .publishers = 2};
static struct integrity_rules any_feed = {.kind = INTEGRITY_UNDECIDED};

static struct integrity integrity;

static void begin(const struct integrity_rules *rules) {
  assert_true(integrity_init(&integrity, rules));
}

static int make_cache(void **state) {
  (void) state;
  our_run.cache = any_feed.cache = message_cache_create();
  return our_run.cache != NULL ? 0 : -1;
}

static int free_cache(void **state) {
  (void) state;
  free(our_run.cache);
  return 0;
}

static int end(void **state) {
  (void) state;
  integrity_free(&integrity);
  return 0;
}

static size_t write(char *out, uint32_t run, uint32_t publisher, uint64_t sequence) {
  struct message message = {.run = run, .publisher = publisher, .sequence = sequence, .planned_ns = sequence * 1000};
  return message_write(&message, "some text", 9, out);
}

static enum integrity_outcome take(const struct integrity_rules *rules, uint32_t publisher, uint64_t sequence) {
  char text[200];
  uint64_t planned_ns = 0;
  size_t length = write(text, RUN, publisher, sequence);
  enum integrity_outcome outcome = integrity_take(&integrity, rules, text, length, &planned_ns);
  if (outcome == INTEGRITY_MEASURED) assert_int_equal(planned_ns, sequence * 1000);
  return outcome;
}

static enum integrity_outcome take_text(const struct integrity_rules *rules, const char *text) {
  uint64_t planned_ns;
  return integrity_take(&integrity, rules, text, strlen(text), &planned_ns);
}

static struct integrity_totals totals_of(const uint64_t *sent, const uint64_t *refused) {
  struct integrity_totals totals;
  integrity_sum_up(&integrity, sent, refused, &totals);
  return totals;
}

/* Messages */

static void a_message_is_read_as_it_was_written(void **state) {
  (void) state;
  static char text[MESSAGE_MAX_BYTES], out[MESSAGE_MAX_BYTES];
  memset(text, 'x', sizeof text);
  for (size_t bytes = 0; bytes < 400; bytes++) {
    struct message message = {
        .run = RUN, .publisher = 15, .sequence = 0xabcdef012345, .planned_ns = 0x123456789abcdef0};
    size_t length = message_write(&message, text, message_text_length(bytes), out);
    assert_int_equal(length, bytes > MESSAGE_HEADER_BYTES + 1 ? bytes : MESSAGE_HEADER_BYTES);
    struct message read;
    assert_int_equal(message_read(out, length, &read), MESSAGE_OK);
    assert_memory_equal(&read, &message, sizeof message);
  }
}

static void a_change_of_any_bit_makes_a_message_corrupt(void **state) {
  (void) state;
  char text[200];
  struct message message;
  size_t length = write(text, RUN, 0, 42);
  for (size_t i = 4; i < length; i++) {
    for (int bit = 0; bit < 8; bit++) {
      text[i] = (char) (text[i] ^ 1 << bit);
      assert_int_equal(message_read(text, length, &message), MESSAGE_CORRUPT);
      text[i] = (char) (text[i] ^ 1 << bit);
    }
  }
  assert_int_equal(message_read(text, length, &message), MESSAGE_OK);
}

static void a_cut_or_longer_message_is_corrupt(void **state) {
  (void) state;
  char text[200];
  struct message message;
  size_t length = write(text, RUN, 0, 42);
  for (size_t i = 4; i < length; i++) assert_int_equal(message_read(text, i, &message), MESSAGE_CORRUPT);
  text[length] = 'x';
  assert_int_equal(message_read(text, length + 1, &message), MESSAGE_CORRUPT);
}

static void a_message_that_was_seen_before_is_known_only_if_it_is_the_same(void **state) {
  (void) state;
  char text[200];
  struct message message = {.run = RUN, .publisher = 3, .sequence = 42, .planned_ns = 7}, read;
  size_t length = message_write(&message, "some text", 9, text);
  assert_int_equal(message_cache_read(our_run.cache, text, length, &read), MESSAGE_OK);
  memset(&read, 0, sizeof read);
  assert_int_equal(message_cache_read(our_run.cache, text, length, &read), MESSAGE_OK);
  assert_memory_equal(&read, &message, sizeof message);
  for (size_t i = 4; i < length; i++) {
    text[i] ^= 1;
    assert_int_equal(message_cache_read(our_run.cache, text, length, &read), MESSAGE_CORRUPT);
    text[i] ^= 1;
  }
  assert_int_equal(message_cache_read(our_run.cache, text, length - 1, &read), MESSAGE_CORRUPT);
  message.publisher = 4; /* the same place */
  length = message_write(&message, "some text", 9, text);
  assert_int_equal(message_cache_read(our_run.cache, text, length, &read), MESSAGE_OK);
  assert_int_equal(read.publisher, 4);
}

/* What comes of it */

static void messages_in_order_are_without_fault(void **state) {
  (void) state;
  static const uint64_t sent[] = {100, 50}, refused[] = {0, 0};
  begin(&our_run);
  for (uint64_t i = 1; i <= 100; i++) {
    assert_int_equal(take(&our_run, 0, i), INTEGRITY_MEASURED);
    if (i <= 50) take(&our_run, 1, i);
    assert_int_equal(integrity_has_all(&integrity, sent, refused), i == 100);
  }
  assert_int_equal(integrity.first_fault, INTEGRITY_NO_FAULT);
  assert_int_equal(totals_of(sent, refused).lost, 0);
}

static void a_missing_message_is_lost(void **state) {
  (void) state;
  begin(&our_run);
  take(&our_run, 0, 1);
  take(&our_run, 0, 4);
  assert_int_equal(integrity.first_fault, INTEGRITY_GAP);
  assert_int_equal(integrity.fault_expected, 2);
  assert_int_equal(integrity.fault_got, 4);
  assert_int_equal(totals_of(NULL, NULL).lost, 2);
}

static void the_first_message_must_not_be_missing(void **state) {
  (void) state;
  begin(&our_run);
  take(&our_run, 0, 2);
  assert_int_equal(totals_of(NULL, NULL).lost, 1);
}

static void unless_it_is_not_known_when_the_client_was_subscribed(void **state) {
  (void) state;
  begin(&our_run);
  integrity_accept_any_first(&integrity);
  take(&our_run, 0, 7);
  take(&our_run, 0, 8);
  assert_int_equal(totals_of(NULL, NULL).lost, 0);
}

static void what_does_not_come_by_the_end_is_lost(void **state) {
  (void) state;
  static const uint64_t sent[] = {5, 1}, refused[] = {0, 0};
  begin(&our_run);
  take(&our_run, 0, 1);
  take(&our_run, 1, 1);
  assert_false(integrity_has_all(&integrity, sent, refused));
  assert_int_equal(totals_of(sent, refused).lost, 4);
}

static void what_the_server_refused_is_not_lost(void **state) {
  (void) state;
  static const uint64_t sent[] = {5, 0}, refused[] = {2, 0};
  begin(&our_run);
  take(&our_run, 0, 1);
  take(&our_run, 0, 3);
  take(&our_run, 0, 4);
  assert_true(integrity_has_all(&integrity, sent, refused));
  assert_int_equal(totals_of(sent, refused).lost, 0);
  integrity_free(&integrity);
  begin(&our_run);
  take(&our_run, 0, 1);
  take(&our_run, 0, 4);
  assert_int_equal(totals_of(sent, refused).lost, 1);
}

static void a_message_twice_is_a_duplicate(void **state) {
  (void) state;
  begin(&our_run);
  take(&our_run, 0, 1);
  take(&our_run, 0, 2);
  take(&our_run, 0, 1);
  assert_int_equal(integrity.first_fault, INTEGRITY_DUPLICATE);
  assert_int_equal(totals_of(NULL, NULL).duplicates, 1);
  assert_int_equal(totals_of(NULL, NULL).lost, 0);
}

static void swapped_messages_are_out_of_order_and_not_lost(void **state) {
  (void) state;
  begin(&our_run);
  take(&our_run, 0, 1);
  take(&our_run, 0, 3);
  take(&our_run, 0, 2);
  take(&our_run, 0, 4);
  take(&our_run, 0, 2); /* and now it is a duplicate */
  struct integrity_totals totals = totals_of(NULL, NULL);
  assert_int_equal(totals.lost, 0);
  assert_int_equal(totals.disorders, 1);
  assert_int_equal(totals.duplicates, 1);
}

static void a_corrupt_message_is_one_fault_not_two(void **state) {
  (void) state;
  char text[200];
  uint64_t planned_ns;
  begin(&our_run);
  take(&our_run, 0, 1);
  size_t length = write(text, RUN, 0, 2);
  text[length - 1] ^= 1;
  assert_int_equal(integrity_take(&integrity, &our_run, text, length, &planned_ns), INTEGRITY_COUNTS);
  take(&our_run, 0, 3);
  struct integrity_totals totals = totals_of(NULL, NULL);
  assert_int_equal(totals.corrupt, 1);
  assert_int_equal(totals.lost, 0);
  assert_int_equal(integrity.first_fault, INTEGRITY_CORRUPT);
}

static void other_runs_on_the_same_server_are_foreign(void **state) {
  (void) state;
  char text[200];
  uint64_t planned_ns;
  begin(&our_run);
  size_t length = write(text, RUN + 1, 0, 17);
  assert_int_equal(integrity_take(&integrity, &our_run, text, length, &planned_ns), INTEGRITY_IGNORED);
  assert_int_equal(take_text(&our_run, "17 a line of a feed"), INTEGRITY_IGNORED);
  assert_int_equal(totals_of(NULL, NULL).foreign, 2);
  assert_int_equal(integrity.first_fault, INTEGRITY_NO_FAULT);
}

static void the_last_8192_numbers_are_remembered(void **state) {
  (void) state;
  begin(&our_run);
  for (uint64_t i = 1; i <= 20001; i += 2) take(&our_run, 0, i); /* 10000 gaps of one */
  assert_int_equal(totals_of(NULL, NULL).lost, 10000);
  take(&our_run, 0, 20000); /* a late one */
  assert_int_equal(totals_of(NULL, NULL).lost, 9999);
  assert_int_equal(totals_of(NULL, NULL).disorders, 1);
  take(&our_run, 0, 20002 - 8192); /* the oldest that is remembered */
  assert_int_equal(totals_of(NULL, NULL).lost, 9998);
  take(&our_run, 0, 2); /* nothing is known of it any more: out of order in any case */
  assert_int_equal(totals_of(NULL, NULL).lost, 9998);
  assert_int_equal(totals_of(NULL, NULL).disorders, 3);
  take(&our_run, 0, 19999);
  assert_int_equal(totals_of(NULL, NULL).duplicates, 1);
}

static void a_number_is_not_taken_for_one_that_was_missing_long_before(void **state) {
  (void) state;
  begin(&our_run);
  take(&our_run, 0, 1);
  for (uint64_t i = 3; i <= 20000; i++) take(&our_run, 0, i); /* 2 is missing */
  take(&our_run, 0, 2 + 8192 * 2);
  assert_int_equal(totals_of(NULL, NULL).duplicates, 1);
  assert_int_equal(totals_of(NULL, NULL).lost, 1);
  take(&our_run, 0, 100000); /* more than are remembered */
  take(&our_run, 0, 100000 - 8191);
  assert_int_equal(totals_of(NULL, NULL).lost, 1 + 79999 - 1);
  assert_int_equal(totals_of(NULL, NULL).duplicates, 1);
}

/* Other feeds */

static void the_first_message_decides_what_is_checked(void **state) {
  (void) state;
  begin(&any_feed);
  assert_int_equal(take(&any_feed, 3, 70), INTEGRITY_MEASURED);
  assert_int_equal(take(&any_feed, 4, 9), INTEGRITY_MEASURED); /* another publisher, from any number on */
  take(&any_feed, 3, 72);
  assert_int_equal(integrity.first_fault, INTEGRITY_GAP);
  integrity_free(&integrity);

  begin(&any_feed);
  assert_int_equal(take_text(&any_feed, "70"), INTEGRITY_COUNTS);
  assert_int_equal(take_text(&any_feed, "71 with text"), INTEGRITY_COUNTS);
  assert_int_equal(integrity.first_fault, INTEGRITY_NO_FAULT);
  take_text(&any_feed, "73");
  assert_int_equal(integrity.first_fault, INTEGRITY_GAP);
  integrity_free(&integrity);

  begin(&any_feed);
  assert_int_equal(take_text(&any_feed, "2026-11-24 is a date"), INTEGRITY_COUNTS);
  assert_int_equal(take_text(&any_feed, "anything"), INTEGRITY_COUNTS);
  assert_int_equal(integrity.first_fault, INTEGRITY_NO_FAULT);
}

static void numbered_lines_end_with_the_last(void **state) {
  (void) state;
  static const struct integrity_rules to_three = {.kind = INTEGRITY_NUMBERS, .until = 3};
  begin(&to_three);
  take_text(&to_three, "1");
  take_text(&to_three, "2 two");
  assert_false(integrity_has_last(&integrity, &to_three));
  take_text(&to_three, "3");
  assert_true(integrity_has_last(&integrity, &to_three));
  assert_int_equal(integrity.first_fault, INTEGRITY_NO_FAULT);
}

static void a_line_without_a_number_is_corrupt(void **state) {
  (void) state;
  static const struct integrity_rules numbers = {.kind = INTEGRITY_NUMBERS, .until = 9};
  static const char *const lines[] = {"", "x", "1x", " 1", "99999999999999999999999"};
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    begin(&numbers);
    assert_int_equal(take_text(&numbers, lines[i]), INTEGRITY_IGNORED);
    assert_int_equal(integrity.first_fault, INTEGRITY_CORRUPT);
    integrity_free(&integrity);
  }
}

static void notices_are_faults(void **state) {
  (void) state;
  begin(&our_run);
  integrity_take_notice(&integrity, INTEGRITY_GAP_NOTICE);
  assert_int_equal(integrity.first_fault, INTEGRITY_GAP_NOTICE);
  assert_int_equal(totals_of(NULL, NULL).gap_notices, 1);
  integrity_take_notice(&integrity, INTEGRITY_ERROR_NOTICE);
  assert_int_equal(totals_of(NULL, NULL).error_notices, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_message_is_read_as_it_was_written),
      cmocka_unit_test(a_change_of_any_bit_makes_a_message_corrupt),
      cmocka_unit_test(a_cut_or_longer_message_is_corrupt),
      cmocka_unit_test(a_message_that_was_seen_before_is_known_only_if_it_is_the_same),
      cmocka_unit_test_teardown(messages_in_order_are_without_fault, end),
      cmocka_unit_test_teardown(a_missing_message_is_lost, end),
      cmocka_unit_test_teardown(the_first_message_must_not_be_missing, end),
      cmocka_unit_test_teardown(unless_it_is_not_known_when_the_client_was_subscribed, end),
      cmocka_unit_test_teardown(what_does_not_come_by_the_end_is_lost, end),
      cmocka_unit_test_teardown(what_the_server_refused_is_not_lost, end),
      cmocka_unit_test_teardown(a_message_twice_is_a_duplicate, end),
      cmocka_unit_test_teardown(swapped_messages_are_out_of_order_and_not_lost, end),
      cmocka_unit_test_teardown(a_corrupt_message_is_one_fault_not_two, end),
      cmocka_unit_test_teardown(other_runs_on_the_same_server_are_foreign, end),
      cmocka_unit_test_teardown(the_last_8192_numbers_are_remembered, end),
      cmocka_unit_test_teardown(a_number_is_not_taken_for_one_that_was_missing_long_before, end),
      cmocka_unit_test_teardown(the_first_message_decides_what_is_checked, end),
      cmocka_unit_test_teardown(numbered_lines_end_with_the_last, end),
      cmocka_unit_test_teardown(a_line_without_a_number_is_corrupt, end),
      cmocka_unit_test_teardown(notices_are_faults, end),
  };
  return cmocka_run_group_tests(tests, make_cache, free_cache);
}
