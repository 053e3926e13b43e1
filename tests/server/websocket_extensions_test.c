/* SPDX-License-Identifier: MIT */
/*
 * websocket_extensions: which offers of a client are taken, in whatever form, which are passed over, and which lists
 * are malformed.
 */
#include "server/websocket/websocket_extensions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEADERS = 3 };

static const char agreed[] = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                             "client_no_context_takeover\r\n";
static const char agreed_with_window[] = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                                         "client_no_context_takeover; server_max_window_bits=12\r\n";

/* The values of the headers. */
struct offers {
  const char *values[HEADERS];
};

static struct http_request request_of(const struct offers *offers) {
  struct http_request request = {.method = "GET", .path = {"/ws", 3}};
  request.headers[request.header_count++] = (struct http_header){{"Host", 4}, {"permessage-deflate", 18}};
  for (size_t i = 0; i < HEADERS && offers->values[i] != NULL; i++) {
    struct http_text name = {i == 0 ? "Sec-WebSocket-Extensions" : "sec-websocket-extensions", 24};
    struct http_text value = {offers->values[i], strlen(offers->values[i])};
    request.headers[request.header_count++] = (struct http_header){name, value};
  }
  return request;
}

static void assert_answer(const struct offers *offers, const char *expected) {
  struct http_request request = request_of(offers);
  struct websocket_extensions chosen;
  char answer[WEBSOCKET_EXTENSIONS_BYTES];
  if (!websocket_extensions_choose(&request, &chosen)) fail_msg("malformed: %s", offers->values[0]);
  websocket_extensions_answer(&chosen, answer);
  if (strcmp(answer, expected) != 0) fail_msg("%s: %s", offers->values[0], answer);
}

static void websocket_extensions_take_offers_in_any_form(void **state) {
  (void) state;
  static const struct offers offers[] = {
      {{"permessage-deflate"}},
      {{" \tpermessage-deflate\t "}},
      {{"permessage-deflate; client_max_window_bits"}}, /* of browsers */
      {{"permessage-deflate;client_max_window_bits=8"}},
      {{"permessage-deflate; client_max_window_bits=\"15\""}},
      {{"permessage-deflate ; client_max_window_bits = 10 ; server_no_context_takeover"}},
      {{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}},
      {{"permessage-deflate; client_max_window_bits=\"1\\0\""}},
      {{"x, permessage-deflate"}},
      {{"x-webkit-deflate-frame, permessage-deflate, permessage-deflate; server_max_window_bits=10"}},
      {{"x; a=b; c=\"d\"; e, permessage-deflate"}},
      {{"permessage-bzip2; method=\"a\\b\", permessage-deflate; client_max_window_bits"}},
      {{",, ,permessage-deflate,"}},
      {{"x", "permessage-deflate"}},
      {{"", "permessage-deflate", "y"}},
      {{"permessage-deflate; server_max_window_bits=11, permessage-deflate"}}, /* the second one */
      {{"permessage-deflate; unknown, permessage-deflate; client_max_window_bits"}},
      {{"permessage-deflate; unknown", "permessage-deflate"}},
  };
  for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) assert_answer(&offers[i], agreed);
}

static void websocket_extensions_answer_a_window(void **state) {
  (void) state;
  static const struct offers offers[] = {
      {{"permessage-deflate; server_max_window_bits=12"}},
      {{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"}}, /* of Python's websockets */
      {{"permessage-deflate; server_max_window_bits=15"}},
      {{"permessage-deflate; server_max_window_bits=\"13\""}},
      {{"permessage-deflate; server_no_context_takeover; server_max_window_bits=14; client_no_context_takeover"}},
      {{"permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=12"}},
  };
  for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) assert_answer(&offers[i], agreed_with_window);
}

static void websocket_extensions_pass_over_what_they_cannot_keep(void **state) {
  (void) state;
  static const struct offers offers[] = {
      {{NULL}},
      {{""}},
      {{" , ,"}},
      {{"x"}},
      {{"permessage-deflate2"}},
      {{"permessage_deflate"}},
      {{"Permessage-Deflate"}},
      {{"x; permessage-deflate"}},
      {{"permessage-deflate; unknown"}},
      {{"permessage-deflate; unknown=1"}},
      {{"permessage-deflate; Server_No_Context_Takeover"}},
      {{"permessage-deflate; server_no_context_takeover=true"}},
      {{"permessage-deflate; client_no_context_takeover=\"1\""}},
      {{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}},
      {{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}},
      {{"permessage-deflate; server_max_window_bits=13; server_max_window_bits=13"}},
      {{"permessage-deflate; server_max_window_bits"}},
      {{"permessage-deflate; server_max_window_bits=7"}},
      {{"permessage-deflate; server_max_window_bits=8"}}, /* allowed, and too small for the deflater */
      {{"permessage-deflate; server_max_window_bits=11"}},
      {{"permessage-deflate; server_max_window_bits=16"}},
      {{"permessage-deflate; server_max_window_bits=012"}},
      {{"permessage-deflate; server_max_window_bits=12a"}},
      {{"permessage-deflate; server_max_window_bits=-12"}},
      {{"permessage-deflate; server_max_window_bits=4294967308"}},
      {{"permessage-deflate; server_max_window_bits=12.0"}},
      {{"permessage-deflate; client_max_window_bits=7"}},
      {{"permessage-deflate; client_max_window_bits=16"}},
      {{"permessage-deflate; client_max_window_bits=0"}},
      {{"permessage-deflate; client_max_window_bits=\"010\""}},
      {{"permessage-deflate; client_max_window_bits=10aaaaaaaaaaaaaaaaaaaaaaaaaaaa"}},
  };
  for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) assert_answer(&offers[i], "");
}

