/* SPDX-License-Identifier: MIT */
/*
 * http_reader: what is refused, with which status, and that this doesn't depend on how it is cut into pieces.
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

struct refused_case {
  const char *name, *bytes;
  size_t length;
  int status;
};

#define CASE(status, name, bytes)                                                                                      \
  { name, bytes, sizeof bytes - 1, status }
#define GET "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct refused_case REQUEST_LINES[] = {
    CASE(400, "unknown method", "FETCH / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "method that only newer parsers know", "QUERY / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "the same with a bad version", "QUERY / HTTP/2.0\r\nHost: h\r\n\r\n"),
    CASE(400, "method in lower case", "get / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "longer than a method", "GETS / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "no method", "/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "blank before the method", " GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "tab behind the method", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "two blanks behind the method", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "two blanks before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(505, "blank behind the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    CASE(400, "blank in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "method of RTSP", "DESCRIBE / RTSP/1.0\r\nHost: h\r\n\r\n"),
    CASE(400, "RTSP", "GET / RTSP/1.0\r\nHost: h\r\n\r\n"),
    CASE(400, "ICE", "SOURCE / ICE/1.0\r\nHost: h\r\n\r\n"),
    CASE(400, "other protocol", "GET / HTTQ/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "protocol in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    CASE(400, "TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    CASE(505, "HTTP/0.9", "GET /\r\n"),
    CASE(505, "HTTP/0.9 by name", "GET / HTTP/0.9\r\nHost: h\r\n\r\n"),
    CASE(505, "HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
    CASE(505, "HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    CASE(505, "HTTP/3", "GET / HTTP/3\r\nHost: h\r\n\r\n"),
    CASE(505, "version without a dot", "GET / HTTP/11\r\nHost: h\r\n\r\n"),
    CASE(505, "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    CASE(505, "PRI in HTTP/1.1", "PRI * HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(501, "CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"),
};

static const struct refused_case TARGETS[] = {
    CASE(400, "NUL", "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "tab", "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "escape", "GET /a\x1b[2J HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "delete", "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "UTF-8", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "no slash", "GET a HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "query only", "GET ?a=b HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "star for GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "star and more", "OPTIONS *a HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "absolute, other host", "GET http://g/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "absolute, longer host", "GET http://h.example/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "absolute, other port", "GET http://h:81/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "absolute, user", "GET http://h@g/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "absolute, no host", "GET http:/// HTTP/1.1\r\nHost:\r\n\r\n"),
    CASE(400, "absolute, no Host header", "GET http://h/ HTTP/1.0\r\n\r\n"),
    CASE(400, "absolute, other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
};

static const struct refused_case LINES[] = {
    CASE(400, "bare LF behind the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n"),
    CASE(400, "bare LF behind a header", "GET / HTTP/1.1\r\nHost: h\n\r\n"),
    CASE(400, "bare LF as the end", "GET / HTTP/1.1\r\nHost: h\r\n\n"),
    CASE(400, "bare LF all over", "GET / HTTP/1.1\nHost: h\n\n"),
    CASE(400, "bare LF before the request", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "bare CR before the request", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    CASE(400, "CR CR LF", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"),
    CASE(400, "bare CR behind the request line", "GET / HTTP/1.1\rHost: h\r\n\r\n"),
    CASE(400, "bare CR in a value", GET "A: b\rC: d\r\n\r\n"),
    CASE(400, "bare CR hides a length", POST "A: b\rContent-Length: 5\r\n\r\nhello"),
    CASE(400, "bare CR as the end", GET "\rX"),
    CASE(400, "too many empty lines", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET "\r\n"),
    CASE(400, "folded with a blank", GET "A: b\r\n c\r\n\r\n"),
    CASE(400, "folded with a tab", GET "A: b\r\n\tc\r\n\r\n"),
    CASE(400, "folded length", POST "Content-Length:\r\n 5\r\n\r\nhello"),
    CASE(400, "folded first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    CASE(400, "folded nothing", GET " \r\n\r\n"),
};

static const struct refused_case HEADERS[] = {
    CASE(400, "no Host", "GET / HTTP/1.1\r\n\r\n"),
    CASE(400, "no Host among others", "GET / HTTP/1.1\r\nA: b\r\n\r\n"),
    CASE(400, "two Hosts", GET "Host: g\r\n\r\n"),
    CASE(400, "two equal Hosts", GET "host: h\r\n\r\n"),
    CASE(400, "two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"),
    CASE(400, "two Origins", GET "Origin: http://h\r\nOrigin: http://g\r\n\r\n"),
    CASE(400, "two Authorizations", GET "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"),
    CASE(400, "two WebSocket keys", GET "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n\r\n"),
    CASE(400, "blank before the colon", GET "A : b\r\n\r\n"),
    CASE(400, "tab before the colon", GET "A\t: b\r\n\r\n"),
    CASE(400, "blank in a name", GET "A B: c\r\n\r\n"),
    CASE(400, "no colon", GET "A\r\n\r\n"),
    CASE(400, "no name", GET ": b\r\n\r\n"),
    CASE(400, "parenthesis in a name", GET "A(B): c\r\n\r\n"),
    CASE(400, "UTF-8 in a name", GET "\xc3\xa4: b\r\n\r\n"),
    CASE(400, "NUL in a name", GET "A\0: b\r\n\r\n"),
    CASE(400, "NUL in a value", GET "A: b\0c\r\n\r\n"),
    CASE(400, "escape in a value", GET "A: \x1b[2J\r\n\r\n"),
    CASE(400, "vertical tab in a value", GET "A: \vb\r\n\r\n"),
    CASE(400, "form feed in a value", GET "A: b\f\r\n\r\n"),
    CASE(400, "delete in a value", GET "A: b\x7f\r\n\r\n"),
};

static const struct refused_case LENGTHS[] = {
    CASE(400, "blank before the colon", POST "Content-Length : 5\r\n\r\nhello"),
    CASE(400, "two", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    CASE(400, "two equal", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    CASE(400, "two zeros", POST "Content-Length: 0\r\ncontent-length: 0\r\n\r\n"),
    CASE(400, "a list", POST "Content-Length: 5, 5\r\n\r\nhello"),
    CASE(400, "two numbers", POST "Content-Length: 5 5\r\n\r\nhello"),
    CASE(400, "plus", POST "Content-Length: +5\r\n\r\nhello"),
    CASE(400, "minus", POST "Content-Length: -5\r\n\r\nhello"),
    CASE(400, "hexadecimal", POST "Content-Length: 0x5\r\n\r\nhello"),
    CASE(400, "fraction", POST "Content-Length: 5.0\r\n\r\nhello"),
    CASE(400, "empty", POST "Content-Length:\r\n\r\nhello"),
    CASE(400, "blank", POST "Content-Length: \r\n\r\nhello"),
    CASE(400, "letters", POST "Content-Length: five\r\n\r\nhello"),
    CASE(400, "over 2^64", POST "Content-Length: 18446744073709551621\r\n\r\nhello"),
    CASE(400, "20 digits", POST "Content-Length: 00000000000000000005\r\n\r\nhello"),
    CASE(413, "2^63", POST "Content-Length: 9223372036854775808\r\n\r\n"),
    CASE(413, "one more than is allowed", POST "Content-Length: 65\r\n\r\n"),
    CASE(413, "too long and Expect", POST "Content-Length: 65\r\nExpect: 100-continue\r\n\r\n"),
    CASE(413, "too long for a GET, too", GET "Content-Length: 65\r\n\r\n"),
    CASE(400, "and a transfer coding", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "and another transfer coding", POST "Content-Length: 5\r\nTransfer-Encoding: chunked, gzip\r\n\r\nhello"),
    CASE(400, "behind a transfer coding", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    CASE(400, "zero and a transfer coding", POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "and the transfer coding identity", POST "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello"),
};

static const struct refused_case CODINGS[] = {
    CASE(400, "gzip", POST "Transfer-Encoding: gzip\r\n\r\n"),
    CASE(400, "identity", POST "Transfer-Encoding: identity\r\n\r\n"),
    CASE(501, "gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "chunked, gzip", POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    CASE(400, "chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    CASE(400, "xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "chunkedx", POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"),
    CASE(400, "with a parameter", POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    CASE(400, "in quotes", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    CASE(400, "empty", POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    CASE(501, "a comma", POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "twice in a line", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "gzip in a line of its own",
         POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "blank before the colon", POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "vertical tab", POST "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n"),
    CASE(400, "HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
};

static const struct refused_case CHUNKS[] = {
    CASE(400, "no size", CHUNKED "\r\n"),
    CASE(400, "letters", CHUNKED "xyz\r\n"),
    CASE(400, "0x", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
    CASE(400, "plus", CHUNKED "+5\r\nhello\r\n0\r\n\r\n"),
    CASE(400, "minus", CHUNKED "-1\r\n"),
    CASE(400, "blank before the size", CHUNKED " 5\r\nhello\r\n0\r\n\r\n"),
    CASE(400, "over 2^64", CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    CASE(413, "2^64 - 1", CHUNKED "ffffffffffffffff\r\n"),
    CASE(413, "too long", CHUNKED "41\r\n"),
    CASE(413, "too long together", CHUNKED "3\r\nabc\r\n3e\r\n"),
    CASE(413, "2^64 - 1 behind another one", CHUNKED "3\r\nabc\r\nffffffffffffffff\r\n"),
    CASE(400, "bare LF behind the size", CHUNKED "5\nhello\r\n0\r\n\r\n"),
    CASE(400, "bare CR behind the size", CHUNKED "5\rhello\r\n0\r\n\r\n"),
    CASE(400, "bare LF behind the data", CHUNKED "5\r\nhello\n0\r\n\r\n"),
    CASE(400, "no line end behind the data", CHUNKED "5\r\nhello0\r\n\r\n"),
    CASE(400, "shorter than the data", CHUNKED "4\r\nhello\r\n0\r\n\r\n"),
    CASE(400, "two line ends behind the data", CHUNKED "5\r\nhello\r\n\r\n0\r\n\r\n"),
    CASE(400, "bare LF in an extension", CHUNKED "5;a=b\nhello\r\n0\r\n\r\n"),
    CASE(400, "bare CR in an extension", CHUNKED "5;a\r=b\r\nhello\r\n0\r\n\r\n"),
    CASE(400, "NUL in an extension", CHUNKED "5;a\0\r\nhello\r\n0\r\n\r\n"),
    CASE(400, "bare LF behind the last", CHUNKED "0\n\r\n"),
    CASE(400, "bare LF as the end", CHUNKED "0\r\n\n"),
    CASE(400, "bare LF in a trailer", CHUNKED "0\r\nA: b\n\r\n"),
    CASE(400, "folded trailer", CHUNKED "0\r\nA: b\r\n c\r\n\r\n"),
    CASE(400, "trailer without a colon", CHUNKED "0\r\nA\r\n\r\n"),
    CASE(400, "trailer without a name", CHUNKED "0\r\n: b\r\n\r\n"),
};

static void expect_refused(const struct refused_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++)
    http_pieces_expect_refused(cases[i].name, cases[i].bytes, cases[i].length, cases[i].status);
}

#define TABLE_TEST(test, table)                                                                                        \
  static void test(void **state) {                                                                                     \
    (void) state;                                                                                                      \
    expect_refused(table, sizeof table / sizeof *table);                                                               \
  }

TABLE_TEST(http_reader_refuses_what_is_no_request_line, REQUEST_LINES)
TABLE_TEST(http_reader_refuses_bad_targets, TARGETS)
TABLE_TEST(http_reader_refuses_lines_that_end_or_begin_otherwise, LINES)
TABLE_TEST(http_reader_refuses_bad_headers, HEADERS)
TABLE_TEST(http_reader_refuses_bad_lengths, LENGTHS)
TABLE_TEST(http_reader_refuses_other_codings_than_chunked, CODINGS)
TABLE_TEST(http_reader_refuses_bad_chunks, CHUNKS)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(http_reader_refuses_what_is_no_request_line),
      cmocka_unit_test(http_reader_refuses_bad_targets),
      cmocka_unit_test(http_reader_refuses_lines_that_end_or_begin_otherwise),
      cmocka_unit_test(http_reader_refuses_bad_headers),
      cmocka_unit_test(http_reader_refuses_bad_lengths),
      cmocka_unit_test(http_reader_refuses_other_codings_than_chunked),
      cmocka_unit_test(http_reader_refuses_bad_chunks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
