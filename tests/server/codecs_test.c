/* SPDX-License-Identifier: MIT */
/*
 * codecs: the exact bytes that docs/protocol.md promises, in every kind and with every capacity, also as the library
 * asks for them; and that a parser of JSON reads back what was published.
 */
#include "server/codecs.h"

#include "server/websocket/websocket.h"
#include "support/alloc_hook.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { CANARY = 0x7e, ROOM = 1024 };

#define EPOCH 0x5f1c0de5a7b3c9d2u
#define LARGE (70 * 1024)

struct text {
  const char *data;
  size_t length;
};
#define TEXT(literal)                                                                                                  \
  { (literal), sizeof(literal) - 1 }

static struct codecs codecs;

static int set_epoch(void **state) {
  (void) state;
  codecs_init(&codecs, EPOCH, 0);
  return 0;
}

/* What a codec can be asked to write. */
struct request {
  enum codec_kind kind;
  const fluxbp_publication_t *publication; /* one of the three */
  const fluxbp_gap_t *gap;
  fluxbp_evict_reason_t reason;
};

static ptrdiff_t ask(const struct request *request, char *out, size_t capacity) {
  const fluxbp_codec_t *codec = (&codecs.list[request->kind]);
  if (request->publication != NULL) return codec->encode(codec, request->publication, out, capacity);
  if (request->gap != NULL) return codec->encode_gap(codec, request->gap, out, capacity);
  return codec->encode_farewell(codec, request->reason, out, capacity);
}

/* The same bytes whenever they fit, the same length whether they do or not, and nothing beyond the capacity. */
static void assert_writes(const struct request *request, struct text expected) {
  for (size_t capacity = 0; capacity <= expected.length + 3; capacity++) {
    char out[ROOM];
    memset(out, CANARY, sizeof out);
    assert_int_equal(ask(request, out, capacity), expected.length);
    for (size_t i = capacity; i < ROOM; i++) assert_int_equal(out[i], CANARY);
    if (capacity >= expected.length) assert_memory_equal(out, expected.data, expected.length);
  }
  assert_int_equal(ask(request, NULL, 0), expected.length);
}

/* The library's own way: a pool, a message, a frame. */
static void assert_frame(const struct request *request, struct text expected) {
  const fluxbp_publication_t *publication = request->publication;
  alloc_hook_t hook;
  alloc_hook_init(&hook);
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&hook);
  fluxbp_pool_t *pool;
  fluxbp_msg_t *msg;
  fluxbp_frame_t *frame;
  assert_int_equal(fluxbp_pool_create(&options, &pool), 0);
  const char *name = publication->key_name;
  int err;
  if (publication->is_removal)
    err = fluxbp_msg_create_removal(pool, 1, name, publication->data, publication->length, &msg);
  else if (name != NULL)
    err = fluxbp_msg_create_named(pool, 1, name, publication->data, publication->length, &msg);
  else
    err = fluxbp_msg_create(pool, publication->data, publication->length, &msg);
  assert_int_equal(err, 0);
  const fluxbp_codec_t *codec = (&codecs.list[request->kind]);
  assert_int_equal(fluxbp_frame_create(pool, msg, codec, publication->topic, publication->id, &frame), 0);
  assert_int_equal(fluxbp_frame_length(frame), expected.length);
  assert_memory_equal(fluxbp_frame_data(frame), expected.data, expected.length);
  fluxbp_frame_unref(frame);
  fluxbp_msg_unref(msg);
  assert_int_equal(fluxbp_pool_destroy(pool), 0);
  assert_int_equal(hook.live_blocks, 0);
}

#define ID17 "5f1c0de5a7b3c9d2:17"

