/* SPDX-License-Identifier: MIT */
/*
 * reading: bytes in, events out. Keeps the position to resume behind, and drops messages that come twice.
 */
#include "client.h"

#include "backoff.h"
#include "websocket.h"

#include <stdlib.h>

/* Close codes of libfluxbp servers: docs/protocol.md. */
enum { CODE_FULL = 1013, CODE_SLOW = 4008, CODE_TOO_OLD = 4010, CODE_SHUTTING_DOWN = 4011 };

/* For the server to end the connection after its close frame was answered. */
#define LEAVE_MS 2000

#define OWN_BUFFER_BYTES 65536

static fluxbp_client_t *client_of(fluxbp__stream_t *stream) {
  return (fluxbp_client_t *) (void *) ((char *) stream - offsetof(fluxbp_client_t, stream));
}

/* Bytes in */

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  fluxbp_client_t *client = handle->data;
  (void) suggested;
  size_t length = client->options.read_buffer_bytes;
  char *data = client->options.read_buffer;
  if (data == NULL) {
    if (client->own_buffer == NULL) client->own_buffer = malloc(OWN_BUFFER_BYTES);
    data = client->own_buffer; /* without memory libuv says UV_ENOBUFS */
    length = data != NULL ? OWN_BUFFER_BYTES : 0;
  }
  /* The end of a connection is always read, and so is the beginning of TLS. */
  bool is_limited = client->state != FLUXBP__CLIENT_LEAVING && !fluxbp__client_is_securing(client);
  if (is_limited && client->allowance < length) length = (size_t) client->allowance;
  *buffer = uv_buf_init(data, (unsigned) length);
}

void fluxbp__client_take_bytes(fluxbp_client_t *client, const char *data, size_t length) {
  if (client->state == FLUXBP__CLIENT_LEAVING) return;
  if (client->http != NULL) {
    fluxbp__client_feed_http(client, data, length);
  } else if (client->state == FLUXBP__CLIENT_OPEN) {
    fluxbp__stream_feed(&client->stream, data, length);
    fluxbp__client_check_stream(client);
  }
}

void fluxbp__client_take_end(fluxbp_client_t *client, int error, bool is_unproved) {
  const char *closed = is_unproved ? "the connection was closed without the end of TLS (close_notify), so not all of "
                                     "what the server has sent may have come"
                                   : "the server closed the connection";
  if (client->options.protocol == FLUXBP_CLIENT_HTTP && client->state == FLUXBP__CLIENT_OPEN) {
    if (error == UV_EOF && client->has_request && !is_unproved) fluxbp__http_finish(client->http);
    if (client->state == FLUXBP__CLIENT_OPEN && !client->has_request) fluxbp__client_sleep(client);
  }
  if (client->state == FLUXBP__CLIENT_SLEEPING) return;
  fluxbp__client_lose(client, error, error == UV_EOF ? closed : NULL);
}

static void on_read(uv_stream_t *tcp, ssize_t length, const uv_buf_t *buffer) {
  fluxbp_client_t *client = tcp->data;
  if (length == 0) return;
  if (length < 0 && client->secure != NULL) {
    fluxbp__secure_take_end(client, (int) length);
    return;
  }
  if (length < 0) {
    fluxbp__client_take_end(client, (int) length, false);
    return;
  }
  size_t taken = (size_t) length;
  client->stats.received_bytes += taken;
  client->heard_ms = fluxbp__client_now(client);
  client->read_ns = uv_hrtime();
  client->has_pinged = false;
  bool is_limited = client->allowance != UINT64_MAX && !fluxbp__client_is_securing(client);
  if (is_limited) client->allowance -= taken < client->allowance ? taken : client->allowance;
  if (client->secure != NULL)
    fluxbp__secure_feed(client, buffer->base, taken);
  else
    fluxbp__client_take_bytes(client, buffer->base, taken);
  if (client->allowance == 0 || client->is_read_paused) fluxbp__client_update_reading(client);
}

