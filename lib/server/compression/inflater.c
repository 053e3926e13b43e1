/* SPDX-License-Identifier: MIT */
/*
 * inflater: see the header. The result's memory grows with what has come out, so a short message that stands for a long
 * one costs what it is worth, and stops at the limit.
 */
#include "inflater.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

/* The window is as long as a client may use. */
enum { WINDOW_BITS = 15, CAPACITY_AT_FIRST = 512 };

/* What zlib says in data_type when all input is used up and the next thing would be the header of a block: see inflate
 * in zlib.h. Less than that is half a block. */
enum { BETWEEN_BLOCKS = 128 };

struct inflater {
  z_stream stream;
};

/* What comes out. */
struct inflating {
  z_stream *stream;
  struct memory *memory;
  size_t max_bytes;
  char *data;
  size_t capacity;
  bool has_ended; /* the block that was read last says that it is the last one */
};

struct inflater *inflater_create(void) {
  struct inflater *inflater = calloc(1, sizeof *inflater);
  if (inflater == NULL) return NULL;
  if (inflateInit2(&inflater->stream, -WINDOW_BITS) == Z_OK) return inflater;
  free(inflater);
  return NULL;
}

void inflater_destroy(struct inflater *inflater) {
  if (inflater == NULL) return;
  (void) inflateEnd(&inflater->stream);
  free(inflater);
}

static size_t made_bytes(const struct inflating *own) {
  return own->capacity - own->stream->avail_out;
}

/* There is no room left. A byte more than the limit shows that it is passed. */
static enum inflated make_room(struct inflating *own) {
  size_t made = own->capacity, most = own->max_bytes + 1;
  if (made == most) return INFLATED_TOO_LONG;
  size_t capacity = made == 0 ? CAPACITY_AT_FIRST : made * 2;
  if (capacity > most) capacity = most;
  char *data = memory_resize(own->memory, MEMORY_INPUT, own->data, capacity);
  if (data == NULL) return INFLATED_NO_MEMORY;
  own->data = data;
  own->capacity = capacity;
  own->stream->next_out = (Bytef *) data + made;
  own->stream->avail_out = (uInt) (capacity - made);
  return INFLATED_OK;
}

static enum inflated take_blocks(struct inflating *own, const void *blocks, size_t length) {
  z_stream *stream = own->stream;
  stream->next_in = (Bytef *) (uintptr_t) blocks; /* zlib only reads it */
  stream->avail_in = (uInt) length;
  do {
    enum inflated outcome = stream->avail_out == 0 ? make_room(own) : INFLATED_OK;
    if (outcome != INFLATED_OK) return outcome;
    int err = inflate(stream, Z_SYNC_FLUSH);
    own->has_ended = err == Z_STREAM_END;
    if (own->has_ended) err = inflateReset(stream);
    if (err != Z_OK && err != Z_BUF_ERROR) return err == Z_MEM_ERROR ? INFLATED_NO_MEMORY : INFLATED_CORRUPT;
  } while (stream->avail_in > 0 || stream->avail_out == 0);
  return INFLATED_OK;
}

enum inflated inflater_run(struct inflater *inflater, struct memory *memory, const void *blocks, size_t blocks_length,
                           size_t max_bytes, char **data, size_t *length) {
  static const unsigned char tail[] = {0, 0, 0xff, 0xff};
  struct inflating own = {.stream = &inflater->stream, .memory = memory, .max_bytes = max_bytes};
  *data = NULL;
  *length = 0;
  if (blocks_length > UINT_MAX || max_bytes >= UINT_MAX || inflateReset(own.stream) != Z_OK) return INFLATED_TOO_LONG;
  own.stream->avail_out = 0;
  enum inflated outcome = blocks_length > 0 ? take_blocks(&own, blocks, blocks_length) : INFLATED_CORRUPT;
  if (outcome == INFLATED_OK) outcome = take_blocks(&own, tail, sizeof tail);
  bool is_whole = own.has_ended || own.stream->data_type == BETWEEN_BLOCKS;
  if (outcome == INFLATED_OK && made_bytes(&own) > max_bytes) outcome = INFLATED_TOO_LONG;
  if (outcome == INFLATED_OK && !is_whole) outcome = INFLATED_CORRUPT;
  *length = made_bytes(&own);
  if (outcome != INFLATED_OK || *length == 0) {
    memory_free(own.data);
    own.data = NULL;
  }
  *data = own.data;
  return outcome;
}
