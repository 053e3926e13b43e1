/* SPDX-License-Identifier: MIT */
/*
 * frame: a message encoded for one codec, with a plain count of references for all the rings of a hub.
 *
 * A codec without an encode function costs no copy: the frame holds one reference of the message for all the
 * connections that the frame is queued for. Knows nothing of rings and sockets.
 */
#include "frame.h"

#include "msg.h"
#include "options.h"
#include "pool.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

/* What a codec usually adds fits in here, so that it is asked once. */
enum { ENCODING_OVERHEAD = 64 };

/* One of the things that a codec can write. */
typedef ptrdiff_t (*encode_fn)(const fluxbp_codec_t *codec, const void *what, char *out, size_t capacity);

static ptrdiff_t encode_publication(const fluxbp_codec_t *codec, const void *what, char *out, size_t capacity) {
  return codec->encode(codec, what, out, capacity);
}

static size_t note_bytes_of(const fluxbp_codec_t *codec) {
  return codec->size >= FLUXBP__END_OF(codec, note_bytes) ? codec->note_bytes : 0;
}

int fluxbp__codec_check(const fluxbp_codec_t *codec) {
  int err = fluxbp__table_check(codec, sizeof *codec, FLUXBP__END_OF(codec, encode));
  return !err && note_bytes_of(codec) > FLUXBP_CODEC_NOTE_BYTES_MAX ? UV_EINVAL : err;
}

static ptrdiff_t encode_gap(const fluxbp_codec_t *codec, const void *what, char *out, size_t capacity) {
  return codec->encode_gap(codec, what, out, capacity);
}

static ptrdiff_t encode_farewell(const fluxbp_codec_t *codec, const void *what, char *out, size_t capacity) {
  return codec->encode_farewell(codec, *(const fluxbp_evict_reason_t *) what, out, capacity);
}

static ptrdiff_t encode_end(const fluxbp_codec_t *codec, const void *what, char *out, size_t capacity) {
  return codec->encode_end(codec, (fluxbp_conn_t *) (uintptr_t) what, out, capacity); /* it isn't what is constant */
}

static int allocate(fluxbp_pool_t *pool, fluxbp__frame_kind_t kind, size_t capacity, fluxbp_frame_t **out) {
  fluxbp__block_t block = kind == FLUXBP__FRAME_MESSAGE ? FLUXBP__PAYLOAD : FLUXBP__CONTROL;
  void *memory;
  int err = fluxbp__pool_alloc(pool, block, sizeof(fluxbp_frame_t) + capacity, &memory);
  if (err) return err;

  fluxbp_frame_t *frame = memory;
  memset(frame, 0, sizeof *frame);
  frame->data = frame->bytes;
  frame->capacity = (uint32_t) capacity;
  frame->refs = 1;
  frame->kind = (uint8_t) kind;
  frame->pool = pool;
  *out = frame;
  return 0;
}

/* Let `encode` write into a new frame; a second time, with room enough, if it says that the first guess was short. */
static int create_encoded(fluxbp_pool_t *pool, fluxbp__frame_kind_t kind, const fluxbp_codec_t *codec, encode_fn encode,
                          const void *what, size_t guess, fluxbp_frame_t **out) {
  size_t note_bytes = encode == encode_end ? 0 : note_bytes_of(codec);
  size_t capacity = guess + note_bytes;
  for (int attempt = 0; attempt < 2; attempt++) {
    fluxbp_frame_t *frame;
    int err = allocate(pool, kind, capacity, &frame);
    if (err) return err;

    ptrdiff_t len = encode(codec, what, frame->bytes, capacity);
    if (len > (ptrdiff_t) note_bytes && (size_t) len <= capacity) {
      frame->len = (uint32_t) ((size_t) len - note_bytes);
      frame->note_bytes = (uint8_t) note_bytes;
      *out = frame;
      return 0;
    }
    fluxbp__frame_free(frame);
    if (len < 0) return (int) len;
    if ((size_t) len <= note_bytes) return UV_EINVAL; /* nothing to write is no message */
    if ((size_t) len - note_bytes > FLUXBP_MSG_MAX_BYTES) return UV_E2BIG;
    capacity = (size_t) len;
  }
  return UV_EINVAL; /* the codec asked for room and then wanted more */
}

int fluxbp__frame_create(fluxbp_pool_t *pool, fluxbp_msg_t *msg, const fluxbp_codec_t *codec, const char *topic,
                         uint64_t id, fluxbp_frame_t **out) {
  fluxbp_frame_t *frame = NULL;
  int err;
  if (codec == NULL || codec->encode == NULL) {
    err = allocate(pool, FLUXBP__FRAME_MESSAGE, 0, &frame);
    if (err) return err;
    frame->msg = fluxbp_msg_ref(msg);
    frame->data = fluxbp_msg_data(msg);
    frame->len = (uint32_t) fluxbp_msg_length(msg);
  } else {
    fluxbp_publication_t publication = {.topic = topic,
                                        .id = id,
                                        .data = fluxbp_msg_data(msg),
                                        .length = fluxbp_msg_length(msg),
                                        .key_name = fluxbp_msg_name(msg),
                                        .is_removal = fluxbp_msg_is_removal(msg)};
    (void) fluxbp_msg_key(msg, &publication.key);
    err = create_encoded(pool, FLUXBP__FRAME_MESSAGE, codec, encode_publication, &publication,
                         publication.length + ENCODING_OVERHEAD, &frame);
    if (err) return err;
  }
  frame->id = id;
  *out = frame;
  return 0;
}

