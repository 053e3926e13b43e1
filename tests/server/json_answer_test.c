/* SPDX-License-Identifier: MIT */
/*
 * json_answer: the answers of docs/protocol.md as objects.
 */
#include "server/session/json_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void json_answer_names_what_stands_behind_the_verb(void **state) {
  static const char *const CASES[][2] = {
      {"+OK SUB news", "{\"ok\":\"SUB\",\"topic\":\"news\"}"},
      {"+OK UNSUB news", "{\"ok\":\"UNSUB\",\"topic\":\"news\"}"},
      {"+OK PUB 0123456789abcdef:1", "{\"ok\":\"PUB\",\"id\":\"0123456789abcdef:1\"}"},
      {"+OK SET 0123456789abcdef:2", "{\"ok\":\"SET\",\"id\":\"0123456789abcdef:2\"}"},
      {"+OK UNSET 0123456789abcdef:3", "{\"ok\":\"UNSET\",\"id\":\"0123456789abcdef:3\"}"},
      {"+OK AUTH publish admin", "{\"ok\":\"AUTH\",\"roles\":\"publish admin\"}"},
      {"+OK NAME", "{\"ok\":\"NAME\"}"},
      {"+OK QUIT", "{\"ok\":\"QUIT\"}"},
      {"+PONG", "{\"ok\":\"PING\"}"},
      {"-ERR no \"such\"\tthing", "{\"error\":\"no \\\"such\\\"\\tthing\"}"},
      {"-ERR ", "{\"error\":\"\"}"},
      {"", "{\"error\":\"\"}"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    char out[JSON_ANSWER_BYTES];
    size_t length = json_answer(CASES[i][0], strlen(CASES[i][0]), out, sizeof out);
    assert_int_equal(length, strlen(CASES[i][1]));
    assert_memory_equal(out, CASES[i][1], length);
  }
}

static void json_answer_has_room_for_every_answer(void **state) {
  char text[320], out[JSON_ANSWER_BYTES];
  (void) state;
  memset(text, '\1', sizeof text);
  memcpy(text, "-ERR ", 5);
  assert_in_range(json_answer(text, sizeof text, out, sizeof out), sizeof text, sizeof out);
  memcpy(text, "+OK ", 4);
  assert_in_range(json_answer(text, sizeof text, out, sizeof out), sizeof text, sizeof out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json_answer_names_what_stands_behind_the_verb),
      cmocka_unit_test(json_answer_has_room_for_every_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