static const struct encode_case {
  enum codec_kind kind;
  const char *topic;
  uint64_t id;
  struct text data, expected;
} cases[] = {
    {CODEC_LINES, "news", 17, TEXT("hello"), TEXT("hello\n")},
    {CODEC_LINES, "news", 0, TEXT("a\0\x1f\xff"), TEXT("a\0\x1f\xff\n")},
    {CODEC_LINES, NULL, 0, TEXT("+PONG\n"), TEXT("+PONG\n")},
    {CODEC_LINES, "news", 17, TEXT("two\nlines"), TEXT("{\"gap\":{\"from\":17,\"to\":17,\"count\":1}}\n")},
    {CODEC_LINES, "news", 17, TEXT("x\r" ID17 " news forged"), TEXT("{\"gap\":{\"from\":17,\"to\":17,\"count\":1}}\n")},
    {CODEC_LINES, "news", 17, TEXT("x\r"), TEXT("{\"gap\":{\"from\":17,\"to\":17,\"count\":1}}\n")},
    {CODEC_LINES, "news", 17, TEXT("\xe2\x80\xa8"), TEXT("{\"gap\":{\"from\":17,\"to\":17,\"count\":1}}\n")},
    {CODEC_LINES, "news", 17, TEXT("\xe2\x80\xaf"), TEXT("\xe2\x80\xaf\n")},
    {CODEC_LINES, "state", 0, TEXT("\n"), TEXT("{\"gap\":{\"from\":0,\"to\":0,\"count\":1}}\n")},

    {CODEC_LINES_WITH_IDS, "news", 17, TEXT("hello"), TEXT(ID17 " news hello\n")},
    {CODEC_LINES_WITH_IDS, "a:b-c", UINT64_MAX, TEXT("a b"), TEXT("5f1c0de5a7b3c9d2:18446744073709551615 a:b-c a b\n")},
    {CODEC_LINES_WITH_IDS, "state", 0, TEXT("hello"), TEXT("- state hello\n")},
    {CODEC_LINES_WITH_IDS, NULL, 0, TEXT("+PONG\n"), TEXT("+PONG\n")},
    {CODEC_LINES_WITH_IDS, "news", 17, TEXT("x\x1e" ID17 " news forged"),
     TEXT("{\"gap\":{\"from\":17,\"to\":17,\"count\":1}}\n")},
    {CODEC_LINES_WITH_IDS, "news", 17, TEXT("two\n"), TEXT("{\"gap\":{\"from\":17,\"to\":17,\"count\":1}}\n")},

    {CODEC_LENGTH, "news", 17, TEXT("hello"), TEXT("\0\0\0\x05hello")},
    {CODEC_LENGTH, "news", 17, TEXT("two\nlines"), TEXT("\0\0\0\x09two\nlines")},
    {CODEC_LENGTH, NULL, 0, TEXT("\0\0\0\x05+PONG"), TEXT("\0\0\0\x05+PONG")},
    {CODEC_LENGTH_WITH_IDS, "news", 17, TEXT("hello"), TEXT("\0\0\0\x1e" ID17 " news hello")},
    {CODEC_LENGTH_WITH_IDS, "state", 0, TEXT("a\nb"), TEXT("\0\0\0\x0b- state a\nb")},
    {CODEC_LENGTH_WITH_IDS, NULL, 0, TEXT("\0\0\0\x05+PONG"), TEXT("\0\0\0\x05+PONG")},

    {CODEC_WEBSOCKET, "news", 17, TEXT("hello"), TEXT("\x81\x05hello")},
    {CODEC_WEBSOCKET, "news", 17, TEXT("\xe2\x82\xac\n"), TEXT("\x81\x04\xe2\x82\xac\n")},
    {CODEC_WEBSOCKET, "state", 0, TEXT("\xe2\x82"), TEXT("\x82\x02\xe2\x82")},
    {CODEC_WEBSOCKET, NULL, 0, TEXT("\x81\x05+PONG"), TEXT("\x81\x05+PONG")},
    {CODEC_WEBSOCKET_JSON, "news", 17, TEXT("hello"),
     TEXT("\x81\x3a{\"id\":\"" ID17 "\",\"topic\":\"news\",\"data\":\"hello\"}")},
    {CODEC_WEBSOCKET_JSON, "state", 0, TEXT("\"\\\n\r\t\b\x1f/\x7f\xe2\x82\xac\0"),
     TEXT("\x81\x3c{\"topic\":\"state\",\"data\":\"\\\"\\\\\\n\\r\\t\\u0008\\u001f/\x7f\xe2\x82\xac\\u0000\"}")},
    {CODEC_WEBSOCKET_JSON, "news", 17, TEXT("\xff"),
     TEXT("\x81\x3b{\"id\":\"" ID17 "\",\"topic\":\"news\",\"base64\":\"/w==\"}")},
    {CODEC_WEBSOCKET_JSON, "state", 0, TEXT("\xff\xfe\xfd"), TEXT("\x81\x21{\"topic\":\"state\",\"base64\":\"//79\"}")},
    {CODEC_WEBSOCKET_JSON, NULL, 0, TEXT("\x8a\x00"), TEXT("\x8a\x00")},
    /* 101 bytes, which become 124 and 126: the header is that of a frame with the bare message, and a longer one */
    {CODEC_WEBSOCKET_JSON, "t", 0,
     TEXT("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789x"),
     TEXT("\x81\x7c{\"topic\":\"t\",\"data\":\""
          "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789x\"}")},
    {CODEC_WEBSOCKET_JSON, "tt", 0,
     TEXT("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\""),
     TEXT("\x81\x7e\x00\x7e{\"topic\":\"tt\",\"data\":\""
          "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\\\"\""
          "}")},

    {CODEC_WEBSOCKET_JSON, "t", 0, TEXT("\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xc2\x86\xe2\x80\xaa\xe2\x82\xac"),
     TEXT("\x81\x31{\"topic\":\"t\",\"data\":\"\\u0085\\u2028\\u2029\xc2\x86\xe2\x80\xaa\xe2\x82\xac\"}")},

    {CODEC_SSE, "news", 17, TEXT("hello"), TEXT("id: " ID17 "\ndata: hello\n\n")},
    {CODEC_SSE, "state", 0, TEXT("hello"), TEXT("data: hello\n\n")},
    {CODEC_SSE, "state", 0, TEXT(" a: b"), TEXT("data:  a: b\n\n")},
    {CODEC_SSE, "state", 0, TEXT("a\nb\rc\r\nd"), TEXT("data: a\ndata: b\ndata: c\ndata: d\n\n")},
    {CODEC_SSE, "state", 0, TEXT("a\n\nb\n\r\r\n"), TEXT("data: a\ndata: \ndata: b\ndata: \ndata: \ndata: \n\n")},
    {CODEC_SSE, "state", 0, TEXT("\n"), TEXT("data: \ndata: \n\n")},
    {CODEC_SSE, "state", 0, TEXT("\r"), TEXT("data: \ndata: \n\n")},
    {CODEC_SSE, "state", 0, TEXT("\r\n"), TEXT("data: \ndata: \n\n")},
    {CODEC_SSE, "state", 0, TEXT("a\0b"), TEXT("data: a\0b\n\n")},
    {CODEC_SSE, "news", 17, TEXT("\xc3\xa9\xff\n"), TEXT("id: " ID17 "\nevent: base64\ndata: w6n/Cg==\n\n")},
    {CODEC_SSE, NULL, 0, TEXT(": ping\n\n"), TEXT(": ping\n\n")},
    {CODEC_SSE_JSON, "news", 17, TEXT("a\nb"),
     TEXT("id: " ID17 "\ndata: {\"id\":\"" ID17 "\",\"topic\":\"news\",\"data\":\"a\\nb\"}\n\n")},
    {CODEC_SSE_JSON, "state", 0, TEXT("\xff\xff"), TEXT("data: {\"topic\":\"state\",\"base64\":\"//8=\"}\n\n")},
    {CODEC_SSE_JSON, NULL, 0, TEXT("retry: 1000\n\n"), TEXT("retry: 1000\n\n")},
};

