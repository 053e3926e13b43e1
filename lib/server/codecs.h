/* SPDX-License-Identifier: MIT */
/*
 * codecs: how a message looks in each of the server's protocols (docs/protocol.md). A message is encoded once for each
 * protocol in use on a hub, whatever the number of its clients.
 *
 * What is sent to one connection (a publication without a topic) is whole already, and is passed on as it is.
 */
#ifndef FLUXBP_SERVER_CODECS_H
#define FLUXBP_SERVER_CODECS_H

#include "server/compression/compressor.h"
#include "server/sse/sse_gzip.h"
#include "server/websocket/websocket_deflate.h"

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stdint.h>

enum codec_kind {
  CODEC_LINES,          /* message, newline */
  CODEC_LINES_WITH_IDS, /* "id topic message", newline */
  CODEC_LENGTH,         /* the same two behind a length of 4 bytes */
  CODEC_LENGTH_WITH_IDS,
  CODEC_WEBSOCKET, /* the message in a text frame, or in a binary one if it isn't UTF-8 */
  CODEC_WEBSOCKET_JSON,
  CODEC_SSE,
  CODEC_SSE_JSON,
  CODEC_WEBSOCKET_DEFLATE, /* those of clients that take compressed messages */
  CODEC_WEBSOCKET_JSON_DEFLATE,
  CODEC_SSE_GZIP, /* those of streams with Content-Encoding: gzip */
  CODEC_SSE_JSON_GZIP,
  CODEC_COUNT
};

#define EPOCH_TEXT_BYTES 17 /* with the NUL */
#define EPOCH_NONE 0        /* of no gateway */

/* Those of one shard. They write the server's ids, each with its epoch. */
struct codecs {
  fluxbp_codec_t list[CODEC_COUNT];
  char epoch_text[EPOCH_TEXT_BYTES];
  struct compressor compressor;
  struct websocket_deflate websocket_deflate, websocket_json_deflate;
  struct sse_gzip sse_gzip, sse_json_gzip;
};

/**
 * Set the epoch that ids are written with: once, before any codec is used. The struct has to stay where it is.
 *
 * @param compress_bytes of a message that is compressed, at least, from compressor_start on; 0: none is
 */
void codecs_init(struct codecs *codecs, uint64_t epoch, uint32_t compress_bytes);

/** Free the memory of the compressor. */
void codecs_end(struct codecs *codecs);

/** Write a text as a line, or behind its length. What is meant for one client (fluxbp_conn_send) goes through its codec
 * as it is. @return the length, as snprintf does */
size_t codecs_line(const char *text, size_t length, char *out, size_t capacity);
size_t codecs_length_frame(const char *text, size_t length, char *out, size_t capacity);

/** Write an id as clients see it: "epoch:id". */
#define ID_TEXT_BYTES 40
void id_format(const struct codecs *codecs, uint64_t id, char text[ID_TEXT_BYTES]);

/** Read one. @return whether it is one */
bool id_parse(const char *text, uint64_t *epoch, uint64_t *id);

#endif