void fluxbp__client_update_reading(fluxbp_client_t *client) {
  bool may_read = client->state == FLUXBP__CLIENT_HANDSHAKING || client->state == FLUXBP__CLIENT_OPEN;
  bool wants =
      may_read && !client->is_read_paused && client->allowance > 0 && !fluxbp__stream_is_holding(&client->stream);
  if (client->state == FLUXBP__CLIENT_LEAVING || fluxbp__client_is_securing(client)) wants = true; /* to its end */
  if (wants == client->is_reading || !client->is_tcp_open) return;
  client->is_reading = wants;
  if (!wants) {
    uv_read_stop((uv_stream_t *) &client->tcp);
    return;
  }
  client->heard_ms = fluxbp__client_now(client); /* while it was paused nothing could be heard */
  client->has_pinged = false;
  int error = uv_read_start((uv_stream_t *) &client->tcp, lend_buffer, on_read);
  if (error != 0)
    fluxbp__client_lose(client, error, NULL);
  else if (client->state == FLUXBP__CLIENT_HANDSHAKING)
    fluxbp__client_set_due(client, client->options.handshake_timeout_ms);
  else
    fluxbp__client_schedule(client);
}

void fluxbp__client_continue_reading(fluxbp_client_t *client) {
  if (fluxbp__stream_is_holding(&client->stream) && !client->is_read_paused && client->state == FLUXBP__CLIENT_OPEN) {
    fluxbp__stream_continue(&client->stream);
    fluxbp__client_check_stream(client);
    if (client->has_ended && !fluxbp__stream_is_holding(&client->stream))
      fluxbp__client_lose(client, UV_EOF, "the server ended the stream");
  }
  fluxbp__client_update_reading(client);
}

void fluxbp__client_check_stream(fluxbp_client_t *client) {
  fluxbp__stream_t *stream = &client->stream;
  if (client->state != FLUXBP__CLIENT_OPEN || stream->problem == NULL) return;
  if (stream->protocol == FLUXBP_CLIENT_WEBSOCKET) {
    char code[2] = {(char) (stream->close_code >> 8), (char) stream->close_code};
    if (fluxbp__websocket_append(&client->stream, &client->waiting, FLUXBP__CLOSE, code, sizeof code))
      fluxbp__client_flush_now(client);
  }
  int error = stream->close_code == 1009 ? UV_EMSGSIZE : stream->close_code == 1011 ? UV_ENOMEM : UV_EPROTO;
  fluxbp__client_lose(client, error, stream->problem);
}

/* The position */

void fluxbp__client_note_position(fluxbp_client_t *client, const char *id, size_t length) {
  fluxbp__buffer_t *position = &client->position;
  position->length = 0;
  if (length == 0 || !client->options.resumes) return;
  if (!fluxbp__buffer_reserve(position, length + 1)) return; /* then the next connection begins live */
  memcpy(position->data, id, length);
  position->data[length] = '\0';
  position->length = length;
}

/* Whether the message was there before the resume. Ids of an epoch are numbers; of another server's nothing is
 * known. */
static bool is_repeat(const fluxbp_client_t *client, const fluxbp_client_event_t *event) {
  const char *position = client->position.data;
  size_t length = client->position.length, prefix = strcspn(position, ":") + 1;
  if (fluxbp__dialect_id_length(position, length) != length ||
      fluxbp__dialect_id_length(event->id, event->id_length) != event->id_length)
    return length == event->id_length && memcmp(position, event->id, length) == 0;
  if (memcmp(position, event->id, prefix) != 0) return false;
  char id[48];
  memcpy(id, event->id, event->id_length);
  id[event->id_length] = '\0';
  return strtoull(id + prefix, NULL, 10) <= strtoull(position + prefix, NULL, 10);
}

/* Events out */

static void take_message(fluxbp_client_t *client, fluxbp_client_event_t *event) {
  if (client->is_resuming) return;
  if (event->id != NULL && client->checks_repeats && client->position.length > 0) {
    if (is_repeat(client, event)) {
      client->stats.repeats++;
      return;
    }
    client->checks_repeats = false;
  }
  if (event->id != NULL) fluxbp__client_note_position(client, event->id, event->id_length);
  client->stats.messages++;
  if (client->handlers.on_message != NULL) client->handlers.on_message(client, event);
}

