/* SPDX-License-Identifier: MIT */
/*
 * http_reader: what is taken, as what, and that this doesn't depend on how it is cut into pieces.
 */
#include "support/http_pieces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct accepted_case {
  const char *name, *bytes;
  size_t length;
  const char *expected;
};

#define CASE(name, bytes, expected)                                                                                    \
  { name, bytes, sizeof bytes - 1, expected }
#define GET "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST "POST /p HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define OF_GET "GET / |Host: h|"
#define OF_POST "POST /p |Host: h|"
#define OF_CHUNKED OF_POST "Transfer-Encoding: chunked|"

static const struct accepted_case TARGETS[] = {
    CASE("path", "GET /a/b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a/b |Host: h|  keep-alive\nidle"),
    CASE("query", "GET /a?b=c&d HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a ?b=c&d |Host: h|  keep-alive\nidle"),
    CASE("empty query", "GET /a? HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a ? |Host: h|  keep-alive\nidle"),
    CASE("two question marks", "GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a ?b?c |Host: h|  keep-alive\nidle"),
    CASE("encoded", "GET /%00%2f?%41 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%00%2f ?%41 |Host: h|  keep-alive\nidle"),
    CASE("what browsers leave", "GET /?{|}^`' HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET / ?{|}^`' |Host: h|  keep-alive\nidle"),
    CASE("two slashes", "GET //a HTTP/1.1\r\nHost: h\r\n\r\n", "GET //a |Host: h|  keep-alive\nidle"),
    CASE("absolute", "GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a ?b |Host: h|  keep-alive\nidle"),
    CASE("absolute in capitals", "GET HTTP://H:1/ HTTP/1.1\r\nHost: h:1\r\n\r\n",
         "GET / |Host: h:1|  keep-alive\nidle"),
    CASE("absolute without a path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET / |Host: h|  keep-alive\nidle"),
    CASE("absolute with a query only", "GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET / ?b |Host: h|  keep-alive\nidle"),
    CASE("absolute, IPv6", "GET http://[::1]:9/a HTTP/1.1\r\nHost: [::1]:9\r\n\r\n",
         "GET /a |Host: [::1]:9|  keep-alive\nidle"),
    CASE("star", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * |Host: h|  keep-alive\nidle"),
    CASE("other methods", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH / |Host: h|  keep-alive\nidle"),
};

static const struct accepted_case HEADERS[] = {
    CASE("none in 1.0", "GET / HTTP/1.0\r\n\r\n", "GET / |  close\nidle"),
    CASE("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / |Host: |  keep-alive\nidle"),
    CASE("blanks around a value", GET "A: \t b c\t \r\n\r\n", OF_GET "A: b c|  keep-alive\nidle"),
    CASE("no blank before a value", GET "A:b\r\n\r\n", OF_GET "A: b|  keep-alive\nidle"),
    CASE("nothing but blanks", GET "A: \t \r\n\r\n", OF_GET "A: |  keep-alive\nidle"),
    CASE("nothing", GET "A:\r\nB: c\r\n\r\n", OF_GET "A: |B: c|  keep-alive\nidle"),
    CASE("colons in a value", GET "A: :b:\r\n\r\n", OF_GET "A: :b:|  keep-alive\nidle"),
    CASE("UTF-8 in a value", GET "A: \xc3\xa4\r\n\r\n", OF_GET "A: \xc3\xa4|  keep-alive\nidle"),
    CASE("odd names", GET "!#$%&'*+-.^_`|~0: a\r\n\r\n", OF_GET "!#$%&'*+-.^_`|~0: a|  keep-alive\nidle"),
    CASE("the same one twice", GET "A: b\r\na: c\r\n\r\n", OF_GET "A: b|a: c|  keep-alive\nidle"),
    CASE("only like Content-Length", GET "Content-Lengths: 5\r\nContent_Length: 5\r\n\r\n",
         OF_GET "Content-Lengths: 5|Content_Length: 5|  keep-alive\nidle"),
    CASE("close", GET "Connection: close\r\n\r\n", OF_GET "Connection: close|  close\nidle"),
    CASE("close among others", GET "Connection: te, Close\r\n\r\n", OF_GET "Connection: te, Close|  close\nidle"),
    CASE("keep-alive in 1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "GET / |Connection: keep-alive|  keep-alive\nidle"),
};

static const struct accepted_case BODIES[] = {
    CASE("length", POST "Content-Length: 5\r\n\r\nhello", OF_POST "Content-Length: 5| hello keep-alive\nidle"),
    CASE("zeros before it", POST "content-length: \t0005 \r\n\r\nhello",
         OF_POST "content-length: 0005| hello keep-alive\nidle"),
    CASE("zero", POST "Content-Length: 0\r\n\r\n", OF_POST "Content-Length: 0|  keep-alive\nidle"),
    CASE("none", POST "\r\n", OF_POST "  keep-alive\nidle"),
    CASE("of a GET", GET "Content-Length: 5\r\n\r\nhello", OF_GET "Content-Length: 5| hello keep-alive\nidle"),
    CASE("in 1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "POST / |Content-Length: 5| hello close\nidle"),
    CASE("line ends and controls", POST "Content-Length: 6\r\n\r\n\r\n\n\r\x1b\x7f",
         OF_POST "Content-Length: 6| \r\n\n\r\x1b\x7f keep-alive\nidle"),
    CASE("as long as is allowed",
         POST "Content-Length: 64\r\n\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
         OF_POST
         "Content-Length: 64| 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef keep-alive\nidle"),
    CASE("expected", POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
         OF_POST "Expect: 100-continue|Content-Length: 5| hello keep-alive\nidle"),
};

static const struct accepted_case CHUNKS[] = {
    CASE("none", CHUNKED "0\r\n\r\n", OF_CHUNKED "  keep-alive\nidle"),
    CASE("one", CHUNKED "5\r\nhello\r\n0\r\n\r\n", OF_CHUNKED " hello keep-alive\nidle"),
    CASE("several", CHUNKED "1\r\na\r\n2\r\nbc\r\n3\r\n\r\nd\r\n0\r\n\r\n", OF_CHUNKED " abc\r\nd keep-alive\nidle"),
    CASE("capitals and blanks", POST "TRANSFER-ENCODING: \t Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n",
         OF_POST "TRANSFER-ENCODING: Chunked| a keep-alive\nidle"),
    CASE("hexadecimal", CHUNKED "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
         OF_CHUNKED " 01234567890123456789a keep-alive\nidle"),
    CASE("zeros before the size", CHUNKED "0005\r\nhello\r\n000\r\n\r\n", OF_CHUNKED " hello keep-alive\nidle"),
    CASE("extension", CHUNKED "5;a=b\r\nhello\r\n0;c\r\n\r\n", OF_CHUNKED " hello keep-alive\nidle"),
    CASE("trailers, which are ignored", CHUNKED "1\r\na\r\n0\r\nHost: g\r\nContent-Length: 5\r\n\r\n",
         OF_CHUNKED " a keep-alive\nidle"),
    CASE("as much as is allowed",
         CHUNKED "3f\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\r\n"
                 "1\r\nf\r\n0\r\n\r\n",
         OF_CHUNKED " 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef keep-alive\nidle"),
};

static const struct accepted_case SEVERAL[] = {
    CASE("nothing", "", "idle"),
    CASE("empty lines", "\r\n\r\n", "idle"),
    CASE("empty lines before a request", "\r\n\r\n" GET "\r\n", OF_GET "  keep-alive\nidle"),
    CASE("empty line behind a body", POST "Content-Length: 1\r\n\r\na\r\n" GET "\r\n",
         OF_POST "Content-Length: 1| a keep-alive\n" OF_GET "  keep-alive\nidle"),
    CASE("a beginning", "G", "busy"),
    CASE("all but the last byte", GET "\r", "busy"),
    CASE("all but the body", POST "Content-Length: 1\r\n\r\n", "busy"),
    CASE("all but the end of the chunks", CHUNKED "1\r\na\r\n0\r\n", "busy"),
    CASE("three requests", GET "\r\n" POST "Content-Length: 2\r\n\r\nGE" GET "\r\n",
         OF_GET "  keep-alive\n" OF_POST "Content-Length: 2| GE keep-alive\n" OF_GET "  keep-alive\nidle"),
    CASE("chunks and a request", CHUNKED "1\r\na\r\n0\r\nA: b\r\n\r\n" GET "\r\n",
         OF_CHUNKED " a keep-alive\n" OF_GET "  keep-alive\nidle"),
    CASE("a request and the beginning of one", GET "\r\nGET", OF_GET "  keep-alive\nbusy"),
    CASE("a request in a body", POST "Content-Length: 40\r\n\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n",
         OF_POST "Content-Length: 40| GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n keep-alive\nidle"),
    CASE("an upgrade that isn't done", GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" GET "\r\n",
         OF_GET "Connection: Upgrade|Upgrade: h2c|  keep-alive\n" OF_GET "  keep-alive\nidle"),
    CASE("an upgrade with a body", POST "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na" GET "\r\n",
         OF_POST "Connection: Upgrade|Upgrade: h2c|Content-Length: 1| a keep-alive\n" OF_GET "  keep-alive\nidle"),
};

static void expect_accepted(const struct accepted_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++)
    http_pieces_expect(cases[i].name, cases[i].bytes, cases[i].length, cases[i].expected);
}

#define TABLE_TEST(test, table)                                                                                        \
  static void test(void **state) {                                                                                     \
    (void) state;                                                                                                      \
    expect_accepted(table, sizeof table / sizeof *table);                                                              \
  }

TABLE_TEST(http_reader_takes_all_forms_of_targets, TARGETS)
TABLE_TEST(http_reader_takes_headers_as_they_are, HEADERS)
TABLE_TEST(http_reader_takes_bodies_with_a_length, BODIES)
TABLE_TEST(http_reader_takes_bodies_in_chunks, CHUNKS)
TABLE_TEST(http_reader_takes_one_request_after_the_other, SEVERAL)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(http_reader_takes_all_forms_of_targets),
      cmocka_unit_test(http_reader_takes_headers_as_they_are),
      cmocka_unit_test(http_reader_takes_bodies_with_a_length),
      cmocka_unit_test(http_reader_takes_bodies_in_chunks),
      cmocka_unit_test(http_reader_takes_one_request_after_the_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
