/* SPDX-License-Identifier: MIT */
/*
 * accept_encoding: whether a client wants the body of an answer compressed (RFC 9110, 12.5.3). Pure.
 */
#ifndef FLUXBP_SERVER_ACCEPT_ENCODING_H
#define FLUXBP_SERVER_ACCEPT_ENCODING_H

#include "http_reader.h"

#include <stdbool.h>

/** Return whether the client takes gzip, and likes it no less than the body as it is. A request that doesn't name any
 * coding gets the body as it is, and so does one with a weight that can't be read. */
bool accept_encoding_has_gzip(const struct http_request *request);

#endif
