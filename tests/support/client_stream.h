/* SPDX-License-Identifier: MIT */
/*
 * client_stream: feeds bytes to a stream of the client library and writes down what is told, for unit tests and
 * fuzzers. The bytes lie in memory of their exact size, so that a reader that goes too far is seen by the sanitizer.
 */
#ifndef FLUXBP_TESTS_CLIENT_STREAM_H
#define FLUXBP_TESTS_CLIENT_STREAM_H

#include "client/stream.h"

#define CLIENT_STREAM_MAX_BYTES 5000 /* of a message */

/* What was told, one after the other: "message(text)#id@topic:name ", with the sign of each that is there. */
struct client_stream_told {
  size_t length;
  char text[1 << 18];
};

/**
 * Feed the first `cut` bytes, then the rest in pieces of that size. At the end " FAILED: problem", or " MID" within a
 * message.
 *
 * @param pauses the stream is paused by each message, and continued after each piece until nothing is held
 */
void client_stream_read(struct client_stream_told *told, fluxbp_client_protocol_t protocol, int is_plain, int has_ids,
                        const char *bytes, size_t length, size_t cut, size_t piece, int pauses);

#endif
