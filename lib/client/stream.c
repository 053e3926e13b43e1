/* SPDX-License-Identifier: MIT */
/*
 * stream: chooses the reader of a protocol, and holds the functions that the readers share.
 */
#include "stream.h"

void fluxbp__stream_init(fluxbp__stream_t *stream, fluxbp_client_protocol_t protocol) {
  *stream = (fluxbp__stream_t){.protocol = protocol, .retry_ms = -1};
}

void fluxbp__stream_reset(fluxbp__stream_t *stream) {
  fluxbp__buffer_free(&stream->rest);
  fluxbp__buffer_free(&stream->scratch);
  fluxbp__buffer_free(&stream->held);
  fluxbp__websocket_free(stream);
  memset(&stream->sse, 0, sizeof stream->sse);
  stream->is_stopped = false;
  stream->problem = NULL;
  stream->close_code = 0;
  stream->retry_ms = -1;
  stream->holds_frames = false;
}

void fluxbp__stream_fail(fluxbp__stream_t *stream, const char *problem, int close_code) {
  if (stream->problem != NULL) return;
  stream->problem = problem;
  stream->close_code = close_code;
  stream->is_stopped = true;
}

bool fluxbp__stream_keep(fluxbp__stream_t *stream, const char *data, size_t length) {
  if (length > stream->max_bytes || stream->rest.length > stream->max_bytes - length) {
    fluxbp__stream_fail(stream, "a message is larger than max_message_bytes", 1009);
    return false;
  }
  if (fluxbp__buffer_append(&stream->rest, data, length)) return true;
  fluxbp__stream_fail(stream, "out of memory", 1011);
  return false;
}

bool fluxbp__stream_is_mid_message(const fluxbp__stream_t *stream) {
  return stream->rest.length > 0;
}

static size_t read_some(fluxbp__stream_t *stream, const char *data, size_t length) {
  switch (stream->protocol) {
  case FLUXBP_CLIENT_LINES:
    return fluxbp__lines_feed(stream, data, length);
  case FLUXBP_CLIENT_LENGTH:
    return fluxbp__length_feed(stream, data, length);
  case FLUXBP_CLIENT_SSE:
    return fluxbp__sse_feed(stream, data, length);
  default:
    return fluxbp__websocket_feed(stream, data, length);
  }
}

bool fluxbp__stream_feed(fluxbp__stream_t *stream, const char *data, size_t length) {
  size_t used = 0;
  if (length == 0) return stream->problem == NULL;
  if (fluxbp__stream_is_running(stream)) used = read_some(stream, data, length);
  if (!stream->is_stopped && stream->is_paused && !fluxbp__buffer_append(&stream->held, data + used, length - used))
    fluxbp__stream_fail(stream, "out of memory", 1011);
  return stream->problem == NULL;
}

bool fluxbp__stream_continue(fluxbp__stream_t *stream) {
  fluxbp__buffer_t held = stream->held;
  stream->held = (fluxbp__buffer_t){0};
  if (stream->holds_frames && fluxbp__stream_is_running(stream)) fluxbp__websocket_feed(stream, NULL, 0);
  fluxbp__stream_feed(stream, held.data, held.length);
  fluxbp__buffer_free(&held);
  return stream->problem == NULL;
}
