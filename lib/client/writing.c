/* SPDX-License-Identifier: MIT */
/*
 * writing: queued messages are written before the loop sleeps, in one system call for all of them. Bytes that the
 * kernel refuses are libuv's; later messages wait behind them. The two buffers change places.
 */
#include "client.h"

#include <stdlib.h>

/* From the loop: everything that was queued has been taken. */
static void drained(fluxbp_client_t *client) {
  if (fluxbp__client_queued(client) > 0) return;
  if (client->state == FLUXBP__CLIENT_LEAVING) fluxbp__client_finish_sending(client);
  if (!client->wants_drain || client->state != FLUXBP__CLIENT_OPEN) return;
  client->wants_drain = false;
  if (client->handlers.on_drain != NULL) client->handlers.on_drain(client);
}

static void on_written(uv_write_t *request, int status) {
  fluxbp_client_t *client = request->data;
  client->is_writing = false;
  if (status == 0) client->stats.sent_bytes += client->writing.length;
  client->writing.length = 0;
  if (status == UV_ECANCELED) return;
  if (status == 0 && client->secure != NULL && client->secure->late.length > 0)
    status = fluxbp__client_hand_to_libuv(client, &client->secure->late, 0);
  if (status != 0) {
    fluxbp__client_lose(client, status, NULL);
    return;
  }
  fluxbp__client_flush_now(client);
  drained(client);
}

static void note_error(fluxbp_client_t *client, int error) {
  client->write_error = error;
  fluxbp__client_wake_flusher(client);
}

bool fluxbp__client_prepare_sending(fluxbp_client_t *client) {
  if (client->sending == NULL) client->sending = calloc(1, sizeof *client->sending);
  return client->sending != NULL;
}

ssize_t fluxbp__client_try_write(fluxbp_client_t *client, const char *data, size_t length) {
  uv_buf_t buffer = uv_buf_init((char *) (uintptr_t) data, (unsigned) length);
  int written = uv_try_write((uv_stream_t *) &client->tcp, &buffer, 1);
  if (written < 0) return written == UV_EAGAIN ? 0 : written;
  client->stats.sent_bytes += (uint64_t) written;
  return written;
}

int fluxbp__client_hand_to_libuv(fluxbp_client_t *client, fluxbp__buffer_t *from, size_t taken) {
  if (!fluxbp__client_prepare_sending(client)) return UV_ENOMEM;
  fluxbp__buffer_t written = client->writing;
  client->writing = *from;
  *from = written;
  from->length = 0;
  memmove(client->writing.data, client->writing.data + taken, client->writing.length - taken);
  client->writing.length -= taken;
  client->sending->write.data = client;
  uv_buf_t buffer = uv_buf_init(client->writing.data, (unsigned) client->writing.length);
  int error = uv_write(&client->sending->write, (uv_stream_t *) &client->tcp, &buffer, 1, on_written);
  client->is_writing = client->wants_drain = error == 0;
  return error;
}

/* @return 0, or an error */
static int write_waiting(fluxbp_client_t *client) {
  ssize_t taken = fluxbp__client_try_write(client, client->waiting.data, client->waiting.length);
  if (taken < 0) return (int) taken;
  if ((size_t) taken < client->waiting.length)
    return fluxbp__client_hand_to_libuv(client, &client->waiting, (size_t) taken);
  client->waiting.length = 0;
  return 0;
}

void fluxbp__client_flush_now(fluxbp_client_t *client) {
  bool may_write = client->state == FLUXBP__CLIENT_HANDSHAKING || client->state == FLUXBP__CLIENT_OPEN ||
                   client->state == FLUXBP__CLIENT_LEAVING;
  if (!may_write || client->is_writing || client->write_error != 0 || client->waiting.length == 0) return;
  int error = client->secure != NULL ? fluxbp__secure_flush(client) : write_waiting(client);
  if (error != 0) {
    note_error(client, error);
  } else if (client->waiting.length == 0 && client->is_greeting) {
    client->is_greeting = false;
    fluxbp__buffer_free(&client->waiting); /* most clients only listen from now on */
  }
}

static void on_idle(uv_idle_t *handle) {
  fluxbp_client_t *client = handle->data;
  uv_idle_stop(handle);
  fluxbp__client_flush_now(client);
  if (client->write_error != 0) {
    fluxbp__client_lose(client, client->write_error, NULL);
    return;
  }
  drained(client);
  fluxbp__client_continue_reading(client);
}

void fluxbp__client_wake_flusher(fluxbp_client_t *client) {
  if (client->state == FLUXBP__CLIENT_ENDING) return;
  uv_idle_start(&client->flusher, on_idle);
}

void fluxbp_client_flush(fluxbp_client_t *client) {
  fluxbp__client_flush_now(client);
}
