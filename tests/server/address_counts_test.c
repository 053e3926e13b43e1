/* SPDX-License-Identifier: MIT */
/*
 * address_counts: as many of each address as may be, and none when they have gone.
 */
#include "server/permissions/address_counts.h"

#include "server/address.h"

#include <fluxbp/server.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sockaddr_storage address_of(const char *text) {
  struct sockaddr_storage address;
  assert_int_equal(0, server_address_parse(text, &address));
  return address;
}

static bool add(struct address_counts *counts, const char *text) {
  struct sockaddr_storage address = address_of(text);
  return address_counts_add(counts, (const struct sockaddr *) &address);
}

static void take_off(struct address_counts *counts, const char *text) {
  struct sockaddr_storage address = address_of(text);
  address_counts_remove(counts, (const struct sockaddr *) &address);
}

static void each_address_may_have_so_many(void **state) {
  struct address_counts *counts = address_counts_create(2);
  (void) state;
  assert_true(add(counts, "192.0.2.7:1"));
  assert_true(add(counts, "192.0.2.7:2"));
  assert_false(add(counts, "192.0.2.7:3"));
  assert_false(add(counts, "[::ffff:192.0.2.7]:3"));
  assert_true(add(counts, "192.0.2.8:1"));
  take_off(counts, "192.0.2.7:1");
  assert_true(add(counts, "192.0.2.7:3"));
  take_off(counts, "192.0.2.7:2");
  take_off(counts, "192.0.2.7:3");
  take_off(counts, "192.0.2.8:1");
  address_counts_free(counts);
}

static void ipv6_counts_by_its_prefix(void **state) {
  struct address_counts *counts = address_counts_create(1);
  (void) state;
  assert_true(add(counts, "[2001:db8::1]:1"));
  assert_false(add(counts, "[2001:db8::ffff:2]:1"));
  assert_true(add(counts, "[2001:db8:0:1::1]:1"));
  take_off(counts, "[2001:db8::3]:1");
  take_off(counts, "[2001:db8:0:1::3]:1");
  address_counts_free(counts);
}

static void many_addresses_are_kept_apart(void **state) {
  struct address_counts *counts = address_counts_create(1);
  char text[FLUXBP_ADDRESS_TEXT_BYTES];
  (void) state;
  for (int round = 0; round < 2; round++)
    for (unsigned i = 0; i < 50000; i++) {
      snprintf(text, sizeof text, "10.0.%u.%u:1", i >> 8, i & 0xff);
      assert_int_equal(add(counts, text), round == 0);
    }
  for (unsigned i = 0; i < 50000; i++) {
    snprintf(text, sizeof text, "10.0.%u.%u:1", i >> 8, i & 0xff);
    take_off(counts, text);
  }
  address_counts_free(counts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_address_may_have_so_many),
      cmocka_unit_test(ipv6_counts_by_its_prefix),
      cmocka_unit_test(many_addresses_are_kept_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
