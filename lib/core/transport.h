/* SPDX-License-Identifier: MIT */
/*
 * Internal side of transports: which one a connection has, and what the built-in ones are spared.
 *
 * The built-in transports have the first two numbers of every engine. What is done for each flush asks the number, and
 * calls libuv in place.
 */
#ifndef FLUXBP_LIB_TRANSPORT_H
#define FLUXBP_LIB_TRANSPORT_H

#include "conn.h"

/* What a transport tells its connection: filled in by the layer above (conn_input.c). */
struct fluxbp__carried {
  void (*received)(fluxbp_conn_t *conn, const char *data, ssize_t count);
  void (*readable)(fluxbp_conn_t *conn); /* but it may not be read now */
  void (*writable)(fluxbp_conn_t *conn, ssize_t taken);
  void (*shut)(fluxbp_conn_t *conn, int status);
  void (*closed)(fluxbp_conn_t *conn);
};

/* Return the number of a transport, which is added if it is new. UV_EINVAL: the table is no transport; UV_E2BIG: this
 * version doesn't know all of it, or no more fit. */
int fluxbp__transport_number(fluxbp__engine_t *engine, const fluxbp_transport_t *transport);

/* Return the TCP socket that the kernel is asked about, or -1. */
int fluxbp__transport_fd(const fluxbp_conn_t *conn);

#endif
