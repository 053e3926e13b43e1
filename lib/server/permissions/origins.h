/* SPDX-License-Identifier: MIT */
/*
 * origins: whether a request may come from where it says. Host is what the browser believes to talk to: a name that
 * isn't ours means that somebody's DNS points at us (rebinding). Origin is the page that asks: a foreign one means that
 * a page is using its visitor's access (cross-site WebSocket, CSRF).
 */
#ifndef FLUXBP_SERVER_ORIGINS_H
#define FLUXBP_SERVER_ORIGINS_H

#include "server/http/http_reader.h"

#include <fluxbp/server/settings.h>

#include <stdbool.h>
#include <stddef.h>

struct origins {
  const char *const *hosts; /* allowed besides addresses and "localhost", without a port; "*" is any */
  size_t host_count;
  const char *const *allowed; /* origins besides those that are the same as Host: "https://example.org", or "*" */
  size_t allowed_count;
};

/** @return NULL, or a sentence for the peer that says what isn't allowed and which option would */
const char *origins_check(const struct origins *origins, const struct http_request *request);

#endif
