/* SPDX-License-Identifier: MIT */
/*
 * codecs: see the header. Every function writes as snprintf does, and allocates nothing.
 *
 * A codec that refuses a message keeps it from all clients of the hub, whatever they speak: the library encodes for
 * all, or delivers to none. So no message is refused here that came by a topic. Where a protocol can't carry one, its
 * clients get something else: the line of a gap, or base64.
 */
#include "codecs.h"

#include "server/lines/line_text.h"
#include "server/websocket/websocket.h"
#include "writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* A key of 64 bytes, each of which is six in JSON, a topic, and the rest. */
enum { LENGTH_BYTES = 4, EPOCH_DIGITS = EPOCH_TEXT_BYTES - 1, UNSET_BYTES = 1024 };

static void write_id(struct writer *writer, const char *epoch_text, uint64_t id) {
  writer_bytes(writer, epoch_text, EPOCH_DIGITS);
  writer_text(writer, ":");
  writer_number(writer, id);
}

void id_format(const struct codecs *codecs, uint64_t id, char text[ID_TEXT_BYTES]) {
  struct writer writer = {.out = text, .capacity = ID_TEXT_BYTES};
  write_id(&writer, codecs->epoch_text, id);
  text[writer.length] = '\0';
}

/* @return the value of a hexadecimal digit, or -1 */
static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool id_parse(const char *text, uint64_t *epoch, uint64_t *id) {
  *epoch = 0;
  for (int i = 0; i < EPOCH_DIGITS; i++) {
    int digit = digit_of(*text++);
    if (digit < 0) return false;
    *epoch = *epoch << 4 | (unsigned) digit;
  }
  if (*text++ != ':' || *text == '\0') return false;

  *id = 0;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9') return false;
    unsigned digit = (unsigned) (*text - '0');
    if (*id > (UINT64_MAX - digit) / 10) return false;
    *id = *id * 10 + digit;
  }
  return true;
}

static struct writer writer_of(char *out, size_t capacity) {
  return (struct writer){.out = out, .capacity = capacity};
}

/* A writer for what stands behind the first bytes of `out`, which are written when its length is known. */
static struct writer writer_behind(size_t header, char *out, size_t capacity) {
  return header < capacity ? writer_of(out + header, capacity - header) : writer_of(NULL, 0);
}

/* What is meant for one client has its form already. */
static ptrdiff_t pass_on(const fluxbp_publication_t *publication, char *out, size_t capacity) {
  struct writer writer = writer_of(out, capacity);
  writer_bytes(&writer, publication->data, publication->length);
  return (ptrdiff_t) writer.length;
}

static void write_gap_object(struct writer *writer, const fluxbp_gap_t *gap) {
  writer_text(writer, "{\"from\":");
  writer_number(writer, gap->first_id);
  writer_text(writer, ",\"to\":");
  writer_number(writer, gap->last_id);
  writer_text(writer, ",\"count\":");
  writer_number(writer, gap->count);
  writer_text(writer, "}");
}

static void write_gap(struct writer *writer, const fluxbp_gap_t *gap) {
  writer_text(writer, "{\"gap\":");
  write_gap_object(writer, gap);
  writer_text(writer, "}");
}

static void write_evicted(struct writer *writer, fluxbp_evict_reason_t reason) {
  writer_text(writer, "{\"evicted\":\"");
  writer_text(writer, fluxbp_evict_reason_name(reason));
  writer_text(writer, "\"}");
}

static void write_key(struct writer *writer, const char *key) {
  size_t length = strlen(key);
  if (websocket_is_utf8(key, length)) {
    writer_text(writer, "\"key\":");
    writer_json_string(writer, key, length);
  } else {
    writer_text(writer, "\"key_base64\":\"");
    writer_base64(writer, key, length);
    writer_text(writer, "\"");
  }
}

static void write_topic_and_key(struct writer *writer, const fluxbp_publication_t *publication) {
  writer_text(writer, "\"topic\":");
  writer_json_string(writer, publication->topic, strlen(publication->topic));
  if (publication->key_name == NULL) return;
  writer_text(writer, ",");
  write_key(writer, publication->key_name);
}

/* Where messages aren't JSON. */
static void write_unset(struct writer *writer, const fluxbp_publication_t *publication) {
  writer_text(writer, "{\"unset\":{");
  write_topic_and_key(writer, publication);
  writer_text(writer, "}}");
}

/* "id topic " in front of a message; "-" stands for no id. */
static void write_origin(struct writer *writer, const char *epoch_text, const fluxbp_publication_t *publication) {
  if (publication->id != 0)
    write_id(writer, epoch_text, publication->id);
  else
    writer_text(writer, "-");
  writer_text(writer, " ");
  writer_text(writer, publication->topic);
  writer_text(writer, " ");
}

