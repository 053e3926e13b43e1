/* SPDX-License-Identifier: MIT */
/*
 * options: the structs and tables that a program and the library hand to each other, when the two were compiled with
 * headers of different versions (docs/growth.md). Pure; relies on nothing.
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

/* Write `result`, which is `known` bytes, into the caller's `size` bytes at `out`; zero the rest of these. */
void fluxbp__result_write(void *out, size_t size, const void *result, size_t known);

/*
 * Check a table of functions, whose first member is its size. `known` is the size of the table in this version, `least`
 * the part of it that every version has. 0, UV_EINVAL (shorter than `least`) or UV_E2BIG (it has an entry that this
 * version doesn't know).
 */
int fluxbp__table_check(const void *table, size_t known, size_t least);

/* Return the end of a member in its table, in bytes from the beginning. */
#define FLUXBP__END_OF(table, member) ((size_t) ((const char *) (&(table)->member + 1) - (const char *) (table)))

/* Return an entry of a checked table, or NULL if the table is too short for it. */
#define FLUXBP__ENTRY(table, entry) ((table)->size >= FLUXBP__END_OF(table, entry) ? (table)->entry : NULL)

#endif
