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

#define ORIGIN_BYTES_MAX 300 /* a longer Origin is a foreign one */

struct origins {
  const char *const *hosts; /* allowed besides addresses and "localhost", without a port; "*" is any */
  size_t host_count;
  const char *const *allowed; /* origins besides those that are the same as Host: "https://example.org", "null", "*" */
  size_t allowed_count;
};

/* The page that has sent a request. */
enum origins_page {
  ORIGINS_NO_PAGE, /* there is no Origin header */
  ORIGINS_SAME,    /* a page of the server's own host */
  ORIGINS_NAMED,   /* a page whose origin the list has by name; it may use credentials */
  ORIGINS_UNNAMED, /* a page that the list allows by "*", or by "null", which any page can make its origin */
  ORIGINS_FOREIGN  /* a page that isn't allowed, or a page that has found the server under a Host that isn't allowed */
};

/** Return which page has sent a request. */
enum origins_page origins_page_of(const struct origins *origins, const struct http_request *request);

/** Return whether the list has "*". */
bool origins_allow_any(const struct origins *origins);

/**
 * Return NULL if a request may be carried out as far as its Host and its page are concerned; or a sentence for the
 * peer.
 *
 * A request that may change something and whose page couldn't read the answer may not be carried out: by its Origin; by
 * Sec-Fetch-Site where there is no Origin; or as it has cookies, and the page's origin isn't named. The request has its
 * method.
 */
const char *origins_check(const struct origins *origins, const struct http_request *request);

#endif
