/* SPDX-License-Identifier: MIT */
/*
 * pattern_tree: the patterns that match a name are found, and what no pattern needs is gone. pattern_model_test.c holds
 * the tree against the comparison of each pattern with random names.
 */
#include "pattern_tree.h"

#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__pattern_tree_t tree;
  uint64_t blocks_without; /* of the hook, before anything was added */
} fixture_t;

static void open_tree(fixture_t *f) {
  fluxbp_pool_options_t options;
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__pattern_tree_init(&f->tree, f->pool, 12345);
  f->blocks_without = f->hook.live_blocks;
}

static void close_tree(fixture_t *f) {
  assert_int_equal(f->hook.live_blocks, f->blocks_without);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

/* The value of a pattern is its text here. */
static void add(fixture_t *f, const char *pattern) {
  assert_int_equal(fluxbp__pattern_tree_add(&f->tree, pattern, (void *) (uintptr_t) pattern), 0);
}

static bool note(void *value, void *arg) {
  char *found = arg;
  if (found[0] != '\0') (void) strcat(found, " ");
  (void) strcat(found, value);
  return true;
}

static void expect(const fixture_t *f, const char *name, const char *expected) {
  char found[256] = "";
  assert_true(fluxbp__pattern_tree_search(&f->tree, name, note, found));
  assert_string_equal(found, expected);
}

static void search_visits_all_that_match_and_no_other(void **state) {
  (void) state;
  fixture_t f;
  open_tree(&f);
  const char *const patterns[] = {"news.>", "news.*", "news.x", "*.x", ">", "*", "news", "orders.*.status"};
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) add(&f, patterns[i]);
  expect(&f, "news.x", "> *.x news.> news.* news.x");
  expect(&f, "news/x", "> *.x news.> news.* news.x");
  expect(&f, "news", "> * news");
  expect(&f, "news.x.y", "> news.>");
  expect(&f, "orders.17.status", "> orders.*.status");
  expect(&f, "orders.17", ">");
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
    assert_ptr_equal(fluxbp__pattern_tree_remove(&f.tree, patterns[i]), patterns[i]);
  close_tree(&f);
}

static void star_in_a_name_is_no_wildcard(void **state) {
  (void) state;
  fixture_t f;
  open_tree(&f);
  add(&f, "news.*");
  expect(&f, "news.*", "news.*");
  expect(&f, "*.x", "");
  (void) fluxbp__pattern_tree_remove(&f.tree, "news.*");
  close_tree(&f);
}

static void pattern_is_found_whatever_its_separators(void **state) {
  (void) state;
  fixture_t f;
  open_tree(&f);
  const char *pattern = "orders.*.status";
  add(&f, pattern);
  assert_ptr_equal(fluxbp__pattern_tree_find(&f.tree, "orders/*/status"), pattern);
  assert_null(fluxbp__pattern_tree_find(&f.tree, "orders.*"));
  assert_null(fluxbp__pattern_tree_find(&f.tree, "orders.*.>"));
  assert_null(fluxbp__pattern_tree_find(&f.tree, "orders.*.status.x"));
  assert_null(fluxbp__pattern_tree_remove(&f.tree, "orders"));
  assert_ptr_equal(fluxbp__pattern_tree_remove(&f.tree, "orders/*.status"), pattern);
  assert_null(fluxbp__pattern_tree_find(&f.tree, pattern));
  close_tree(&f);
}

static void nodes_that_no_pattern_needs_go_at_once(void **state) {
  (void) state;
  fixture_t f;
  open_tree(&f);
  add(&f, "a.b.c.>");
  uint64_t blocks = 0;
  for (int i = 0; i < 3; i++) {
    add(&f, "a.b.*.d.e");
    add(&f, "a.b");
    (void) fluxbp__pattern_tree_remove(&f.tree, "a.b.*.d.e");
    (void) fluxbp__pattern_tree_remove(&f.tree, "a.b");
    if (i == 0) blocks = f.hook.live_blocks;
    assert_int_equal(f.hook.live_blocks, blocks);
    expect(&f, "a.b.c.d", "a.b.c.>");
  }
  (void) fluxbp__pattern_tree_remove(&f.tree, "a.b.c.>");
  close_tree(&f);
}

