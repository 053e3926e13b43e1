/* SPDX-License-Identifier: MIT */
/*
 * websocket_deflate: the codecs of clients that have agreed on permessage-deflate (RFC 7692). Each is one of the other
 * codecs of WebSockets, whose frames it compresses where that is worth it; the others are passed on as they are. So a
 * message is compressed once for all of its receivers.
 */
#ifndef FLUXBP_SERVER_WEBSOCKET_DEFLATE_H
#define FLUXBP_SERVER_WEBSOCKET_DEFLATE_H

#include "server/compression/compressor.h"

#include <fluxbp/codec.h>

/* The argument of such a codec. */
struct websocket_deflate {
  const fluxbp_codec_t *plain; /* the codec whose frames it compresses */
  struct compressor *compressor;
};

/** For fluxbp_codec.encode. */
ptrdiff_t websocket_deflate_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                   size_t capacity);

#endif
