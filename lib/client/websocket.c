/* SPDX-License-Identifier: MIT */
/*
 * websocket: frames by wslay, in both directions. wslay hands payload over in pieces of up to 4 KiB; a message that
 * is one frame in one piece is told as it is, others are put together.
 */
#include "websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#define FRAME_HEADER_BYTES 14 /* the longest, with its mask */

/* wslay asks for the bytes of a piece by a callback. */
struct fluxbp__frames {
  wslay_frame_context_ptr context;
  const char *data;
  size_t length;
  uint64_t frame_left; /* of the payload of the frame that is being read */
  bool is_in_message;  /* fragments have come, the last one hasn't */
  bool is_binary;      /* that message */
  size_t control_length;
  fluxbp__buffer_t *out; /* of the frame that is being sent */
  char control[125];     /* a ping may come between the fragments of a message */
};

static ssize_t lend_bytes(uint8_t *buffer, size_t capacity, int flags, void *data) {
  struct fluxbp__frames *frames = data;
  (void) flags;
  size_t taken = frames->length < capacity ? frames->length : capacity;
  if (taken == 0) return -1; /* the piece is used up */
  memcpy(buffer, frames->data, taken);
  frames->data += taken;
  frames->length -= taken;
  return (ssize_t) taken;
}

static ssize_t append_bytes(const uint8_t *data, size_t length, int flags, void *user) {
  struct fluxbp__frames *frames = user;
  (void) flags;
  return fluxbp__buffer_append(frames->out, data, length) ? (ssize_t) length : -1;
}

static int make_mask(uint8_t *mask, size_t length, void *user) {
  (void) user;
  return RAND_bytes(mask, (int) length) == 1 ? 0 : -1;
}

static struct fluxbp__frames *frames_create(void) {
  static const struct wslay_frame_callbacks callbacks = {
      .send_callback = append_bytes, .recv_callback = lend_bytes, .genmask_callback = make_mask};
  struct fluxbp__frames *frames = calloc(1, sizeof *frames);
  if (frames == NULL) return NULL;
  if (wslay_frame_context_init(&frames->context, &callbacks, frames) == 0) return frames;
  free(frames);
  return NULL;
}

void fluxbp__websocket_free(fluxbp__stream_t *stream) {
  if (stream->frames == NULL) return;
  wslay_frame_context_free(stream->frames->context);
  free(stream->frames);
  stream->frames = NULL;
}

static void take_control(fluxbp__stream_t *stream, const struct wslay_frame_iocb *frame) {
  struct fluxbp__frames *frames = stream->frames;
  if (frame->data_length > 0) memcpy(frames->control + frames->control_length, frame->data, frame->data_length);
  frames->control_length += frame->data_length;
  if (frames->frame_left > 0) return;
  size_t length = frames->control_length;
  frames->control_length = 0;
  stream->on_control(stream, frame->opcode, frames->control, length);
}

static void take_data(fluxbp__stream_t *stream, const struct wslay_frame_iocb *frame) {
  struct fluxbp__frames *frames = stream->frames;
  const char *data = (const char *) frame->data;
  bool ends = frame->fin && frames->frame_left == 0;
  if (ends && !frames->is_in_message) {
    fluxbp__dialect_tell(stream, data, frame->data_length, frame->opcode == WSLAY_BINARY_FRAME);
    return;
  }
  if (!frames->is_in_message) frames->is_binary = frame->opcode == WSLAY_BINARY_FRAME;
  frames->is_in_message = !ends;
  if (!fluxbp__stream_keep(stream, data, frame->data_length) || !ends) return;
  size_t length = stream->rest.length;
  stream->rest.length = 0;
  fluxbp__dialect_tell(stream, length > 0 ? stream->rest.data : "", length, frames->is_binary);
}

