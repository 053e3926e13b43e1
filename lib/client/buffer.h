/* SPDX-License-Identifier: MIT */
/*
 * buffer: bytes that grow at the end. A zeroed one is empty; the memory is kept until it is freed.
 */
#ifndef FLUXBP_CLIENT_BUFFER_H
#define FLUXBP_CLIENT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fluxbp__buffer {
  char *data;
  size_t length, capacity;
} fluxbp__buffer_t;

/** Make room for `more` bytes behind those that are there. @return false: out of memory; nothing has changed */
bool fluxbp__buffer_reserve(fluxbp__buffer_t *buffer, size_t more);

/** @return false: out of memory; nothing has changed */
bool fluxbp__buffer_append(fluxbp__buffer_t *buffer, const void *data, size_t length);

/** Append formatted text, without a NUL. */
bool fluxbp__buffer_print(fluxbp__buffer_t *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

void fluxbp__buffer_free(fluxbp__buffer_t *buffer);

#endif
