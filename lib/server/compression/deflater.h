/* SPDX-License-Identifier: MIT */
/*
 * deflater: bytes become deflate blocks (RFC 1951) that refer to nothing before them, so that one result serves all
 * receivers, whatever each of them has had before. By zlib. Each shard has one, which its codecs use.
 *
 * Thread: one at a time.
 */
#ifndef FLUXBP_SERVER_DEFLATER_H
#define FLUXBP_SERVER_DEFLATER_H

#include <stddef.h>

struct deflater;

/* The bytes that every result ends with: an empty stored block, after which the next block begins at a byte. */
#define DEFLATER_TAIL_BYTES 4

/* A result refers back by at most 2^12 = 4096 bytes, which all that limit the window of a WebSocket are known to allow
 * (server_max_window_bits). With 2^15, the most that there is, 64 KB of JSON would be shorter by 1/50. */
#define DEFLATER_WINDOW_BITS 12

/** Return a deflater, which has 40 KB of memory outside of the budget; NULL if there is no memory. */
struct deflater *deflater_create(void);

/** NULL is no deflater. */
void deflater_destroy(struct deflater *deflater);

/**
 * Write the blocks for `length` bytes, at least 1. They end with an empty stored block, 00 00 ff ff, and none of them
 * is marked as the last one.
 *
 * @return the length of the blocks; 0 if they need more than `capacity` bytes. `out` has anything then
 */
size_t deflater_run(struct deflater *deflater, const void *data, size_t length, void *out, size_t capacity);

#endif
