/* SPDX-License-Identifier: MIT */
/*
 * length_splitter: see the header.
 */
#include "length_splitter.h"

#include <stdbool.h>
#include <string.h>

#define HEADER_BYTES 4U

void length_splitter_init(struct length_splitter *splitter) {
  *splitter = (struct length_splitter){0};
}

void length_splitter_reset(struct length_splitter *splitter) {
  memory_free(splitter->partial);
  length_splitter_init(splitter);
}

static void move_on(const char **data, size_t *length, size_t bytes) {
  *data += bytes;
  *length -= bytes;
}

/* @return whether the length is known */
static bool take_header(struct length_splitter *splitter, const char **data, size_t *length) {
  while (splitter->taken < HEADER_BYTES) {
    if (*length == 0) return false;
    splitter->frame_length = splitter->frame_length << 8 | (unsigned char) **data;
    splitter->taken++;
    move_on(data, length, 1);
  }
  return true;
}

static enum frame_outcome hand_out(struct length_splitter *splitter, const char *bytes, const char **frame,
                                   size_t *frame_length) {
  *frame = bytes;
  *frame_length = splitter->frame_length;
  splitter->taken = 0;
  return FRAME_WHOLE;
}

enum frame_outcome length_splitter_next(struct length_splitter *splitter, struct memory *memory, uint32_t max_bytes,
                                        const char **data, size_t *length, const char **frame, size_t *frame_length) {
  if (splitter->taken == 0 && splitter->partial != NULL) { /* of the frame that was handed out last */
    memory_free(splitter->partial);
    splitter->partial = NULL;
  }
  if (!take_header(splitter, data, length)) return FRAME_NONE;
  if (splitter->frame_length > max_bytes) return FRAME_TOO_LONG;

  if (splitter->partial == NULL && *length >= splitter->frame_length) {
    const char *bytes = *data;
    move_on(data, length, splitter->frame_length);
    return hand_out(splitter, bytes, frame, frame_length);
  }
  if (*length == 0) return FRAME_NONE;
  if (splitter->partial == NULL) splitter->partial = memory_alloc(memory, MEMORY_INPUT, splitter->frame_length);
  if (splitter->partial == NULL) return FRAME_OUT_OF_MEMORY;
  size_t partial_length = splitter->taken - HEADER_BYTES;
  size_t missing = splitter->frame_length - partial_length;
  size_t bytes = *length < missing ? *length : missing;
  memcpy(splitter->partial + partial_length, *data, bytes);
  splitter->taken += (uint32_t) bytes;
  move_on(data, length, bytes);
  if (bytes < missing) return FRAME_NONE;
  return hand_out(splitter, splitter->partial, frame, frame_length);
}
