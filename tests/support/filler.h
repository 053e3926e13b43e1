/* SPDX-License-Identifier: MIT */
/*
 * filler: bytes for tests of compression, the same each time: a text that becomes shorter, and noise that doesn't.
 */
#ifndef FLUXBP_TESTS_FILLER_H
#define FLUXBP_TESTS_FILLER_H

#include <stddef.h>

/** Write `length` bytes of words of JSON, of which no two rows are alike for long. */
void filler_text(char *to, size_t length);

void filler_noise(char *to, size_t length);

#endif
