/* SPDX-License-Identifier: MIT */
/*
 * websocket_extensions: what a client offers by Sec-WebSocket-Extensions, and what the server answers. There is one
 * extension here, permessage-deflate (RFC 7692), always without context: no message refers to one before it, in either
 * direction. So a message is compressed once for all clients, and an idle client owns no window. Does no I/O.
 */
#ifndef FLUXBP_SERVER_WEBSOCKET_EXTENSIONS_H
#define FLUXBP_SERVER_WEBSOCKET_EXTENSIONS_H

#include "server/http/http_reader.h"

#include <stdbool.h>

/* Room for the header of an answer, with the NUL. */
#define WEBSOCKET_EXTENSIONS_BYTES 160

struct websocket_extensions {
  bool deflates;      /* permessage-deflate is agreed on */
  bool limits_window; /* the client wants to be told how far back the server refers */
};

/**
 * Choose the first offer that can be kept: of permessage-deflate, with known parameters, each at most once, with values
 * that they may have, and a window that isn't smaller than the server's.
 *
 * @return false: a header is malformed, and the handshake has to be refused with 400 (RFC 6455, 9.1)
 */
bool websocket_extensions_choose(const struct http_request *request, struct websocket_extensions *chosen);

/** Write the header that says what was chosen, with its line end; no text if nothing was. */
void websocket_extensions_answer(const struct websocket_extensions *chosen, char text[WEBSOCKET_EXTENSIONS_BYTES]);

#endif
