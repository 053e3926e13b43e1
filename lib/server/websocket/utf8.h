/* SPDX-License-Identifier: MIT */
/*
 * utf8: whether bytes that arrive in any pieces are UTF-8 as RFC 3629 has it: nothing over-long, no surrogates, nothing
 * above U+10FFFF. What is wrong is found at the first byte that can't be right any more.
 */
#ifndef FLUXBP_SERVER_UTF8_H
#define FLUXBP_SERVER_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in a character the bytes so far have ended. All zero: between two of them. */
struct utf8 {
  uint8_t missing;   /* bytes of the character that has begun, */
  uint8_t low, high; /* and what the next one of them may be */
};

/** Look at the next bytes. @return whether they may still become UTF-8 */
bool utf8_take(struct utf8 *utf8, const void *data, size_t length);

/** Whether the bytes so far end with a whole character. */
bool utf8_is_whole(const struct utf8 *utf8);

/** The length of what fits into `max_bytes`, without the beginning of a character that doesn't. */
size_t utf8_cut(const void *data, size_t length, size_t max_bytes);

#endif
