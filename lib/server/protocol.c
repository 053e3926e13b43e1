/* SPDX-License-Identifier: MIT */
/*
 * protocol: the list of all protocols. A new one is added here, to enum protocol_kind, and nowhere else.
 */
#include "protocol.h"

#include <stddef.h>

const struct protocol *const protocols[PROTOCOL_COUNT] = {
    [PROTOCOL_LINES] = &protocol_lines,         [PROTOCOL_LENGTH] = &protocol_length,
    [PROTOCOL_WEBSOCKET] = &protocol_websocket, [PROTOCOL_SSE] = &protocol_sse,
    [PROTOCOL_HTTP] = &protocol_http,           [PROTOCOL_WATCH] = &protocol_watch,
    [PROTOCOL_PROXIED] = &protocol_proxied,     [PROTOCOL_TLS] = &protocol_tls};

const struct protocol *protocol_of_speak(fluxbp_speak_t speak, bool *is_tls) {
  *is_tls = speak >= FLUXBP_SPEAK_LINES_TLS;
  switch (speak) {
  case FLUXBP_SPEAK_LINES:
  case FLUXBP_SPEAK_LINES_TLS:
    return &protocol_lines;
  case FLUXBP_SPEAK_LENGTH:
  case FLUXBP_SPEAK_LENGTH_TLS:
    return &protocol_length;
  case FLUXBP_SPEAK_HTTP:
  case FLUXBP_SPEAK_HTTP_TLS:
    return &protocol_http;
  }
  return NULL;
}