static void codecs_write_messages_as_the_protocol_says(void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct encode_case *c = &cases[i];
    print_message("case %zu: %s\n", i, (&codecs.list[c->kind])->name);
    fluxbp_publication_t publication = {.topic = c->topic, .id = c->id, .data = c->data.data, .length = c->data.length};
    struct request request = {.kind = c->kind, .publication = &publication};
    assert_writes(&request, c->expected);
    assert_frame(&request, c->expected);
  }
}

static const struct key_case {
  enum codec_kind kind;
  const char *key;
  bool is_removal; /* else "7" is the key's value */
  struct text expected;
} key_cases[] = {
    {CODEC_LINES, "BTC", false, TEXT("7\n")},
    {CODEC_LINES_WITH_IDS, "BTC", false, TEXT("- prices 7\n")},
    {CODEC_LENGTH, "BTC", false,
     TEXT("\0\0\0\x01"
          "7")},
    {CODEC_WEBSOCKET, "BTC", false,
     TEXT("\x81\x01"
          "7")},
    {CODEC_WEBSOCKET_JSON, "BTC", false, TEXT("\x81\x29{\"topic\":\"prices\",\"key\":\"BTC\",\"data\":\"7\"}")},
    {CODEC_WEBSOCKET_JSON, "\xff", false,
     TEXT("\x81\x31{\"topic\":\"prices\",\"key_base64\":\"/w==\",\"data\":\"7\"}")},
    {CODEC_SSE, "BTC", false, TEXT("data: 7\n\n")},
    {CODEC_SSE_JSON, "a\nb\"", false, TEXT("data: {\"topic\":\"prices\",\"key\":\"a\\nb\\\"\",\"data\":\"7\"}\n\n")},

    {CODEC_LINES, "BTC", true, TEXT("{\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}\n")},
    {CODEC_LINES, "a\nb", true, TEXT("{\"unset\":{\"topic\":\"prices\",\"key\":\"a\\nb\"}}\n")},
    {CODEC_LINES_WITH_IDS, "BTC", true, TEXT("{\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}\n")},
    {CODEC_LENGTH, "BTC", true, TEXT("\0\0\0\x28{\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}")},
    {CODEC_LENGTH_WITH_IDS, "BTC", true, TEXT("\0\0\0\x28{\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}")},
    {CODEC_WEBSOCKET, "BTC", true, TEXT("\x81\x28{\"unset\":{\"topic\":\"prices\",\"key\":\"BTC\"}}")},
    {CODEC_WEBSOCKET, "\xff", true, TEXT("\x81\x30{\"unset\":{\"topic\":\"prices\",\"key_base64\":\"/w==\"}}")},
    {CODEC_WEBSOCKET_JSON, "BTC", true, TEXT("\x81\x2b{\"topic\":\"prices\",\"key\":\"BTC\",\"unset\":true}")},
    {CODEC_SSE, "BTC", true, TEXT("event: unset\ndata: {\"topic\":\"prices\",\"key\":\"BTC\",\"unset\":true}\n\n")},
    {CODEC_SSE_JSON, "BTC", true,
     TEXT("event: unset\ndata: {\"topic\":\"prices\",\"key\":\"BTC\",\"unset\":true}\n\n")},
};

