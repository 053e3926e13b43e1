/* SPDX-License-Identifier: MIT */
/*
 * gzip: the parts of a gzip stream (RFC 1952) that many clients share. A stream is a head, blocks that end at a byte,
 * and a tail with the checksum and the length of everything that the blocks stand for. Blocks that refer to nothing
 * before them can stand in any stream, so they are made once; each stream has a sum of its own, to which the blocks
 * that it was given are added. Pure: no I/O, no memory.
 */
#ifndef FLUXBP_SERVER_GZIP_H
#define FLUXBP_SERVER_GZIP_H

#include <stddef.h>
#include <stdint.h>

#define GZIP_HEAD_BYTES 10
#define GZIP_TAIL_BYTES 10

/* What a stored block has in front of its bytes, of which there are at most so many. */
#define GZIP_STORED_BYTES 5
#define GZIP_STORED_MAX 65535

/* Of everything in a stream so far. All zero: of nothing. */
struct gzip_sum {
  uint32_t crc;
  uint32_t length; /* modulo 2^32, as the format has it */
};

/* Of one piece of a stream: what it adds to the sum. */
struct gzip_piece {
  uint32_t crc;
  uint32_t length;
  uint32_t shift; /* moves a checksum over that length */
};

/** The bytes that every stream begins with: no name, no time. */
extern const unsigned char gzip_head[GZIP_HEAD_BYTES];

/** Return what bytes add to a sum. There are fewer than 2^32. */
struct gzip_piece gzip_piece_of(const void *data, size_t length);

/** Add a piece, in the order of the stream. */
void gzip_add(struct gzip_sum *sum, const struct gzip_piece *piece);

/** Return the length of the stored blocks for so many bytes, the empty one included. */
size_t gzip_stored_length(size_t length);

/**
 * Make stored blocks of the `length` bytes, at least 1, at `out` + GZIP_STORED_BYTES. The blocks begin at `out`, which
 * has room for gzip_stored_length(length). The last one is empty, as it is of what the deflater writes: some readers
 * (Go's, and so Caddy and Traefik) hand over what they have when such a block comes, and not before.
 */
void gzip_store(unsigned char *out, size_t length);

/** Write what ends a stream: an empty last block, and the sum. */
void gzip_write_tail(const struct gzip_sum *sum, unsigned char out[GZIP_TAIL_BYTES]);

#endif
