/* SPDX-License-Identifier: MIT */
/*
 * http_pieces: what an http_reader makes of some bytes, however they are cut, as a text that can be compared.
 */
#ifndef TESTS_SUPPORT_HTTP_PIECES_H
#define TESTS_SUPPORT_HTTP_PIECES_H

#include <stddef.h>

#define HTTP_PIECES_BODY_MAX 64 /* the limit of a body in here */

/**
 * Read all of it in pieces. The first one has `first` bytes, the others `others` bytes; each has memory of its own that
 * ends where it ends.
 *
 * @return a line for each request, "GET /path ?query |Name: value|… body keep-alive", and a last one with how it ended,
 *   "refused 400 why", "idle" or "busy"; to be freed
 */
char *http_pieces_read(const char *data, size_t length, size_t first, size_t others);

/** Fails the test unless the bytes give `expected` as a whole, byte by byte, and cut in two at every place. */
void http_pieces_expect(const char *name, const char *data, size_t length, const char *expected);

/** The same, when the last line begins with "refused STATUS" and there is no other one. */
void http_pieces_expect_refused(const char *name, const char *data, size_t length, int status);

#endif