static void codecs_write_values_and_removals_of_a_key(void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof key_cases / sizeof key_cases[0]; i++) {
    const struct key_case *c = &key_cases[i];
    const char *data = c->is_removal ? c->key : "7";
    print_message("key case %zu: %s\n", i, (&codecs.list[c->kind])->name);
    fluxbp_publication_t publication = {
        .topic = "prices", .data = data, .length = strlen(data), .key_name = c->key, .is_removal = c->is_removal};
    struct request request = {.kind = c->kind, .publication = &publication};
    assert_writes(&request, c->expected);
    assert_frame(&request, c->expected);
  }
}

/* 64 bytes that are six each in JSON, and the longest topic. */
static void codecs_have_room_for_the_longest_removal(void **state) {
  (void) state;
  char topic[65], key[65];
  memset(topic, 't', 64);
  memset(key, '\x01', 64);
  topic[64] = key[64] = '\0';
  for (enum codec_kind kind = 0; kind < CODEC_COUNT; kind++) {
    fluxbp_publication_t publication = {.topic = topic, .data = key, .length = 64, .key_name = key, .is_removal = 1};
    char out[ROOM];
    ptrdiff_t length = ask(&(struct request){.kind = kind, .publication = &publication}, out, sizeof out);
    assert_in_range(length, 64 * 7, ROOM);
    assert_int_equal(ask(&(struct request){.kind = kind, .publication = &publication}, NULL, 0), length);
  }
}

