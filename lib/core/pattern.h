/* SPDX-License-Identifier: MIT */
/*
 * Internal side of patterns: the tokens of a name or of a pattern, for code that compares them.
 */
#ifndef FLUXBP_LIB_PATTERN_H
#define FLUXBP_LIB_PATTERN_H

#include "fluxbp/pattern.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct fluxbp__token {
  const char *text; /* not terminated */
  size_t length;
} fluxbp__token_t;

static inline bool fluxbp__token_is(const fluxbp__token_t *token, char byte) {
  return token->length == 1 && token->text[0] == byte;
}

/*
 * Read the next token of a name or of a pattern. `*rest` points to the text at first, and to what follows the token
 * when the function returns. False: there are no more tokens.
 *
 * The end is a NULL in `*rest`, because an empty text behind a separator is a token.
 */
static inline bool fluxbp__token_next(const char **rest, fluxbp__token_t *token) {
  const char *end = *rest;
  if (end == NULL) return false;
  while (*end != '\0' && *end != '.' && *end != '/') end++;
  *token = (fluxbp__token_t){.text = *rest, .length = (size_t) (end - *rest)};
  *rest = *end != '\0' ? end + 1 : NULL;
  return true;
}

/* Whether a wildcard as the first token of a pattern leaves the name out. */
static inline bool fluxbp__is_hidden(const char *name) {
  return name[0] == '$';
}

#endif
