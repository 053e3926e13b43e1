/* SPDX-License-Identifier: MIT */
/*
 * parameters: which parameters a request may have in its query. A parameter that means nothing here is a mistake of the
 * program that sends it: it is refused by name, instead of being ignored.
 */
#ifndef FLUXBP_SERVER_PARAMETERS_H
#define FLUXBP_SERVER_PARAMETERS_H

#include "http_reader.h"

#include <stdbool.h>
#include <stddef.h>

#define PARAMETER_NAME_BYTES 64 /* with the NUL; all of ours are shorter */
#define PARAMETERS_PROBLEM_BYTES 320

/**
 * Check the names of all parameters of a query. Names that begin with '_' pass: they are for programs in between.
 *
 * @param known  names separated by a blank; one that may be there several times ends with a '*'
 * @param problem  gets what is wrong
 * @return whether nothing is
 */
bool parameters_check(struct http_text query, const char *known, char problem[PARAMETERS_PROBLEM_BYTES]);

#endif
