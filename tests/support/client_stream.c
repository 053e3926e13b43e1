/* SPDX-License-Identifier: MIT */
/*
 * client_stream: what is told is appended as text, as far as there is room.
 */
#include "client_stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct client_stream_told *now;
static bool pauses_at_messages;

static void append(const char *data, size_t length) {
  size_t room = sizeof now->text - 1 - now->length;
  if (length > room) length = room;
  if (length > 0) memcpy(now->text + now->length, data, length);
  now->length += length;
  now->text[now->length] = '\0';
}

__attribute__((format(printf, 1, 2))) static void print(const char *format, ...) {
  char text[128];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  append(text, (size_t) length);
}

static void append_part(char sign, const char *text, size_t length) {
  if (text == NULL) return;
  append(&sign, 1);
  append(text, length);
}

static void on_event(fluxbp__stream_t *stream, fluxbp_client_event_t *event) {
  static const char *const names[] = {"message", "answer", "error", "position", "resumed",
                                      "too_old", "gap",    "unset", "evicted",  "closing"};
  print("%s%s(", event->is_binary ? "binary " : "", names[event->kind]);
  append(event->data, event->length);
  append(")", 1);
  append_part('#', event->id, event->id_length);
  append_part('@', event->topic, event->topic_length);
  append_part('/', event->key, event->key_length);
  append_part(':', event->name, event->name_length);
  append_part('>', event->oldest, event->oldest_length);
  if (event->kind == FLUXBP_CLIENT_GAP)
    print("%llu-%llu*%llu", (unsigned long long) event->gap_from, (unsigned long long) event->gap_to,
          (unsigned long long) event->gap_count);
  append(" ", 1);
  stream->is_paused = pauses_at_messages;
}

static void on_control(fluxbp__stream_t *stream, int opcode, const char *data, size_t length) {
  print("control %d(", opcode);
  append(data, length);
  append(") ", 2);
  if (opcode == 8) stream->is_stopped = true;
}

static void feed(fluxbp__stream_t *stream, const char *bytes, size_t length) {
  char *exact = malloc(length + (length == 0));
  if (exact == NULL) abort();
  memcpy(exact, bytes, length);
  fluxbp__stream_feed(stream, exact, length);
  free(exact);
  while (stream->is_paused && !stream->is_stopped) {
    stream->is_paused = false;
    fluxbp__stream_continue(stream);
  }
}

void client_stream_read(struct client_stream_told *told, fluxbp_client_protocol_t protocol, int is_plain, int has_ids,
                        const char *bytes, size_t length, size_t cut, size_t piece, int pauses) {
  fluxbp__stream_t stream;
  now = told;
  pauses_at_messages = pauses;
  told->length = 0;
  told->text[0] = '\0';
  fluxbp__stream_init(&stream, protocol);
  stream.is_plain = is_plain;
  stream.has_ids = has_ids;
  stream.max_bytes = CLIENT_STREAM_MAX_BYTES;
  stream.on_event = on_event;
  stream.on_control = on_control;
  feed(&stream, bytes, cut);
  for (size_t at = cut; at < length && !stream.is_stopped; at += piece)
    feed(&stream, bytes + at, length - at < piece ? length - at : piece);
  if (stream.problem != NULL) print("FAILED: %s", stream.problem);
  if (stream.problem == NULL && fluxbp__stream_is_mid_message(&stream)) print("MID");
  if (stream.retry_ms >= 0) print(" retry %lld", (long long) stream.retry_ms);
  fluxbp__stream_reset(&stream);
}