static ptrdiff_t lines_encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  (void) codec;
  struct writer line = writer_of(out, capacity);
  write_gap(&line, gap);
  writer_text(&line, "\n");
  return (ptrdiff_t) line.length;
}

static ptrdiff_t lines_encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                       size_t capacity) {
  (void) codec;
  struct writer line = writer_of(out, capacity);
  write_evicted(&line, reason);
  writer_text(&line, "\n");
  return (ptrdiff_t) line.length;
}

/* `epoch_text` is NULL: without id and topic. */
static ptrdiff_t encode_line(const char *epoch_text, const fluxbp_publication_t *publication, char *out,
                             size_t capacity) {
  if (publication->topic == NULL) return pass_on(publication, out, capacity);
  if (publication->is_removal) {
    struct writer unset = writer_of(out, capacity);
    write_unset(&unset, publication);
    writer_text(&unset, "\n");
    return (ptrdiff_t) unset.length;
  }
  if (!line_text_is_one_line(publication->data, publication->length)) {
    fluxbp_gap_t gap = {.first_id = publication->id, .last_id = publication->id, .count = 1};
    return lines_encode_gap(NULL, &gap, out, capacity);
  }
  struct writer line = writer_of(out, capacity);
  if (epoch_text != NULL) write_origin(&line, epoch_text, publication);
  writer_bytes(&line, publication->data, publication->length);
  writer_text(&line, "\n");
  return (ptrdiff_t) line.length;
}

static ptrdiff_t lines_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                              size_t capacity) {
  (void) codec;
  return encode_line(NULL, publication, out, capacity);
}

static ptrdiff_t lines_with_ids_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                       size_t capacity) {
  return encode_line(codec->arg, publication, out, capacity);
}

/* Put the length in front of what `frame`, a writer behind it, has written. */
static ptrdiff_t end_length_frame(const struct writer *frame, char *out, size_t capacity) {
  size_t length = frame->length;
  if (LENGTH_BYTES + length <= capacity) {
    const unsigned char header[LENGTH_BYTES] = {(unsigned char) (length >> 24), (unsigned char) (length >> 16),
                                                (unsigned char) (length >> 8), (unsigned char) length};
    memcpy(out, header, sizeof header);
  }
  return (ptrdiff_t) (LENGTH_BYTES + length);
}

static ptrdiff_t encode_length_frame(const char *epoch_text, const fluxbp_publication_t *publication, char *out,
                                     size_t capacity) {
  if (publication->topic == NULL) return pass_on(publication, out, capacity);
  struct writer frame = writer_behind(LENGTH_BYTES, out, capacity);
  if (publication->is_removal) {
    write_unset(&frame, publication);
    return end_length_frame(&frame, out, capacity);
  }
  if (epoch_text != NULL) write_origin(&frame, epoch_text, publication);
  writer_bytes(&frame, publication->data, publication->length);
  return end_length_frame(&frame, out, capacity);
}

size_t codecs_line(const char *text, size_t length, char *out, size_t capacity) {
  struct writer line = writer_of(out, capacity);
  writer_bytes(&line, text, length);
  writer_text(&line, "\n");
  return line.length;
}

size_t codecs_length_frame(const char *text, size_t length, char *out, size_t capacity) {
  struct writer frame = writer_behind(LENGTH_BYTES, out, capacity);
  writer_bytes(&frame, text, length);
  return (size_t) end_length_frame(&frame, out, capacity);
}

static ptrdiff_t length_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                               size_t capacity) {
  (void) codec;
  return encode_length_frame(NULL, publication, out, capacity);
}

static ptrdiff_t length_with_ids_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                        size_t capacity) {
  return encode_length_frame(codec->arg, publication, out, capacity);
}

static ptrdiff_t length_encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  (void) codec;
  struct writer frame = writer_behind(LENGTH_BYTES, out, capacity);
  write_gap(&frame, gap);
  return end_length_frame(&frame, out, capacity);
}

static ptrdiff_t length_encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                        size_t capacity) {
  (void) codec;
  struct writer frame = writer_behind(LENGTH_BYTES, out, capacity);
  write_evicted(&frame, reason);
  return end_length_frame(&frame, out, capacity);
}

/* A message, or a removal, as an object. A message's is longer than the message. */
static void write_json(struct writer *writer, const char *epoch_text, const fluxbp_publication_t *publication) {
  writer_text(writer, "{");
  if (publication->id != 0) {
    writer_text(writer, "\"id\":\"");
    write_id(writer, epoch_text, publication->id);
    writer_text(writer, "\",");
  }
  write_topic_and_key(writer, publication);
  if (publication->is_removal) {
    writer_text(writer, ",\"unset\":true}");
  } else if (websocket_is_utf8(publication->data, publication->length)) {
    writer_text(writer, ",\"data\":");
    writer_json_string(writer, publication->data, publication->length);
    writer_text(writer, "}");
  } else {
    writer_text(writer, ",\"base64\":\"");
    writer_base64(writer, publication->data, publication->length);
    writer_text(writer, "\"}");
  }
}

