/* SPDX-License-Identifier: MIT */
/*
 * frame_notation: short words for what a WebSocket client sends, and for what the reader makes of it.
 *
 * What is sent is a list of frames, separated by blanks: the opcode, flags, the payload.
 *
 *   T B C X P O  text, binary, continuation, close, ping, pong; %b: the opcode 0xb
 *   -            more of the message follows
 *   1 2 3        this reserved bit is set
 *   u            not masked; z: masked with zeros
 *   w q          the length in 16 or in 64 bits, however short it is
 *   L{hex}       this length is announced, in 64 bits, and the payload has another one
 *   (text) <hex> [number]  parts of the payload; the last one is so many x
 *   =hex         these bytes instead of a frame
 *
 * What the reader makes of it is written likewise, T(hello) P(), T1<02> for a compressed message, with X1000(reason)
 * for a close, !1002 for a failure, and at the end, if there was neither, "." when nothing is held and "~" when
 * something has begun.
 */
#ifndef TESTS_GATEWAY_FRAME_NOTATION_H
#define TESTS_GATEWAY_FRAME_NOTATION_H

#include "server/websocket/websocket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BYTES_MAX = 400000, OUTCOMES_MAX = 4096 };

/* What a client sends. */
struct bytes {
  size_t length;
  char data[BYTES_MAX];
  bool is_between[BYTES_MAX + 1]; /* by the number of bytes before: no frame and no message has begun there */
};

/* What came of it. */
struct outcomes {
  size_t length;
  bool has_ended; /* closed or failed */
  char text[OUTCOMES_MAX];
};

/* Append the frames. A frame's mask comes from a number that the caller may choose. */
void append_frames(struct bytes *bytes, const char *notation);

/* Append one frame as `client` sends it. */
void append_frame(struct bytes *bytes, enum websocket_opcode opcode, bool is_final, const void *payload, size_t length);

/* Let a reader take the bytes from one place to another as one piece. */
void take_piece(struct websocket_reader *reader, const struct bytes *bytes, size_t from, size_t to,
                struct outcomes *outcomes);

/* Write the last word. */
void end_outcomes(const struct websocket_reader *reader, struct outcomes *outcomes);

#endif