/* Check the rules that wslay leaves to its user. */
static const char *problem_of(const fluxbp__stream_t *stream, const struct wslay_frame_iocb *frame) {
  static const int opcodes =
      1 << 0 | 1 << FLUXBP__TEXT | 1 << FLUXBP__BINARY | 1 << FLUXBP__CLOSE | 1 << FLUXBP__PING | 1 << FLUXBP__PONG;
  bool continues = frame->opcode == WSLAY_CONTINUATION_FRAME;
  if (frame->mask) return "the server masks a frame";
  if (frame->rsv != 0) return "the server uses an extension that wasn't asked for";
  if ((opcodes >> frame->opcode & 1) == 0) return "the server sends a frame of an unknown kind";
  if (wslay_is_ctrl_frame(frame->opcode)) return NULL;
  return continues == stream->frames->is_in_message ? NULL : "the server mixes the fragments of messages up";
}

static void take_frame(fluxbp__stream_t *stream, const struct wslay_frame_iocb *frame) {
  struct fluxbp__frames *frames = stream->frames;
  if (frames->frame_left == 0) { /* its first piece */
    const char *problem = problem_of(stream, frame);
    if (problem != NULL) {
      fluxbp__stream_fail(stream, problem, 1002);
      return;
    }
    if (frame->payload_length > stream->max_bytes) {
      fluxbp__stream_fail(stream, "a message is larger than max_message_bytes", 1009);
      return;
    }
    frames->frame_left = frame->payload_length;
  }
  frames->frame_left -= frame->data_length;
  if (wslay_is_ctrl_frame(frame->opcode))
    take_control(stream, frame);
  else
    take_data(stream, frame);
}

size_t fluxbp__websocket_feed(fluxbp__stream_t *stream, const char *data, size_t length) {
  if (stream->frames == NULL) stream->frames = frames_create();
  struct fluxbp__frames *frames = stream->frames;
  if (frames == NULL) {
    fluxbp__stream_fail(stream, "out of memory", 1011);
    return 0;
  }
  frames->data = data;
  frames->length = length;
  stream->holds_frames = false;
  while (fluxbp__stream_is_running(stream)) {
    struct wslay_frame_iocb frame;
    memset(&frame, 0, sizeof frame);
    ssize_t taken = wslay_frame_recv(frames->context, &frame);
    if (taken == WSLAY_ERR_WANT_READ) break;
    if (taken < 0)
      fluxbp__stream_fail(stream, "the server sends a frame against RFC 6455", 1002);
    else
      take_frame(stream, &frame);
    stream->holds_frames = stream->is_paused;
  }
  return length - frames->length;
}

/* The handshake's keys */

bool fluxbp__websocket_make_key(char key[FLUXBP__KEY_BYTES], char accept[FLUXBP__ACCEPT_BYTES]) {
  static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 */
  unsigned char random[16], digest[SHA_DIGEST_LENGTH];
  char text[FLUXBP__KEY_BYTES - 1 + sizeof suffix];
  if (RAND_bytes(random, sizeof random) != 1) return false;
  EVP_EncodeBlock((unsigned char *) key, random, sizeof random);
  memcpy(text, key, FLUXBP__KEY_BYTES - 1);
  memcpy(text + FLUXBP__KEY_BYTES - 1, suffix, sizeof suffix);
  SHA1((const unsigned char *) text, sizeof text - 1, digest);
  EVP_EncodeBlock((unsigned char *) accept, digest, sizeof digest);
  return true;
}

/* Sending */

bool fluxbp__websocket_append(fluxbp__stream_t *stream, fluxbp__buffer_t *out, int opcode, const void *data,
                              size_t length) {
  if (stream->frames == NULL) stream->frames = frames_create();
  if (stream->frames == NULL || !fluxbp__buffer_reserve(out, length + FRAME_HEADER_BYTES)) return false;
  size_t length_before = out->length;
  struct wslay_frame_iocb frame = {
      .fin = 1, .opcode = (uint8_t) opcode, .payload_length = length, .mask = 1, .data = data, .data_length = length};
  stream->frames->out = out;
  if (wslay_frame_send(stream->frames->context, &frame) == (ssize_t) length) return true;
  out->length = length_before;
  return false;
}

bool fluxbp__websocket_is_code(int code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code < 5000);
}