/* A frame's bytes as what a codec returns. */
static ptrdiff_t framed(size_t bytes) {
  return bytes > 0 ? (ptrdiff_t) bytes : UV_ENOMEM;
}

/* The header of a frame that short has two bytes, or four. */
static ptrdiff_t websocket_encode_unset(const fluxbp_publication_t *publication, char *out, size_t capacity) {
  char text[UNSET_BYTES];
  struct writer json = writer_of(text, sizeof text);
  write_unset(&json, publication);
  if (json.length > sizeof text) return UV_E2BIG;
  return framed(websocket_frame(WEBSOCKET_TEXT, text, json.length, out, capacity));
}

static ptrdiff_t websocket_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                  size_t capacity) {
  (void) codec;
  if (publication->topic == NULL) return pass_on(publication, out, capacity);
  if (publication->is_removal) return websocket_encode_unset(publication, out, capacity);
  bool is_text = websocket_is_utf8(publication->data, publication->length);
  return framed(websocket_frame(is_text ? WEBSOCKET_TEXT : WEBSOCKET_BINARY, publication->data, publication->length,
                                out, capacity));
}

static ptrdiff_t websocket_json_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                       size_t capacity) {
  if (publication->topic == NULL) return pass_on(publication, out, capacity);
  /* Written where it will stand in most cases: the header of the frame isn't shorter than that of the bare message. */
  size_t header = websocket_frame(WEBSOCKET_TEXT, NULL, publication->length, NULL, 0) - publication->length;
  struct writer json = writer_behind(header, out, capacity);
  write_json(&json, codec->arg, publication);
  return framed(websocket_frame(WEBSOCKET_TEXT, json.out, json.length, out, capacity));
}

static ptrdiff_t websocket_encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out,
                                      size_t capacity) {
  (void) codec;
  char text[WEBSOCKET_CONTROL_BYTES];
  struct writer json = writer_of(text, sizeof text);
  write_gap(&json, gap);
  return framed(websocket_frame(WEBSOCKET_TEXT, text, json.length, out, capacity));
}

static ptrdiff_t websocket_encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                           size_t capacity) {
  (void) codec;
  return framed(websocket_close_frame(FLUXBP_CLOSE_SLOW, fluxbp_evict_reason_name(reason), out, capacity));
}

static void write_sse_id(struct writer *writer, const char *epoch_text, uint64_t id) {
  if (id == 0) return;
  writer_text(writer, "id: ");
  write_id(writer, epoch_text, id);
  writer_text(writer, "\n");
}

/* A field for each line of the text, which may end with any of \n, \r and \r\n. */
static void write_sse_data(struct writer *writer, const char *data, size_t length) {
  const char *end = data + length;
  for (const char *line = data;; line++) {
    const char *line_end = line;
    while (line_end < end && *line_end != '\n' && *line_end != '\r') line_end++;
    writer_text(writer, "data: ");
    writer_bytes(writer, line, (size_t) (line_end - line));
    writer_text(writer, "\n");
    if (line_end == end) return;
    line = end - line_end >= 2 && memcmp(line_end, "\r\n", 2) == 0 ? line_end + 1 : line_end;
  }
}

static void write_sse_unset(struct writer *writer, const char *epoch_text, const fluxbp_publication_t *publication) {
  writer_text(writer, "event: unset\ndata: ");
  write_json(writer, epoch_text, publication);
  writer_text(writer, "\n\n");
}

static ptrdiff_t sse_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                            size_t capacity) {
  if (publication->topic == NULL) return pass_on(publication, out, capacity);
  struct writer event = writer_of(out, capacity);
  if (publication->is_removal) {
    write_sse_unset(&event, codec->arg, publication);
    return (ptrdiff_t) event.length;
  }
  write_sse_id(&event, codec->arg, publication->id);
  if (websocket_is_utf8(publication->data, publication->length)) {
    write_sse_data(&event, publication->data, publication->length);
  } else {
    writer_text(&event, "event: base64\ndata: ");
    writer_base64(&event, publication->data, publication->length);
    writer_text(&event, "\n");
  }
  writer_text(&event, "\n");
  return (ptrdiff_t) event.length;
}

