/* SPDX-License-Identifier: MIT */
/*
 * identify: who a client is, by what it shows: a token that the server knows, or credentials that the authorizer is
 * asked about. What is found becomes a grant of the session. Thread: the session's.
 *
 * The server's own tokens and keys come first; the authorizer is asked about what these don't know.
 */
#ifndef FLUXBP_SERVER_IDENTIFY_H
#define FLUXBP_SERVER_IDENTIFY_H

#include "server/http/http_reader.h"
#include "session.h"

#include <stddef.h>
#include <stdint.h>

/* What a client shows. */
struct shown {
  const char *token; /* NULL: none */
  size_t token_length;
  const struct http_request *request; /* that shows it; NULL: a command does */
};

enum identity {
  IDENTITY_KNOWN,   /* the session has a further grant */
  IDENTITY_NONE,    /* the client shows nothing that counts */
  IDENTITY_REFUSED, /* what it shows gives nothing */
  IDENTITY_AWAY,    /* the authorizer can't be asked */
  IDENTITY_LATER    /* the authorizer is asked: do the same again when the protocol's `decided` is called */
};

/**
 * Find out who a client is.
 *
 * @param roles   gets the roles of the grant (IDENTITY_KNOWN)
 * @param problem gets a sentence for the client (IDENTITY_REFUSED, IDENTITY_AWAY)
 */
enum identity session_identify(fluxbp_session_t *session, const struct shown *shown, unsigned *roles,
                               const char **problem);

/** Return the seconds for which the client's address has to wait before it may show a token; 0: none. */
uint32_t session_token_wait_s(const fluxbp_session_t *session);

#endif
