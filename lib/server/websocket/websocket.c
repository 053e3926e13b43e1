/* SPDX-License-Identifier: MIT */
/*
 * websocket: the frames that the server sends. See the header.
 *
 * wslay writes them through a callback, into memory here. Its context is a few kilobytes of which sending uses none but
 * the state of one frame, so every thread has one that it keeps.
 */
#include "websocket.h"

#include "utf8.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum { CODE_BYTES = 2 };

/* Where the frame that is being written has come to: the user data of a thread's context. */
struct sink {
  wslay_frame_context_ptr frames;
  char *out;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t sink_key;
static bool has_sink_key;

static void free_sink(void *arg) {
  struct sink *sink = arg;
  wslay_frame_context_free(sink->frames);
  free(sink);
}

static void create_sink_key(void) {
  has_sink_key = pthread_key_create(&sink_key, free_sink) == 0;
}

/* wslay's header of a frame, and then the payload, which is in its place already. */
static ssize_t write_out(const uint8_t *data, size_t length, int flags, void *user) {
  (void) flags;
  struct sink *sink = user;
  memmove(sink->out, data, length);
  sink->out += length;
  return (ssize_t) length;
}

/* This thread's, or NULL if there is no memory. */
static struct sink *sink_of_thread(void) {
  static const struct wslay_frame_callbacks callbacks = {.send_callback = write_out};
  (void) pthread_once(&once, create_sink_key);
  if (!has_sink_key) return NULL;
  struct sink *sink = pthread_getspecific(sink_key);
  if (sink != NULL) return sink;

  sink = malloc(sizeof *sink);
  if (sink == NULL) return NULL;
  if (wslay_frame_context_init(&sink->frames, &callbacks, sink) != 0) {
    free(sink);
    return NULL;
  }
  if (pthread_setspecific(sink_key, sink) != 0) {
    free_sink(sink);
    return NULL;
  }
  return sink;
}

static size_t header_bytes(size_t length) {
  return length < 126 ? 2 : length <= UINT16_MAX ? 4 : WEBSOCKET_HEADER_BYTES;
}

static size_t write_frame(enum websocket_opcode opcode, uint8_t rsv, const void *payload, size_t length, char *out,
                          size_t capacity) {
  assert(!wslay_is_ctrl_frame(opcode) || length <= WEBSOCKET_CONTROL_BYTES);
  size_t header = header_bytes(length);
  if (header + length > capacity) return header + length;
  struct sink *sink = sink_of_thread();
  if (sink == NULL) return 0;

  if (length > 0) memmove(out + header, payload, length); /* before the header is written over it */
  struct wslay_frame_iocb frame = {.fin = 1,
                                   .rsv = rsv,
                                   .opcode = (uint8_t) opcode,
                                   .payload_length = length,
                                   .data = (const uint8_t *) out + header,
                                   .data_length = length};
  sink->out = out;
  (void) wslay_frame_send(sink->frames, &frame);
  return header + length;
}

size_t websocket_frame(enum websocket_opcode opcode, const void *payload, size_t length, char *out, size_t capacity) {
  return write_frame(opcode, 0, payload, length, out, capacity);
}

size_t websocket_compressed_frame(enum websocket_opcode opcode, const void *payload, size_t length, char *out,
                                  size_t capacity) {
  return write_frame(opcode, WSLAY_RSV1_BIT, payload, length, out, capacity);
}

size_t websocket_header_bytes(const char *frame) {
  unsigned length = (unsigned char) frame[1];
  return length < 126 ? 2 : length == 126 ? 4 : WEBSOCKET_HEADER_BYTES;
}

/* What of a text fits, whole characters only. */
static size_t cut_text(const char *text, size_t max_bytes) {
  size_t length = strlen(text);
  if (length <= max_bytes) return length;
  length = max_bytes;
  while (length > 0 && ((unsigned char) text[length] & 0xc0) == 0x80) length--;
  return length;
}

size_t websocket_close_frame(fluxbp_close_code_t code, const char *reason, char *out, size_t capacity) {
  char payload[WEBSOCKET_CONTROL_BYTES];
  size_t length = 0;
  if (code != FLUXBP_CLOSE_NO_CODE) {
    payload[0] = (char) ((unsigned) code >> 8);
    payload[1] = (char) ((unsigned) code & 0xff);
    length = cut_text(reason, sizeof payload - CODE_BYTES);
    memcpy(payload + CODE_BYTES, reason, length);
    length += CODE_BYTES;
  }
  return websocket_frame(WEBSOCKET_CLOSE, payload, length, out, capacity);
}

bool websocket_is_utf8(const void *data, size_t length) {
  struct utf8 utf8 = {0};
  return utf8_take(&utf8, data, length) && utf8_is_whole(&utf8);
}
