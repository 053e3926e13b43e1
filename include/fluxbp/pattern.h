/* SPDX-License-Identifier: MIT */
/*
 * pattern: a text that matches many names of topics, such as `orders.*.status` or `news.>`.
 *
 * A name consists of tokens between separators. Dots and slashes are the same separator: `news/x` and `news.x` have the
 * same two tokens. A token may be empty: `/a` has two tokens, and `a.` has two. A pattern is written like a name, and
 * two of its tokens are special:
 *
 *   *   matches exactly one token, whatever is in it
 *   >   matches the rest of the name, at least one token; allowed as the last token only
 *
 * `news.>` matches `news.sports` and `news/sports/tennis`, but not `news`. Both special tokens are alone between
 * their separators: `ord*` and `news.>x` are no patterns. Letters are compared as bytes, so case matters. A pattern
 * without a special token matches the names with exactly these tokens.
 *
 * A special token at the beginning of a pattern matches no name that begins with `$`: a host that lets clients
 * subscribe to `>` keeps such names to itself. `$jobs.>` matches `$jobs.1`.
 *
 * The functions here look at text only. fluxbp_topic_open_pattern (topic.h) makes a pattern that connections subscribe
 * to.
 *
 * Thread: any.
 */
#ifndef FLUXBP_PATTERN_H
#define FLUXBP_PATTERN_H

#include "fluxbp/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The longest pattern, in bytes: the same as for the name of a topic. */
#define FLUXBP_PATTERN_MAX 255

/**
 * Check that `pattern` is a pattern. Cost: linear in its length.
 *
 * @return 0, or
 *   UV_EINVAL it is NULL, empty or longer than FLUXBP_PATTERN_MAX, `*` or `>` is in a token with other bytes, or
 *             `>` is not the last token
 */
FLUXBP_EXTERN int fluxbp_pattern_check(const char *pattern);

/**
 * Return 1 if `pattern` matches `name`, or 0. Cost: linear in the shorter of the two.
 *
 * @param pattern for which fluxbp_pattern_check returned 0
 * @param name    of a topic, not empty
 */
FLUXBP_EXTERN int fluxbp_pattern_matches(const char *pattern, const char *name);

/**
 * Return 1 if `pattern` matches every name that `other` matches, or 0. So a client that may read `pattern` may
 * subscribe to `other`. Cost: linear in the shorter of the two.
 *
 * @param pattern for which fluxbp_pattern_check returned 0
 * @param other   the same
 */
FLUXBP_EXTERN int fluxbp_pattern_covers(const char *pattern, const char *other);

#ifdef __cplusplus
}
#endif

#endif
