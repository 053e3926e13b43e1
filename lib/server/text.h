/* SPDX-License-Identifier: MIT */
/*
 * text: a string that grows, for what is put together of many pieces.
 */
#ifndef FLUXBP_SERVER_TEXT_H
#define FLUXBP_SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
  char *data; /* with a NUL; NULL: empty */
  size_t length, capacity;
  bool is_broken; /* memory was short: nothing more is added */
};

__attribute__((format(printf, 2, 3))) void text_print(struct text *text, const char *format, ...);

void text_add(struct text *text, const char *data, size_t length);

void text_free(struct text *text);

#endif