/* @return whether the user is told */
static bool take_notice(fluxbp_client_t *client, const fluxbp_client_event_t *event) {
  static const char pong[] = "+PONG";
  switch (event->kind) {
  case FLUXBP_CLIENT_POSITION:
    client->expects_ids = false;
    if (client->is_resuming) return false; /* the server's newest id, not one that this client has come to */
    fluxbp__client_note_position(client, event->id, event->id_length);
    return true;
  case FLUXBP_CLIENT_ANSWER:
    if (client->swallowed_pongs == 0 || event->length < 5 || memcmp(event->data, pong, 5) != 0) return true;
    client->swallowed_pongs--;
    return false;
  case FLUXBP_CLIENT_RESUMED:
    client->is_resuming = false;
    return true;
  case FLUXBP_CLIENT_TOO_OLD:
    client->is_resuming = client->checks_repeats = false;
    fluxbp__client_note_position(client, event->id, event->id_length);
    return true;
  case FLUXBP_CLIENT_ERROR:
    if (!client->is_resuming || client->expects_ids) return true;
    client->is_resuming = false; /* the answer to RESUME: it can't be had */
    client->position.length = 0;
    return true;
  default:
    return true;
  }
}

void fluxbp__client_on_event(fluxbp__stream_t *stream, fluxbp_client_event_t *event) {
  fluxbp_client_t *client = client_of(stream);
  event->read_ns = client->read_ns;
  if (event->kind == FLUXBP_CLIENT_MESSAGE)
    take_message(client, event);
  else if (take_notice(client, event) && client->handlers.on_event != NULL)
    client->handlers.on_event(client, event);
}

/* WebSocket's control frames */

/* Tell the event that a close code of a libfluxbp server stands for. */
static void tell_close(fluxbp_client_t *client, const char *reason, size_t length) {
  fluxbp_client_event_t event = {.kind = FLUXBP_CLIENT_MESSAGE, .data = reason, .length = length};
  if (client->loss.code == CODE_SLOW) event.kind = FLUXBP_CLIENT_EVICTED;
  if (client->loss.code == CODE_TOO_OLD) event.kind = FLUXBP_CLIENT_TOO_OLD;
  if (client->loss.code == CODE_SHUTTING_DOWN || client->loss.code == CODE_FULL) event.kind = FLUXBP_CLIENT_CLOSING;
  if (event.kind == FLUXBP_CLIENT_MESSAGE || fluxbp__client_is_plain(client)) return;
  if (event.kind == FLUXBP_CLIENT_TOO_OLD)
    event.oldest = fluxbp__dialect_find_oldest(reason, length, &event.oldest_length);
  fluxbp__client_on_event(&client->stream, &event);
}

static void take_close(fluxbp_client_t *client, const char *data, size_t length) {
  fluxbp__loss_t *loss = &client->loss;
  int code = length >= 2 ? (unsigned char) data[0] << 8 | (unsigned char) data[1] : FLUXBP__NO_CODE;
  if (length == 1 || (length >= 2 && !fluxbp__websocket_is_code(code))) {
    fluxbp__stream_fail(&client->stream, "the server sends a close frame against RFC 6455", 1002);
    return;
  }
  loss->code = code;
  loss->is_final = fluxbp__backoff_is_final_code(code);
  if (length > 2) loss->reason = strndup(data + 2, length - 2);
  tell_close(client, length > 2 ? data + 2 : "", length > 2 ? length - 2 : 0);
  if (client->state != FLUXBP__CLIENT_OPEN) return;
  client->stream.is_stopped = true;
  fluxbp__websocket_append(&client->stream, &client->waiting, FLUXBP__CLOSE, data, length >= 2 ? 2 : 0);
  client->state = FLUXBP__CLIENT_LEAVING;
  fluxbp__client_set_due(client, LEAVE_MS);
  fluxbp__client_flush_now(client);
  fluxbp__client_update_reading(client);
}

void fluxbp__client_on_control(fluxbp__stream_t *stream, int opcode, const char *data, size_t length) {
  fluxbp_client_t *client = client_of(stream);
  if (opcode == FLUXBP__CLOSE) take_close(client, data, length);
  if (opcode != FLUXBP__PING || client->state != FLUXBP__CLIENT_OPEN) return;
  if (fluxbp__websocket_append(&client->stream, &client->waiting, FLUXBP__PONG, data, length))
    fluxbp__client_wake_flusher(client);
}
