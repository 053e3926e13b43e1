/* SPDX-License-Identifier: MIT */
/*
 * sse_gzip: see the header. The note of an encoded event says what it adds to the sum of a stream.
 */
#include "sse_gzip.h"

#include "server/compression/deflater.h"
#include "server/session/session.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(GZIP_HEAD_BYTES + 2 * GZIP_STORED_BYTES + SSE_GZIP_FIRST_BYTES <= SSE_GZIP_BEGIN_BYTES,
               "a beginning has its head, and one stored block with its bytes");

/* Where the other codec writes the event: right where a stored block has its bytes. */
struct space {
  char *data;
  size_t capacity;
};

static struct space space_in(char *out, size_t capacity) {
  if (capacity <= GZIP_STORED_BYTES) return (struct space){NULL, 0};
  return (struct space){out + GZIP_STORED_BYTES, capacity - GZIP_STORED_BYTES};
}

static size_t end_with_note(char *out, size_t length, const struct gzip_piece *piece) {
  memcpy(out + length, piece, sizeof *piece);
  return length + sizeof *piece;
}

static size_t whole_stored_length(size_t length) {
  return gzip_stored_length(length) + sizeof(struct gzip_piece);
}

/* Make stored blocks of the event, if they have room. @return as an encode function, as all of these do */
static ptrdiff_t store(ptrdiff_t length, char *out, size_t capacity) {
  if (length <= 0) return length;
  size_t whole = whole_stored_length((size_t) length);
  if (whole > capacity) return (ptrdiff_t) whole;
  struct gzip_piece piece = gzip_piece_of(out + GZIP_STORED_BYTES, (size_t) length);
  gzip_store((unsigned char *) out, (size_t) length);
  return (ptrdiff_t) end_with_note(out, gzip_stored_length((size_t) length), &piece);
}

/* Compress the event, which has room for stored blocks. @return 0: that isn't worth it, and nothing was changed */
static ptrdiff_t compress_event(struct compressor *compressor, size_t length, char *out) {
  const char *event = out + GZIP_STORED_BYTES;
  char *room = length <= COMPRESSOR_MOST_BYTES ? compressor_room(compressor, length) : NULL;
  if (room == NULL) return 0;
  memcpy(room, event, length);
  size_t compressed = compressor_run(compressor, 0, length);
  if (compressed == 0) return 0;
  struct gzip_piece piece = gzip_piece_of(event, length);
  memcpy(out, compressor->room + length, compressed + DEFLATER_TAIL_BYTES);
  compressor_count(compressor, length, compressed + DEFLATER_TAIL_BYTES);
  return (ptrdiff_t) end_with_note(out, compressed + DEFLATER_TAIL_BYTES, &piece);
}

/* What goes to one client alone isn't compressed: that would be done for each client. */
static ptrdiff_t encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                        size_t capacity) {
  const struct sse_gzip *gzip = codec->arg;
  struct space space = space_in(out, capacity);
  ptrdiff_t length = gzip->plain->encode(gzip->plain, publication, space.data, space.capacity);
  bool has_room = length > 0 && whole_stored_length((size_t) length) <= capacity;
  bool is_whole = publication->topic == NULL || publication->is_removal;
  if (!has_room || is_whole || !compressor_is_for(gzip->compressor, publication->data, publication->length))
    return store(length, out, capacity);
  ptrdiff_t compressed = compress_event(gzip->compressor, (size_t) length, out);
  compressor_trim(gzip->compressor);
  return compressed > 0 ? compressed : store(length, out, capacity);
}

static ptrdiff_t encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  const struct sse_gzip *gzip = codec->arg;
  struct space space = space_in(out, capacity);
  return store(gzip->plain->encode_gap(gzip->plain, gap, space.data, space.capacity), out, capacity);
}

static ptrdiff_t encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                 size_t capacity) {
  const struct sse_gzip *gzip = codec->arg;
  struct space space = space_in(out, capacity);
  return store(gzip->plain->encode_farewell(gzip->plain, reason, space.data, space.capacity), out, capacity);
}

static void written(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, const void *note) {
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  struct gzip_piece piece;
  (void) codec;
  memcpy(&piece, note, sizeof piece);
  gzip_add(&session->gzip, &piece);
}

static ptrdiff_t encode_end(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, char *out, size_t capacity) {
  const fluxbp_session_t *session = fluxbp_conn_user(conn);
  (void) codec;
  if (capacity >= GZIP_TAIL_BYTES) gzip_write_tail(&session->gzip, (unsigned char *) out);
  return GZIP_TAIL_BYTES;
}

void sse_gzip_init(fluxbp_codec_t *codec, const struct sse_gzip *gzip) {
  *codec = (fluxbp_codec_t){.size = sizeof *codec,
                            .name = "sse gzip",
                            .encode = encode,
                            .encode_gap = encode_gap,
                            .encode_farewell = encode_farewell,
                            .arg = (void *) (uintptr_t) gzip, /* it is only read */
                            .note_bytes = sizeof(struct gzip_piece),
                            .written = written,
                            .encode_end = encode_end};
}

size_t sse_gzip_begin(struct gzip_sum *sum, const char *text, size_t length, char *out) {
  struct gzip_piece piece = gzip_piece_of(text, length);
  memcpy(out, gzip_head, GZIP_HEAD_BYTES);
  memcpy(out + GZIP_HEAD_BYTES + GZIP_STORED_BYTES, text, length);
  gzip_store((unsigned char *) out + GZIP_HEAD_BYTES, length);
  *sum = (struct gzip_sum){0};
  gzip_add(sum, &piece);
  return GZIP_HEAD_BYTES + gzip_stored_length(length);
}
