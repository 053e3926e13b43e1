/* SPDX-License-Identifier: MIT */
/*
 * buffer: its capacity doubles, so appending costs the same for each byte.
 */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 512

bool fluxbp__buffer_reserve(fluxbp__buffer_t *buffer, size_t more) {
  size_t needed = buffer->length + more;
  if (needed <= buffer->capacity) return true;
  size_t capacity = buffer->capacity > 0 ? buffer->capacity : FIRST_CAPACITY;
  while (capacity < needed) capacity *= 2;
  char *data = realloc(buffer->data, capacity);
  if (data == NULL) return false;
  buffer->data = data;
  buffer->capacity = capacity;
  return true;
}

bool fluxbp__buffer_append(fluxbp__buffer_t *buffer, const void *data, size_t length) {
  if (length == 0) return true;
  if (!fluxbp__buffer_reserve(buffer, length)) return false;
  memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
  return true;
}

bool fluxbp__buffer_print(fluxbp__buffer_t *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0 || !fluxbp__buffer_reserve(buffer, (size_t) length + 1)) return false;
  va_start(arguments, format);
  vsnprintf(buffer->data + buffer->length, (size_t) length + 1, format, arguments);
  va_end(arguments);
  buffer->length += (size_t) length;
  return true;
}

void fluxbp__buffer_free(fluxbp__buffer_t *buffer) {
  free(buffer->data);
  *buffer = (fluxbp__buffer_t){0};
}
