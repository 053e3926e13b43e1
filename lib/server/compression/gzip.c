/* SPDX-License-Identifier: MIT */
/*
 * gzip: see the header. zlib computes checksums, and combines them.
 */
#include "gzip.h"

#include <string.h>
#include <zlib.h>

enum { METHOD_DEFLATE = 8, SYSTEM_UNKNOWN = 255 };

const unsigned char gzip_head[GZIP_HEAD_BYTES] = {0x1f, 0x8b, METHOD_DEFLATE, 0, 0, 0, 0, 0, 0, SYSTEM_UNKNOWN};

static uint32_t crc_of(const unsigned char *data, size_t length) {
  return (uint32_t) crc32_z(0, data, length);
}

struct gzip_piece gzip_piece_of(const void *data, size_t length) {
  return (struct gzip_piece){.crc = crc_of(data, length),
                             .length = (uint32_t) length,
                             .shift = (uint32_t) crc32_combine_gen((z_off_t) length)};
}

void gzip_add(struct gzip_sum *sum, const struct gzip_piece *piece) {
  sum->crc = (uint32_t) crc32_combine_op(sum->crc, piece->crc, piece->shift);
  sum->length += piece->length;
}

/* Of blocks that aren't empty. */
static size_t block_count(size_t length) {
  return (length + GZIP_STORED_MAX - 1) / GZIP_STORED_MAX;
}

size_t gzip_stored_length(size_t length) {
  return length + (block_count(length) + 1) * GZIP_STORED_BYTES;
}

/* In the order of the format: the least significant byte first. */
static void write_number(unsigned char *out, uint32_t number, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) out[i] = (unsigned char) (number >> 8 * i);
}

/* Not the last block, of type 0; its length, and the complement of that. */
static void write_stored_head(unsigned char *out, size_t length) {
  out[0] = 0;
  write_number(out + 1, (uint32_t) length, 2);
  write_number(out + 3, ~(uint32_t) length, 2);
}

/* The last block goes first: each one moves behind those that have still to move. */
void gzip_store(unsigned char *out, size_t length) {
  unsigned char *data = out + GZIP_STORED_BYTES;
  for (size_t i = block_count(length); i-- > 0;) {
    size_t begin = i * GZIP_STORED_MAX;
    size_t bytes = length - begin < GZIP_STORED_MAX ? length - begin : GZIP_STORED_MAX;
    unsigned char *block = out + begin + i * GZIP_STORED_BYTES;
    memmove(block + GZIP_STORED_BYTES, data + begin, bytes);
    write_stored_head(block, bytes);
  }
  write_stored_head(out + gzip_stored_length(length) - GZIP_STORED_BYTES, 0);
}

/* The last block has the fixed codes, and nothing but the code for its end. */
void gzip_write_tail(const struct gzip_sum *sum, unsigned char out[GZIP_TAIL_BYTES]) {
  out[0] = 3;
  out[1] = 0;
  write_number(out + 2, sum->crc, 4);
  write_number(out + 6, sum->length, 4);
}
