/* SPDX-License-Identifier: MIT */
/*
 * proxied_client: a protocol of its own until the header is there, then that of the door. A client that sends no
 * header isn't told why: its protocol isn't known.
 */
#include "proxied_client.h"

#include "proxy_protocol.h"
#include "server/log.h"
#include "server/session/deadlines.h"
#include "server/session/session_grants.h"
#include "server/session/tls_client.h"

#include <stdlib.h>

struct proxied_client {
  struct proxy_header header;
  const char *refusal; /* of its arrival, or NULL; the client is told behind the header, in its protocol */
};

bool proxied_client_is_expected(const fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  struct sockaddr_storage peer;
  peer_address_get(&session->peer, &peer);
  for (size_t i = 0; i < server->proxy_count; i++)
    if (network_has(&server->proxies[i], (const struct sockaddr *) &peer)) return true;
  return false;
}

static void refuse_proxied(fluxbp_session_t *session, const char *reason) {
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_session_address(session, peer);
  server_log(fluxbp_session_server(session), FLUXBP_LOG_WARN, "proxy_refused",
             log_number("conn", fluxbp_session_id(session)), log_word("peer", peer), log_phrase("reason", reason));
  session_cut_off(session, reason);
}

/* A loopback address needs no token for programs of this machine. A client that a proxy passes on may be anywhere,
 * whether the proxy gives its address or not. */
static void limit_roles(fluxbp_session_t *session) {
  session->free_roles &= FLUXBP_ROLE_SUBSCRIBE;
  session_set_free_roles(session, session->free_roles);
}

static size_t take_proxied(fluxbp_session_t *session, const char *data, size_t length) {
  size_t left = length;
  struct proxied_client *proxied = session->proxied;
  enum proxy_outcome outcome = proxy_header_take(&proxied->header, &data, &left);
  if (outcome == PROXY_MORE) return length;
  if (outcome == PROXY_WRONG) {
    refuse_proxied(session, "no header of PROXY protocol v2, which this address has to send");
    return length;
  }
  if (outcome != PROXY_LOCAL) limit_roles(session);
  if (outcome == PROXY_ADDRESS) session->peer = peer_address_of(&proxied->header.client.any);
  const char *refusal = proxied->refusal;
  free(proxied);
  session->proxied = NULL;
  session_expect_nothing(session);
  session_admit(session, outcome == PROXY_ADDRESS, refusal);
  bool goes_on = left > 0 || session->protocol == PROTOCOL_TLS; /* which begins now */
  if (!goes_on || session->is_closing) return length;
  session->has_sent = left > 0;
  if (tls_client_refuse_hello(session, data, left)) return length;
  return length - left + session_protocol(session)->take(session, data, left);
}

static void end_proxy_wait(fluxbp_session_t *session) {
  refuse_proxied(session, "the proxy's header did not come in time");
}

static void end_proxied(fluxbp_session_t *session) {
  free(session->proxied);
}

const struct protocol protocol_proxied = {
    .kind = PROTOCOL_PROXIED,
    .name = "proxied",
    .take = take_proxied,
    .end_wait = end_proxy_wait,
    .end = end_proxied,
};

void proxied_client_begin(fluxbp_session_t *session, const char *refusal) {
  session->proxied = calloc(1, sizeof *session->proxied);
  session->protocol = PROTOCOL_PROXIED;
  if (session->proxied == NULL) {
    refuse_proxied(session, "out of memory");
    return;
  }
  session->proxied->refusal = refusal;
  if (refusal != NULL)
    session_expect_soon(session);
  else
    session_expect(session);
}
