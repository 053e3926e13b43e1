/* SPDX-License-Identifier: MIT */
/*
 * writer: see the header.
 *
 * jansson writes JSON into a given buffer, too, but only of values that it has made, with a copy of each string: for
 * every message that is published that would be two allocations more. So what needs escaping is written here.
 */
#include "writer.h"

#include <openssl/evp.h>
#include <string.h>

enum { LARGEST_NUMBER_DIGITS = 20 };

void writer_bytes(struct writer *writer, const void *data, size_t length) {
  size_t end = writer->length + length;
  if (end <= writer->capacity && length > 0) memcpy(writer->out + writer->length, data, length);
  writer->length = end;
}

void writer_text(struct writer *writer, const char *text) {
  writer_bytes(writer, text, strlen(text));
}

void writer_number(struct writer *writer, uint64_t number) {
  char digits[LARGEST_NUMBER_DIGITS];
  size_t first = sizeof digits;
  do {
    digits[--first] = (char) ('0' + number % 10);
    number /= 10;
  } while (number > 0);
  writer_bytes(writer, digits + first, sizeof digits - first);
}

static void write_escape(struct writer *writer, unsigned char byte) {
  static const char hex[] = "0123456789abcdef";
  char escape[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 0xf]};
  switch (byte) {
  case '"':
  case '\\':
    escape[1] = (char) byte;
    break;
  case '\n':
    escape[1] = 'n';
    break;
  case '\r':
    escape[1] = 'r';
    break;
  case '\t':
    escape[1] = 't';
    break;
  default:
    break;
  }
  writer_bytes(writer, escape, escape[1] == 'u' ? sizeof escape : 2);
}

/*
 * U+0085, U+2028 and U+2029 end a line for some readers, and JSON may have them as they are or escaped.
 * @return the length of the one that is here, which was written, or 0
 */
static size_t write_line_end(struct writer *writer, const unsigned char *bytes, size_t length) {
  if (length >= 2 && memcmp(bytes, "\xc2\x85", 2) == 0) {
    writer_text(writer, "\\u0085");
    return 2;
  }
  if (length >= 3 && memcmp(bytes, "\xe2\x80", 2) == 0 && (bytes[2] == 0xa8 || bytes[2] == 0xa9)) {
    writer_text(writer, bytes[2] == 0xa8 ? "\\u2028" : "\\u2029");
    return 3;
  }
  return 0;
}

/* Bytes that need no escape, whatever follows them. */
static size_t count_plain(const unsigned char *bytes, size_t length) {
  size_t count = 0;
  while (count < length && bytes[count] >= ' ' && bytes[count] != '"' && bytes[count] != '\\' && bytes[count] != 0xc2 &&
         bytes[count] != 0xe2)
    count++;
  return count;
}

/* One character that may need an escape. @return the bytes that were used */
static size_t write_special(struct writer *writer, const unsigned char *bytes, size_t length) {
  if (bytes[0] < 0x80) {
    write_escape(writer, bytes[0]);
    return 1;
  }
  size_t line_end = write_line_end(writer, bytes, length);
  if (line_end > 0) return line_end;
  writer_bytes(writer, bytes, 1);
  return 1;
}

void writer_json_string(struct writer *writer, const void *data, size_t length) {
  const unsigned char *bytes = data, *end = bytes + length;
  writer_text(writer, "\"");
  while (bytes < end) {
    size_t plain = count_plain(bytes, (size_t) (end - bytes));
    writer_bytes(writer, bytes, plain);
    bytes += plain;
    if (bytes < end) bytes += write_special(writer, bytes, (size_t) (end - bytes));
  }
  writer_text(writer, "\"");
}

void writer_base64(struct writer *writer, const void *data, size_t length) {
  size_t end = writer->length + (length + 2) / 3 * 4;
  if (end < writer->capacity) /* EVP_EncodeBlock ends it with a NUL */
    EVP_EncodeBlock((unsigned char *) writer->out + writer->length, data, (int) length);
  writer->length = end;
}
