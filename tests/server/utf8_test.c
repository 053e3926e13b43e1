/* SPDX-License-Identifier: MIT */
/*
 * utf8: every character of Unicode, every wrong sequence of two bytes, and those that are wrong for a reason of their
 * own.
 */
#include "server/websocket/utf8.h"

#include "server/websocket/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* @return how many bytes the character takes */
static size_t encode(uint32_t character, unsigned char *bytes) {
  if (character < 0x80) {
    bytes[0] = (unsigned char) character;
    return 1;
  }
  size_t count = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
  for (size_t i = count - 1; i > 0; i--, character >>= 6) bytes[i] = (unsigned char) (0x80 | (character & 0x3f));
  bytes[0] = (unsigned char) ((0xf00u >> count & 0xff) | character);
  return count;
}

static void utf8_takes_every_character_but_the_surrogates(void **state) {
  (void) state;
  for (uint32_t character = 0; character < 0x200000; character++) {
    unsigned char bytes[4];
    size_t length = encode(character, bytes);
    bool is_right = character <= 0x10ffff && (character < 0xd800 || character > 0xdfff);
    assert_int_equal(websocket_is_utf8(bytes, length), is_right);
  }
}

/* What a decoder makes of it that knows nothing of tables: the bits put together, and then judged. */
static bool is_right(const unsigned char *bytes, size_t length) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  for (size_t at = 0; at < length;) {
    unsigned char first = bytes[at];
    size_t count = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    if (count == 0 || count > length - at) return false;
    uint32_t character = count == 1 ? first : first & (0x7fu >> count);
    for (size_t i = 1; i < count; i++) {
      if ((bytes[at + i] & 0xc0) != 0x80) return false;
      character = character << 6 | (bytes[at + i] & 0x3fu);
    }
    if (character < least[count] || character > 0x10ffff) return false;
    if (character >= 0xd800 && character <= 0xdfff) return false;
    at += count;
  }
  return true;
}

static void utf8_agrees_with_a_plain_decoder_about_short_sequences(void **state) {
  (void) state;
  static const unsigned char tails[] = {0x00, 'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xe2, 0xff};
  enum { TAILS = sizeof tails };
  for (unsigned pair = 0; pair <= UINT16_MAX; pair++) {
    unsigned char bytes[4] = {(unsigned char) (pair >> 8), (unsigned char) (pair & 0xff)};
    assert_int_equal(websocket_is_utf8(bytes, 1), is_right(bytes, 1));
    assert_int_equal(websocket_is_utf8(bytes, 2), is_right(bytes, 2));
    for (size_t tail = 0; tail < (size_t) TAILS * TAILS; tail++) {
      bytes[2] = tails[tail / TAILS];
      bytes[3] = tails[tail % TAILS];
      assert_int_equal(websocket_is_utf8(bytes, 3), is_right(bytes, 3));
      assert_int_equal(websocket_is_utf8(bytes, 4), is_right(bytes, 4));
    }
  }
}

/* Where the first byte stands that can't be right any more; -1: none, but the end is missing; -2: all is well. */
enum { CUT = -1, RIGHT = -2 };

static const struct utf8_case {
  const char *bytes;
  int wrong_at;
} cases[] = {
    {"", RIGHT},
    {"plain", RIGHT},
    {"longer than eight plain characters", RIGHT},
    {"caf\xc3\xa9", RIGHT},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", RIGHT},
    {"\xe2\x82\xac in front of more text", RIGHT},
    {"eight by\xf0\x9f\x98\x80tes and", RIGHT},
    {"\xef\xbf\xbf", RIGHT},
    {"\xc3", CUT},
    {"\xe2", CUT},
    {"\xe2\x82", CUT},
    {"\xf0\x9f", CUT},
    {"\xf0\x9f\x98", CUT},
    {"\xf4\x8f\xbf", CUT},
    {"\x80", 0},
    {"\xbf", 0},
    {"plain \x80", 6},
    {"eight by\xff", 8},
    {"eight bytes and \xfe more", 16},
    {"\xc0\x80", 0},
    {"\xc1\xbf", 0},
    {"\xe0\x80\x80", 1},
    {"\xe0\x9f\xbf", 1},
    {"\xf0\x80\x80\x80", 1},
    {"\xf0\x8f\xbf\xbf", 1},
    {"\xed\xa0\x80", 1},
    {"\xed\xbf\xbf", 1},
    {"\xf4\x90\x80\x80", 1},
    {"\xf5\x80\x80\x80", 0},
    {"\xf8\x88\x80\x80\x80", 0},
    {"\xfc\x84\x80\x80\x80\x80", 0},
    {"\xfe", 0},
    {"\xff", 0},
    {"\xc3(", 1},
    {"\xe2(\xa1", 1},
    {"\xe2\x82(", 2},
    {"\xf0(\x8c\xbc", 1},
    {"\xf0\x90(\xbc", 2},
    {"\xf0\x90\x8c(", 3},
    {"\xc3\xa9\xa9", 2},
    {"\xe2\x82\xac\x80", 3},
    {"\xe2\xe2", 1},
};

static void utf8_finds_the_first_byte_that_is_wrong_however_it_is_cut(void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct utf8_case *c = &cases[i];
    size_t length = strlen(c->bytes);
    assert_int_equal(websocket_is_utf8(c->bytes, length), c->wrong_at == RIGHT);
    for (size_t cut = 0; cut <= length; cut++) {
      struct utf8 utf8 = {0};
      bool is_first_right = utf8_take(&utf8, c->bytes, cut);
      assert_int_equal(is_first_right, c->wrong_at < 0 || cut <= (size_t) c->wrong_at);
      if (!is_first_right) continue;
      assert_int_equal(utf8_take(&utf8, c->bytes + cut, length - cut), c->wrong_at < 0);
      if (c->wrong_at < 0) assert_int_equal(utf8_is_whole(&utf8), c->wrong_at == RIGHT);
    }
  }
}

static void utf8_is_cut_between_two_characters(void **state) {
  (void) state;
  static const struct {
    const char *text;
    size_t max_bytes, cut;
  } cuts[] = {
      {"", 3, 0},
      {"abc", 3, 3},
      {"abcd", 3, 3},
      {"ab\xc3\xa9", 3, 2},
      {"ab\xc3\xa9", 4, 4},
      {"a\xe2\x82\xac", 3, 1},
      {"a\xf0\x9f\x98\x80", 4, 1},
      {"a\xf0\x9f\x98\x80", 1, 1},
      {"\xf0\x9f\x98\x80", 3, 0},
      {"a\x80\x80\x80\x80\x80", 5, 5}, /* which is no UTF-8 */
      {"\x80\x80", 1, 1},
  };
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
    assert_int_equal(utf8_cut(cuts[i].text, strlen(cuts[i].text), cuts[i].max_bytes), cuts[i].cut);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(utf8_takes_every_character_but_the_surrogates),
      cmocka_unit_test(utf8_agrees_with_a_plain_decoder_about_short_sequences),
      cmocka_unit_test(utf8_finds_the_first_byte_that_is_wrong_however_it_is_cut),
      cmocka_unit_test(utf8_is_cut_between_two_characters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
