/* SPDX-License-Identifier: MIT */
/*
 * transport: the transports of an engine, and what they tell their connections. Knows nothing of what connections do
 * with that.
 */
#include "transport.h"

#include "conn_blocks.h"
#include "pool.h"

static int check_table(const fluxbp_transport_t *transport) {
  if (transport == NULL) return UV_EINVAL;
  int err = fluxbp__table_check(transport, sizeof *transport, FLUXBP__END_OF(transport, fd));
  if (err) return err;
  if (transport->try_write == NULL || transport->want_writable == NULL || transport->shutdown == NULL) return UV_EINVAL;
  if (transport->read_start == NULL || transport->read_stop == NULL || transport->close == NULL) return UV_EINVAL;
  if (transport->stream != FLUXBP_STREAM_TCP && transport->stream != FLUXBP_STREAM_PIPE) return UV_EINVAL;
  return transport->data_bytes <= FLUXBP_TRANSPORT_BYTES_MAX ? 0 : UV_EINVAL;
}

int fluxbp__transport_number(fluxbp__engine_t *engine, const fluxbp_transport_t *transport) {
  for (size_t i = 0; i < engine->transport_count; i++)
    if (engine->transports[i] == transport) return (int) i;
  int err = check_table(transport);
  if (err) return err;
  if (engine->transport_count == FLUXBP_TRANSPORTS_MAX) return UV_E2BIG;
  engine->transports[engine->transport_count] = transport;
  return (int) engine->transport_count++;
}

int fluxbp__transport_fd(const fluxbp_conn_t *conn) {
  const fluxbp_transport_t *transport = fluxbp__conn_transport(conn);
  if (transport->fd != NULL) return transport->fd(conn);
  uv_os_fd_t fd;
  if (transport->stream != FLUXBP_STREAM_TCP || uv_fileno(&conn->uv.handle, &fd) != 0) return -1;
  return fd;
}

void *fluxbp_transport_data(const fluxbp_conn_t *conn) {
  return (char *) fluxbp__conn_memory(conn) + fluxbp__conn_data_offset(fluxbp__conn_transport(conn), conn->user_bytes);
}

void fluxbp_transport_read_buffer(const fluxbp_conn_t *conn, uv_buf_t *buffer) {
  const fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  *buffer = uv_buf_init(engine->read_buffer, (unsigned) fluxbp__engine_read_bytes(engine));
}

const fluxbp_transport_t *fluxbp_transport_of(const fluxbp_conn_t *conn) {
  return fluxbp__conn_transport(conn);
}

fluxbp_conn_t *fluxbp_conn_of_stream(const uv_stream_t *stream) {
  return fluxbp__conn_of((void *) (uintptr_t) stream); /* the connection isn't what is constant */
}

/* Like the pressure block, it is what a connection needs that is to get rid of its messages. */
int fluxbp_transport_alloc(const fluxbp_conn_t *conn, size_t size, void **memory) {
  return fluxbp__pool_alloc(fluxbp__conn_engine(conn)->pool, FLUXBP__CONTROL, size, memory);
}

void fluxbp_transport_free(const fluxbp_conn_t *conn, void *memory, size_t size) {
  if (memory != NULL) fluxbp__pool_free(fluxbp__conn_engine(conn)->pool, FLUXBP__CONTROL, memory, size);
}

int fluxbp_transport_deliver_later(fluxbp_conn_t *conn) {
  return fluxbp__conn_note_input(conn);
}

int fluxbp_transport_may_read(const fluxbp_conn_t *conn) {
  return fluxbp__input_may_read(&fluxbp__conn_engine(conn)->input, conn);
}

void fluxbp_transport_wait_turn(fluxbp_conn_t *conn) {
  fluxbp__conn_engine(conn)->carried->readable(conn);
}

void fluxbp_transport_received(fluxbp_conn_t *conn, const char *data, ssize_t count) {
  fluxbp__conn_engine(conn)->carried->received(conn, data, count);
}

void fluxbp_transport_writable(fluxbp_conn_t *conn, ssize_t taken) {
  fluxbp__conn_engine(conn)->carried->writable(conn, taken);
}

void fluxbp_transport_shut(fluxbp_conn_t *conn, int status) {
  fluxbp__conn_engine(conn)->carried->shut(conn, status);
}

void fluxbp_transport_closed(fluxbp_conn_t *conn) {
  fluxbp__conn_engine(conn)->carried->closed(conn);
}
