/* SPDX-License-Identifier: MIT */
/*
 * line_splitter: cuts bytes that arrive in any pieces into lines of a bounded length. Does no I/O.
 *
 * A line that lies in one piece is handed out where it is; only one that was split is copied together. Any byte but the
 * newline may be in a line; a carriage return before it is part of the line.
 */
#ifndef FLUXBP_SERVER_LINE_SPLITTER_H
#define FLUXBP_SERVER_LINE_SPLITTER_H

#include "server/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_outcome {
  LINE_WHOLE,
  LINE_NONE,         /* the piece is used up; more bytes are needed */
  LINE_TOO_LONG,     /* said once, as soon as it is known; the rest of that line is skipped */
  LINE_OUT_OF_MEMORY /* as LINE_TOO_LONG */
};

struct line_splitter {
  char *partial; /* the beginning of a line that isn't complete; NULL: no memory */
  uint32_t partial_length;
  bool is_skipping; /* until the next newline */
};

void line_splitter_init(struct line_splitter *splitter);

/** Forget what there is, and free the memory. It may be used again. */
void line_splitter_reset(struct line_splitter *splitter);

/** Free the memory if there is no beginning of a line in it, so that whoever is idle owns none. */
void line_splitter_trim(struct line_splitter *splitter);

/**
 * Take the next line from `*data`, of which there are `*length` bytes; both are moved on. With LINE_WHOLE, `*line` and
 * `*line_length` are set; the line is valid until the next call, and as long as the caller's piece.
 *
 * @param memory    against which the beginning of a line counts; NULL: against none
 * @param max_bytes of a line, without its newline; the same until a line that has begun is complete
 */
enum line_outcome line_splitter_next(struct line_splitter *splitter, struct memory *memory, uint32_t max_bytes,
                                     const char **data, size_t *length, const char **line, size_t *line_length);

#endif
