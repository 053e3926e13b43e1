/* SPDX-License-Identifier: MIT */
/*
 * secured_write: messages are encrypted when the kernel has taken everything before them. One record is given to the
 * kernel as soon as it is made, out of OpenSSL's own buffer; what is refused of it is kept, and written by libuv.
 *
 * While something is kept no message is encrypted. What OpenSSL sends by itself, such as the answer to a request for
 * new keys, is kept behind it, and then nothing is read before all of that is written. So OpenSSL is never refused: it
 * would want the same message again, which may have been dropped or replaced by then.
 */
#include "secured.h"

#include <string.h>

static size_t output_size(size_t length) {
  return sizeof(struct secured_output) + length;
}

static void free_output(const fluxbp_conn_t *conn, struct secured_output *output) {
  fluxbp_transport_free(conn, output, output_size(output->length));
}

static int say_fin(struct secured *secured);

void secured_answer_writable(struct secured *secured) {
  if (!secured->wants_writable || secured->phase != SECURED_OPEN || secured->output != NULL) return;
  secured->wants_writable = false;
  fluxbp_transport_writable(secured->conn, 0);
}

/* The kernel has all that was kept: say so to everything that waits for that. */
static void continue_after_output(struct secured *secured) {
  bool was_blocked = secured->is_blocked;
  secured->is_blocked = false;
  if (secured->wants_shutdown) {
    int err = say_fin(secured);
    if (err != 0) fluxbp_transport_shut(secured->conn, err);
  } else if (was_blocked) {
    secured_go_on(secured);
  } else {
    secured_answer_writable(secured);
  }
}

static void fail_to_write(struct secured *secured, int err) {
  if (secured->wants_shutdown) {
    fluxbp_transport_shut(secured->conn, err);
  } else if (secured->wants_writable) {
    secured->wants_writable = false;
    fluxbp_transport_writable(secured->conn, err);
  } else if (secured->has_ended && secured_is_alive(secured)) {
    fluxbp_transport_received(secured->conn, NULL, err);
  } else {
    secured_receive(secured, NULL, err);
  }
}

static void on_output_written(uv_write_t *request, int status) {
  fluxbp_conn_t *conn = fluxbp_conn_of_stream(request->handle);
  struct secured *secured = secured_of(conn);
  struct secured_output *output = QUEUE_ITEM(request, struct secured_output, request);
  if (secured->output == output) secured->output = NULL;
  free_output(conn, output);
  if (secured->phase == SECURED_CLOSED) return;
  if (status != 0)
    fail_to_write(secured, status);
  else if (secured->output == NULL)
    continue_after_output(secured);
}

/* Keep what the kernel has refused, and have libuv write it. */
static int keep_output(struct secured *secured, const char *data, size_t length, size_t record_bytes) {
  struct secured_output *output;
  int err = fluxbp_transport_alloc(secured->conn, output_size(length), (void **) &output);
  if (err != 0) return err;
  const struct secured_output *before = secured->output;
  output->record_bytes = (uint32_t) record_bytes + (before != NULL ? before->record_bytes : 0);
  size_t plain_bytes =
      secured->plain_bytes < record_bytes ? secured->plain_bytes : record_bytes; /* of several records */
  output->plain_bytes = (uint32_t) plain_bytes + (before != NULL ? before->plain_bytes : 0);
  output->length = length;
  memcpy(output->data, data, length);
  uv_buf_t buffer = uv_buf_init(output->data, (unsigned) length);
  err = uv_write(&output->request, secured_stream(secured), &buffer, 1, on_output_written);
  if (err == 0)
    secured->output = output;
  else
    free_output(secured->conn, output);
  return err;
}

int secured_sink(fluxbp__tls_t *tls, const char *data, size_t length) {
  struct secured *secured = (struct secured *) tls;
  uv_buf_t buffer = uv_buf_init((char *) (uintptr_t) data, (unsigned) length);
  int taken = uv_try_write(secured_stream(secured), &buffer, 1);
  if (taken == UV_EAGAIN) taken = 0;
  if (taken < 0) return taken;
  return (size_t) taken < length ? keep_output(secured, data + taken, length - (size_t) taken, length) : 0;
}

/* What one record takes of the buffers. */
struct plain {
  const char *data;
  size_t length;
};