static void websocket_extensions_refuse_malformed_lists(void **state) {
  (void) state;
  static const struct offers offers[] = {
      {{"x=permessage-deflate"}},
      {{";"}},
      {{"permessage-deflate;"}},
      {{"permessage-deflate; ;client_max_window_bits"}},
      {{"permessage-deflate; =10"}},
      {{"permessage-deflate; client_max_window_bits="}},
      {{"permessage-deflate; client_max_window_bits=="}},
      {{"permessage-deflate; client_max_window_bits=\""}},
      {{"permessage-deflate; client_max_window_bits=\"10"}},
      {{"permessage-deflate; client_max_window_bits=\"10\\"}},
      {{"permessage-deflate; client_max_window_bits=\"\""}},
      {{"permessage-deflate; client_max_window_bits=\"1 0\""}},
      {{"permessage-deflate; client_max_window_bits=\"10\"x"}},
      {{"permessage-deflate; client_max_window_bits=10 10"}},
      {{"permessage deflate"}},
      {{"permessage-deflate client_max_window_bits"}},
      {{"permessage-deflate, \"x\""}},
      {{"(x)"}},
      {{"\xc3\xa9"}},
      {{"permessage-deflate", "x y"}},
      {{"x y", "permessage-deflate"}},
  };
  for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
    struct http_request request = request_of(&offers[i]);
    struct websocket_extensions chosen;
    if (websocket_extensions_choose(&request, &chosen)) fail_msg("not malformed: %s", offers[i].values[0]);
  }
}

/* What stands behind a value would make a difference; a sanitizer sees it, too. */
static void websocket_extensions_stop_at_the_end_of_a_value(void **state) {
  (void) state;
  static const struct {
    const char *text;
    size_t length;
    bool is_right, deflates;
  } cases[] = {
      {"permessage-deflate; unknown", 18, true, true},
      {"permessage-deflate; unknown", 17, true, false},
      {"permessage-deflate; client_max_window_bits", 19, false, false},
      {"permessage-deflate; client_max_window_bits=10", 43, false, false},
      {"permessage-deflate; client_max_window_bits=105", 45, true, true},
      {"permessage-deflate; client_max_window_bits=\"10\"", 46, false, false},
      {"permessage-deflate; client_max_window_bits=\"\\10\"", 45, false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_request request = {.method = "GET", .header_count = 1};
    char *value = malloc(cases[i].length);
    assert_non_null(value);
    memcpy(value, cases[i].text, cases[i].length);
    request.headers[0] = (struct http_header){{"Sec-WebSocket-Extensions", 24}, {value, cases[i].length}};
    struct websocket_extensions chosen;
    assert_int_equal(websocket_extensions_choose(&request, &chosen), cases[i].is_right);
    assert_int_equal(chosen.deflates, cases[i].deflates);
    free(value);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(websocket_extensions_take_offers_in_any_form),
      cmocka_unit_test(websocket_extensions_answer_a_window),
      cmocka_unit_test(websocket_extensions_pass_over_what_they_cannot_keep),
      cmocka_unit_test(websocket_extensions_refuse_malformed_lists),
      cmocka_unit_test(websocket_extensions_stop_at_the_end_of_a_value),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
