/* SPDX-License-Identifier: MIT */
/*
 * websocket_deflate: see the header. The plain frame is written into the room of the compressor, and its payload is
 * compressed there.
 */
#include "websocket_deflate.h"

#include "websocket.h"

#include <string.h>
#include <uv.h>

/* Write the plain frame into the room. @return its length; 0: there is no memory; or an error */
static ptrdiff_t write_plain(const struct websocket_deflate *own, const fluxbp_publication_t *publication) {
  struct compressor *compressor = own->compressor;
  size_t wanted = publication->length + WEBSOCKET_HEADER_BYTES;
  for (;;) {
    char *room = compressor_room(compressor, wanted);
    if (room == NULL) return 0;
    ptrdiff_t length = own->plain->encode(own->plain, publication, room, compressor->room_bytes);
    if (length <= 0 || (size_t) length <= compressor->room_bytes) return length;
    wanted = (size_t) length;
  }
}

/* @return 0: it isn't worth it, or there is no memory */
static ptrdiff_t encode_compressed(const struct websocket_deflate *own, size_t plain_length, char *out,
                                   size_t capacity) {
  struct compressor *compressor = own->compressor;
  size_t header = websocket_header_bytes(compressor->room);
  size_t payload = plain_length - header;
  if (payload > COMPRESSOR_MOST_BYTES) return 0;
  size_t compressed = compressor_run(compressor, header, payload);
  if (compressed == 0) return 0;
  enum websocket_opcode opcode = compressor->room[0] & 0xf;
  size_t length = websocket_compressed_frame(opcode, compressor->room + plain_length, compressed, out, capacity);
  if (length <= capacity) compressor_count(compressor, payload, compressed);
  return length > 0 ? (ptrdiff_t) length : UV_ENOMEM;
}

static ptrdiff_t encode_shortest(const struct websocket_deflate *own, const fluxbp_publication_t *publication,
                                 char *out, size_t capacity) {
  ptrdiff_t plain_length = write_plain(own, publication);
  if (plain_length < 0) return plain_length;
  if (plain_length == 0) return own->plain->encode(own->plain, publication, out, capacity);
  ptrdiff_t length = encode_compressed(own, (size_t) plain_length, out, capacity);
  if (length != 0) return length;
  if ((size_t) plain_length <= capacity) memcpy(out, own->compressor->room, (size_t) plain_length);
  return plain_length;
}

ptrdiff_t websocket_deflate_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                   size_t capacity) {
  const struct websocket_deflate *own = codec->arg;
  bool is_whole = publication->topic == NULL || publication->is_removal;
  if (is_whole || !compressor_is_for(own->compressor, publication->data, publication->length))
    return own->plain->encode(own->plain, publication, out, capacity);
  ptrdiff_t length = encode_shortest(own, publication, out, capacity);
  compressor_trim(own->compressor);
  return length;
}