/* Return the beginning of the buffers in one piece: as it is if the first one fills a record or is the only one, else
 * copied to `copy`. */
static struct plain gather(const uv_buf_t *buffers, unsigned count, size_t skipped,
                           char copy[FLUXBP__TLS_PLAIN_BYTES]) {
  size_t first = buffers[0].len - skipped;
  struct plain plain = {.data = buffers[0].base + skipped, .length = first};
  if (first >= FLUXBP__TLS_PLAIN_BYTES) plain.length = FLUXBP__TLS_PLAIN_BYTES;
  if (first >= FLUXBP__TLS_PLAIN_BYTES || count == 1) return plain;
  memcpy(copy, plain.data, first);
  size_t length = first;
  for (unsigned i = 1; i < count && length < FLUXBP__TLS_PLAIN_BYTES; i++) {
    size_t room = FLUXBP__TLS_PLAIN_BYTES - length;
    size_t bytes = buffers[i].len < room ? buffers[i].len : room;
    memcpy(copy + length, buffers[i].base, bytes);
    length += bytes;
  }
  return (struct plain){.data = copy, .length = length};
}

/* Move on in the buffers. */
static void skip(const uv_buf_t **buffers, unsigned *count, size_t *skipped, size_t bytes) {
  *skipped += bytes;
  while (*count > 0 && *skipped >= (*buffers)[0].len) {
    *skipped -= (*buffers)[0].len;
    (*buffers)++;
    (*count)--;
  }
}

int secured_try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count) {
  struct secured *secured = secured_of(conn);
  char copy[FLUXBP__TLS_PLAIN_BYTES];
  size_t taken = 0, skipped = 0;
  int err = 0;
  if (secured->phase == SECURED_PLAIN) return fluxbp_transport_tcp()->try_write(conn, buffers, count);
  if (secured->phase == SECURED_FAILED) return UV_EPROTO;
  while (secured->phase == SECURED_OPEN && secured->output == NULL && count > 0 && err == 0) {
    struct plain plain = gather(buffers, count, skipped, copy);
    secured->plain_bytes = (uint32_t) plain.length;
    err = fluxbp__tls_write(&secured->tls, plain.data, plain.length);
    if (err != 0) break;
    taken += plain.length;
    skip(&buffers, &count, &skipped, plain.length);
  }
  secured->plain_bytes = 0;
  if (err != 0 && err != UV_EAGAIN) return err;
  return taken > 0 ? (int) taken : UV_EAGAIN;
}

/* The rest of the message is left alone. */
int secured_want_writable(fluxbp_conn_t *conn, const uv_buf_t *rest) {
  struct secured *secured = secured_of(conn);
  if (secured->phase == SECURED_PLAIN) return fluxbp_transport_tcp()->want_writable(conn, rest);
  secured->wants_writable = true;
  return 0;
}

size_t secured_kept(const fluxbp_conn_t *conn) {
  const struct secured *secured = secured_of(conn);
  if (secured->output == NULL) return 0;
  uint64_t unsent = uv_stream_get_write_queue_size(secured_stream(secured));
  return (size_t) (unsent * secured->output->plain_bytes / secured->output->record_bytes);
}

static void on_shutdown(uv_shutdown_t *request, int status) {
  fluxbp_conn_t *conn = fluxbp_conn_of_stream(request->handle);
  if (secured_of(conn)->phase != SECURED_CLOSED) fluxbp_transport_shut(conn, status);
}

/* close_notify and FIN, when nothing is kept. Both may be refused by a full socket: libuv writes them then. */
static int say_fin(struct secured *secured) {
  secured->wants_shutdown = false;
  if (secured->phase == SECURED_OPEN) {
    int err = fluxbp__tls_shutdown(&secured->tls);
    if (err != 0) return err;
  }
  if (secured->phase != SECURED_PLAIN) secured_ignore_input(secured); /* OpenSSL could answer nothing any more */
  return uv_shutdown(&secured->shutdown, secured_stream(secured), on_shutdown);
}

int secured_shutdown(fluxbp_conn_t *conn) {
  struct secured *secured = secured_of(conn);
  secured->wants_shutdown = true;
  return secured->output == NULL ? say_fin(secured) : 0;
}
