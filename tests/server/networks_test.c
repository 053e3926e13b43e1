/* SPDX-License-Identifier: MIT */
/*
 * networks: what is one, and which addresses it has.
 */
#include "server/permissions/networks.h"

#include "server/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool has(const char *text, const char *peer) {
  struct network network;
  struct sockaddr_storage address;
  assert_true(network_parse(text, &network));
  assert_int_equal(0, server_address_parse(peer, &address));
  bool is_there = network_has(&network, (const struct sockaddr *) &address);
  assert_int_equal(fluxbp_network_has(text, peer), is_there);
  return is_there;
}

static void network_is_an_address_alone(void **state) {
  (void) state;
  assert_true(has("10.0.0.7", "10.0.0.7:1"));
  assert_false(has("10.0.0.7", "10.0.0.6:1"));
  assert_true(has("::1", "[::1]:1"));
  assert_false(has("::1", "[::2]:1"));
}

static void network_has_what_begins_with_its_bits(void **state) {
  (void) state;
  assert_true(has("10.0.0.0/8", "10.255.255.255:1"));
  assert_false(has("10.0.0.0/8", "11.0.0.0:1"));
  assert_true(has("192.0.2.64/27", "192.0.2.95:1"));
  assert_false(has("192.0.2.64/27", "192.0.2.96:1"));
  assert_true(has("fd00::/8", "[fdff::1]:1"));
  assert_false(has("fd00::/8", "[fe00::1]:1"));
  assert_true(has("0.0.0.0/0", "203.0.113.9:1"));
  assert_false(has("0.0.0.0/0", "[2001:db8::1]:1"));
  assert_true(has("::/0", "203.0.113.9:1"));
}

static void ipv4_by_way_of_an_ipv6_socket_is_the_same(void **state) {
  (void) state;
  assert_true(has("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
  assert_false(has("10.0.0.0/8", "[::ffff:11.1.2.3]:1"));
}

static void an_address_may_have_a_port_and_a_wrong_text_is_nowhere(void **state) {
  static const char *const wrong[] = {"", "unknown", "10.0.0.0/8", "10.0.0.7/32", ":1", "[]:1", "10.0.0.7:1:2"};
  (void) state;
  assert_true(fluxbp_network_has("10.0.0.0/8", "10.0.0.7"));
  assert_true(fluxbp_network_has("2001:db8::/32", "2001:db8::1"));
  assert_true(fluxbp_network_has("2001:db8::/32", "[2001:db8::1]"));
  assert_false(fluxbp_network_has("no network", "10.0.0.7"));
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    if (fluxbp_network_has("::/0", wrong[i])) fail_msg("'%s'", wrong[i]);
}

static void other_texts_are_no_network(void **state) {
  static const char *const texts[] = {
      "",        "localhost",  "10.0.0",       "10.0.0.0/",  "10.0.0.0/33", "10.0.0.0/-1",
      "/8",      "10.0.0.7/8", "10.0.0.0/8/8", "::/129",     "fd00::1/8",   "10.0.0.0/ 8",
      "::/1234", "[::1]",      "10.0.0.7:1",   "10.0.0.0/8x"};
  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (fluxbp_network_is_right(texts[i])) fail_msg("'%s'", texts[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(network_is_an_address_alone),
      cmocka_unit_test(network_has_what_begins_with_its_bits),
      cmocka_unit_test(ipv4_by_way_of_an_ipv6_socket_is_the_same),
      cmocka_unit_test(an_address_may_have_a_port_and_a_wrong_text_is_nowhere),
      cmocka_unit_test(other_texts_are_no_network),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
