/* SPDX-License-Identifier: MIT */
/*
 * websocket_cases: what a client may send and may not, and what the reader makes of it, as a table; see
 * frame_notation.h for the words. Each case is taken as a whole, byte by byte, and in two pieces, cut at every place.
 */
#include "frame_notation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_MESSAGE_BYTES = 65536, SHORT_ENOUGH_FOR_EVERY_CUT = 3000, STRIDE = 1021 };

struct websocket_case {
  const char *name, *sent, *expected;
};

static const struct websocket_case cases[] = {
    {"nothing", "", "."},
    /* messages */
    {"a text", "T(hello)", "T(hello) ."},
    {"a text without masking effect", "Tz(hello)", "T(hello) ."},
    {"an empty text", "T", "T() ."},
    {"a text of 1 byte", "T(x)", "T(x) ."},
    {"a text of 125 bytes", "T[125]", "T[125] ."},
    {"a text of 126 bytes", "T[126]", "T[126] ."},
    {"a text of 127 bytes", "T[127]", "T[127] ."},
    {"a text of 65535 bytes", "T[65535]", "T[65535] ."},
    {"a text of 65536 bytes", "T[65536]", "T[65536] ."},
    {"a NUL in a text", "T(a)<00>(b)", "T<610062> ."},
    {"a binary message", "B<00ff80>", "B<00ff80> ."},
    {"an empty binary message", "B", "B() ."},
    {"a binary message of 1 byte", "B<ff>", "B<ff> ."},
    {"a binary message of 125 bytes", "B[125]", "B[125] ."},
    {"a binary message of 126 bytes", "B[126]", "B[126] ."},
    {"a binary message of 127 bytes", "B[127]", "B[127] ."},
    {"a binary message of 65535 bytes", "B[65535]", "B[65535] ."},
    {"a binary message of 65536 bytes", "B[65536]", "B[65536] ."},
    {"two messages", "T(a) T(b)", "T(a) T(b) ."},
    {"an empty one between two", "T(a) T B(b)", "T(a) T() B(b) ."},
    {"a long one and a short one", "T[900] T(b)", "T[900] T(b) ."},
    /* what has begun */
    {"half a header", "=81", "~"},
    {"a header without its mask", "=8181", "~"},
    {"a header with half its mask", "=81810102", "~"},
    {"a header without its payload", "=818101020304", "~"},
    {"a header with half a long length", "=81fe01", "~"},
    {"half a payload", "=82820102030400", "~"},
    {"a message and half a header", "T(a) =81", "T(a) ~"},
    {"a part of a message", "T-(a)", "~"},
    {"an empty part of a message", "T-", "~"},
    /* fragments */
    {"two fragments", "T-(hel) C(lo)", "T(hello) ."},
    {"three fragments", "T-(h) C-(ell) C(o)", "T(hello) ."},
    {"binary fragments", "B-<00> C<ff>", "B<00ff> ."},
    {"an empty first fragment", "T- C(a)", "T(a) ."},
    {"an empty last fragment", "T-(a) C", "T(a) ."},
    {"an empty fragment in between", "T-(a) C- C(b)", "T(ab) ."},
    {"empty fragments only", "T- C- C", "T() ."},
    {"long fragments", "T-[126] C-[125] C[200]", "T[451] ."},
    {"fragments of 32768 bytes", "B-[32768] C[32768]", "B[65536] ."},
    {"two fragmented messages", "T-(a) C(b) B-(c) C(d)", "T(ab) B(cd) ."},
    {"a ping between fragments", "T-(a) P(?) C(b)", "P(?) T(ab) ."},
    {"an empty ping between fragments", "T-(a) P C(b)", "P() T(ab) ."},
    {"a pong between fragments", "T-(a) O(!) C(b)", "O(!) T(ab) ."},
    {"many pings between fragments", "T- P(1) P(2) C-(a) P(3) C-(b) P(4) C", "P(1) P(2) P(3) P(4) T(ab) ."},
    {"a ping between fragments, and an end", "T-(a) P", "P() ~"},
    {"a close between fragments", "T-(a) X<03e8> C(b)", "X1000()"},
    /* pings and pongs */
    {"a ping", "P(are you there)", "P(are you there) ."},
    {"an empty ping", "P", "P() ."},
    {"a ping of 125 bytes", "P[125]", "P[125] ."},
    {"a ping that isn't UTF-8", "P<ff00>", "P<ff00> ."},
    {"a pong", "O(yes)", "O(yes) ."},
    {"an empty pong", "O", "O() ."},
    {"a pong of 125 bytes", "O[125]", "O[125] ."},
    {"a ping before a message", "P(a) T(b)", "P(a) T(b) ."},
    {"a ping behind a message", "T(b) P(a)", "T(b) P(a) ."},
    {"ten pings", "P P P P P P P P P P", "P() P() P() P() P() P() P() P() P() P() ."},
    /* masks */
    {"an unmasked text", "Tu(hello)", "!1002"},
    {"an unmasked empty text", "Tu", "!1002"},
    {"an unmasked binary message", "Bu(hello)", "!1002"},
    {"an unmasked long text", "Tu[126]", "!1002"},
    {"an unmasked ping", "Pu(a)", "!1002"},
    {"an unmasked empty ping", "Pu", "!1002"},
    {"an unmasked pong", "Ou", "!1002"},
    {"an unmasked close", "Xu<03e8>", "!1002"},
    {"an unmasked empty close", "Xu", "!1002"},
    {"an unmasked message behind a good one", "T(a) Tu(b)", "T(a) !1002"},
    {"an unmasked continuation", "T-(a) Cu(b)", "!1002"},
    /* reserved bits */
    {"RSV1 on a text", "T1(a)", "!1002"},
    {"RSV2 on a text", "T2(a)", "!1002"},
    {"RSV3 on a text", "T3(a)", "!1002"},
    {"all reserved bits on a text", "T123(a)", "!1002"},
    {"RSV1 on an empty text", "T1", "!1002"},
    {"RSV1 on a binary message", "B1(a)", "!1002"},
    {"RSV1 on a fragment", "T1-(a)", "!1002"},
    {"RSV1 on a continuation", "T-(a) C1(b)", "!1002"},
    {"RSV1 on a ping", "P1", "!1002"},
    {"RSV2 on a pong", "O2(a)", "!1002"},
    {"RSV3 on a close", "X3<03e8>", "!1002"},
    {"RSV1 behind a good message", "T(a) T1(b) T(c)", "T(a) !1002"},
    /* reserved opcodes */
    {"opcode 3", "%3(a)", "!1002"},
    {"opcode 4", "%4(a)", "!1002"},
    {"opcode 5", "%5(a)", "!1002"},
    {"opcode 6", "%6(a)", "!1002"},
    {"opcode 7", "%7(a)", "!1002"},
    {"opcode 11", "%b(a)", "!1002"},
    {"opcode 12", "%c(a)", "!1002"},
    {"opcode 13", "%d(a)", "!1002"},
    {"opcode 14", "%e(a)", "!1002"},
    {"opcode 15", "%f(a)", "!1002"},
    {"opcode 3, empty", "%3", "!1002"},
    {"opcode 11, empty", "%b", "!1002"},
    {"opcode 7, not final", "%7-(a)", "!1002"},
    {"opcode 5 behind a good message", "T(a) %5(b) P", "T(a) !1002"},
    {"opcode 4 between fragments", "T-(a) %4(b) C(c)", "!1002"},
    {"opcode 12 between fragments", "T-(a) %c C(c)", "!1002"},
    {"opcode 3 of any length", "%3L{7fffffffffffffff}(a)", "!1002"},
    /* control frames */
    {"a ping in fragments", "P-(a)", "!1002"},
    {"an empty ping in fragments", "P- C", "!1002"},
    {"a pong in fragments", "O-(a) C(b)", "!1002"},
    {"a close in fragments", "X-<03> C<e8>", "!1002"},
    {"a ping of 126 bytes", "P[126]", "!1002"},
    {"a pong of 126 bytes", "O[126]", "!1002"},
    {"a close of 126 bytes", "X<03e8>[124]", "!1002"},
    {"a ping of 65536 bytes", "P[65536]", "!1002"},
    {"a short ping with a length of 16 bits", "Pw(a)", "!1002"},
    {"a short ping with a length of 64 bits", "Pq(a)", "!1002"},
    {"a close with a length of 16 bits", "Xw<03e8>", "!1002"},
    {"a long ping between fragments", "T-(a) P[126] C(b)", "!1002"},
    /* lengths */
    {"0 in 16 bits", "Tw", "!1002"},
    {"1 in 16 bits", "Tw(a)", "!1002"},
    {"125 in 16 bits", "Tw[125]", "!1002"},
    {"126 in 16 bits", "Tw[126]", "T[126] ."},
    {"0 in 64 bits", "Tq", "!1002"},
    {"125 in 64 bits", "Bq[125]", "!1002"},
    {"126 in 64 bits", "Bq[126]", "!1002"},
    {"65535 in 64 bits", "Tq[65535]", "!1002"},
    {"a continuation's 5 in 16 bits", "T- Cw(hello)", "!1002"},
    {"2^63", "BL{8000000000000000}(a)", "!1002"},
    {"2^64 - 1", "TL{ffffffffffffffff}(a)", "!1002"},
    {"2^63 in a continuation", "T-(a) CL{8000000000000000}(a)", "!1002"},
    {"2^63 in a ping", "PL{8000000000000000}(a)", "!1002"},
    {"2^63 - 1", "BL{7fffffffffffffff}(a)", "!1009"},
    {"2^63 - 1 in a continuation", "B-(aa) CL{7fffffffffffffff}(a)", "!1009"},
    {"2^32", "TL{100000000}(a)", "!1009"},
    {"2^32 + 5, which may not be taken for 5", "TL{100000005}(hello)", "!1009"},
    /* messages that are too long */
    {"as long as may be", "T[65536]", "T[65536] ."},
    {"one byte too long", "T[65537]", "!1009"},
    {"one byte too long, binary", "B[65537]", "!1009"},
    {"too long, before the payload comes", "=81ff0000000000010001000000007a", "!1009"},
    {"as long as may be, in fragments", "T-[65000] C[536]", "T[65536] ."},
    {"one byte too long, in fragments", "T-[65000] C[537]", "!1009"},
    {"one byte too long, in many fragments", "B-[400] C-[65136] C-(x)", "!1009"},
    {"as long as may be, and an empty fragment", "T-[65536] C", "T[65536] ."},
    {"as long as may be, twice", "T[65536] T[65536]", "T[65536] T[65536] ."},
    {"long pings between long fragments", "T-[65000] P[125] C-[536] P[125] C", "P[125] P[125] T[65536] ."},
    /* the order of frames */
    {"a continuation of nothing", "C(a)", "!1002"},
    {"an empty continuation of nothing", "C", "!1002"},
    {"a continuation of nothing that goes on", "C-(a)", "!1002"},
    {"a continuation of a whole message", "T(a) C(b)", "T(a) !1002"},
    {"a continuation of a ping", "P(a) C(b)", "P(a) !1002"},
    {"a continuation behind the last one", "T-(a) C(b) C(c)", "T(ab) !1002"},
    {"a text within a text", "T-(a) T(b)", "!1002"},
    {"an empty text within a text", "T-(a) T", "!1002"},
    {"a binary message within a text", "T-(a) B(b)", "!1002"},
    {"a text within a binary message", "B-(a) T(b)", "!1002"},
    {"a fragment within a text", "T-(a) T-(b)", "!1002"},
    {"a text behind two fragments", "T-(a) C-(b) T(c)", "!1002"},
    {"a text behind an empty fragment", "T- T(a)", "!1002"},
    {"a text behind a ping within a text", "T-(a) P T(b)", "P() !1002"},
    /* UTF-8 */
    {"2 bytes", "T<c3a9>", "T(\xc3\xa9) ."},
    {"3 bytes", "T<e282ac>", "T(\xe2\x82\xac) ."},
    {"4 bytes", "T<f09f9880>", "T(\xf0\x9f\x98\x80) ."},
    {"U+0080", "T<c280>", "T(\xc2\x80) ."},
    {"U+07FF", "T<dfbf>", "T(\xdf\xbf) ."},
    {"U+0800", "T<e0a080>", "T(\xe0\xa0\x80) ."},
    {"U+D7FF", "T<ed9fbf>", "T(\xed\x9f\xbf) ."},
    {"U+E000", "T<ee8080>", "T(\xee\x80\x80) ."},
    {"U+FEFF", "T<efbbbf>", "T(\xef\xbb\xbf) ."},
    {"U+FFFE, no character", "T<efbfbe>", "T(\xef\xbf\xbe) ."},
    {"U+10000", "T<f0908080>", "T(\xf0\x90\x80\x80) ."},
    {"U+10FFFF", "T<f48fbfbf>", "T(\xf4\x8f\xbf\xbf) ."},
    {"a character in two fragments", "T-<c3> C<a9>", "T(\xc3\xa9) ."},
    {"a character in four fragments", "T-<f0> C-<9f> C-<98> C<80>", "T(\xf0\x9f\x98\x80) ."},
    {"a character around a ping", "T-<e2> P<e2> C<82ac>", "P<e2> T(\xe2\x82\xac) ."},
    {"a character around an empty fragment", "T-<e282> C- C<ac>", "T(\xe2\x82\xac) ."},
    {"a character in the middle of fragments", "T-(a)<e282> C<ac>(b)",
     "T(a\xe2\x82\xac"
     "b) ."},
    {"80", "T<80>", "!1007"},
    {"BF", "T(abc)<bf>", "!1007"},
    {"C0 80, over-long", "T<c080>", "!1007"},
    {"C1 BF, over-long", "T<c1bf>", "!1007"},
    {"E0 9F BF, over-long", "T<e09fbf>", "!1007"},
    {"F0 8F BF BF, over-long", "T<f08fbfbf>", "!1007"},
    {"U+D800", "T<eda080>", "!1007"},
    {"U+DFFF", "T<edbfbf>", "!1007"},
    {"U+110000", "T<f4908080>", "!1007"},
    {"F5", "T<f5808080>", "!1007"},
    {"FE", "T<fe>", "!1007"},
    {"FF", "T<ff>", "!1007"},
    {"a character that is cut", "T<c3>", "!1007"},
    {"a long character that is cut", "T(a)<f09f98>", "!1007"},
    {"a character that something else follows", "T<c328>", "!1007"},
    {"wrong in a later fragment", "T-(abc) C-<ff> C(d)", "!1007"},
    {"cut at the end of the last fragment", "T-(abc) C<e282>", "!1007"},
    {"cut, and an empty last fragment", "T-<e282> C", "!1007"},
    {"wrong across fragments", "T-<e2> C<28a1>", "!1007"},
    {"over-long across fragments", "T-<e0> C<80af>", "!1007"},
    {"a surrogate across fragments", "T-<ed> C-<a0> C<80>", "!1007"},
    {"wrong behind a good message", "T(a) T<ff>", "T(a) !1007"},
    {"cut in one message, and not carried to the next", "T-<c3> C<a9> T<a9>", "T(\xc3\xa9) !1007"},
    {"wrong before the payload is there", "=81e400000000ff", "!1007"},
    {"wrong at the second byte, before the rest", "=81e400000000f490", "!1007"},
    {"wrong in binary is right", "B<c080ff>", "B<c080ff> ."},
    {"wrong in a binary fragment is right", "B-<ff> C<fe>", "B<fffe> ."},
    {"too long is told before wrong", "T<ff>[65536]", "!1009"},
    /* closing */
    {"a close without a code", "X", "X1005()"},
    {"1000", "X<03e8>", "X1000()"},
    {"1000 with a reason", "X<03e8>(bye)", "X1000(bye)"},
    {"a reason of 123 bytes", "X<03e8>[123]", "X1000[123]"},
    {"a reason with a long character", "X<03e8f09f9880>", "X1000(\xf0\x9f\x98\x80)"},
    {"what follows a close", "X<03e8> T(a) Tu", "X1000()"},
    {"a close behind a message", "T(a) X", "T(a) X1005()"},
    {"1001", "X<03e9>", "X1001()"},
    {"1002", "X<03ea>", "X1002()"},
    {"1003", "X<03eb>", "X1003()"},
    {"1007", "X<03ef>", "X1007()"},
    {"1008", "X<03f0>", "X1008()"},
    {"1009", "X<03f1>", "X1009()"},
    {"1010", "X<03f2>", "X1010()"},
    {"1011", "X<03f3>", "X1011()"},
    {"1012", "X<03f4>", "X1012()"},
    {"1013", "X<03f5>", "X1013()"},
    {"1014", "X<03f6>", "X1014()"},
    {"3000", "X<0bb8>", "X3000()"},
    {"3999", "X<0f9f>", "X3999()"},
    {"4000", "X<0fa0>", "X4000()"},
    {"4999", "X<1387>", "X4999()"},
    {"half a code", "X<03>", "!1002"},
    {"half a code that could become a good one", "X<0f>", "!1002"},
    {"0", "X<0000>", "!1002"},
    {"1", "X<0001>", "!1002"},
    {"999", "X<03e7>", "!1002"},
    {"1004", "X<03ec>", "!1002"},
    {"1005", "X<03ed>", "!1002"},
    {"1006", "X<03ee>", "!1002"},
    {"1015", "X<03f7>", "!1002"},
    {"1016", "X<03f8>", "!1002"},
    {"1100", "X<044c>", "!1002"},
    {"2000", "X<07d0>", "!1002"},
    {"2999", "X<0bb7>", "!1002"},
    {"5000", "X<1388>", "!1002"},
    {"65535", "X<ffff>", "!1002"},
    {"a wrong code with a reason", "X<03ec>(bye)", "!1002"},
    {"a reason that isn't UTF-8", "X<03e8ff>", "!1007"},
    {"a reason that is over-long", "X<03e8>(a)<c080>", "!1007"},
    {"a reason that is cut", "X<03e8>(abc)<e282>", "!1007"},
    {"a wrong reason, before the rest is there", "=88e40000000003e8ff", "!1007"},
};

