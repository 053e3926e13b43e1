/* SPDX-License-Identifier: MIT */
/*
 * plain_object: what it reads, what it leaves to a parser, and that the two never disagree.
 */
#include "server/http/plain_object.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 200000 };

#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123"

/* In memory of exactly that length, so that a sanitizer sees each byte too many. */
static bool read_copy(const char *text, size_t length, struct plain_object *object, char **copy) {
  *copy = malloc(length + (length == 0));
  assert_non_null(*copy);
  memcpy(*copy, text, length);
  return plain_object_read(*copy, length, object);
}

static void plain_object_reads_what_messages_are(void **state) {
  static const struct {
    const char *text, *topic, *key, *data;
  } cases[] = {
      {"{\"topic\":\"news\",\"data\":\"hello\"}", "news", NULL, "hello"},
      {" { \"data\" : \"hello\" ,\t\"topic\"\r\n:\"news\" } \n", "news", NULL, "hello"},
      {"{\"topic\":\"prices\",\"key\":\"gold\",\"data\":\"7\"}", "prices", "gold", "7"},
      {"{\"topic\":\"\",\"key\":\"\",\"data\":\"\"}", "", "", ""},
      {"{\"topic\":\"" LONGEST "\",\"data\":\"x\"}", LONGEST, NULL, "x"},
      {"{\"topic\":\"n\",\"data\":\"{\\\"a\\\":1,\\\"b\\\":\\\"\\\\\\\\\\\"}\"}", "n", NULL,
       "{\"a\":1,\"b\":\"\\\\\"}"},
      {"{\"topic\":\"n\",\"data\":\"\\n\\t\\r\\b\\f\\/\\\"\\\\\"}", "n", NULL, "\n\t\r\b\f/\"\\"},
      {"{\"topic\":\"n\",\"data\":\"gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80\"}", "n", NULL,
       "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct plain_object object;
    char *copy;
    print_message("%s\n", cases[i].text);
    assert_true(read_copy(cases[i].text, strlen(cases[i].text), &object, &copy));
    assert_string_equal(object.topic, cases[i].topic);
    assert_int_equal(object.has_key, cases[i].key != NULL);
    if (cases[i].key != NULL) assert_string_equal(object.key, cases[i].key);
    assert_int_equal(object.length, strlen(cases[i].data));
    assert_memory_equal(object.data, cases[i].data, object.length);
    free(object.unescaped);
    free(copy);
  }
}

static void plain_object_leaves_the_rest_to_a_parser(void **state) {
  static const char *const texts[] = {
      "",
      "{",
      "{}",
      "[]",
      "\"topic\"",
      "{\"topic\":\"news\"}",
      "{\"data\":\"hello\"}",
      "{\"topic\":\"news\",\"data\":\"hello\"",
      "{\"topic\":\"news\",\"data\":\"hello\"}}",
      "{\"topic\":\"news\",\"data\":\"hello\"} {",
      "{\"topic\":\"news\",\"data\":\"hello\",}",
      "{\"topic\":\"news\" \"data\":\"hello\"}",
      "{\"topic\":\"news\",\"data\":\"a\",\"data\":\"b\"}",
      "{\"topic\":\"a\",\"topic\":\"b\",\"data\":\"x\"}",
      "{\"topic\":\"a\",\"key\":\"b\",\"key\":\"c\",\"data\":\"x\"}",
      "{\"topic\":\"news\",\"data\":null}",
      "{\"topic\":\"news\",\"data\":7}",
      "{\"topic\":\"news\",\"base64\":\"aGk=\"}",
      "{\"topic\":\"news\",\"data\":\"x\",\"unset\":true}",
      "{\"topic\":\"news\",\"data\":\"x\",\"other\":\"y\"}",
      "{\"topic\":\"news\",\"data\":\"\\u0041\"}",
      "{\"topic\":\"news\",\"data\":\"\\x\"}",
      "{\"topic\":\"ne\\/ws\",\"data\":\"x\"}",
      "{\"topic\":\"" LONGEST "4\",\"data\":\"x\"}",
      "{\"topic\":\"news\",\"data\":\"a\tb\"}",
      "{\"topic\":\"news\",\"data\":\"\xff\"}",
      "{\"topic\":\"news\",\"data\":\"\xed\xa0\x80\"}",
      "{\"topic\":\"news\",\"data\":\"\xc3\"}",
      "{\"topic\":\"news\",\"data\":\"x\\\"}",
  };
  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct plain_object object;
    char *copy;
    print_message("%s\n", texts[i]);
    assert_false(read_copy(texts[i], strlen(texts[i]), &object, &copy));
    free(copy);
  }
  struct plain_object object;
  assert_false(plain_object_read("{\"topic\":\"news\",\"data\":\"a\0b\"}", 29, &object));
}

static uint32_t next_number(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* What it reads is what jansson reads. */
static void assert_same(const char *text, size_t length, const struct plain_object *object) {
  json_t *parsed = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
  assert_non_null(parsed);
  json_t *data = json_object_get(parsed, "data"), *key = json_object_get(parsed, "key");
  assert_int_equal(json_object_size(parsed), 2 + object->has_key);
  assert_string_equal(json_string_value(json_object_get(parsed, "topic")), object->topic);
  if (object->has_key) assert_string_equal(json_string_value(key), object->key);
  assert_int_equal(json_string_length(data), object->length);
  assert_memory_equal(json_string_value(data), object->data, object->length);
  json_decref(parsed);
}

static void plain_object_and_jansson_agree_on_whatever_it_takes(void **state) {
  static const char bytes[] = "\"\\{}:, \n\tnabtu01\x00\x1f\x7f\xc3\xa9\xe2\x82\xff";
  uint32_t random = 1;
  size_t taken = 0;
  (void) state;
  for (int round = 0; round < ROUNDS; round++) {
    char text[128] = "{\"topic\":\"news\",\"key\":\"k\",\"data\":\"say \\\"hi\\\" \xc3\xa9 and more\"}";
    size_t length = strlen(text);
    for (uint32_t changes = next_number(&random) % 4; changes > 0; changes--)
      text[next_number(&random) % length] = bytes[next_number(&random) % (sizeof bytes - 1)];
    struct plain_object object;
    char *copy;
    if (read_copy(text, length, &object, &copy)) {
      assert_same(text, length, &object);
      free(object.unescaped);
      taken++;
    }
    free(copy);
  }
  assert_in_range(taken, ROUNDS / 4, ROUNDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_object_reads_what_messages_are),
      cmocka_unit_test(plain_object_leaves_the_rest_to_a_parser),
      cmocka_unit_test(plain_object_and_jansson_agree_on_whatever_it_takes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