static bool stop_at_first(void *value, void *arg) {
  (void) value;
  ++*(int *) arg;
  return false;
}

static void search_ends_when_a_visit_says_so(void **state) {
  (void) state;
  fixture_t f;
  int visits = 0;
  open_tree(&f);
  add(&f, "news.>");
  add(&f, "news.*");
  assert_false(fluxbp__pattern_tree_search(&f.tree, "news.x", stop_at_first, &visits));
  assert_int_equal(visits, 1);
  (void) fluxbp__pattern_tree_remove(&f.tree, "news.>");
  (void) fluxbp__pattern_tree_remove(&f.tree, "news.*");
  close_tree(&f);
}

static void name_of_separators_alone_has_the_most_tokens(void **state) {
  (void) state;
  fixture_t f;
  char name[256];
  open_tree(&f);
  memset(name, '.', 255);
  name[255] = '\0';
  add(&f, ">");
  add(&f, name);
  char found[600] = "", expected[600];
  assert_true(fluxbp__pattern_tree_search(&f.tree, name, note, found));
  (void) snprintf(expected, sizeof expected, "> %s", name);
  assert_string_equal(found, expected);
  (void) fluxbp__pattern_tree_remove(&f.tree, ">");
  (void) fluxbp__pattern_tree_remove(&f.tree, name);
  close_tree(&f);
}

static void without_memory_nothing_is_added(void **state) {
  (void) state;
  fixture_t f;
  open_tree(&f);
  add(&f, "a.x");
  uint64_t blocks = f.hook.live_blocks;
  for (uint64_t nth = 1;; nth++) {
    alloc_hook_fail_once(&f.hook, nth);
    int err = fluxbp__pattern_tree_add(&f.tree, "a.*.c.d", &f);
    alloc_hook_heal(&f.hook);
    if (err == 0) break;
    assert_int_equal(err, UV_ENOMEM);
    assert_in_range(f.hook.live_blocks, blocks, blocks + 1); /* `x` may be a node now */
    assert_null(fluxbp__pattern_tree_find(&f.tree, "a.*.c.d"));
    expect(&f, "a.x", "a.x");
  }
  assert_ptr_equal(fluxbp__pattern_tree_remove(&f.tree, "a.*.c.d"), &f);
  (void) fluxbp__pattern_tree_remove(&f.tree, "a.x");
  close_tree(&f);
}

static bool count_visit(void *value, void *arg) {
  (void) value;
  ++*(int *) arg;
  return true;
}

static void one_of_ten_thousand_is_found(void **state) {
  (void) state;
  enum { MANY = 10000 };
  fixture_t f;
  static char patterns[MANY][24];
  int visits = 0;
  open_tree(&f);
  for (int i = 0; i < MANY; i++) {
    (void) snprintf(patterns[i], sizeof patterns[i], "orders.%d.*", i);
    assert_int_equal(fluxbp__pattern_tree_add(&f.tree, patterns[i], &f), 0);
  }
  assert_true(fluxbp__pattern_tree_search(&f.tree, "orders.4711.status", count_visit, &visits));
  assert_int_equal(visits, 1);
  for (int i = 0; i < MANY; i++) assert_ptr_equal(fluxbp__pattern_tree_remove(&f.tree, patterns[i]), &f);
  close_tree(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(search_visits_all_that_match_and_no_other),
      cmocka_unit_test(star_in_a_name_is_no_wildcard),
      cmocka_unit_test(pattern_is_found_whatever_its_separators),
      cmocka_unit_test(nodes_that_no_pattern_needs_go_at_once),
      cmocka_unit_test(search_ends_when_a_visit_says_so),
      cmocka_unit_test(name_of_separators_alone_has_the_most_tokens),
      cmocka_unit_test(without_memory_nothing_is_added),
      cmocka_unit_test(one_of_ten_thousand_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
