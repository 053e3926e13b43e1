/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_TRANSPORT_H
#define FLUXBP_TRANSPORT_H
#include "fluxbp/export.h"
#include <stddef.h>
#include <uv.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct fluxbp_conn fluxbp_conn_t;
typedef struct fluxbp_transport fluxbp_transport_t;
#define FLUXBP_TRANSPORTS_MAX 16
#define FLUXBP_TRANSPORT_BYTES_MAX 65536
typedef enum fluxbp_stream_kind {
  FLUXBP_STREAM_TCP = 0,
  FLUXBP_STREAM_PIPE
} fluxbp_stream_kind_t;
struct fluxbp_transport {
  size_t size;
  const char *name;
  fluxbp_stream_kind_t stream;
  size_t data_bytes;
  int (*open)(fluxbp_conn_t *conn);
  int (*preread)(fluxbp_conn_t *conn, const void *data, size_t length);
  int (*try_write)(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count);
  int (*want_writable)(fluxbp_conn_t *conn, const uv_buf_t *rest);
  size_t (*unwritten)(const fluxbp_conn_t *conn);
  size_t (*kept)(const fluxbp_conn_t *conn);
  int (*read_start)(fluxbp_conn_t *conn);
  void (*read_stop)(fluxbp_conn_t *conn);
  void (*deliver)(fluxbp_conn_t *conn);
  int (*is_at_end)(fluxbp_conn_t *conn);
  int (*shutdown)(fluxbp_conn_t *conn);
  void (*close)(fluxbp_conn_t *conn, int by_reset);
  int (*fd)(const fluxbp_conn_t *conn);
  int (*read_once)(fluxbp_conn_t *conn);
};
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_tcp(void);
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_pipe(void);
#define FLUXBP_TCP (fluxbp_transport_tcp())
#define FLUXBP_PIPE (fluxbp_transport_pipe())
FLUXBP_EXTERN const fluxbp_transport_t *fluxbp_transport_of(const fluxbp_conn_t *conn);
FLUXBP_EXTERN fluxbp_conn_t *fluxbp_conn_of_stream(const uv_stream_t *stream);
FLUXBP_EXTERN void *fluxbp_transport_data(const fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_transport_read_buffer(const fluxbp_conn_t *conn, uv_buf_t *buffer);
FLUXBP_EXTERN int fluxbp_transport_may_read(const fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_transport_wait_turn(fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_transport_alloc(const fluxbp_conn_t *conn, size_t size, void **memory);
FLUXBP_EXTERN void fluxbp_transport_free(const fluxbp_conn_t *conn, void *memory, size_t size);
FLUXBP_EXTERN void fluxbp_transport_received(fluxbp_conn_t *conn, const char *data, ssize_t count);
FLUXBP_EXTERN int fluxbp_transport_deliver_later(fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_transport_writable(fluxbp_conn_t *conn, ssize_t taken);
FLUXBP_EXTERN void fluxbp_transport_shut(fluxbp_conn_t *conn, int status);
FLUXBP_EXTERN void fluxbp_transport_closed(fluxbp_conn_t *conn);
#ifdef __cplusplus
}
#endif
#endif
