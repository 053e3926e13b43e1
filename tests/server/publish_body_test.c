/* SPDX-License-Identifier: MIT */
/*
 * publish_body: what each Content-Type makes of a body, and what comes of bulks as people send them, and of broken
 * ones.
 */
#include "server/http/publish_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { TEXT_BYTES = 1024, OBJECT_BYTES = 8192 };

#define MARK "\xef\xbb\xbf"
#define LINES PUBLISH_BODY_LINES
#define JSON PUBLISH_BODY_JSON

static struct http_text text_of(const char *text) {
  return (struct http_text){text, strlen(text)};
}

static void the_type_says_what_a_body_is(void **state) {
  (void) state;
  static const struct {
    const char *type;
    enum publish_body_kind kind, with_topic;
  } cases[] = {
      {"application/x-ndjson", LINES, LINES},
      {"Application/X-NDJSON; charset=utf-8", LINES, LINES},
      {"application/x-ndjson ;charset=utf-8", LINES, LINES},
      {"application/ndjson", LINES, LINES},
      {"application/jsonl", LINES, LINES},
      {"application/x-jsonl", LINES, LINES},
      {"application/jsonlines", LINES, LINES},
      {"application/x-jsonlines", LINES, LINES},
      {"application/x-ndjsonx", PUBLISH_BODY_BYTES, PUBLISH_BODY_BYTES},
      {"application/json", JSON, PUBLISH_BODY_TEXT},
      {"APPLICATION/JSON;charset=UTF-8", JSON, PUBLISH_BODY_TEXT},
      {"application/x-www-form-urlencoded", PUBLISH_BODY_TEXT, PUBLISH_BODY_TEXT},
      {"text/plain", PUBLISH_BODY_TEXT, PUBLISH_BODY_TEXT},
      {"Text/Plain;charset=UTF-8", PUBLISH_BODY_TEXT, PUBLISH_BODY_TEXT},
      {"text/", PUBLISH_BODY_BYTES, PUBLISH_BODY_BYTES},
      {"application/cloudevents+json; charset=utf-8", PUBLISH_BODY_TEXT, PUBLISH_BODY_TEXT},
      {"application/xml", PUBLISH_BODY_TEXT, PUBLISH_BODY_TEXT},
      {"image/svg+xml", PUBLISH_BODY_TEXT, PUBLISH_BODY_TEXT},
      {"application/octet-stream", PUBLISH_BODY_BYTES, PUBLISH_BODY_BYTES},
      {"image/png", PUBLISH_BODY_BYTES, PUBLISH_BODY_BYTES},
      {"", PUBLISH_BODY_BYTES, PUBLISH_BODY_BYTES},
      {";", PUBLISH_BODY_BYTES, PUBLISH_BODY_BYTES},
      {"application/json-seq", PUBLISH_BODY_NOT_HANDLED, PUBLISH_BODY_NOT_HANDLED},
      {"multipart/form-data; boundary=x", PUBLISH_BODY_NOT_HANDLED, PUBLISH_BODY_NOT_HANDLED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(publish_body_kind_of(text_of(cases[i].type), false), cases[i].kind);
    assert_int_equal(publish_body_kind_of(text_of(cases[i].type), true), cases[i].with_topic);
  }
  assert_int_equal(publish_body_kind_of((struct http_text){NULL, 0}, true), PUBLISH_BODY_BYTES);
}

static void only_text_has_a_mark_and_a_line_end_around_it(void **state) {
  (void) state;
  static const struct {
    const char *body, *text;
  } cases[] = {{"hello\n", "hello"},
               {"hello\r\n", "hello"},
               {"hello", "hello"},
               {"a\nb\n\n", "a\nb\n"},
               {"a\r", "a\r"},
               {"\n", ""},
               {"", ""},
               {MARK "a\n", "a"},
               {MARK, ""},
               {"a" MARK, "a" MARK},
               {" a \n", " a "}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_text body = text_of(cases[i].body);
    struct http_text message = publish_body_message(body, PUBLISH_BODY_TEXT);
    assert_int_equal(message.length, strlen(cases[i].text));
    assert_memory_equal(message.data, cases[i].text, message.length);
    message = publish_body_message(body, PUBLISH_BODY_BYTES);
    assert_ptr_equal(message.data, body.data);
    assert_int_equal(message.length, body.length);
  }
  assert_int_equal(publish_body_message((struct http_text){NULL, 0}, PUBLISH_BODY_TEXT).length, 0);
}

/* The messages as "number topic/key=data" and a semicolon each, and what is wrong behind them. */
static void read_bulk(enum publish_body_kind kind, const char *bytes, size_t length, char out[TEXT_BYTES]) {
  char *copy = malloc(length > 0 ? length : 1); /* so that a sanitizer sees what is read beyond it */
  struct publish_body body;
  struct publish_item item;
  enum publish_body_outcome outcome;
  size_t used = 0;
  assert_non_null(copy);
  memcpy(copy, bytes, length);
  out[0] = '\0';
  publish_body_begin(&body, kind, (struct http_text){copy, length}, OBJECT_BYTES);
  while ((outcome = publish_body_next(&body, &item)) == PUBLISH_BODY_ITEM) {
    used += (size_t) snprintf(out + used, TEXT_BYTES - used, "%zu %s%s%s=%.*s;", body.number, item.topic,
                              item.key != NULL ? "/" : "", item.key != NULL ? item.key : "", (int) item.length,
                              (const char *) item.data);
    publish_item_free(&item);
  }
  if (outcome == PUBLISH_BODY_WRONG)
    snprintf(out + used, TEXT_BYTES - used, "%zu %s: %s", body.number, uv_err_name(body.err), body.problem);
  assert_int_equal(publish_body_next(&body, &item), outcome); /* the last one is said again */
  free(copy);
}

#define A "{\"topic\":\"t\",\"data\":\"a\"}"
#define B "{\"topic\":\"t\",\"data\":\"b\"}"
#define WITH(member) "{\"topic\":\"t\",\"data\":\"a\"," member "}"
#define NOT_AN_OBJECT "EINVAL: a message is a JSON object, and this isn't one"

static const struct bulk_case {
  enum publish_body_kind kind;
  const char *body, *expected;
} cases[] = {
    {LINES, A "\n" B "\n", "1 t=a;2 t=b;"},
    {LINES, A "\n" B, "1 t=a;2 t=b;"},
    {LINES, A "\r\n" B "\r\n", "1 t=a;2 t=b;"},
    {LINES, "\n\r\n \t\n" A "\n\n \r\n" B "\n\n", "4 t=a;7 t=b;"},
    {LINES, MARK A "\n" MARK B, "1 t=a;2 t=b;"},
    {LINES, MARK "\r\n" A, "2 t=a;"},
    {LINES, "\n \r\n", ""},
    {LINES, " " A " \n", "1 t=a;"},
    {LINES, A "\r" B,
     "1 EINVAL: one JSON object is expected here, and there is more; several in one request are an array, or "
     "each on a line of application/x-ndjson"},
    {LINES, A "\nx\n" B, "1 t=a;2 " NOT_AN_OBJECT},
    {LINES, "[" A "]", "1 " NOT_AN_OBJECT},
    {LINES, "{\"topic\":\"t\",\n\"data\":\"a\"}", "1 EINVAL: the JSON ends too early"},

    {JSON, A, "1 t=a;"},
    {JSON, "\r\n" A "\n", "1 t=a;"},
    {JSON, MARK " " A, "1 t=a;"},
    {JSON, "{\"topic\":\"t\",\n\"data\":\"a\"}\n", "1 t=a;"},
    {JSON, "[]", ""},
    {JSON, " [ \n ] ", ""},
    {JSON, "[" A "]", "1 t=a;"},
    {JSON, MARK "\n[\n  " A ",\r\n  " B "\n]\n", "1 t=a;2 t=b;"},
    {JSON, "[{\"topic\":\"t\",\"data\":\"],[{}\\\\\\\"]\",\"x\":[1,{\"y\":[]}]}," B "]", "1 t=],[{}\\\"];2 t=b;"},
    {JSON, "[" A ",,\n" B "]", "1 t=a;2 EINVAL: a comma of the array has nothing beside it"},
    {JSON, "[" A ",]", "1 t=a;2 EINVAL: a comma of the array has nothing beside it"},
    {JSON, "[,]", "1 EINVAL: a comma of the array has nothing beside it"},
    {JSON, "[" A "," B, "1 t=a;2 EINVAL: the array has no end"},
    {JSON, "[" A ",", "1 t=a;2 EINVAL: the array has no end"},
    {JSON, "[" A "] x", "1 EINVAL: there is more behind the end of the array"},
    {JSON, "[" A "]]", "1 EINVAL: there is more behind the end of the array"},
    {JSON, "[", "1 EINVAL: the array has no end"},
    {JSON, "[\"\\", "1 EINVAL: the array has no end"},
    {JSON, "[" A ",1]", "1 t=a;2 " NOT_AN_OBJECT},
    {JSON, "[" A "}," B "]",
     "1 EINVAL: one JSON object is expected here, and there is more; several in one request are an "
     "array, or each on a line of application/x-ndjson"},
    {JSON, "[[" A "]]", "1 " NOT_AN_OBJECT},
    {JSON, A "\n" B,
     "1 EINVAL: one JSON object is expected here, and there is more; several in one request are an array, or "
     "each on a line of application/x-ndjson"},
    {JSON, " \n", "1 EINVAL: the JSON ends too early"},
    {JSON, "hello", "1 " NOT_AN_OBJECT},
    {JSON, "\"hello\"", "1 " NOT_AN_OBJECT},
    {JSON, "null", "1 " NOT_AN_OBJECT},

    {JSON, WITH("\"key\":\"k\""), "1 t/k=a;"},
    {JSON, "{\"topic\":\"t\",\"key\":\"k\",\"unset\":true}", "1 t/k=;"},
    {JSON, WITH("\"key\":\"k\",\"unset\":true"), "1 EINVAL: a message with \"unset\" has no data"},
    {JSON, WITH("\"key\":\"k\",\"unset\":false"), "1 t/k=a;"},
    {JSON, WITH("\"key\":null"), "1 t=a;"},
    {JSON, WITH("\"key\":7"), "1 EINVAL: \"key\" is a string"},
    {JSON, WITH("\"key\":\"k\\u0000\""), "1 EINVAL: \"key\" is a string"},
    {JSON, WITH("\"base64\":null"), "1 t=a;"},
    {JSON, WITH("\"base64\":\"YQ==\""), "1 EINVAL: a message has a string \"data\", or \"base64\""},
    {JSON, WITH("\"id\":\"5f1c0de5a7b3c9d2:17\""), "1 t=a;"},
    {JSON, WITH("\"time\":18446744073709551616"), "1 t=a;"},
    {JSON, WITH("\"time\":1e999"), "1 EINVAL: the JSON has a number that is too large"},
    {JSON, WITH("\"data\":\"b\""), "1 EINVAL: an object has the same member twice"},
    {JSON, WITH("\"x\":\"\xff\""), "1 EINVAL: the JSON isn't UTF-8"},
    {JSON, "{\"topic\":\"t\",\"base64\":\"YQ==\"}", "1 t=a;"},
    {JSON, "{\"topic\":\"t\",\"base64\":\"YQ==\",\"data\":null}", "1 t=a;"},
    {JSON, "{\"topic\":\"t\",\"base64\":\"YQ\"}", "1 EINVAL: \"base64\" isn't base64"},
    {JSON, "{\"topic\":\"t\",\"base64\":\"\"}", "1 EINVAL: \"base64\" isn't base64"},
    {JSON, "{\"topic\":\"t\",\"data\":\"\"}", "1 t=;"},
    {JSON, "{\"topic\":\"t\",\"data\":\"\\u00e9\\r\\n\"}", "1 t=\xc3\xa9\r\n;"},
    {JSON, "{\"topic\":\"t\",\"data\":\"\\ud83d\\ude00\"}", "1 t=\xf0\x9f\x98\x80;"},
    {JSON, "{\"topic\":\"t\",\"data\":\"\\ud800\"}", "1 " NOT_AN_OBJECT},
    {JSON, "{\"topic\":\"t\",\"data\":\"\\udc00x\"}", "1 " NOT_AN_OBJECT},
    {JSON, "{\"topic\":\"t\",\"data\":\"a\nb\"}", "1 " NOT_AN_OBJECT},
    {JSON, "{\"topic\":\"t\",\"data\":1}", "1 EINVAL: \"data\" is a string: put JSON into it as text"},
    {JSON, "{\"topic\":\"t\",\"data\":{\"a\":1}}", "1 EINVAL: \"data\" is a string: put JSON into it as text"},
    {JSON, "{\"topic\":\"t\",\"data\":null}", "1 EINVAL: a message has a string \"data\", or \"base64\""},
    {JSON, "{\"topic\":\"t\"}", "1 EINVAL: a message has a string \"data\", or \"base64\""},
    {JSON, "{\"topic\":null,\"data\":\"a\"}", "1 EINVAL: a message is an object with a \"topic\""},
    {JSON, "{\"data\":\"a\"}", "1 EINVAL: a message is an object with a \"topic\""},
    {JSON, "{}", "1 EINVAL: a message is an object with a \"topic\""},
};

static void bulks_become_messages(void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char out[TEXT_BYTES];
    read_bulk(cases[i].kind, cases[i].body, strlen(cases[i].body), out);
    assert_string_equal(out, cases[i].expected);
  }
}

