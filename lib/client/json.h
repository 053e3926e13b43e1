/* SPDX-License-Identifier: MIT */
/*
 * json: the objects of a server, member by member, without a copy. Reads the JSON that libfluxbp servers write, and
 * doesn't check that a text is JSON in every detail.
 */
#ifndef FLUXBP_CLIENT_JSON_H
#define FLUXBP_CLIENT_JSON_H

#include "buffer.h"

#include <stdint.h>

typedef struct fluxbp__json_value {
  const char *text; /* of a string without its quotation marks; NULL: there is none */
  size_t length;
  bool is_string;
  bool has_escapes;
} fluxbp__json_value_t;

/** A place in an object. Begin with {.at = text, .end = its end}. */
typedef struct fluxbp__json_walk {
  const char *at, *end;
  bool has_begun;
} fluxbp__json_walk_t;

/** Find the next member. @return false at the end, and where the text isn't an object */
bool fluxbp__json_next(fluxbp__json_walk_t *walk, fluxbp__json_value_t *name, fluxbp__json_value_t *value);

/** The number that a value is; 0 if it is none. */
uint64_t fluxbp__json_number(const fluxbp__json_value_t *value);

/** Append a string without its escapes. @return false: an escape is wrong, or out of memory */
bool fluxbp__json_unescape(const fluxbp__json_value_t *value, fluxbp__buffer_t *out);

#endif