static void codecs_look_at_nothing_behind_a_message(void **state) {
  (void) state;
  fluxbp_publication_t publication = {.topic = "state", .data = "a\r\nb", .length = 2};
  assert_writes(&(struct request){.kind = CODEC_SSE, .publication = &publication},
                (struct text) TEXT("data: a\ndata: \n\n"));

  publication = (fluxbp_publication_t){.topic = "state", .data = "a\xe2\x80\xa8", .length = 3};
  assert_writes(&(struct request){.kind = CODEC_LINES, .publication = &publication}, (struct text) TEXT("a\xe2\x80\n"));

  publication = (fluxbp_publication_t){.topic = "state", .data = "\xc3\xa9", .length = 1};
  assert_writes(&(struct request){.kind = CODEC_WEBSOCKET, .publication = &publication},
                (struct text) TEXT("\x82\x01\xc3"));
}

static bool is_gzip(enum codec_kind kind) {
  return kind == CODEC_SSE_GZIP || kind == CODEC_SSE_JSON_GZIP;
}

static void codecs_refuse_nothing(void **state) {
  (void) state;
  static char every_byte[256];
  for (size_t i = 0; i < sizeof every_byte; i++) every_byte[i] = (char) i;
  for (enum codec_kind kind = 0; kind < CODEC_COUNT; kind++) {
    fluxbp_publication_t publication = {.topic = "news", .id = 1, .data = every_byte, .length = sizeof every_byte};
    assert_true(ask(&(struct request){.kind = kind, .publication = &publication}, NULL, 0) > 0);

    char out[ROOM];
    publication = (fluxbp_publication_t){.data = "+OK a\n+OK b\n", .length = 12};
    ptrdiff_t length = ask(&(struct request){.kind = kind, .publication = &publication}, out, sizeof out);
    if (is_gzip(kind)) {
      assert_true(length > 12); /* stored; sse_gzip_test reads it back */
    } else {
      assert_int_equal(length, 12);
      assert_memory_equal(out, "+OK a\n+OK b\n", 12);
    }
  }
}

static void codecs_give_an_answer_its_form_once(void **state) {
  (void) state;
  char out[8];
  memset(out, '.', sizeof out);
  assert_int_equal(codecs_line("+PONG", 5, out, sizeof out), 6);
  assert_memory_equal(out, "+PONG\n..", 8);
  memset(out, '.', sizeof out);
  assert_int_equal(codecs_length_frame("+OK", 3, out, sizeof out), 7);
  assert_memory_equal(out, "\0\0\0\x03+OK.", 8);
  assert_int_equal(codecs_line("+PONG", 5, NULL, 0), 6);
  assert_int_equal(codecs_length_frame("+PONG", 5, NULL, 0), 9);
  memset(out, '.', sizeof out);
  assert_int_equal(codecs_length_frame("+PONG", 5, out, 8), 9);
  assert_memory_equal(out, "........", 4);
}

static const fluxbp_gap_t gap = {.first_id = 17, .last_id = 23, .count = 5};
static const fluxbp_gap_t largest_gap = {.first_id = UINT64_MAX, .last_id = UINT64_MAX, .count = UINT64_MAX};

#define GAP_OBJECT "{\"from\":17,\"to\":23,\"count\":5}"
#define LARGEST "18446744073709551615"
#define LARGEST_OBJECT "{\"from\":" LARGEST ",\"to\":" LARGEST ",\"count\":" LARGEST "}"

