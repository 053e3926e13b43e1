/* SPDX-License-Identifier: MIT */
/*
 * address table: who counts as one, and that the counts are right whatever comes and goes.
 */
#include "address_table.h"
#include "support/alloc_hook.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>
#include <uv.h>

#include <cmocka.h>

static const uint64_t SEED = 0x9e3779b97f4a7c15u;

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__address_table_t table;
} fixture_t;

static void open_table(fixture_t *f, uint64_t seed) {
  fluxbp_pool_options_t options;
  alloc_hook_init(&f->hook);
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&f->hook);
  assert_int_equal(fluxbp_pool_create(&options, &f->pool), 0);
  fluxbp__address_table_init(&f->table, f->pool, seed);
}

static void close_table(fixture_t *f) {
  fluxbp__address_table_free(&f->table);
  assert_int_equal(fluxbp_pool_destroy(f->pool), 0);
  assert_int_equal(f->hook.live_blocks, 0);
}

static void add(fixture_t *f, uint64_t key) {
  assert_int_equal(fluxbp__address_table_reserve(&f->table), 0);
  fluxbp__address_table_add(&f->table, key);
}

static uint64_t key_of(const char *text) {
  union {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
  } address = {0};
  if (inet_pton(AF_INET, text, &address.ipv4.sin_addr) == 1) {
    address.ipv4.sin_family = AF_INET;
  } else {
    assert_int_equal(inet_pton(AF_INET6, text, &address.ipv6.sin6_addr), 1);
    address.ipv6.sin6_family = AF_INET6;
  }
  return fluxbp__address_key(&address.any);
}

static void an_ipv4_peer_counts_by_its_address(void **state) {
  (void) state;
  assert_true(key_of("192.0.2.1") == key_of("192.0.2.1"));
  assert_true(key_of("192.0.2.1") != key_of("192.0.2.2"));
  assert_true(key_of("192.0.2.1") != key_of("193.0.2.1"));
}

static void an_ipv4_peer_is_the_same_by_way_of_an_ipv6_socket(void **state) {
  (void) state;
  assert_true(key_of("::ffff:192.0.2.1") == key_of("192.0.2.1"));
  assert_true(key_of("::ffff:192.0.2.1") != key_of("::ffff:192.0.2.2"));
}

