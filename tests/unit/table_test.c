/* SPDX-License-Identifier: MIT */
/*
 * The table that grows by one bucket at a time: against a plain array, and with an allocator that fails.
 */
#include "table.h"

#include "hash.h"
#include "list.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

typedef struct item {
  uint64_t key;
  fluxbp__table_link_t link;
  bool is_in;
} item_t;

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__table_t table;
} fixture_t;

static void open_table(fixture_t *f) {
  fluxbp_pool_options_t options;
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__table_init(&f->table, f->pool);
}

static void close_table(fixture_t *f) {
  fluxbp__table_free(&f->table);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static item_t *find(const fixture_t *f, uint64_t key) {
  uint64_t hash = fluxbp__hash_key(key);
  for (fluxbp__table_link_t *link = fluxbp__table_bucket(&f->table, hash); link != NULL; link = link->next)
    if (link->hash == hash) return FLUXBP__CONTAINER(link, item_t, link);
  return NULL;
}

static int add(fixture_t *f, item_t *item) {
  item->link.hash = fluxbp__hash_key(item->key);
  int err = fluxbp__table_add(&f->table, &item->link);
  item->is_in = !err;
  return err;
}

static size_t longest_bucket(const fixture_t *f, const item_t *items, size_t count) {
  size_t longest = 0;
  for (size_t i = 0; i < count; i++) {
    size_t length = 0;
    const fluxbp__table_link_t *link = fluxbp__table_bucket(&f->table, items[i].link.hash);
    for (; link != NULL; link = link->next) length++;
    if (length > longest) longest = length;
  }
  return longest;
}

static void an_empty_table_takes_no_memory(void **state) {
  fixture_t f;
  (void) state;
  open_table(&f);
  assert_int_equal(f.hook.live_blocks, 1); /* the pool */
  assert_null(fluxbp__table_bucket(&f.table, 7));
  assert_null(fluxbp__table_next(&f.table, NULL));
  close_table(&f);
}

static void items_are_found_until_they_are_removed(void **state) {
  enum { ITEMS = 20000, STEPS = 100000 };
  static item_t items[ITEMS];
  fixture_t f;
  uint64_t seed = 1;
  (void) state;
  open_table(&f);
  for (uint64_t i = 0; i < ITEMS; i++) items[i] = (item_t){.key = i * 7919};
  for (int step = 0; step < STEPS; step++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    item_t *item = &items[(seed >> 33) % ITEMS];
    assert_ptr_equal(find(&f, item->key), item->is_in ? item : NULL);
    if (!item->is_in) {
      assert_int_equal(add(&f, item), 0);
    } else if (step % 3 == 0) {
      fluxbp__table_remove(&f.table, &item->link);
      item->is_in = false;
    }
  }
  size_t count = 0, visited = 0;
  for (size_t i = 0; i < ITEMS; i++) count += items[i].is_in;
  for (const fluxbp__table_link_t *link = NULL; (link = fluxbp__table_next(&f.table, link)) != NULL; visited++)
    assert_true(FLUXBP__CONTAINER(link, item_t, link)->is_in);
  assert_int_equal(f.table.count, count);
  assert_int_equal(visited, count);
  assert_in_range(longest_bucket(&f, items, ITEMS), 1, 12);
  close_table(&f);
}

/* However many items there are, adding one asks the allocator for a piece of some KB at the most, and seldom for that.
 */
static void no_insertion_is_a_large_step(void **state) {
  enum { ITEMS = 200000 };
  fixture_t f;
  (void) state;
  item_t *items = calloc(ITEMS, sizeof *items);
  assert_non_null(items);
  open_table(&f);
  for (uint64_t i = 0; i < ITEMS; i++) {
    uint64_t bytes_before = f.hook.live_bytes;
    items[i].key = i;
    assert_int_equal(add(&f, &items[i]), 0);
    assert_in_range(f.hook.live_bytes - bytes_before, 0, 2048 + 8192);
    assert_in_range(f.table.bucket_count, i, i + 256);
  }
  assert_in_range(f.hook.live_bytes / ITEMS, 8, 9);
  close_table(&f);
  free(items);
}

static void without_memory_buckets_get_longer(void **state) {
  enum { ITEMS = 5000 };
  static item_t items[ITEMS];
  fixture_t f;
  (void) state;
  open_table(&f);
  alloc_hook_fail_from(&f.hook, 1);
  assert_int_equal(add(&f, &items[0]), UV_ENOMEM);
  assert_null(find(&f, 0));
  alloc_hook_heal(&f.hook);
  assert_int_equal(add(&f, &items[0]), 0);
  alloc_hook_fail_from(&f.hook, 1);
  for (uint64_t i = 1; i < ITEMS; i++) {
    items[i].key = i;
    assert_int_equal(add(&f, &items[i]), 0);
  }
  for (uint64_t i = 0; i < ITEMS; i++) assert_ptr_equal(find(&f, i), &items[i]);
  alloc_hook_heal(&f.hook);
  close_table(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_table_takes_no_memory),
      cmocka_unit_test(items_are_found_until_they_are_removed),
      cmocka_unit_test(no_insertion_is_a_large_step),
      cmocka_unit_test(without_memory_buckets_get_longer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
