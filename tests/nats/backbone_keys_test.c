/* SPDX-License-Identifier: MIT */
/*
 * Keys as headers of NATS: every key comes back as it was, keys that are plain stay readable, and what other programs
 * write is read as they mean it.
 */
#include "nats/backbone_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void keys_as_headers(void **state) {
  static const struct {
    const char *key, *header;
  } cases[] = {
      {"BTC", "BTC"},
      {"a.b:c-d_e/f", "a.b:c-d_e/f"},
      {" ", "%20"},
      {"   ", "%20%20%20"},
      {" x", "%20x"},
      {"x ", "x%20"},
      {"x\t", "x%09"},
      {"x", "x"},
      {"a\r\nB: c", "a%0D%0AB:%20c"},
      {"100%", "100%25"},
      {"%41", "%2541"},
      {"\x7f", "%7F"},
      {"z\xc3\xbcrich", "z\xc3\xbcrich"},
      {"\xff\xfe", "\xff\xfe"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char header[KEY_HEADER_BYTES], key[FLUXBP_SERVER_KEY_BYTES + 1];
    key_encode(cases[i].key, header);
    assert_string_equal(header, cases[i].header);
    assert_true(key_decode(header, key));
    assert_string_equal(key, cases[i].key);
  }
}

static void every_byte_comes_back(void **state) {
  (void) state;
  for (int first = 1; first < 256; first++) {
    for (int second = 1; second < 256; second++) {
      const char text[] = {(char) first, (char) second, '\0'};
      char header[KEY_HEADER_BYTES], key[FLUXBP_SERVER_KEY_BYTES + 1];
      key_encode(text, header);
      for (const char *c = header; *c != '\0'; c++) assert_true((unsigned char) *c > ' ' && *c != 0x7f);
      assert_true(key_decode(header, key));
      assert_string_equal(key, text);
    }
  }
}

static void headers_of_other_programs(void **state) {
  static const struct {
    const char *header, *key; /* NULL: it is none */
  } cases[] = {
      {"50%", "50%"}, {"%", "%"}, {"%4", "%4"},  {"%zz", "%zz"}, {"%2", "%2"},   {"%c3%BC", "\xc3\xbc"},
      {"a b", "a b"}, {"", NULL}, {"%00", NULL}, {"a%00", NULL}, {"%%20", "% "},
  };
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char key[FLUXBP_SERVER_KEY_BYTES + 1];
    assert_int_equal(key_decode(cases[i].header, key), cases[i].key != NULL);
    if (cases[i].key != NULL) assert_string_equal(key, cases[i].key);
  }
}

static void the_longest_key_fits(void **state) {
  char longest[FLUXBP_SERVER_KEY_BYTES + 1], header[KEY_HEADER_BYTES + 1], key[FLUXBP_SERVER_KEY_BYTES + 1];
  (void) state;
  memset(longest, ' ', FLUXBP_SERVER_KEY_BYTES);
  longest[FLUXBP_SERVER_KEY_BYTES] = '\0';
  key_encode(longest, header);
  assert_int_equal(strlen(header), KEY_HEADER_BYTES - 1);
  assert_true(key_decode(header, key));
  assert_string_equal(key, longest);
  strcat(header, "x");
  assert_false(key_decode(header, key));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_as_headers),
      cmocka_unit_test(every_byte_comes_back),
      cmocka_unit_test(headers_of_other_programs),
      cmocka_unit_test(the_longest_key_fits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
