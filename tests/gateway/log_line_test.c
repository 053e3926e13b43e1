/* SPDX-License-Identifier: MIT */
/*
 * log_line: both formats, what a client can't forge, and lines that are too long. JSON is read back by a reader that
 * knows nothing of the writer.
 */
#include "common/log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct log_line line;

/* The line of an event "evicted" with these fields, without its newline. */
static const char *written(enum log_format format, const struct log_field *fields, size_t count) {
  static char text[LOG_LINE_BYTES + 1];
  struct log_record record = {.time = {.tv_sec = 1738324800, .tv_nsec = 123456789},
                              .level = LOG_LEVEL_WARN,
                              .event = "evicted",
                              .fields = fields,
                              .count = count};
  memset(&line, 'X', sizeof line);
  log_line_write(&line, format, &record);
  assert_true(line.length > 0 && line.length <= LOG_LINE_BYTES);
  assert_int_equal(line.bytes[line.length - 1], '\n');
  memcpy(text, line.bytes, line.length - 1);
  text[line.length - 1] = '\0';
  return text;
}

/* Reads a character of UTF-8, by the table of RFC 3629. @return what follows, or NULL */
static const char *read_character(const char *text) {
  static const struct {
    unsigned char first_min, first_max, second_min, second_max;
    size_t length;
  } forms[] = {
      {0x20, 0x7f, 0, 0xff, 1},    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
  };
  const unsigned char *bytes = (const unsigned char *) text;
  for (size_t i = 0; i < COUNT(forms); i++) {
    if (bytes[0] < forms[i].first_min || bytes[0] > forms[i].first_max) continue;
    if (bytes[1] < forms[i].second_min || bytes[1] > forms[i].second_max) continue;
    for (size_t place = 2; place < forms[i].length; place++)
      if ((bytes[place] & 0xc0) != 0x80) return NULL;
    return text + forms[i].length;
  }
  return NULL;
}

/* Reads what follows a backslash, of the escapes that JSON knows. @return what follows, or NULL */
static const char *read_escape(const char *text) {
  if (*text == '"' || *text == '\\') return text + 1;
  if (*text != 'u') return NULL;
  return strspn(text + 1, "0123456789abcdef") >= 4 ? text + 5 : NULL;
}

/* Reads a string of JSON. @return what follows, or NULL */
static const char *read_string(const char *json) {
  if (*json++ != '"') return NULL;
  while (json != NULL && *json != '"') json = *json == '\\' ? read_escape(json + 1) : read_character(json);
  return json != NULL ? json + 1 : NULL;
}

/* One object of strings and numbers, and nothing behind it. */
static bool is_json_object(const char *json) {
  if (*json != '{') return false;
  do {
    json = read_string(json + 1);
    if (json == NULL || *json != ':') return false;
    size_t digits = strspn(json + 1, "0123456789");
    json = digits > 0 ? json + 1 + digits : read_string(json + 1);
    if (json == NULL) return false;
  } while (*json == ',');
  return strcmp(json, "}") == 0;
}

static void the_same_event_is_written_in_both_formats(void **state) {
  const struct log_field fields[] = {log_number("conn", UINT64_MAX), log_word("peer", "127.0.0.1:1"),
                                     log_phrase("cause", "not reading")};
  (void) state;
  assert_string_equal(written(LOG_FORMAT_LOGFMT, fields, COUNT(fields)),
                      "ts=2025-01-31T12:00:00.123Z level=warn event=evicted conn=18446744073709551615 "
                      "peer=127.0.0.1:1 cause=\"not reading\"");
  assert_string_equal(written(LOG_FORMAT_JSON, fields, COUNT(fields)),
                      "{\"ts\":\"2025-01-31T12:00:00.123Z\",\"level\":\"warn\",\"event\":\"evicted\","
                      "\"conn\":18446744073709551615,\"peer\":\"127.0.0.1:1\",\"cause\":\"not reading\"}");
}

