/* SPDX-License-Identifier: MIT */
/*
 * stream_websocket: the frames of a server, by wslay. A message in one frame that wslay gives in one piece is told as
 * it is; others are collected.
 */
#include "stream_parts.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

/* The gateway's own codes; see docs/protocol.md. */
enum { CODE_SLOW = 4008, CODE_TOO_OLD = 4010, CODE_SHUTTING_DOWN = 4011 };

/* wslay asks for the bytes of a piece by a callback. */
struct websocket_frames {
  wslay_frame_context_ptr context;
  const char *data;
  size_t length;
  uint64_t frame_left; /* of the payload of the frame that is being read */
  bool is_in_message;  /* fragments have come, the last one hasn't */
  size_t control_length;
  char control[125]; /* a ping may come between the fragments of a message */
};

static ssize_t lend(uint8_t *buffer, size_t capacity, int flags, void *data) {
  struct websocket_frames *frames = data;
  (void) flags;
  size_t taken = frames->length < capacity ? frames->length : capacity;
  if (taken == 0) return -1; /* the piece is used up */
  memcpy(buffer, frames->data, taken);
  frames->data += taken;
  frames->length -= taken;
  return (ssize_t) taken;
}

static struct websocket_frames *frames_create(void) {
  static const struct wslay_frame_callbacks callbacks = {.recv_callback = lend};
  struct websocket_frames *frames = calloc(1, sizeof *frames);
  if (frames == NULL) return NULL;
  if (wslay_frame_context_init(&frames->context, &callbacks, frames) == 0) return frames;
  free(frames);
  return NULL;
}

void stream_free_websocket(struct stream *stream) {
  if (stream->websocket == NULL) return;
  wslay_frame_context_free(stream->websocket->context);
  free(stream->websocket);
  stream->websocket = NULL;
}

static void tell_close(struct stream *stream, const char *data, size_t length) {
  struct stream_event event = {.kind = STREAM_CLOSED, .code = STREAM_WEBSOCKET_NO_CODE};
  if (length >= 2) {
    event.code = (unsigned char) data[0] << 8 | (unsigned char) data[1];
    event.data = data + 2;
    event.length = length - 2;
  }
  if (event.code == CODE_SLOW) event.kind = STREAM_EVICTED;
  if (event.code == CODE_TOO_OLD) event.kind = STREAM_TOO_OLD;
  if (event.code == CODE_SHUTTING_DOWN) event.kind = STREAM_CLOSING;
  stream->on_event(stream, &event);
}

static void take_control(struct stream *stream, const struct wslay_frame_iocb *frame) {
  struct websocket_frames *frames = stream->websocket;
  if (frame->data_length > 0) memcpy(frames->control + frames->control_length, frame->data, frame->data_length);
  frames->control_length += frame->data_length;
  if (frames->frame_left > 0) return;
  size_t length = frames->control_length;
  frames->control_length = 0;
  if (frame->opcode == WSLAY_PING) stream_tell(stream, STREAM_PING, frames->control, length);
  if (frame->opcode == WSLAY_CONNECTION_CLOSE) tell_close(stream, frames->control, length);
}

static void tell_message(struct stream *stream, const char *data, size_t length) {
  if (stream->has_ids)
    stream_interpret_json(stream, data, length);
  else
    stream_interpret(stream, data, length);
}

static void take_data(struct stream *stream, const struct wslay_frame_iocb *frame) {
  struct websocket_frames *frames = stream->websocket;
  bool ends = frame->fin && frames->frame_left == 0;
  if (ends && !frames->is_in_message) {
    tell_message(stream, (const char *) frame->data, frame->data_length);
    return;
  }
  if (!stream_keep(stream, (const char *) frame->data, frame->data_length)) return;
  frames->is_in_message = !ends;
  if (!ends) return;
  size_t length = stream->rest.length;
  stream->rest.length = 0;
  tell_message(stream, stream->rest.data, length);
}

static void take_frame(struct stream *stream, const struct wslay_frame_iocb *frame) {
  struct websocket_frames *frames = stream->websocket;
  if (frames->frame_left == 0) { /* its first piece */
    if (frame->mask || frame->rsv != 0) {
      stream_fail(stream, "a frame that no server sends");
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

void stream_feed_websocket(struct stream *stream, const char *data, size_t length) {
  if (stream->websocket == NULL) stream->websocket = frames_create();
  struct websocket_frames *frames = stream->websocket;
  if (frames == NULL) {
    stream_fail(stream, "out of memory");
    return;
  }
  frames->data = data;
  frames->length = length;
  while (!stream->is_stopped) {
    struct wslay_frame_iocb frame;
    memset(&frame, 0, sizeof frame);
    ssize_t taken = wslay_frame_recv(frames->context, &frame);
    if (taken == WSLAY_ERR_WANT_READ) return;
    if (taken < 0) {
      stream_fail(stream, "a frame against RFC 6455");
      return;
    }
    take_frame(stream, &frame);
  }
}

/* Masking is against caches that would take a frame for HTTP; the key doesn't have to be a secret here. */
size_t stream_websocket_frame(int opcode, const char *data, size_t length, char *out, size_t capacity) {
  static const unsigned char key[4] = {0x6c, 0x63, 0x31, 0x21};
  if (length > 125 || capacity < length + 6) return 0;
  out[0] = (char) (0x80 | opcode);
  out[1] = (char) (0x80 | length);
  memcpy(out + 2, key, sizeof key);
  for (size_t i = 0; i < length; i++) out[6 + i] = (char) ((unsigned char) data[i] ^ key[i % 4]);
  return length + 6;
}