static void codecs_tell_of_a_gap(void **state) {
  (void) state;
  static const struct text expected[CODEC_COUNT][2] = {
      [CODEC_LINES] = {TEXT("{\"gap\":" GAP_OBJECT "}\n"), TEXT("{\"gap\":" LARGEST_OBJECT "}\n")},
      [CODEC_LINES_WITH_IDS] = {TEXT("{\"gap\":" GAP_OBJECT "}\n"), TEXT("{\"gap\":" LARGEST_OBJECT "}\n")},
      [CODEC_LENGTH] = {TEXT("\0\0\0\x25{\"gap\":" GAP_OBJECT "}"), TEXT("\0\0\0\x5c{\"gap\":" LARGEST_OBJECT "}")},
      [CODEC_LENGTH_WITH_IDS] = {TEXT("\0\0\0\x25{\"gap\":" GAP_OBJECT "}"),
                                 TEXT("\0\0\0\x5c{\"gap\":" LARGEST_OBJECT "}")},
      [CODEC_WEBSOCKET] = {TEXT("\x81\x25{\"gap\":" GAP_OBJECT "}"), TEXT("\x81\x5c{\"gap\":" LARGEST_OBJECT "}")},
      [CODEC_WEBSOCKET_JSON] = {TEXT("\x81\x25{\"gap\":" GAP_OBJECT "}"), TEXT("\x81\x5c{\"gap\":" LARGEST_OBJECT "}")},
      [CODEC_SSE] = {TEXT("event: gap\ndata: " GAP_OBJECT "\n\n"), TEXT("event: gap\ndata: " LARGEST_OBJECT "\n\n")},
      [CODEC_SSE_JSON] = {TEXT("event: gap\ndata: " GAP_OBJECT "\n\n"),
                          TEXT("event: gap\ndata: " LARGEST_OBJECT "\n\n")},
      [CODEC_WEBSOCKET_DEFLATE] = {TEXT("\x81\x25{\"gap\":" GAP_OBJECT "}"),
                                   TEXT("\x81\x5c{\"gap\":" LARGEST_OBJECT "}")},
      [CODEC_WEBSOCKET_JSON_DEFLATE] = {TEXT("\x81\x25{\"gap\":" GAP_OBJECT "}"),
                                        TEXT("\x81\x5c{\"gap\":" LARGEST_OBJECT "}")},
  };
  for (enum codec_kind kind = 0; kind < CODEC_COUNT; kind++) {
    if (is_gzip(kind)) continue;
    assert_writes(&(struct request){.kind = kind, .gap = &gap}, expected[kind][0]);
    assert_writes(&(struct request){.kind = kind, .gap = &largest_gap}, expected[kind][1]);
  }
}

static void codecs_say_farewell(void **state) {
  (void) state;
  static const struct text expected[CODEC_COUNT] = {
      [CODEC_LINES] = TEXT("{\"evicted\":\"slow\"}\n"),
      [CODEC_LINES_WITH_IDS] = TEXT("{\"evicted\":\"slow\"}\n"),
      [CODEC_LENGTH] = TEXT("\0\0\0\x12{\"evicted\":\"slow\"}"),
      [CODEC_LENGTH_WITH_IDS] = TEXT("\0\0\0\x12{\"evicted\":\"slow\"}"),
      [CODEC_WEBSOCKET] = TEXT("\x88\x06\x0f\xa8slow"),
      [CODEC_WEBSOCKET_JSON] = TEXT("\x88\x06\x0f\xa8slow"),
      [CODEC_SSE] = TEXT("event: evicted\ndata: {\"reason\":\"slow\"}\n\n"),
      [CODEC_SSE_JSON] = TEXT("event: evicted\ndata: {\"reason\":\"slow\"}\n\n"),
      [CODEC_WEBSOCKET_DEFLATE] = TEXT("\x88\x06\x0f\xa8slow"),
      [CODEC_WEBSOCKET_JSON_DEFLATE] = TEXT("\x88\x06\x0f\xa8slow"),
  };
  for (enum codec_kind kind = 0; kind < CODEC_COUNT; kind++) {
    if (is_gzip(kind)) continue;
    assert_writes(&(struct request){.kind = kind, .reason = FLUXBP_EVICT_SLOW}, expected[kind]);
    for (int reason = FLUXBP_EVICT_NONE; reason < FLUXBP_EVICT_REASON_COUNT; reason++) {
      char out[ROOM];
      fluxbp_evict_reason_t which = (fluxbp_evict_reason_t) reason;
      ptrdiff_t length = ask(&(struct request){.kind = kind, .reason = which}, out, sizeof out - 1);
      assert_in_range(length, 1, sizeof out - 1);
      out[length] = '\0';
      assert_non_null(strstr(out + 4, fluxbp_evict_reason_name(which)));
    }
  }
}

