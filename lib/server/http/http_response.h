/* SPDX-License-Identifier: MIT */
/*
 * http_response: heads of responses, written like snprintf does: whole, or cut with a NUL at the end if the buffer is
 * too small. No allocation.
 *
 * Unless `extra` says otherwise, browsers may keep nothing of what the server says, guess no types, and load nothing
 * from elsewhere for a page of its.
 */
#ifndef FLUXBP_SERVER_HTTP_RESPONSE_H
#define FLUXBP_SERVER_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_RESPONSE_HEAD_BYTES 512 /* is enough when content type and `extra` have 128 bytes together */

/** "OK", "Not Found" … */
const char *http_status_text(int status);

/** Return whether one of these header lines (NULL: none) has that name, which ends with a colon. */
bool http_lines_have(const char *lines, const char *name);

/**
 * Write the head of a response with a body of that length. A response of status 204 has no body and says no length.
 *
 * @param content_type  NULL: there is none
 * @param keep_alive_s  how long the connection waits for another request; 0: it is closed behind this response
 * @param extra  NULL, or whole header lines: "Retry-After: 1\r\nAllow: GET\r\n"
 * @param cors  the same, of cors_write
 * @return the bytes that it takes, without the NUL; it was cut if that isn't less than `capacity`
 */
size_t http_response_head(char *out, size_t capacity, int status, const char *content_type, size_t body_length,
                          uint32_t keep_alive_s, const char *extra, const char *cors);

/** The same for a 200 whose body ends with the connection: Server-Sent Events. */
size_t http_response_stream_head(char *out, size_t capacity, const char *content_type, const char *extra);

/** The same for 101: from here on the connection speaks `protocol`, "websocket". */
size_t http_response_upgrade_head(char *out, size_t capacity, const char *protocol, const char *extra);

#endif
