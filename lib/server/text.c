/* SPDX-License-Identifier: MIT */
/*
 * text: see the header. The memory doubles.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_AT_FIRST 1024

/* Make room for `length` more bytes and a NUL. Without memory for them the text is broken. */
static bool make_text_room(struct text *text, size_t length) {
  if (text->is_broken) return false;
  if (text->length + length < text->capacity) return true;
  size_t capacity = text->capacity > 0 ? text->capacity : CAPACITY_AT_FIRST;
  while (capacity <= text->length + length) capacity *= 2;
  char *data = realloc(text->data, capacity);
  if (data == NULL) {
    text->is_broken = true;
    return false;
  }
  text->data = data;
  text->capacity = capacity;
  return true;
}

void text_print(struct text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0 || !make_text_room(text, (size_t) length)) return;
  va_start(arguments, format);
  vsnprintf(text->data + text->length, text->capacity - text->length, format, arguments);
  va_end(arguments);
  text->length += (size_t) length;
}

void text_add(struct text *text, const char *data, size_t length) {
  if (!make_text_room(text, length)) return;
  memcpy(text->data + text->length, data, length);
  text->length += length;
  text->data[text->length] = '\0';
}

void text_free(struct text *text) {
  free(text->data);
  *text = (struct text){0};
}