static void an_ipv6_peer_counts_by_its_64_bit_prefix(void **state) {
  (void) state;
  assert_true(key_of("2001:db8:1:2::1") == key_of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  assert_true(key_of("2001:db8:1:2::1") != key_of("2001:db8:1:3::1"));
  assert_true(key_of("2001:db8:1:2::1") != key_of("3001:db8:1:2::1"));
}

static void ipv4_and_ipv6_peers_are_never_taken_for_each_other(void **state) {
  (void) state;
  assert_true(key_of("0.0.0.1") != key_of("::1"));
  assert_true(key_of("32.1.13.184") != key_of("2001:db8::"));
  assert_true(key_of("255.255.255.255") != FLUXBP__ADDRESS_NONE);
}

static void a_peer_on_a_unix_socket_has_no_address(void **state) {
  (void) state;
  struct sockaddr_un peer = {.sun_family = AF_UNIX};
  assert_true(fluxbp__address_key((const struct sockaddr *) &peer) == FLUXBP__ADDRESS_NONE);
}

static void an_address_is_counted_until_its_last_connection_goes(void **state) {
  (void) state;
  fixture_t f;
  open_table(&f, SEED);
  assert_int_equal(fluxbp__address_table_count(&f.table, 1), 0);
  for (int i = 0; i < 3; i++) add(&f, 1);
  add(&f, 0); /* a key like any other: ::1 has it */
  assert_int_equal(fluxbp__address_table_count(&f.table, 1), 3);
  assert_int_equal(fluxbp__address_table_count(&f.table, 0), 1);
  assert_int_equal(fluxbp__address_table_count(&f.table, 2), 0);
  assert_int_equal(f.table.used, 2);
  for (int i = 0; i < 3; i++) fluxbp__address_table_remove(&f.table, 1);
  assert_int_equal(fluxbp__address_table_count(&f.table, 1), 0);
  assert_int_equal(fluxbp__address_table_count(&f.table, 0), 1);
  assert_int_equal(f.table.used, 1);
  close_table(&f);
}

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

/* Against an array of counts. Seed 0 makes every key's home the first place: one long run of neighbours. */
static void counts_are_right(uint64_t seed) {
  enum { KEYS = 300, STEPS = 20000 };
  fixture_t f;
  static uint64_t counts[KEYS];
  uint64_t random = 1;
  open_table(&f, seed);
  for (int i = 0; i < KEYS; i++) counts[i] = 0;
  for (int step = 0; step < STEPS; step++) {
    uint64_t key = next_random(&random) % KEYS;
    bool grows = next_random(&random) % 100 < (step / 2000 % 2 ? 30 : 60);
    if (grows) {
      add(&f, key);
      counts[key]++;
    } else if (counts[key] > 0) {
      fluxbp__address_table_remove(&f.table, key);
      counts[key]--;
    }
    uint64_t other = next_random(&random) % KEYS;
    assert_int_equal(fluxbp__address_table_count(&f.table, key), counts[key]);
    assert_int_equal(fluxbp__address_table_count(&f.table, other), counts[other]);
  }
  for (uint64_t key = 0; key < KEYS; key++) {
    assert_int_equal(fluxbp__address_table_count(&f.table, key), counts[key]);
    for (; counts[key] > 0; counts[key]--) fluxbp__address_table_remove(&f.table, key);
  }
  assert_int_equal(f.table.used, 0);
  close_table(&f);
}

static void counts_are_right_whatever_comes_and_goes(void **state) {
  (void) state;
  counts_are_right(SEED);
}

static void counts_are_right_when_all_addresses_collide(void **state) {
  (void) state;
  counts_are_right(0);
}

static void addresses_that_come_and_go_take_no_new_memory(void **state) {
  (void) state;
  fixture_t f;
  open_table(&f, SEED);
  for (uint64_t key = 0; key < 30; key++) add(&f, key);
  uint64_t allocs = f.hook.allocs;
  for (uint64_t key = 30; key < 100000; key++) {
    fluxbp__address_table_remove(&f.table, key - 30);
    add(&f, key);
  }
  assert_int_equal(f.hook.allocs, allocs);
  assert_int_equal(f.table.used, 30);
  close_table(&f);
}

static void a_table_that_cannot_grow_keeps_what_it_has(void **state) {
  (void) state;
  fixture_t f;
  open_table(&f, SEED);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(fluxbp__address_table_reserve(&f.table), UV_ENOMEM);
  uint64_t key = 0;
  for (; key < 32; key++) add(&f, key);
  alloc_hook_fail_once(&f.hook, 1);
  assert_int_equal(fluxbp__address_table_reserve(&f.table), UV_ENOMEM);
  assert_int_equal(f.hook.failures, 2);
  for (uint64_t i = 0; i < key; i++) assert_int_equal(fluxbp__address_table_count(&f.table, i), 1);
  add(&f, key);
  for (uint64_t i = 0; i <= key; i++) assert_int_equal(fluxbp__address_table_count(&f.table, i), 1);
  close_table(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_ipv4_peer_counts_by_its_address),
      cmocka_unit_test(an_ipv4_peer_is_the_same_by_way_of_an_ipv6_socket),
      cmocka_unit_test(an_ipv6_peer_counts_by_its_64_bit_prefix),
      cmocka_unit_test(ipv4_and_ipv6_peers_are_never_taken_for_each_other),
      cmocka_unit_test(a_peer_on_a_unix_socket_has_no_address),
      cmocka_unit_test(an_address_is_counted_until_its_last_connection_goes),
      cmocka_unit_test(counts_are_right_whatever_comes_and_goes),
      cmocka_unit_test(counts_are_right_when_all_addresses_collide),
      cmocka_unit_test(addresses_that_come_and_go_take_no_new_memory),
      cmocka_unit_test(a_table_that_cannot_grow_keeps_what_it_has),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
