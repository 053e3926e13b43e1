/* SPDX-License-Identifier: MIT */
/*
 * websocket: a client of RFC 6455 without the frames that it reads (stream.h): the keys of the handshake, and
 * the frames that it sends, which are masked.
 */
#ifndef FLUXBP_CLIENT_WEBSOCKET_H
#define FLUXBP_CLIENT_WEBSOCKET_H

#include "stream.h"

enum {
  FLUXBP__TEXT = 1,
  FLUXBP__BINARY = 2,
  FLUXBP__CLOSE = 8,
  FLUXBP__PING = 9,
  FLUXBP__PONG = 10,
  FLUXBP__NO_CODE = 1005 /* never sent: the close frame had none */
};

#define FLUXBP__KEY_BYTES 25    /* 16 random bytes in base64, with the NUL */
#define FLUXBP__ACCEPT_BYTES 29 /* a SHA-1 in base64, with the NUL */

/** Make a random key, and the right answer to it. @return false: libcrypto has no random bytes */
bool fluxbp__websocket_make_key(char key[FLUXBP__KEY_BYTES], char accept[FLUXBP__ACCEPT_BYTES]);

/** Append a frame of that stream's client. @return false: out of memory */
bool fluxbp__websocket_append(fluxbp__stream_t *stream, fluxbp__buffer_t *out, int opcode, const void *data,
                              size_t length);

/** Whether a close frame may carry this code. */
bool fluxbp__websocket_is_code(int code);

#endif
