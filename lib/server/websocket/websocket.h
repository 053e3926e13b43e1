/* SPDX-License-Identifier: MIT */
/*
 * websocket: RFC 6455 on the server's side, without I/O: the answer to a handshake, frames to send, and a reader for
 * what comes in. wslay does the framing.
 *
 * Who is between two messages owns no memory.
 */
#ifndef FLUXBP_SERVER_WEBSOCKET_H
#define FLUXBP_SERVER_WEBSOCKET_H

#include "server/http/http_reader.h"
#include "server/memory.h"

#include <fluxbp/server/session.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum websocket_opcode {
  WEBSOCKET_TEXT = 1,
  WEBSOCKET_BINARY = 2,
  WEBSOCKET_CLOSE = 8,
  WEBSOCKET_PING = 9,
  WEBSOCKET_PONG = 10
};

#define WEBSOCKET_ACCEPT_BYTES 29   /* with the NUL */
#define WEBSOCKET_CONTROL_BYTES 125 /* the payload of a control frame */
#define WEBSOCKET_HEADER_BYTES 10   /* of a frame that a server sends, at most */

/**
 * Look at a GET request that wants to become a WebSocket, and compute Sec-WebSocket-Accept.
 *
 * @return 101, or the status to refuse it with, 400, 405 or 426 (which needs "Sec-WebSocket-Version: 13" in the
 *   answer);
 *   then `*problem` is a sentence for the peer
 */
int websocket_handshake(const struct http_request *request, char accept[WEBSOCKET_ACCEPT_BYTES], const char **problem);

/**
 * Write one whole, unmasked frame. The payload may stand in `out` already. Any thread.
 *
 * @return the bytes that it takes; nothing was written if that is more than `capacity`. 0: there is no memory (a thread
 *   needs some for its first frame)
 */
size_t websocket_frame(enum websocket_opcode opcode, const void *payload, size_t length, char *out, size_t capacity);

/** The same with a payload that is compressed (RFC 7692). */
size_t websocket_compressed_frame(enum websocket_opcode opcode, const void *payload, size_t length, char *out,
                                  size_t capacity);

/** Return the bytes of the header of a whole frame that the server sends. */
size_t websocket_header_bytes(const char *frame);

/** Write a close frame. `reason` is cut to 123 bytes, at the boundary of a character. @return as websocket_frame */
size_t websocket_close_frame(fluxbp_close_code_t code, const char *reason, char *out, size_t capacity);

/** Whether these bytes are UTF-8 (RFC 3629: nothing over-long, no surrogates). */
bool websocket_is_utf8(const void *data, size_t length);

enum websocket_outcome {
  WEBSOCKET_MORE,    /* the piece is used up; more bytes are needed */
  WEBSOCKET_MESSAGE, /* a whole text or binary message */
  WEBSOCKET_IS_PING, /* answer with a pong of the same payload */
  WEBSOCKET_IS_PONG,
  WEBSOCKET_IS_CLOSE, /* the peer closes, with `code` (or NO_CODE); answer with a close frame and end it */
  WEBSOCKET_FAILED    /* it is against the RFC or a limit: send a close frame with `code` and `problem`, and end it */
};

struct websocket_reader {
  struct websocket_parse *parse; /* of what has begun, or NULL */
  uint32_t max_message_bytes;
  uint32_t fragments : 31;       /* frames that weren't the end of a message, since the reader was made */
  uint32_t takes_compressed : 1; /* permessage-deflate was agreed on. Set after the init */
};

struct websocket_taken {
  enum websocket_opcode opcode; /* of the message: text or binary */
  bool is_compressed;           /* the payload is, and wasn't looked at: see inflater.h */
  const char *payload;          /* of a close frame the reason. Valid until the next call */
  size_t length;
  int code;
  const char *problem;
};

void websocket_reader_init(struct websocket_reader *reader, uint32_t max_message_bytes);

/** Free the memory. It may be used again. */
void websocket_reader_reset(struct websocket_reader *reader);

/** Return whether something has begun that isn't whole, a frame or a message; and whether a message has. */
bool websocket_reader_is_busy(const struct websocket_reader *reader);
bool websocket_reader_has_message(const struct websocket_reader *reader);

/** Take the next message or control frame from `*data`; `*data` and `*length` are moved on, to right behind it. To be
 * called until it says WEBSOCKET_MORE, which is when memory is freed. After IS_CLOSE and FAILED nothing more is to be
 * taken. What has begun counts against `memory`, the same in each call; NULL: against none. */
enum websocket_outcome websocket_reader_take(struct websocket_reader *reader, struct memory *memory, const char **data,
                                             size_t *length, struct websocket_taken *taken);

#endif
