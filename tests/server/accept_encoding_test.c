/* SPDX-License-Identifier: MIT */
/*
 * accept_encoding: which headers ask for gzip.
 */
#include "server/http/accept_encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct http_text text(const char *literal) {
  return (struct http_text){literal, strlen(literal)};
}

static const struct {
  const char *headers[2];
  bool wants_gzip;
} cases[] = {
    {{"gzip"}, true},
    {{"GZip"}, true},
    {{"x-gzip"}, true},
    {{"gzip, deflate, br, zstd"}, true},
    {{"deflate,\tbr ,gzip"}, true},
    {{"br;q=1.0, gzip;q=0.8, *;q=0.1"}, true},
    {{"gzip;q=0.001"}, true},
    {{"gzip ; q=0.5"}, true},
    {{"gzip;Q=1"}, true},
    {{"gzip;q=1.000"}, true},
    {{"deflate", "gzip"}, true},
    {{"*"}, true},
    {{"identity, *"}, true},
    {{"gzip;q=0.5, identity;q=0.5"}, true},

    {{NULL}, false},
    {{""}, false},
    {{","}, false},
    {{"identity"}, false},
    {{"deflate, br"}, false},
    {{"gzipped"}, false},
    {{"gzip;q=0"}, false},
    {{"gzip;q=0.000"}, false},
    {{"gzip;q=0, *"}, false},
    {{"*, gzip;q=0.0"}, false},
    {{"*;q=0"}, false},
    {{"gzip;q=0.5, identity"}, false},
    {{"gzip;q=0.499, identity;q=0.5"}, false},
    {{"*;q=0.1, identity;q=0.2"}, false},
    {{"gzip;q="}, false},
    {{"gzip;q=2"}, false},
    {{"gzip;q=1.001"}, false},
    {{"gzip;q=0.1234"}, false},
    {{"gzip;q=.5"}, false},
    {{"gzip;q=0,5"}, false},
    {{"gzip;q=-1"}, false},
    {{"gzip;level=9"}, false},
    {{"gzip;"}, false},
};

static void gzip_is_chosen_by_the_weights(void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_request request = {.header_count = 1};
    request.headers[0] = (struct http_header){text("Accept"), text("gzip")};
    for (int j = 0; j < 2 && cases[i].headers[j] != NULL; j++)
      request.headers[request.header_count++] =
          (struct http_header){text(j == 0 ? "Accept-Encoding" : "accept-encoding"), text(cases[i].headers[j])};
    if (accept_encoding_has_gzip(&request) != cases[i].wants_gzip) fail_msg("case %zu", i);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(gzip_is_chosen_by_the_weights)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
