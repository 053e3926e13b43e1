/* SPDX-License-Identifier: MIT */
/*
 * transport_stream: the built-in transports.
 */
#ifndef FLUXBP_LIB_TRANSPORT_STREAM_H
#define FLUXBP_LIB_TRANSPORT_STREAM_H

#include "engine.h"

/* Read up to `most` bytes once from a connection with a built-in transport, into the shared buffer. Returns the number
 * of bytes, UV_EOF, UV_EAGAIN or another libuv error. */
ssize_t fluxbp__stream_read(fluxbp_conn_t *conn, size_t most);

/* Give the engine its built-in transports. */
void fluxbp__transport_stream_init(fluxbp__engine_t *engine);

#endif
