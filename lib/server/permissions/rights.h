/* SPDX-License-Identifier: MIT */
/*
 * rights: what a JSON object gives: {"subscribe": [PATTERN, …], "publish": [PATTERN, …], "admin": false, "name": NAME}.
 * The object is the claim "fluxbp" of a signed token. Any thread.
 */
#ifndef FLUXBP_SERVER_RIGHTS_H
#define FLUXBP_SERVER_RIGHTS_H

#include "grant.h"

#include <jansson.h>
#include <stdbool.h>

/**
 * Add the rights of an object to a grant, whose subject was set before. Members that aren't there give nothing, and
 * members of other names are ignored.
 *
 * @param problem gets a sentence about what is wrong
 * @return whether all of it is right; if not, the grant is to be thrown away
 */
bool rights_fill(struct grant *grant, const json_t *object, const char **problem);

#endif
