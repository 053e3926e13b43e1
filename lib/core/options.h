/* SPDX-License-Identifier: MIT */
/*
 * How options structs stay compatible: their first member is the size that the caller was compiled with.
 */
#ifndef FLUXBP_LIB_OPTIONS_H
#define FLUXBP_LIB_OPTIONS_H

#include <stddef.h>

/* Write the defaults into the first `size` bytes of `options`, zero what this version does not know, set its size. */
void fluxbp__options_init(void *options, size_t size, const void *defaults, size_t known);

/*
 * Overwrite `options`, which holds the defaults and is `known` bytes, with what the caller gave (NULL: nothing).
 * 0, UV_EINVAL (its size is nonsense) or UV_E2BIG (it has values in a part that this version doesn't know).
 */
int fluxbp__options_copy(void *options, size_t known, const void *given);

#endif
