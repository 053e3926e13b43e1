/* SPDX-License-Identifier: MIT */
/*
 * writer: puts text together in a buffer that may be too short, as snprintf does: what doesn't fit isn't written, and
 * is counted nevertheless. Allocates nothing.
 */
#ifndef FLUXBP_SERVER_WRITER_H
#define FLUXBP_SERVER_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct writer {
  char *out;
  size_t capacity;
  size_t length; /* so far; once it is over the capacity, what is in `out` is of no use */
};

void writer_bytes(struct writer *writer, const void *data, size_t length);
void writer_text(struct writer *writer, const char *text);
void writer_number(struct writer *writer, uint64_t number);

/** A string of JSON with its quotes; `data` is UTF-8. Whatever ends a line for any reader is escaped. */
void writer_json_string(struct writer *writer, const void *data, size_t length);

/** Base64 with padding (RFC 4648, 4). Something has to follow it: a byte behind it is used meanwhile. */
void writer_base64(struct writer *writer, const void *data, size_t length);

#endif
