/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is, by what turns have cost.
 */
#include "fair_queue.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { QUANTUM = 100, ITEMS = 8, TRACE = 256 };

typedef struct one {
  fluxbp__fair_item_t item;
  char name;
  uint64_t key;
  uint64_t cost; /* of each turn */
  int left;      /* turns that it wants; it leaves the queue then */
  int exits;     /* times that the queue has let go of it */
} one_t;

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__fair_queue_t queue;
  char trace[TRACE];
} fixture_t;

static one_t *one_of(fluxbp__fair_item_t *item) {
  return FLUXBP__CONTAINER(item, one_t, item);
}

static void on_left(fluxbp__fair_item_t *item) {
  assert_true(fluxbp__fair_item_is_out(item));
  assert_false(item->flow.is_waiting);
  one_of(item)->exits++;
}

static void open_queue(fixture_t *f) {
  fluxbp_pool_options_t options;
  memset(f, 0, sizeof *f);
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__fair_queue_init(&f->queue, f->pool, QUANTUM, on_left);
}

static void close_queue(fixture_t *f) {
  fluxbp__fair_queue_free(&f->queue);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static void add(fixture_t *f, one_t *one) {
  fluxbp__fair_queue_add(&f->queue, &one->item, one->key);
}

/* One turn; returns NULL if none waits. */
static one_t *take_turn(fixture_t *f) {
  fluxbp__fair_item_t *item = fluxbp__fair_queue_next(&f->queue);
  if (item == NULL) return NULL;
  one_t *one = one_of(item);
  size_t length = strlen(f->trace);
  assert_true(length < TRACE - 1);
  f->trace[length] = one->name;
  fluxbp__fair_queue_charge(&f->queue, item, one->cost);
  if (--one->left > 0) add(f, one);
  return one;
}

static void take_turns(fixture_t *f, int count) {
  for (int i = 0; i < count; i++) assert_non_null(take_turn(f));
}

static void run_all(fixture_t *f) {
  while (take_turn(f) != NULL) {
  }
}

static int count_of(const fixture_t *f, char name) {
  int count = 0;
  for (const char *at = f->trace; *at != '\0'; at++) count += *at == name;
  return count;
}

static void equal_ones_alternate_and_an_empty_queue_has_none(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  assert_null(fluxbp__fair_queue_next(&f.queue));
  one_t a = {.name = 'a', .key = 1, .cost = QUANTUM, .left = 3};
  one_t b = {.name = 'b', .key = 1, .cost = QUANTUM, .left = 3};
  add(&f, &a);
  add(&f, &a); /* it has one place */
  add(&f, &b);
  assert_int_equal(f.queue.waiting, 2);
  run_all(&f);
  assert_string_equal(f.trace, "ababab");
  assert_int_equal(f.queue.waiting, 0);
  assert_true(a.exits == 1 && b.exits == 1);
  close_queue(&f);
}

static void small_costs_add_up_to_a_quantum_before_the_next_one(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t a = {.name = 'a', .key = 1, .cost = QUANTUM / 4, .left = 8};
  one_t b = {.name = 'b', .key = 1, .cost = QUANTUM, .left = 2};
  add(&f, &a);
  add(&f, &b);
  run_all(&f);
  assert_string_equal(f.trace, "aaaabaaaab");
  close_queue(&f);
}

static void a_costly_turn_is_paid_for(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t a = {.name = 'a', .key = 1, .cost = 5 * QUANTUM, .left = 3};
  one_t b = {.name = 'b', .key = 1, .cost = QUANTUM, .left = 40};
  add(&f, &a);
  add(&f, &b);
  take_turns(&f, 13);
  assert_string_equal(f.trace, "abbbbbabbbbba");
  run_all(&f);
  close_queue(&f);
}

static void a_debt_stays_while_its_owner_does_not_wait(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t a = {.name = 'a', .key = 1, .cost = 10 * QUANTUM, .left = 1};
  one_t b = {.name = 'b', .key = 1, .cost = QUANTUM, .left = 40};
  add(&f, &a);
  add(&f, &b);
  take_turns(&f, 3);
  assert_string_equal(f.trace, "abb");
  assert_int_equal(a.exits, 0);
  a.left = 1;
  add(&f, &a); /* again, without having paid */
  take_turns(&f, 5);
  assert_string_equal(f.trace, "abbbbbbb");
  take_turns(&f, 4);
  assert_int_equal(count_of(&f, 'a'), 2);
  run_all(&f);
  close_queue(&f);
}

static void a_debt_is_forgotten_when_nothing_waits(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t a = {.name = 'a', .key = 1, .cost = 10 * QUANTUM, .left = 1};
  one_t b = {.name = 'b', .key = 1, .cost = QUANTUM, .left = 1};
  add(&f, &a);
  run_all(&f);
  assert_int_equal(a.exits, 1);
  a.left = 1;
  add(&f, &a);
  add(&f, &b);
  run_all(&f);
  assert_string_equal(f.trace, "aab");
  close_queue(&f);
}

static void debts_have_an_end(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t a = {.name = 'a', .key = 1, .cost = UINT64_MAX, .left = 2};
  one_t b = {.name = 'b', .key = 1, .cost = QUANTUM, .left = 200};
  add(&f, &a);
  add(&f, &b);
  take_turns(&f, 100);
  assert_int_equal(count_of(&f, 'a'), 2);
  run_all(&f);
  close_queue(&f);
}

static void a_new_one_comes_before_those_that_have_had_a_turn(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t old[ITEMS];
  for (int i = 0; i < ITEMS; i++) {
    old[i] = (one_t){.name = 'o', .key = 1, .cost = QUANTUM, .left = 4};
    add(&f, &old[i]);
  }
  take_turns(&f, ITEMS + 2);
  one_t b = {.name = 'b', .key = 1, .cost = QUANTUM, .left = 1};
  add(&f, &b);
  assert_ptr_equal(take_turn(&f), &b);
  b.left = 1;
  add(&f, &b); /* once more: now it is one of the others */
  for (int i = 0; i < ITEMS - 2; i++) assert_ptr_not_equal(take_turn(&f), &b);
  run_all(&f);
  assert_int_equal(count_of(&f, 'b'), 2);
  close_queue(&f);
}

static void groups_alternate_whatever_the_number_of_their_items(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t many[ITEMS];
  for (int i = 0; i < ITEMS; i++) {
    many[i] = (one_t){.name = 'm', .key = 1, .cost = QUANTUM, .left = 4};
    add(&f, &many[i]);
  }
  one_t b = {.name = 'b', .key = 2, .cost = QUANTUM, .left = 4};
  add(&f, &b);
  take_turns(&f, 8);
  assert_string_equal(f.trace, "mbmbmbmb");
  run_all(&f);
  for (int i = 0; i < ITEMS; i++) assert_int_equal(many[i].left, 0);
  close_queue(&f);
}

static void a_group_pays_for_items_that_are_gone(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t a = {.name = 'a', .key = 1, .cost = 10 * QUANTUM, .left = 2};
  one_t b = {.name = 'b', .key = 2, .cost = QUANTUM, .left = 40};
  add(&f, &a);
  add(&f, &b);
  take_turns(&f, 2);
  fluxbp__fair_queue_remove(&f.queue, &a.item);
  fluxbp__fair_queue_remove(&f.queue, &a.item);
  assert_int_equal(a.exits, 0); /* it was the caller's wish */
  assert_int_equal(f.queue.waiting, 1);
  one_t c = {.name = 'c', .key = 1, .cost = QUANTUM, .left = 1};
  add(&f, &c);
  take_turns(&f, 6);
  assert_string_equal(f.trace, "abbbbbbb");
  run_all(&f);
  close_queue(&f);
}

static void without_memory_groups_share_their_turns(void **state) {
  fixture_t f;
  (void) state;
  open_queue(&f);
  one_t first = {.name = 'f', .key = 7, .cost = QUANTUM, .left = 1}; /* the table has its memory now */
  add(&f, &first);
  alloc_hook_fail_from(&f.hook, 1);
  one_t a = {.name = 'a', .key = 1, .cost = QUANTUM, .left = 2};
  one_t b = {.name = 'b', .key = 2, .cost = QUANTUM, .left = 2};
  add(&f, &a);
  add(&f, &b);
  assert_ptr_equal(a.item.group, b.item.group);
  alloc_hook_heal(&f.hook);
  run_all(&f);
  assert_string_equal(f.trace, "fabab");
  assert_true(a.exits == 1 && b.exits == 1);
  close_queue(&f);

  open_queue(&f);
  for (uint64_t nth = 1; nth <= 3; nth++) { /* the group, and the table */
    alloc_hook_fail_once(&f.hook, nth);
    one_t c = {.name = 'c', .key = nth, .cost = QUANTUM, .left = 1};
    add(&f, &c);
    alloc_hook_heal(&f.hook);
    assert_ptr_equal(take_turn(&f), &c);
    assert_null(take_turn(&f));
  }
  close_queue(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_ones_alternate_and_an_empty_queue_has_none),
      cmocka_unit_test(small_costs_add_up_to_a_quantum_before_the_next_one),
      cmocka_unit_test(a_costly_turn_is_paid_for),
      cmocka_unit_test(a_debt_stays_while_its_owner_does_not_wait),
      cmocka_unit_test(a_debt_is_forgotten_when_nothing_waits),
      cmocka_unit_test(debts_have_an_end),
      cmocka_unit_test(a_new_one_comes_before_those_that_have_had_a_turn),
      cmocka_unit_test(groups_alternate_whatever_the_number_of_their_items),
      cmocka_unit_test(a_group_pays_for_items_that_are_gone),
      cmocka_unit_test(without_memory_groups_share_their_turns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
