/* SPDX-License-Identifier: MIT */
/*
 * handshakes: whose turn it is to go on with a handshake, and how many are under way.
 */
#ifndef FLUXBP_LIB_TLS_HANDSHAKES_H
#define FLUXBP_LIB_TLS_HANDSHAKES_H

#include "secured.h"

void handshakes_init(fluxbp_tls_transport_t *transport);

void handshakes_close(fluxbp_tls_transport_t *transport);

/* Whether the handshake of a connection may go on now. */
bool handshakes_may_go_on(const struct secured *secured);

/* Have the connection wait for its turn. Nothing is read meanwhile. */
void handshakes_wait(struct secured *secured);

/* Go on with the records that are kept. */
void handshakes_step(struct secured *secured);

/* The connection needs no turn and no place any more. */
void handshakes_leave(struct secured *secured);

#endif
