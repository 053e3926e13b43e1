/* SPDX-License-Identifier: MIT */
/*
 * sse_gzip: the codecs of event streams with Content-Encoding: gzip. A message is compressed once for all streams of a
 * shard. What is short, doesn't become shorter, or goes to one client alone is stored as it is, with 10 bytes besides.
 *
 * The session of such a stream has its sum (fluxbp_session.gzip), to which everything is added that was written whole.
 */
#ifndef FLUXBP_SERVER_SSE_GZIP_H
#define FLUXBP_SERVER_SSE_GZIP_H

#include "server/compression/compressor.h"
#include "server/compression/gzip.h"

#include <fluxbp/fluxbp.h>

#include <stddef.h>

/* The `arg` of such a codec. */
struct sse_gzip {
  const fluxbp_codec_t *plain; /* what it compresses */
  struct compressor *compressor;
};

/** Set up a codec whose `arg` is `gzip`, for the events of another codec. */
void sse_gzip_init(fluxbp_codec_t *codec, const struct sse_gzip *gzip);

/**
 * Begin a stream on a session that becomes a client of such a codec.
 *
 * @param text  what the stream begins with: the first words to the client, at most SSE_GZIP_FIRST_BYTES
 * @param out   gets the beginning of the stream, and has room for SSE_GZIP_BEGIN_BYTES
 * @return the length of the beginning
 */
#define SSE_GZIP_FIRST_BYTES 64
#define SSE_GZIP_BEGIN_BYTES 84
size_t sse_gzip_begin(struct gzip_sum *sum, const char *text, size_t length, char *out);

#endif
