/* SPDX-License-Identifier: MIT */
/*
 * base64url: the base64 of URLs without padding (RFC 4648, chapter 5; RFC 7515, chapter 2). Any thread.
 */
#ifndef FLUXBP_SERVER_BASE64URL_H
#define FLUXBP_SERVER_BASE64URL_H

#include <stddef.h>

/** Room for what `length` characters stand for. */
#define BASE64URL_BYTES(length) ((length) / 4 * 3 + 3)

/**
 * Decode a text. Each value has one text only: bits that mean nothing are 0.
 *
 * @param bytes has BASE64URL_BYTES(length)
 * @return the number of bytes, or -1: the text is none of these
 */
ptrdiff_t base64url_decode(const char *text, size_t length, unsigned char *bytes);

#endif