static void a_text_cannot_forge_a_field_or_a_line(void **state) {
  const struct log_field fields[] = {log_word("name", "a b=\"c\\\nd\x7f")};
  (void) state;
  assert_string_equal(strstr(written(LOG_FORMAT_LOGFMT, fields, 1), " name="),
                      " name=\"a b=\\\"c\\\\\\u000ad\\u007f\"");
  assert_string_equal(strstr(written(LOG_FORMAT_JSON, fields, 1), ",\"name\""),
                      ",\"name\":\"a b=\\\"c\\\\\\u000ad\\u007f\"}");
}

static void json_keeps_utf8_and_replaces_what_is_not(void **state) {
  static const char *const cases[][2] = {
      {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
      {"a\xff"
       "b",
       "a\\ufffdb"},
      {"\x80\xbf", "\\ufffd\\ufffd"},                       /* a continuation alone */
      {"\xc0\xaf", "\\ufffd\\ufffd"},                       /* overlong */
      {"\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd"},            /* overlong */
      {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},            /* a surrogate */
      {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* beyond Unicode */
      {"\xf0\x9f\x98", "\\ufffd\\ufffd\\ufffd"},            /* the end is missing */
      {"\xe2\x82"
       "a",
       "\\ufffd\\ufffd"
       "a"},
  };
  char want[64];
  (void) state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    const struct log_field field = log_phrase("name", cases[i][0]);
    const char *json = written(LOG_FORMAT_JSON, &field, 1);
    snprintf(want, sizeof want, ",\"name\":\"%s\"}", cases[i][1]);
    assert_string_equal(strstr(json, ",\"name\""), want);
    assert_true(is_json_object(json));
  }
}

static void every_pair_of_bytes_makes_valid_json(void **state) {
  (void) state;
  for (unsigned first = 1; first < 256; first++) {
    for (unsigned second = 1; second < 256; second++) {
      const char text[] = {(char) first, (char) second, (char) 0x80, 'x', '\0'};
      const struct log_field field = log_word("name", text);
      const char *json = written(LOG_FORMAT_JSON, &field, 1);
      if (!is_json_object(json)) fail_msg("%02x %02x: %s", first, second, json);
    }
  }
}

/* Of every length around the one that just fits, with units of every size at the cut. */
static void a_line_that_is_too_long_is_cut_and_whole(void **state) {
  static const char *const units[] = {"a", "\"", "\n", "\xff", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  static char text[LOG_LINE_BYTES * 2];
  (void) state;
  for (size_t i = 0; i < COUNT(units); i++) {
    for (size_t shift = 0; shift < 16; shift++) {
      size_t length = shift;
      memset(text, 'b', shift);
      while (length < LOG_LINE_BYTES) {
        memcpy(text + length, units[i], strlen(units[i]));
        length += strlen(units[i]);
      }
      text[length] = '\0';
      const struct log_field fields[] = {log_phrase("name", text), log_number("count", 12345678), log_word("b", "c")};
      assert_true(is_json_object(written(LOG_FORMAT_JSON, fields, COUNT(fields))));
      const char *logfmt = written(LOG_FORMAT_LOGFMT, fields, COUNT(fields));
      assert_int_equal(logfmt[strlen(logfmt) - 1], '"');
    }
  }
}

static void many_fields_fill_a_line_and_no_more(void **state) {
  struct log_field fields[300];
  char text[32];
  (void) state;
  memset(text, 'x', sizeof text - 1);
  for (size_t length = 0; length < sizeof text; length++) {
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < COUNT(fields); i++)
      fields[i] = i % 2 == 0 ? log_number("number", i) : log_word("word", text + length);
    assert_true(is_json_object(written(LOG_FORMAT_JSON, fields, COUNT(fields))));
    written(LOG_FORMAT_LOGFMT, fields, COUNT(fields));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_event_is_written_in_both_formats),
      cmocka_unit_test(a_text_cannot_forge_a_field_or_a_line),
      cmocka_unit_test(json_keeps_utf8_and_replaces_what_is_not),
      cmocka_unit_test(every_pair_of_bytes_makes_valid_json),
      cmocka_unit_test(a_line_that_is_too_long_is_cut_and_whole),
      cmocka_unit_test(many_fields_fill_a_line_and_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
