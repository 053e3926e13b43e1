/* SPDX-License-Identifier: MIT */
/*
 * backbone_outbox: order, bounds, what is sent again, and what those learn who wait.
 */
#include "nats/backbone_outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { CAPACITY = 4, ID = 99 };

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

/* The pool would tell if a message wasn't given back, the sanitizer if a waiter's problem wasn't. */
static int tear_down(void **state) {
  struct fixture *f = *state;
  outbox_free(&f->outbox);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  return 0;
}

static int push_waiting(struct fixture *f, const char *text, const char *key, struct waiter *waiter) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(f->pool, text, strlen(text), &msg), 0);
  int err = outbox_push(&f->outbox, "seven", key, msg, waiter);
  fluxbp_msg_unref(msg);
  return err;
}

static int push(struct fixture *f, const char *text, const char *key) {
  return push_waiting(f, text, key, NULL);
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
    outbox_sent(&f->outbox, 0);
  }
  assert_null(outbox_next(&f->outbox, &number));
}

static void outbox_sends_in_order_and_forgets_what_is_confirmed(void **state) {
  struct fixture *f = *state;
  for (uint64_t round = 0; round < 3 * CAPACITY; round++) {
    push_all(f, "abc");
    sends(f, round * 3 + 1, "abc");
    assert_int_equal(outbox_in_flight(&f->outbox), 3);
    for (uint64_t i = 1; i <= 3; i++) outbox_confirm(&f->outbox, round * 3 + i, ID);
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
  outbox_confirm(&f->outbox, 2, ID);
  assert_int_equal(push(f, "e", NULL), UV_EAGAIN);
  outbox_confirm(&f->outbox, 1, ID);
  push_all(f, "ef");
  assert_int_equal(push(f, "g", NULL), UV_EAGAIN);
  sends(f, 5, "ef");
}

static void outbox_sends_again_what_is_not_confirmed(void **state) {
  struct fixture *f = *state;
  push_all(f, "abcd");
  sends(f, 1, "abcd");
  outbox_confirm(&f->outbox, 1, ID);
  outbox_confirm(&f->outbox, 3, ID);
  outbox_rewind(&f->outbox);
  uint64_t number;
  assert_int_equal(*(const char *) fluxbp_msg_data(outbox_next(&f->outbox, &number)->msg), 'b');
  outbox_sent(&f->outbox, 0);
  assert_int_equal(*(const char *) fluxbp_msg_data(outbox_next(&f->outbox, &number)->msg), 'd');
  assert_int_equal(number, 4);
}

static void outbox_does_not_send_what_is_confirmed_before_its_turn_comes_again(void **state) {
  struct fixture *f = *state;
  push_all(f, "ab");
  sends(f, 1, "ab");
  outbox_rewind(&f->outbox);
  outbox_confirm(&f->outbox, 1, ID);
  outbox_confirm(&f->outbox, 2, ID);
  push_all(f, "c");
  sends(f, 3, "c");
}

static void outbox_forgets_what_was_sent_alone(void **state) {
  struct fixture *f = *state;
  push_all(f, "abc");
  sends(f, 1, "abc");
  push_all(f, "d");
  outbox_confirm(&f->outbox, 2, ID);
  assert_int_equal(outbox_forget_sent(&f->outbox, "lost"), 2);
  sends(f, 4, "d");
  assert_int_equal(outbox_forget_sent(&f->outbox, "lost"), 1);
  assert_int_equal(outbox_forget_sent(&f->outbox, "lost"), 0);
}

static void outbox_sends_what_was_not_sent_after_all(void **state) {
  struct fixture *f = *state;
  push_all(f, "abcd");
  sends(f, 1, "abcd");
  outbox_unsend(&f->outbox, 3);
  assert_int_equal(outbox_in_flight(&f->outbox), 2);
  outbox_unsend(&f->outbox, 4);
  sends(f, 3, "cd");
  for (uint64_t number = 1; number <= 3; number++)
    outbox_confirm(&f->outbox, number, number); /* of an earlier attempt */
  outbox_unsend(&f->outbox, 2);
  assert_int_equal(outbox_in_flight(&f->outbox), 0);
  sends(f, 4, "d");
}

static void outbox_ignores_confirmations_that_nobody_waits_for(void **state) {
  struct fixture *f = *state;
  outbox_confirm(&f->outbox, 0, ID);
  outbox_confirm(&f->outbox, 1, ID);
  push_all(f, "a");
  outbox_confirm(&f->outbox, 2, ID);
  outbox_confirm(&f->outbox, UINT64_MAX, ID);
  sends(f, 1, "a");
  outbox_confirm(&f->outbox, 1, ID);
  outbox_confirm(&f->outbox, 1, ID);
  assert_true(outbox_is_empty(&f->outbox));
}

static void an_id_is_above_what_was_known_when_it_was_sent_first(void **state) {
  struct fixture *f = *state;
  uint64_t number;
  push_all(f, "ab");
  assert_true(outbox_believes(&f->outbox, 2, 1)); /* it was never sent */
  assert_non_null(outbox_next(&f->outbox, &number));
  outbox_sent(&f->outbox, 10);
  assert_non_null(outbox_next(&f->outbox, &number));
  outbox_sent(&f->outbox, 20);
  outbox_rewind(&f->outbox);
  assert_non_null(outbox_next(&f->outbox, &number));
  outbox_sent(&f->outbox, 30); /* it may have got one by the first time */
  assert_true(outbox_believes(&f->outbox, 1, 11));
  assert_false(outbox_believes(&f->outbox, 2, 20));
  assert_non_null(outbox_next(&f->outbox, &number));
  outbox_sent(&f->outbox, 30);
  assert_true(outbox_believes(&f->outbox, 2, 20)); /* said again, after a look at the stream */
  outbox_confirm(&f->outbox, 1, 11);
  assert_true(outbox_believes(&f->outbox, 1, 5)); /* nobody waits for it */
  assert_true(outbox_believes(&f->outbox, 77, 5));
}

static void outbox_keeps_keys(void **state) {
  struct fixture *f = *state;
  char key[] = "k1";
  uint64_t number;
  assert_int_equal(push(f, "a", key), 0);
  key[1] = '2';
  const struct outbox_entry *entry = outbox_next(&f->outbox, &number);
  assert_string_equal(entry->key, "k1");
  assert_string_equal(entry->topic, "seven");
}

/* Four messages, each with somebody who waits. */
static void push_with_waiters(struct fixture *f, struct waiter waiters[CAPACITY]) {
  for (size_t i = 0; i < CAPACITY; i++) {
    waiters[i] = (struct waiter){.err = 1};
    assert_int_equal(push_waiting(f, "a", NULL, &waiters[i]), 0);
  }
}

static void outbox_tells_who_waits_in_the_order_of_confirmations(void **state) {
  struct fixture *f = *state;
  struct waiter waiters[CAPACITY];
  push_with_waiters(f, waiters);
  sends(f, 1, "aaaa");
  assert_null(waiters_take(&f->outbox.answered));
  outbox_confirm(&f->outbox, 3, 33);
  outbox_confirm(&f->outbox, 1, 11);
  outbox_confirm(&f->outbox, 3, 34);
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[2]);
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[0]);
  assert_null(waiters_take(&f->outbox.answered));
  assert_int_equal(waiters[2].err, 0);
  assert_int_equal(waiters[2].id, 33);
  assert_int_equal(waiters[0].id, 11);
  outbox_confirm(&f->outbox, 2, 22);
  outbox_confirm(&f->outbox, 4, 44);
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[1]);
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[3]);
  assert_null(waiters_take(&f->outbox.answered));
}

