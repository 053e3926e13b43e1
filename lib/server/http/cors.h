/* SPDX-License-Identifier: MIT */
/*
 * cors: the headers by which a browser lets a page of another origin read an answer (the CORS protocol of the Fetch
 * standard). The list of origins decides, as it does for requests. Does no I/O.
 *
 * A page whose origin the list names gets its own origin and may use credentials. Any other page that the list allows
 * may not, so it gets the headers only if its request has no cookies.
 */
#ifndef FLUXBP_SERVER_CORS_H
#define FLUXBP_SERVER_CORS_H

#include "http_reader.h"
#include "server/permissions/origins.h"

#include <stdbool.h>

/* Room for the lines of an answer, and for those of a preflight's answer besides; each with the NUL. */
#define CORS_BYTES (ORIGIN_BYTES_MAX + 212)
#define CORS_PREFLIGHT_BYTES (HTTP_HEAD_BYTES + 512)

/** Return whether a request is a preflight: a browser asks whether a page may send another request. */
bool cors_is_preflight(const struct http_request *request);

/**
 * Write the header lines that an answer needs for the page that has sent the request, and for caches.
 *
 * @param request  NULL: its headers aren't known
 * @param extra    other lines of the answer, or NULL. If they have Access-Control-Allow-Origin, `lines` has nothing for
 *   the page
 */
void cors_write(const struct origins *origins, const struct http_request *request, const char *extra,
                char lines[CORS_BYTES]);

/**
 * Write the lines by which the answer to a preflight allows requests, besides those of cors_write.
 *
 * @param methods  of the path, separated by commas; the page may send the headers that the server reads. NULL: allow
 *   the method and the headers that the preflight names
 */
void cors_write_preflight(const struct origins *origins, const struct http_request *request, const char *methods,
                          char lines[CORS_PREFLIGHT_BYTES]);

#endif