int fluxbp__frame_create_gap(fluxbp_pool_t *pool, const fluxbp_frame_t *lost, fluxbp_frame_t **out) {
  fluxbp_frame_t *marker;
  int err = allocate(pool, FLUXBP__FRAME_GAP, 0, &marker);
  if (err) return err;
  marker->time_ms = lost->time_ms;
  fluxbp__frame_extend_gap(marker, lost);
  *out = marker;
  return 0;
}

void fluxbp__gap_extend(fluxbp_gap_t *gap, const fluxbp_gap_t *more) {
  bool begins_earlier = more->first_id != 0 && more->first_id < gap->first_id;
  if (gap->first_id == 0 || begins_earlier) gap->first_id = more->first_id;
  if (more->last_id > gap->last_id) gap->last_id = more->last_id;
  gap->count += more->count;
}

void fluxbp__frame_extend_gap(fluxbp_frame_t *marker, const fluxbp_frame_t *lost) {
  fluxbp_gap_t gap = {.first_id = lost->id, .last_id = lost->id, .count = 1};
  if (lost->kind != FLUXBP__FRAME_MESSAGE && lost->gap.count > 0) gap = lost->gap; /* what a lost notice tells of */
  fluxbp__gap_extend(&marker->gap, &gap);
}

int fluxbp__frame_create_gap_notice(fluxbp_pool_t *pool, const fluxbp_codec_t *codec, const fluxbp_gap_t *gap,
                                    fluxbp_frame_t **frame) {
  *frame = NULL;
  if (FLUXBP__ENTRY(codec, encode_gap) == NULL) return 0;
  int err = create_encoded(pool, FLUXBP__FRAME_NOTICE, codec, encode_gap, gap, 2 * (size_t) ENCODING_OVERHEAD, frame);
  if (err) return err;
  (*frame)->gap = *gap;
  return 0;
}

int fluxbp__frame_create_farewell(fluxbp_pool_t *pool, const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason,
                                  fluxbp_frame_t **frame) {
  *frame = NULL;
  if (FLUXBP__ENTRY(codec, encode_farewell) == NULL) return 0;
  return create_encoded(pool, FLUXBP__FRAME_NOTICE, codec, encode_farewell, &reason, ENCODING_OVERHEAD, frame);
}

int fluxbp__frame_create_end(fluxbp_pool_t *pool, const fluxbp_codec_t *codec, fluxbp_conn_t *conn,
                             fluxbp_frame_t **frame) {
  *frame = NULL;
  if (FLUXBP__ENTRY(codec, encode_end) == NULL) return 0;
  return create_encoded(pool, FLUXBP__FRAME_NOTICE, codec, encode_end, conn, ENCODING_OVERHEAD, frame);
}

static bool is_watched(const fluxbp_frame_t *frame) {
  return frame->kind == FLUXBP__FRAME_MESSAGE && frame->state.topic == 0 && frame->sole.watch != NULL;
}

void fluxbp__frame_abandon(fluxbp_frame_t *frame, int status) {
  if (is_watched(frame)) frame->sole.status = status;
  if (--frame->refs == 0) fluxbp__frame_free(frame);
}

void fluxbp__frame_free(fluxbp_frame_t *frame) {
  if (is_watched(frame)) frame->sole.watch->on_gone(frame->sole.watch, frame->sole.status);
  fluxbp__block_t block = frame->kind == FLUXBP__FRAME_MESSAGE ? FLUXBP__PAYLOAD : FLUXBP__CONTROL;
  fluxbp_msg_unref(frame->msg);
  fluxbp__pool_free(frame->pool, block, frame, sizeof *frame + frame->capacity);
}

int fluxbp_frame_create(fluxbp_pool_t *pool, fluxbp_msg_t *msg, const fluxbp_codec_t *codec, const char *topic,
                        uint64_t id, fluxbp_frame_t **frame) {
  if (pool == NULL || msg == NULL || frame == NULL || !fluxbp__msg_is_committed(msg)) return UV_EINVAL;
  int err = codec != NULL ? fluxbp__codec_check(codec) : 0;
  if (err) return err;
  return fluxbp__frame_create(pool, msg, codec, topic, id, frame);
}

fluxbp_frame_t *fluxbp_frame_ref(fluxbp_frame_t *frame) {
  assert(frame->refs > 0 && "a frame was used after its last reference was given back");
  frame->refs++;
  return frame;
}

void fluxbp_frame_unref(fluxbp_frame_t *frame) {
  if (frame == NULL) return;
  assert(frame->refs > 0 && "a reference was given back twice");
  fluxbp__frame_unref(frame);
}

const void *fluxbp_frame_data(const fluxbp_frame_t *frame) {
  return frame->kind == FLUXBP__FRAME_GAP ? NULL : frame->data;
}

size_t fluxbp_frame_length(const fluxbp_frame_t *frame) {
  return frame->len;
}

uint64_t fluxbp_frame_id(const fluxbp_frame_t *frame) {
  return frame->id;
}

int fluxbp_frame_gap_sized(const fluxbp_frame_t *frame, fluxbp_gap_t *gap, size_t size) {
  if (frame->kind != FLUXBP__FRAME_GAP) return 0;
  if (gap != NULL) fluxbp__result_write(gap, size, &frame->gap, sizeof frame->gap);
  return 1;
}