static ptrdiff_t sse_json_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                 size_t capacity) {
  if (publication->topic == NULL) return pass_on(publication, out, capacity);
  struct writer event = writer_of(out, capacity);
  if (publication->is_removal) {
    write_sse_unset(&event, codec->arg, publication);
    return (ptrdiff_t) event.length;
  }
  write_sse_id(&event, codec->arg, publication->id);
  writer_text(&event, "data: ");
  write_json(&event, codec->arg, publication);
  writer_text(&event, "\n\n");
  return (ptrdiff_t) event.length;
}

static ptrdiff_t sse_encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  (void) codec;
  struct writer event = writer_of(out, capacity);
  writer_text(&event, "event: gap\ndata: ");
  write_gap_object(&event, gap);
  writer_text(&event, "\n\n");
  return (ptrdiff_t) event.length;
}

static ptrdiff_t sse_encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                     size_t capacity) {
  (void) codec;
  struct writer event = writer_of(out, capacity);
  writer_text(&event, "event: evicted\ndata: {\"reason\":\"");
  writer_text(&event, fluxbp_evict_reason_name(reason));
  writer_text(&event, "\"}\n\n");
  return (ptrdiff_t) event.length;
}

/* What the codecs of a protocol have in common: all but how a message is encoded. */
#define CODEC_BASE(protocol)                                                                                           \
  .size = sizeof(fluxbp_codec_t), .encode_gap = protocol##_encode_gap, .encode_farewell = protocol##_encode_farewell
#define LINES CODEC_BASE(lines)
#define LENGTH CODEC_BASE(length)
#define WEBSOCKET CODEC_BASE(websocket)
#define SSE CODEC_BASE(sse)

static const fluxbp_codec_t tables[CODEC_COUNT] = {
    [CODEC_LINES] = {.name = "lines", .encode = lines_encode, LINES},
    [CODEC_LINES_WITH_IDS] = {.name = "lines with ids", .encode = lines_with_ids_encode, LINES},
    [CODEC_LENGTH] = {.name = "length", .encode = length_encode, LENGTH},
    [CODEC_LENGTH_WITH_IDS] = {.name = "length with ids", .encode = length_with_ids_encode, LENGTH},
    [CODEC_WEBSOCKET] = {.name = "websocket", .encode = websocket_encode, WEBSOCKET},
    [CODEC_WEBSOCKET_JSON] = {.name = "websocket json", .encode = websocket_json_encode, WEBSOCKET},
    [CODEC_SSE] = {.name = "sse", .encode = sse_encode, SSE},
    [CODEC_SSE_JSON] = {.name = "sse json", .encode = sse_json_encode, SSE},
    [CODEC_WEBSOCKET_DEFLATE] = {.name = "websocket deflate", .encode = websocket_deflate_encode, WEBSOCKET},
    [CODEC_WEBSOCKET_JSON_DEFLATE] = {.name = "websocket json deflate", .encode = websocket_deflate_encode, WEBSOCKET},
};

/* Have the codec of that kind compress the frames of the other one. */
static void init_deflate(struct codecs *codecs, struct websocket_deflate *deflate, enum codec_kind kind,
                         enum codec_kind plain) {
  *deflate = (struct websocket_deflate){.plain = &codecs->list[plain], .compressor = &codecs->compressor};
  codecs->list[kind].arg = deflate;
}

/* The same for streams of events. */
static void init_gzip(struct codecs *codecs, struct sse_gzip *gzip, enum codec_kind kind, enum codec_kind plain) {
  *gzip = (struct sse_gzip){.plain = &codecs->list[plain], .compressor = &codecs->compressor};
  sse_gzip_init(&codecs->list[kind], gzip);
}

void codecs_init(struct codecs *codecs, uint64_t epoch, uint32_t compress_bytes) {
  (void) snprintf(codecs->epoch_text, sizeof codecs->epoch_text, "%016" PRIx64, epoch);
  for (size_t kind = 0; kind < CODEC_COUNT; kind++) {
    codecs->list[kind] = tables[kind];
    codecs->list[kind].arg = codecs->epoch_text;
  }
  codecs->compressor = (struct compressor){.min_bytes = compress_bytes};
  init_deflate(codecs, &codecs->websocket_deflate, CODEC_WEBSOCKET_DEFLATE, CODEC_WEBSOCKET);
  init_deflate(codecs, &codecs->websocket_json_deflate, CODEC_WEBSOCKET_JSON_DEFLATE, CODEC_WEBSOCKET_JSON);
  init_gzip(codecs, &codecs->sse_gzip, CODEC_SSE_GZIP, CODEC_SSE);
  init_gzip(codecs, &codecs->sse_json_gzip, CODEC_SSE_JSON_GZIP, CODEC_SSE_JSON);
}

void codecs_end(struct codecs *codecs) {
  compressor_end(&codecs->compressor);
}
