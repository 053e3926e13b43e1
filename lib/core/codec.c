/* SPDX-License-Identifier: MIT */
/*
 * codec: the three encodings that need no other library.
 */
#include "fluxbp/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { LENGTH_BYTES = 4 };

/* snprintf's result as a codec's: without the NUL, which `capacity` has to have room for nevertheless. */
static ptrdiff_t printed(int len, size_t capacity) {
  if (len < 0) return UV_EINVAL;
  return (size_t) len < capacity ? len : len + 1;
}

static ptrdiff_t newline_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                size_t capacity) {
  (void) codec;
  size_t len = publication->length;
  if (memchr(publication->data, '\n', len) != NULL) return UV_EINVAL;
  if (len + 1 <= capacity) {
    memcpy(out, publication->data, len);
    out[len] = '\n';
  }
  return (ptrdiff_t) (len + 1);
}

static ptrdiff_t newline_encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  (void) codec;
  int len = snprintf(out, capacity, "{\"gap\":{\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"count\":%" PRIu64 "}}\n",
                     gap->first_id, gap->last_id, gap->count);
  return printed(len, capacity);
}

static ptrdiff_t newline_encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                         size_t capacity) {
  (void) codec;
  return printed(snprintf(out, capacity, "{\"evicted\":\"%s\"}\n", fluxbp_evict_reason_name(reason)), capacity);
}

static ptrdiff_t length32_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                 size_t capacity) {
  (void) codec;
  size_t len = publication->length;
  if (LENGTH_BYTES + len <= capacity) {
    out[0] = (char) (len >> 24);
    out[1] = (char) (len >> 16 & 0xff);
    out[2] = (char) (len >> 8 & 0xff);
    out[3] = (char) (len & 0xff);
    memcpy(out + LENGTH_BYTES, publication->data, len);
  }
  return (ptrdiff_t) (LENGTH_BYTES + len);
}

/*
 * The size of the three tables stays what it is while the library's MINOR does, whatever fluxbp_codec_t gets: the
 * linker may have put a copy of a table into a program (a copy relocation), as long as the table was when the program
 * was linked.
 */
enum { CODEC_SIZE = offsetof(fluxbp_codec_t, arg) + sizeof(void *) };

const fluxbp_codec_t fluxbp_codec_raw = {.size = CODEC_SIZE, .name = "raw"};

const fluxbp_codec_t fluxbp_codec_newline = {
    .size = CODEC_SIZE,
    .name = "newline",
    .encode = newline_encode,
    .encode_gap = newline_encode_gap,
    .encode_farewell = newline_encode_farewell,
};

const fluxbp_codec_t fluxbp_codec_length32 = {.size = CODEC_SIZE, .name = "length32", .encode = length32_encode};
