/* SPDX-License-Identifier: MIT */
/*
 * line_text: what a line of text is for the programs at the other end of a connection. Does no I/O.
 *
 * The server ends its lines with a newline alone. Readers of lines are less strict: most of them end a line at a
 * carriage return, too, Node.js' readline at U+2028, and Python's str.splitlines at all that line_text_is_one_line
 * knows.
 */
#ifndef FLUXBP_SERVER_LINE_TEXT_H
#define FLUXBP_SERVER_LINE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Its length in UTF-8. */
#define BYTE_ORDER_MARK_BYTES 3

/**
 * Whether no reader of lines finds the end of a line in it: none of LF, VT, FF, CR, FS, GS, RS, U+0085, U+2028 and
 * U+2029, the last three in UTF-8.
 */
bool line_text_is_one_line(const void *data, size_t length);

/** The length without the line end at its end: LF or CR LF, one of them. */
size_t line_text_trimmed(const char *data, size_t length);

/** The length of the byte order mark that it begins with, or 0. */
size_t line_text_mark(const char *data, size_t length);

#endif
