/* SPDX-License-Identifier: MIT */
/*
 * http_head: what the headers and the target of a request must be, beyond what makes them headers. Does no I/O.
 */
#ifndef FLUXBP_SERVER_HTTP_HEAD_H
#define FLUXBP_SERVER_HTTP_HEAD_H

#include "http_reader.h"

/** Check which headers there are, how often, and what they say of the body. @return NULL, or what is wrong, with its
 * status */
const char *http_head_check(const struct http_request *request, bool is_http_1_0, int *status);

/** Set the path and the query of a request whose headers are known. @return NULL, or what is wrong with the target:
 * 400 */
const char *http_head_split_target(struct http_request *request, struct http_text target, bool is_options);

#endif
