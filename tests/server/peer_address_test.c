/* SPDX-License-Identifier: MIT */
/*
 * peer_address: what is kept of an address is what is shown and counted of it.
 */
#include "server/permissions/peer_address.h"

#include "server/address.h"
#include "server/permissions/networks.h"

#include <fluxbp/server.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

/* As it comes back from what is kept. */
static void keep(const struct sockaddr *address, struct sockaddr_storage *back) {
  struct peer_address peer = peer_address_of(address);
  memset(back, 0xff, sizeof *back);
  peer_address_get(&peer, back);
}

static void address_and_port_come_back(void **state) {
  static const char *const texts[] = {"127.0.0.1:9000",      "203.0.113.9:65535",         "0.0.0.0:0", "[::1]:1",
                                      "[2001:db8::7]:65535", "[::ffff:203.0.113.9]:4711", "[::]:0"};
  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct sockaddr_storage address, back;
    char text[FLUXBP_ADDRESS_TEXT_BYTES];
    assert_int_equal(0, server_address_parse(texts[i], &address));
    keep((const struct sockaddr *) &address, &back);
    server_address_format((const struct sockaddr *) &back, text);
    assert_string_equal(text, texts[i]);
    assert_memory_equal(&back, &address, sizeof address);
  }
}

static void ipv4_by_way_of_an_ipv6_socket_stays_of_its_network(void **state) {
  struct network network;
  struct sockaddr_storage address, back;
  (void) state;
  assert_true(network_parse("203.0.113.0/24", &network));
  assert_int_equal(0, server_address_parse("[::ffff:203.0.113.9]:1", &address));
  keep((const struct sockaddr *) &address, &back);
  assert_true(network_has(&network, (const struct sockaddr *) &back));
}

static void other_families_are_unknown(void **state) {
  const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/proxy"};
  struct sockaddr_storage back;
  char text[FLUXBP_ADDRESS_TEXT_BYTES];
  uint8_t bytes[16];
  (void) state;
  keep((const struct sockaddr *) &address, &back);
  server_address_format((const struct sockaddr *) &back, text);
  assert_string_equal(text, "unknown");
  assert_false(network_address((const struct sockaddr *) &back, bytes));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(address_and_port_come_back),
      cmocka_unit_test(ipv4_by_way_of_an_ipv6_socket_stays_of_its_network),
      cmocka_unit_test(other_families_are_unknown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