/* Where permessage-deflate was agreed on. */
static const struct websocket_case compressed_cases[] = {
    {"a compressed text", "T1<f248cdc9c90700>", "T1<f248cdc9c90700> ."},
    {"a compressed text that isn't UTF-8 as it is", "T1<ffc0>", "T1<ffc0> ."},
    {"a compressed binary message", "B1<00ff>", "B1<00ff> ."},
    {"an empty compressed message", "T1", "T1() ."},
    {"a plain text where compression was agreed on", "T(hello)", "T(hello) ."},
    {"a plain text that isn't UTF-8 where it was agreed on", "T<ff>", "!1007"},
    {"a plain one behind a compressed one", "T1<ff> T(a)", "T1<ff> T(a) ."},
    {"a plain one that isn't UTF-8 behind a compressed one", "T1<ff> T<ff>", "T1<ff> !1007"},
    {"a compressed one behind a plain one", "T(a) T1<ff>", "T(a) T1<ff> ."},
    {"compressed fragments", "T1-<f248> C-<cdc9> C<c90700>", "T1<f248cdc9c90700> ."},
    {"a ping between compressed fragments", "T1-<f248> P(?) C<cd>", "P(?) T1<f248cd> ."},
    {"a part of a compressed message", "T1-<ff>", "~"},
    {"RSV1 on a continuation too", "T1-<f248> C1<cd>", "!1002"},
    {"RSV1 on a continuation alone", "T-(a) C1<cd>", "!1002"},
    {"RSV1 on a ping where it was agreed on", "P1", "!1002"},
    {"RSV1 on a pong where it was agreed on", "O1(a)", "!1002"},
    {"RSV1 on a close where it was agreed on", "X1<03e8>", "!1002"},
    {"RSV2 with RSV1", "T12<ff>", "!1002"},
    {"RSV3 with RSV1", "B13<ff>", "!1002"},
    {"RSV2 alone where compression was agreed on", "T2(a)", "!1002"},
    {"RSV1 on a reserved opcode", "%31(a)", "!1002"},
    {"a compressed message of a sixteenth and 64 bytes more than a plain one may have", "B1[69696]", "B1[69696] ."},
    {"a compressed message that is longer", "B1[69697]", "!1009"},
    {"compressed fragments that are longer", "B1-[69000] C[697]", "!1009"},
    {"a plain message that is too long where it was agreed on", "T[65537]", "!1009"},
    {"a plain message that is too long behind a compressed one", "B1[69696] T[65537]", "B1[69696] !1009"},
};

