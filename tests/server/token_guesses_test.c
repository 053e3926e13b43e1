/* SPDX-License-Identifier: MIT */
/*
 * token_guesses: how long an address has to wait after its wrong tokens, and that other addresses need not.
 */
#include "server/permissions/token_guesses.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

#define MOST 3
#define NOW 1000000

static struct token_guesses *guesses;

static int setup(void **state) {
  (void) state;
  guesses = token_guesses_create(MOST);
  return guesses != NULL ? 0 : -1;
}

static int teardown(void **state) {
  (void) state;
  token_guesses_free(guesses);
  return 0;
}

static struct sockaddr_storage address_of(const char *text) {
  struct sockaddr_storage address = {0};
  if (uv_ip4_addr(text, 1, (struct sockaddr_in *) &address) != 0)
    assert_int_equal(uv_ip6_addr(text, 1, (struct sockaddr_in6 *) &address), 0);
  return address;
}

static uint32_t wait_s(const char *text, uint64_t now_ms) {
  struct sockaddr_storage address = address_of(text);
  return token_guesses_wait_s(guesses, (const struct sockaddr *) &address, now_ms);
}

static void note(const char *text, uint64_t now_ms) {
  struct sockaddr_storage address = address_of(text);
  token_guesses_note(guesses, (const struct sockaddr *) &address, now_ms);
}

static void an_address_waits_until_its_minute_is_over(void **state) {
  (void) state;
  note("192.0.2.1", NOW);
  note("192.0.2.1", NOW + 10000);
  assert_int_equal(wait_s("192.0.2.1", NOW + 10000), 0);
  note("192.0.2.1", NOW + 20000);
  assert_int_equal(wait_s("192.0.2.1", NOW + 20000), 40);
  assert_int_equal(wait_s("192.0.2.1", NOW + 59999), 1);
  assert_int_equal(wait_s("192.0.2.1", NOW + 60000), 0);
  assert_int_equal(wait_s("192.0.2.2", NOW + 20000), 0);
}

static void a_minute_that_is_over_counts_no_more(void **state) {
  (void) state;
  for (int i = 0; i < MOST; i++) note("192.0.2.1", NOW);
  note("192.0.2.1", NOW + 60000);
  assert_int_equal(wait_s("192.0.2.1", NOW + 60000), 0);
}

static void addresses_of_one_prefix_count_together(void **state) {
  (void) state;
  note("2001:db8::1", NOW);
  note("2001:db8::2", NOW);
  note("2001:db8::3", NOW);
  assert_int_equal(wait_s("2001:db8::4", NOW), 60);
  assert_int_equal(wait_s("2001:db8:0:1::4", NOW), 0);
}

static void loopback_never_waits(void **state) {
  static const char *const addresses[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
  (void) state;
  for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
    for (int wrong = 0; wrong < MOST; wrong++) note(addresses[i], NOW);
    assert_int_equal(wait_s(addresses[i], NOW), 0);
  }
}

/* With one wrong token of each of very many addresses, an address with several stays known. */
static void a_full_table_forgets_addresses_with_few_wrong_tokens(void **state) {
  (void) state;
  for (int i = 0; i < MOST; i++) note("192.0.2.1", NOW);
  for (uint32_t i = 0; i < 100000; i++) {
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + i)};
    token_guesses_note(guesses, (const struct sockaddr *) &other, NOW);
  }
  assert_int_equal(wait_s("192.0.2.1", NOW), 60);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(an_address_waits_until_its_minute_is_over, setup, teardown),
      cmocka_unit_test_setup_teardown(a_minute_that_is_over_counts_no_more, setup, teardown),
      cmocka_unit_test_setup_teardown(addresses_of_one_prefix_count_together, setup, teardown),
      cmocka_unit_test_setup_teardown(loopback_never_waits, setup, teardown),
      cmocka_unit_test_setup_teardown(a_full_table_forgets_addresses_with_few_wrong_tokens, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
