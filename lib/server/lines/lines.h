/* SPDX-License-Identifier: MIT */
/*
 * lines: the two protocols of plain TCP; see the table in docs/protocol.md.
 */
#ifndef FLUXBP_SERVER_LINES_H
#define FLUXBP_SERVER_LINES_H

#include "server/session/session.h"

/** A client has come by the door of one of them. */
void lines_begin(fluxbp_session_t *session);

#endif
