/* SPDX-License-Identifier: MIT */
/*
 * pattern: whether a text is a pattern, and which names a pattern matches. Compares one pattern with one name, without
 * memory; pattern_tree.c finds the matching ones of many.
 */
#include "pattern.h"

#include <string.h>
#include <uv.h>

static bool is_wildcard_alone(const fluxbp__token_t *token) {
  return fluxbp__token_is(token, '*') || fluxbp__token_is(token, '>');
}

static bool has_wildcard(const fluxbp__token_t *token) {
  return memchr(token->text, '*', token->length) != NULL || memchr(token->text, '>', token->length) != NULL;
}

int fluxbp_pattern_check(const char *pattern) {
  size_t length = pattern != NULL ? strnlen(pattern, FLUXBP_PATTERN_MAX + 1) : 0;
  if (length == 0 || length > FLUXBP_PATTERN_MAX) return UV_EINVAL;
  fluxbp__token_t token;
  for (const char *rest = pattern; fluxbp__token_next(&rest, &token);) {
    if (has_wildcard(&token) && !is_wildcard_alone(&token)) return UV_EINVAL;
    if (fluxbp__token_is(&token, '>') && rest != NULL) return UV_EINVAL;
  }
  return 0;
}

static bool are_equal(const fluxbp__token_t *one, const fluxbp__token_t *other) {
  return one->length == other->length && memcmp(one->text, other->text, one->length) == 0;
}

/* The first token of the pattern is a wildcard, and that of the other text begins with `$`. */
static bool is_hidden_from(const char *pattern, const char *text) {
  fluxbp__token_t first;
  return fluxbp__is_hidden(text) && fluxbp__token_next(&pattern, &first) && is_wildcard_alone(&first);
}

int fluxbp_pattern_matches(const char *pattern, const char *name) {
  fluxbp__token_t wanted, token;
  if (is_hidden_from(pattern, name)) return 0;
  while (fluxbp__token_next(&pattern, &wanted)) {
    if (!fluxbp__token_next(&name, &token)) return 0;
    if (fluxbp__token_is(&wanted, '>')) return 1;
    if (!fluxbp__token_is(&wanted, '*') && !are_equal(&wanted, &token)) return 0;
  }
  return name == NULL;
}

int fluxbp_pattern_covers(const char *pattern, const char *other) {
  fluxbp__token_t wanted, token;
  if (is_hidden_from(pattern, other)) return 0;
  while (fluxbp__token_next(&pattern, &wanted)) {
    if (!fluxbp__token_next(&other, &token)) return 0;
    if (fluxbp__token_is(&wanted, '>')) return 1;
    if (fluxbp__token_is(&token, '>')) return 0;
    if (!fluxbp__token_is(&wanted, '*') && !are_equal(&wanted, &token)) return 0;
  }
  return other == NULL;
}