static void outbox_keeps_who_waits_while_it_sends_again(void **state) {
  struct fixture *f = *state;
  struct waiter waiters[CAPACITY];
  push_with_waiters(f, waiters);
  sends(f, 1, "aaaa");
  outbox_rewind(&f->outbox);
  assert_null(waiters_take(&f->outbox.answered));
  sends(f, 1, "aaaa");
  for (uint64_t number = 1; number <= CAPACITY; number++) outbox_confirm(&f->outbox, number, number);
  for (uint64_t i = 0; i < CAPACITY; i++) {
    assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[i]);
    assert_int_equal(waiters[i].id, i + 1);
  }
}

static void outbox_says_what_was_refused_and_what_nobody_knows(void **state) {
  struct fixture *f = *state;
  struct waiter waiters[CAPACITY];
  char problem[] = "full";
  push_with_waiters(f, waiters);
  uint64_t number;
  for (int i = 0; i < 3; i++) {
    assert_non_null(outbox_next(&f->outbox, &number));
    outbox_sent(&f->outbox, 0);
  }
  outbox_refuse(&f->outbox, 2, UV_ENOSPC, problem);
  problem[0] = 'x';
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[1]);
  assert_int_equal(waiters[1].err, UV_ENOSPC);
  assert_string_equal(waiter_problem(&waiters[1]), "full");

  assert_int_equal(outbox_forget_sent(&f->outbox, "lost"), 2);
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[0]);
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[2]);
  assert_null(waiters_take(&f->outbox.answered)); /* the fourth is still to be sent */
  assert_int_equal(waiters[2].err, UV_ECONNABORTED);
  assert_string_equal(waiter_problem(&waiters[2]), "lost");

  outbox_give_up(&f->outbox, NULL);
  assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[3]);
  assert_int_equal(waiters[3].err, UV_ECONNABORTED);
  assert_non_null(waiter_problem(&waiters[3]));
  assert_true(outbox_is_empty(&f->outbox));
  for (size_t i = 0; i < CAPACITY; i++) waiter_reset(&waiters[i]);
}

static void outbox_that_is_full_takes_no_waiter(void **state) {
  struct fixture *f = *state;
  struct waiter waiters[CAPACITY], one_more = {.err = 1};
  push_with_waiters(f, waiters);
  assert_int_equal(push_waiting(f, "a", NULL, &one_more), UV_EAGAIN);
  outbox_give_up(&f->outbox, NULL);
  for (size_t i = 0; i < CAPACITY; i++) assert_ptr_equal(waiters_take(&f->outbox.answered), &waiters[i]);
  assert_null(waiters_take(&f->outbox.answered));
  assert_int_equal(one_more.err, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(outbox_sends_in_order_and_forgets_what_is_confirmed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_is_full_until_the_oldest_is_confirmed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_sends_again_what_is_not_confirmed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_does_not_send_what_is_confirmed_before_its_turn_comes_again, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(outbox_forgets_what_was_sent_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_sends_what_was_not_sent_after_all, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_ignores_confirmations_that_nobody_waits_for, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_id_is_above_what_was_known_when_it_was_sent_first, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_keeps_keys, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_tells_who_waits_in_the_order_of_confirmations, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_keeps_who_waits_while_it_sends_again, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_says_what_was_refused_and_what_nobody_knows, set_up, tear_down),
      cmocka_unit_test_setup_teardown(outbox_that_is_full_takes_no_waiter, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
