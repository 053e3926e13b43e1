/* SPDX-License-Identifier: MIT */
/*
 * proxy_protocol: headers as proxies send them, cut anywhere; and what is none.
 */
#include "server/permissions/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4 "\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x23\x28" /* 192.0.2.7:4660 to 10.0.0.1:9000 */
#define IPV6                                                                                                           \
  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"                                                                         \
  "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"                                                                               \
  "\x12\x34\x23\x28"
#define REST "GET /"

/* A literal without its NUL. */
#define BYTES(text) text, sizeof(text) - 1

/* Takes the header in pieces that end before `cut`, and whole. @return the outcome; *left is what follows the header */
static enum proxy_outcome take_cut(struct proxy_header *header, const char *data, size_t length, size_t cut,
                                   size_t *left) {
  memset(header, 0, sizeof *header);
  *left = cut;
  enum proxy_outcome outcome = proxy_header_take(header, &data, left);
  if (outcome != PROXY_MORE) {
    *left += length - cut;
    return outcome;
  }
  assert_int_equal(*left, 0);
  *left = length - cut;
  return proxy_header_take(header, &data, left);
}

static void assert_outcome(struct proxy_header *header, const char *data, size_t length, enum proxy_outcome outcome,
                           size_t rest) {
  size_t left;
  for (size_t cut = 0; cut <= length; cut++) {
    assert_int_equal(take_cut(header, data, length, cut, &left), outcome);
    if (outcome != PROXY_WRONG) assert_int_equal(left, rest);
  }
  memset(header, 0, sizeof *header); /* and byte by byte */
  enum proxy_outcome so_far = PROXY_MORE;
  for (size_t i = 0; i < length && so_far == PROXY_MORE; i++) {
    const char *byte = data + i;
    left = 1;
    so_far = proxy_header_take(header, &byte, &left);
  }
  assert_int_equal(so_far, outcome);
}

static void proxy_header_names_a_client_on_ipv4(void **state) {
  struct proxy_header header;
  (void) state;
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4 REST), PROXY_ADDRESS, sizeof REST - 1);
  assert_int_equal(header.client.any.sa_family, AF_INET);
  assert_int_equal(ntohl(header.client.v4.sin_addr.s_addr), 0xc0000207);
  assert_int_equal(ntohs(header.client.v4.sin_port), 0x1234);
}

static void proxy_header_names_a_client_on_ipv6(void **state) {
  struct proxy_header header;
  (void) state;
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x21\0\x24" IPV6 REST), PROXY_ADDRESS, sizeof REST - 1);
  assert_int_equal(header.client.any.sa_family, AF_INET6);
  assert_memory_equal(&header.client.v6.sin6_addr, IPV6, 16);
  assert_int_equal(ntohs(header.client.v6.sin6_port), 0x1234);
}

static void what_follows_the_addresses_in_the_header_is_skipped(void **state) {
  struct proxy_header header;
  char data[16 + PROXY_HEADER_BYTES_MAX + 1];
  size_t body = PROXY_HEADER_BYTES_MAX - 16;
  (void) state;
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x11\0\x10" IPV4 "\x04\0\x01x" REST), PROXY_ADDRESS, sizeof REST - 1);
  memset(data, 'x', sizeof data);
  memcpy(data, BYTES(SIGNATURE "\x21\x11"));
  data[14] = (char) (body >> 8);
  data[15] = (char) (body & 0xff);
  memcpy(data + 16, BYTES(IPV4));
  assert_outcome(&header, data, PROXY_HEADER_BYTES_MAX + 1, PROXY_ADDRESS, 1);
  assert_int_equal(ntohl(header.client.v4.sin_addr.s_addr), 0xc0000207);
}

/* A health check; a client on a UNIX socket; one whose address the proxy doesn't know; UDP. */
static void proxy_header_of_a_client_without_an_address_is_not_the_proxys_own(void **state) {
  struct proxy_header header;
  (void) state;
  assert_outcome(&header, BYTES(SIGNATURE "\x20\0\0\0" REST), PROXY_LOCAL, sizeof REST - 1);
  assert_outcome(&header, BYTES(SIGNATURE "\x20\x11\0\x0c" IPV4 REST), PROXY_LOCAL, sizeof REST - 1);
  assert_outcome(&header, BYTES(SIGNATURE "\x21\0\0\0" REST), PROXY_UNNAMED, sizeof REST - 1); /* UNSPEC */
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x31\0\x04pathx"), PROXY_UNNAMED, 1);           /* UNIX */
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x12\0\x0c" IPV4), PROXY_UNNAMED, 0);           /* UDP */
}

static void what_is_no_proxy_header_is_known_from_its_first_wrong_byte(void **state) {
  static const char right[] = SIGNATURE "\x21";
  (void) state;
  for (size_t wrong = 0; wrong < sizeof right - 1; wrong++) {
    struct proxy_header header = {.taken = 0};
    char data[sizeof right];
    memcpy(data, right, sizeof right);
    data[wrong] ^= 0x40;
    for (size_t i = 0; i <= wrong; i++) {
      const char *byte = data + i;
      size_t left = 1;
      assert_int_equal(proxy_header_take(&header, &byte, &left), i < wrong ? PROXY_MORE : PROXY_WRONG);
    }
  }
}

static void proxy_header_that_is_too_short_for_its_addresses_is_refused(void **state) {
  struct proxy_header header;
  (void) state;
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x11\0\x0b" IPV4), PROXY_WRONG, 0);
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x21\0\x23" IPV6), PROXY_WRONG, 0);
}

static void proxy_header_of_another_version_or_too_long_is_refused(void **state) {
  struct proxy_header header;
  (void) state;
  assert_outcome(&header, BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 4660 9000\r\n"), PROXY_WRONG, 0);
  assert_outcome(&header, BYTES(SIGNATURE "\x11\x11\0\x0c" IPV4), PROXY_WRONG, 0);
  assert_outcome(&header, BYTES(SIGNATURE "\x22\x11\0\x0c" IPV4), PROXY_WRONG, 0);
  assert_outcome(&header, BYTES(SIGNATURE "\x21\x11\x0f\xf1" IPV4), PROXY_WRONG, 0);
  assert_outcome(&header, BYTES(SIGNATURE "\x20\0\xff\xff"), PROXY_WRONG, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(proxy_header_names_a_client_on_ipv4),
      cmocka_unit_test(proxy_header_names_a_client_on_ipv6),
      cmocka_unit_test(what_follows_the_addresses_in_the_header_is_skipped),
      cmocka_unit_test(proxy_header_of_a_client_without_an_address_is_not_the_proxys_own),
      cmocka_unit_test(what_is_no_proxy_header_is_known_from_its_first_wrong_byte),
      cmocka_unit_test(proxy_header_that_is_too_short_for_its_addresses_is_refused),
      cmocka_unit_test(proxy_header_of_another_version_or_too_long_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
