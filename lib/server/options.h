/* SPDX-License-Identifier: MIT */
/*
 * options: how structs of options stay compatible: their first member is the size that the caller was compiled with.
 */
#ifndef FLUXBP_LIB_SERVER_OPTIONS_H
#define FLUXBP_LIB_SERVER_OPTIONS_H

#include <stddef.h>

/** Write the defaults into the first `size` bytes of `options`, zero what this version doesn't know, and set its
 * size. */
void options_init(void *options, size_t size, const void *defaults, size_t known);

/**
 * Overwrite `options`, which has the defaults and `known` bytes, with what the caller gave.
 *
 * @return 0, UV_EINVAL (the size is nonsense) or UV_E2BIG (there are values that this version doesn't know)
 */
int options_copy(void *options, size_t known, const void *given);

#endif