/* What a plain codec writes, in stored blocks and with its note. */
static void assert_stores(const struct request *request, enum codec_kind plain) {
  char expected[ROOM] = {0};
  struct request of_plain = *request;
  of_plain.kind = plain;
  size_t length = (size_t) ask(&of_plain, expected + GZIP_STORED_BYTES, sizeof expected - GZIP_STORED_BYTES);
  struct gzip_piece piece = gzip_piece_of(expected + GZIP_STORED_BYTES, length);
  gzip_store((unsigned char *) expected, length);
  memcpy(expected + gzip_stored_length(length), &piece, sizeof piece);
  assert_writes(request, (struct text){expected, gzip_stored_length(length) + sizeof piece});
}

static void gzip_codecs_store_what_is_short(void **state) {
  static const fluxbp_publication_t publications[] = {
      {.topic = "news", .id = 17, .data = "hello", .length = 5},
      {.data = "as it is\n\n", .length = 10},
      {.topic = "state", .data = "", .key_name = "key", .is_removal = true},
  };
  (void) state;
  for (int i = 0; i < 2; i++) {
    enum codec_kind plain = i == 0 ? CODEC_SSE : CODEC_SSE_JSON;
    enum codec_kind kind = i == 0 ? CODEC_SSE_GZIP : CODEC_SSE_JSON_GZIP;
    assert_int_equal(codecs.list[kind].note_bytes, sizeof(struct gzip_piece));
    for (size_t j = 0; j < sizeof publications / sizeof publications[0]; j++)
      assert_stores(&(struct request){.kind = kind, .publication = &publications[j]}, plain);
    assert_stores(&(struct request){.kind = kind, .gap = &gap}, plain);
    assert_stores(&(struct request){.kind = kind, .gap = &largest_gap}, plain);
    assert_stores(&(struct request){.kind = kind, .reason = FLUXBP_EVICT_SLOW}, plain);
  }
}

/* Encode into exactly as much as is asked for. */
static struct text encode(enum codec_kind kind, const fluxbp_publication_t *publication) {
  static char out[3 * LARGE];
  struct request request = {.kind = kind, .publication = publication};
  ptrdiff_t length = ask(&request, NULL, 0);
  assert_in_range(length, 1, sizeof out);
  assert_int_equal(ask(&request, out, (size_t) length), length);
  return (struct text){out, (size_t) length};
}

static void codecs_write_json_that_a_parser_reads_back(void **state) {
  (void) state;
  for (unsigned character = 0; character < 0x80; character++) {
    char data[] = {'a', (char) character, 'b', (char) character};
    fluxbp_publication_t publication = {.topic = "news", .id = 17, .data = data, .length = sizeof data};
    struct text frame = encode(CODEC_WEBSOCKET_JSON, &publication);
    json_error_t error;
    json_t *object = json_loadb(frame.data + 2, frame.length - 2, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    assert_non_null(object);
    json_t *text = json_object_get(object, "data");
    assert_int_equal(json_string_length(text), sizeof data);
    assert_memory_equal(json_string_value(text), data, sizeof data);
    assert_string_equal(json_string_value(json_object_get(object, "id")), ID17);
    assert_string_equal(json_string_value(json_object_get(object, "topic")), "news");
    assert_int_equal(json_object_size(object), 3);
    json_decref(object);
  }
}

static void codecs_write_frames_of_every_length(void **state) {
  (void) state;
  static char data[LARGE];
  memset(data, 'a', sizeof data);
  const size_t lengths[] = {1, 124, 125, 126, 127, 65000, 65535, 65536, 65537, LARGE};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    size_t length = lengths[i], header = length < 126 ? 2 : length < 65536 ? 4 : 10;
    fluxbp_publication_t publication = {.topic = "news", .id = 1, .data = data, .length = length};
    struct text frame = encode(CODEC_WEBSOCKET, &publication);
    assert_int_equal(frame.length, header + length);
    assert_memory_equal(frame.data + header, data, length);

    frame = encode(CODEC_LENGTH, &publication);
    assert_int_equal(frame.length, 4 + length);
    assert_int_equal((unsigned char) frame.data[1], length >> 16);

    frame = encode(CODEC_WEBSOCKET_JSON, &publication);
    header = frame.length - 2 < 126 ? 2 : frame.length - 4 < 65536 ? 4 : 10;
    json_t *object = json_loadb(frame.data + header, frame.length - header, 0, NULL);
    assert_non_null(object);
    assert_int_equal(json_string_length(json_object_get(object, "data")), length);
    json_decref(object);
  }
}

