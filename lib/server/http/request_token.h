/* SPDX-License-Identifier: MIT */
/*
 * request_token: the token that a request shows: in its Authorization header, in its query, or in a cookie. A browser
 * sends a cookie with requests of foreign pages, too, so a cookie counts only where the page is known to be allowed.
 * Does no I/O.
 */
#ifndef FLUXBP_SERVER_REQUEST_TOKEN_H
#define FLUXBP_SERVER_REQUEST_TOKEN_H

#include "http_reader.h"
#include "server/permissions/origins.h"

#include <stdbool.h>

/* Room for a token in a query, decoded. */
#define REQUEST_TOKEN_BYTES HTTP_HEAD_BYTES

/**
 * Find the token of a request.
 *
 * @param cookie the name of the cookie that may hold one; NULL: none
 * @param text   room for a token that has to be decoded
 * @param token  gets the token; it lies in the request or in `text`
 * @return whether there is one
 */
bool request_token_find(const struct http_request *request, const struct origins *origins, const char *cookie,
                        char text[REQUEST_TOKEN_BYTES], struct http_text *token);

/**
 * Return whether the cookies of a request may give rights: the page that has sent it is allowed by its name, or the
 * request changes nothing and comes from no foreign page.
 */
bool request_token_cookies_count(const struct http_request *request, const struct origins *origins);

/** Return whether a text may be the name of a cookie (RFC 6265), of 1 to 255 bytes. */
bool request_token_is_cookie_name(const char *name);

#endif