static void a_nul_is_no_blank(void **state) {
  (void) state;
  char out[TEXT_BYTES];
  read_bulk(LINES, A "\n\0\n", sizeof(A "\n\0\n") - 1, out);
  assert_string_equal(out, "1 t=a;2 EINVAL: the JSON ends too early");
}

#define TOO_MANY_VALUES                                                                                                \
  "1 EINVAL: the JSON has more than 1000 values: a message has few members, and what isn't for the server is text "    \
  "in "                                                                                                                \
  "\"data\""

/* Write an object whose last member is an array of so many numbers, each beside a string of structural bytes. */
static size_t write_values(char *out, size_t count) {
  size_t length = (size_t) sprintf(out, "{\"topic\":\"t\",\"data\":\"a\",\"x\":[\"[{,:\\\"[{,:\"");
  for (size_t i = 1; i < count; i++) length += (size_t) sprintf(out + length, ",1");
  return length + (size_t) sprintf(out + length, "]}");
}

static void an_object_of_too_many_values_is_refused(void **state) {
  (void) state;
  static char body[8000];
  char out[TEXT_BYTES];
  size_t others = 7; /* two braces and brackets, two commas, three colons */
  size_t length = write_values(body, 1000 - others + 1);
  read_bulk(LINES, body, length, out);
  assert_string_equal(out, "1 t=a;");
  length = write_values(body, 1000 - others + 2);
  read_bulk(LINES, body, length, out);
  assert_string_equal(out, TOO_MANY_VALUES);
  memset(body, '[', sizeof body);
  memcpy(body, "{\"x\":", 5);
  read_bulk(LINES, body, sizeof body, out);
  assert_string_equal(out, TOO_MANY_VALUES);
}