static void id_format_and_id_parse_are_inverse(void **state) {
  (void) state;
  const uint64_t ids[] = {0, 1, 9, 10, 17, 1234567890, UINT64_MAX};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    char text[ID_TEXT_BYTES], expected[ID_TEXT_BYTES];
    (void) snprintf(expected, sizeof expected, "5f1c0de5a7b3c9d2:%llu", (unsigned long long) ids[i]);
    id_format(&codecs, ids[i], text);
    assert_string_equal(text, expected);
    uint64_t epoch, id;
    assert_true(id_parse(text, &epoch, &id));
    assert_true(epoch == EPOCH);
    assert_true(id == ids[i]);
  }
}

static void id_parse_takes_ids_only(void **state) {
  (void) state;
  uint64_t epoch, id;
  assert_true(id_parse("ABCDEF0123456789:007", &epoch, &id));
  assert_true(epoch == 0xabcdef0123456789u && id == 7);

  static const char *const wrong[] = {
      "",
      ":",
      "17",
      ":17",
      "5f1c0de5a7b3c9d2",
      "5f1c0de5a7b3c9d2:",
      "5f1c0de5a7b3c9d:17",
      "05f1c0de5a7b3c9d2:17",
      "5f1c0de5a7b3c9dg:17",
      "5f1c0de5a7b3c9d2 17",
      "5f1c0de5a7b3c9d2:-1",
      "5f1c0de5a7b3c9d2:+1",
      "5f1c0de5a7b3c9d2: 1",
      "5f1c0de5a7b3c9d2:1 ",
      "5f1c0de5a7b3c9d2:1x",
      "5f1c0de5a7b3c9d2:0x1",
      "5f1c0de5a7b3c9d2:18446744073709551616",
      "5f1c0de5a7b3c9d2:99999999999999999999",
      "5f1c0de5a7b3c9d2:184467440737095516150",
      " 5f1c0de5a7b3c9d2:1",
      "0x1c0de5a7b3c9d2:1",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_false(id_parse(wrong[i], &epoch, &id));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codecs_write_messages_as_the_protocol_says),
      cmocka_unit_test(codecs_write_values_and_removals_of_a_key),
      cmocka_unit_test(codecs_have_room_for_the_longest_removal),
      cmocka_unit_test(codecs_look_at_nothing_behind_a_message),
      cmocka_unit_test(codecs_refuse_nothing),
      cmocka_unit_test(codecs_give_an_answer_its_form_once),
      cmocka_unit_test(codecs_tell_of_a_gap),
      cmocka_unit_test(codecs_say_farewell),
      cmocka_unit_test(gzip_codecs_store_what_is_short),
      cmocka_unit_test(codecs_write_json_that_a_parser_reads_back),
      cmocka_unit_test(codecs_write_frames_of_every_length),
      cmocka_unit_test(id_format_and_id_parse_are_inverse),
      cmocka_unit_test(id_parse_takes_ids_only),
  };
  return cmocka_run_group_tests(tests, set_epoch, NULL);
}