enum {
  CASES = sizeof cases / sizeof cases[0],
  COMPRESSED_CASES = sizeof compressed_cases / sizeof compressed_cases[0]
};

/* What the case at hand sends; too large for the stack. */
static struct bytes bytes;

/* Take what is sent in pieces that end at `cut`, if it is within, and then every `piece` bytes. */
static void assert_outcomes(const struct websocket_case *c, bool takes_compressed, size_t cut, size_t piece) {
  struct outcomes outcomes = {0};
  struct websocket_reader reader;
  websocket_reader_init(&reader, MAX_MESSAGE_BYTES);
  reader.takes_compressed = takes_compressed;
  size_t from = 0;
  while (from < bytes.length && !outcomes.has_ended) {
    size_t to = from == 0 && cut > 0 ? cut : from + piece;
    if (to > bytes.length) to = bytes.length;
    take_piece(&reader, &bytes, from, to, &outcomes);
    from = to;
  }
  end_outcomes(&reader, &outcomes);
  if (strcmp(outcomes.text, c->expected) != 0)
    fail_msg("cut at %zu, pieces of %zu bytes: %s instead of %s", cut, piece, outcomes.text, c->expected);
  websocket_reader_reset(&reader);
  assert_null(reader.parse);
}

static void check(const struct websocket_case *c, bool takes_compressed) {
  bytes.length = 0;
  append_frames(&bytes, c->sent);
  assert_outcomes(c, takes_compressed, 0, BYTES_MAX);
  assert_outcomes(c, takes_compressed, 0, 1);
  assert_outcomes(c, takes_compressed, 0, 7);
  size_t stride = bytes.length <= SHORT_ENOUGH_FOR_EVERY_CUT ? 1 : STRIDE;
  for (size_t cut = 1; cut < bytes.length; cut += stride) assert_outcomes(c, takes_compressed, cut, BYTES_MAX);
}

static void check_case(void **state) {
  check(&cases[*(const size_t *) *state], false);
}

static void check_compressed_case(void **state) {
  check(&compressed_cases[*(const size_t *) *state], true);
}

int main(void) {
  static struct CMUnitTest tests[CASES + COMPRESSED_CASES];
  static size_t numbers[CASES + COMPRESSED_CASES];
  for (size_t i = 0; i < CASES; i++) {
    numbers[i] = i;
    tests[i] = (struct CMUnitTest){.name = cases[i].name, .test_func = check_case, .initial_state = &numbers[i]};
  }
  for (size_t i = 0; i < COMPRESSED_CASES; i++) {
    numbers[CASES + i] = i;
    tests[CASES + i] = (struct CMUnitTest){
        .name = compressed_cases[i].name, .test_func = check_compressed_case, .initial_state = &numbers[CASES + i]};
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