static void an_object_has_a_limit_the_body_has_none(void **state) {
  (void) state;
  static char body[3 * OBJECT_BYTES];
  char out[TEXT_BYTES];
  memset(body, ' ', sizeof body); /* blanks around an object count for nothing */
  memcpy(body, "[" A ",", sizeof("[" A ",") - 1);
  memcpy(body + sizeof body - sizeof(B "]") + 1, B "]", sizeof(B "]") - 1);
  read_bulk(JSON, body, sizeof body, out);
  assert_string_equal(out, "1 t=a;2 t=b;");
  memset(body + 100, 'x', OBJECT_BYTES + 1);
  read_bulk(JSON, body, sizeof body, out);
  assert_string_equal(out, "1 t=a;2 E2BIG: the object is too long for this server's limit of bytes per message");
}

static void no_bulk_has_more_messages_than_were_counted(void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char out[TEXT_BYTES];
    size_t messages = 0;
    read_bulk(cases[i].kind, cases[i].body, strlen(cases[i].body), out);
    for (const char *at = out; (at = strchr(at, ';')) != NULL; at++) messages++;
    assert_true(publish_body_count(cases[i].kind, text_of(cases[i].body), 100) >= messages ||
                strstr(out, "there is more") != NULL);
  }
  assert_int_equal(publish_body_count(LINES, text_of("\n\n\n\n"), 3), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_type_says_what_a_body_is),
      cmocka_unit_test(only_text_has_a_mark_and_a_line_end_around_it),
      cmocka_unit_test(bulks_become_messages),
      cmocka_unit_test(a_nul_is_no_blank),
      cmocka_unit_test(an_object_of_too_many_values_is_refused),
      cmocka_unit_test(an_object_has_a_limit_the_body_has_none),
      cmocka_unit_test(no_bulk_has_more_messages_than_were_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
