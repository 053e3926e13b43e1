/* SPDX-License-Identifier: MIT */
/*
 * length_splitter: cuts bytes that arrive in any pieces into frames: 4 bytes of length in network order, then as many
 * bytes. Does no I/O.
 *
 * A frame that lies in one piece is handed out where it is; only one that was split is copied together.
 */
#ifndef FLUXBP_SERVER_LENGTH_SPLITTER_H
#define FLUXBP_SERVER_LENGTH_SPLITTER_H

#include "server/memory.h"

#include <stddef.h>
#include <stdint.h>

enum frame_outcome {
  FRAME_WHOLE,
  FRAME_NONE,         /* the piece is used up; more bytes are needed */
  FRAME_TOO_LONG,     /* there is no way to go on */
  FRAME_OUT_OF_MEMORY /* the same */
};

struct length_splitter {
  char *partial;         /* the beginning of a frame that isn't complete, of `frame_length` bytes */
  uint32_t frame_length; /* as far as it is known */
  uint32_t taken;        /* bytes of the length and of `partial` that have come */
};

void length_splitter_init(struct length_splitter *splitter);

/** Forget what there is, and free the memory. It may be used again. */
void length_splitter_reset(struct length_splitter *splitter);

/**
 * Take the next frame from `*data`, of which there are `*length` bytes; both are moved on. With FRAME_WHOLE, `*frame`
 * and `*frame_length` are set; the frame is valid until the next call, and as long as the caller's piece.
 *
 * @param memory    against which the beginning of a frame counts; NULL: against none
 * @param max_bytes of a frame, without its length
 */
enum frame_outcome length_splitter_next(struct length_splitter *splitter, struct memory *memory, uint32_t max_bytes,
                                        const char **data, size_t *length, const char **frame, size_t *frame_length);

#endif
