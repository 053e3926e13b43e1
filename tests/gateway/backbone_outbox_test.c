/* SPDX-License-Identifier: MIT */
/*
 * backbone_outbox: order, bounds, and what is sent again.
 */
#include "gateway/backbone_outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { CAPACITY = 4 };

struct fixture {
  fluxbp_pool_t *pool;
  struct outbox outbox;
};

static int set_up(void **state) {
  static struct fixture fixture;
  assert_int_equal(fluxbp_pool_create(NULL, &fixture.pool), 0);
  assert_int_equal(outbox_init(&fixture.outbox, CAPACITY), 0);
  *state = &fixture;
  return 0;
}

/* The pool would tell if a message wasn't given back. */
static int tear_down(void **state) {
  struct fixture *f = *state;
  outbox_free(&f->outbox);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  return 0;
}

static int push(struct fixture *f, const char *text, const char *key) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, text, strlen(text), &msg), 0);
  int err = outbox_push(&f->outbox, 7, key, msg);
  fluxbp_msg_unref(msg);
  return err;
}

static void push_all(struct fixture *f, const char *letters) {
  for (; *letters != '\0'; letters++) {
    const char text[2] = {*letters, '\0'};
    assert_int_equal(push(f, text, NULL), 0);
  }
}

/* The letters that are sent next, and that nothing is left to be sent. */
static void sends(struct fixture *f, uint64_t first_number, const char *letters) {
  const struct outbox_entry *entry;
  uint64_t number;
  for (; *letters != '\0'; letters++, first_number++) {
    entry = outbox_next(&f->outbox, &number);
    assert_non_null(entry);
    assert_int_equal(number, first_number);
    assert_int_equal(*(const char *) fluxbp_msg_data(entry->msg), *letters);
    outbox_sent(&f->outbox);
  }
  assert_null(outbox_next(&f->outbox, &number));
}

static void outbox_sends_in_order_and_forgets_what_is_confirmed(void **state) {
  struct fixture *f = *state;
  for (uint64_t round = 0; round < 3 * CAPACITY; round++) {
    push_all(f, "abc");
    sends(f, round * 3 + 1, "abc");
    assert_int_equal(outbox_in_flight(&f->outbox), 3);
    for (uint64_t i = 1; i <= 3; i++) outbox_confirm(&f->outbox, round * 3 + i);
    assert_true(outbox_is_empty(&f->outbox));
    assert_int_equal(outbox_in_flight(&f->outbox), 0);
  }
}

static void outbox_is_full_until_the_oldest_is_confirmed(void **state) {
  struct fixture *f = *state;
  push_all(f, "abcd");
  assert_int_equal(push(f, "e", NULL), UV_EAGAIN);
  sends(f, 1, "abcd");
  assert_int_equal(push(f, "e", NULL), UV_EAGAIN);
  outbox_confirm(&f->outbox, 2);
  assert_int_equal(push(f, "e", NULL), UV_EAGAIN);
  outbox_confirm(&f->outbox, 1);
  push_all(f, "ef");
  assert_int_equal(push(f, "g", NULL), UV_EAGAIN);
  sends(f, 5, "ef");
}

static void outbox_sends_again_what_is_not_confirmed(void **state) {
  struct fixture *f = *state;
  push_all(f, "abcd");
  sends(f, 1, "abcd");
  outbox_confirm(&f->outbox, 1);
  outbox_confirm(&f->outbox, 3);
  outbox_rewind(&f->outbox);
  uint64_t number;
  assert_int_equal(*(const char *) fluxbp_msg_data(outbox_next(&f->outbox, &number)->msg), 'b');
  outbox_sent(&f->outbox);
  assert_int_equal(*(const char *) fluxbp_msg_data(outbox_next(&f->outbox, &number)->msg), 'd');
  assert_int_equal(number, 4);
}

static void outbox_does_not_send_what_is_confirmed_before_its_turn_comes_again(void **state) {
  struct fixture *f = *state;
  push_all(f, "ab");
  sends(f, 1, "ab");
  outbox_rewind(&f->outbox);
  outbox_confirm(&f->outbox, 1);
  outbox_confirm(&f->outbox, 2);
  push_all(f, "c");
  sends(f, 3, "c");
}

static void outbox_forgets_what_was_sent_alone(void **state) {
  struct fixture *f = *state;
  push_all(f, "abc");
  sends(f, 1, "abc");
  push_all(f, "d");
  outbox_confirm(&f->outbox, 2);
  assert_int_equal(outbox_forget_sent(&f->outbox), 2);
  sends(f, 4, "d");
  assert_int_equal(outbox_forget_sent(&f->outbox), 1);
  assert_int_equal(outbox_forget_sent(&f->outbox), 0);
}

static void outbox_ignores_confirmations_that_nobody_waits_for(void **state) {
  struct fixture *f = *state;
  outbox_confirm(&f->outbox, 0);
  outbox_confirm(&f->outbox, 1);
  push_all(f, "a");
  outbox_confirm(&f->outbox, 2);
  outbox_confirm(&f->outbox, UINT64_MAX);
  sends(f, 1, "a");
  outbox_confirm(&f->outbox, 1);
  outbox_confirm(&f->outbox, 1);
  assert_true(outbox_is_empty(&f->outbox));
}

static void outbox_keeps_keys(void **state) {
  struct fixture *f = *state;
  char key[] = "k1";
  uint64_t number;
  assert_int_equal(push(f, "a", key), 0);
  key[1] = '2';
  const struct outbox_entry *entry = outbox_next(&f->outbox, &number);
  assert_string_equal(entry->key, "k1");
  assert_int_equal(entry->topic, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(outbox_sends_in_order_and_forgets_what_is_confirmed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_is_full_until_the_oldest_is_confirmed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_sends_again_what_is_not_confirmed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_does_not_send_what_is_confirmed_before_its_turn_comes_again, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(outbox_forgets_what_was_sent_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_ignores_confirmations_that_nobody_waits_for, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_keeps_keys, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
