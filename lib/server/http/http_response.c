/* SPDX-License-Identifier: MIT */
/*
 * http_response: see the header.
 */
#include "http_response.h"

#include <inttypes.h>
#include <stdio.h>

#define FOR_BROWSERS                                                                                                   \
  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'self'\r\n"

static const char *or_empty(const char *text) {
  return text != NULL ? text : "";
}

/* snprintf fails for texts over 2 GiB only. */
static size_t length_of(int written) {
  return written > 0 ? (size_t) written : 0;
}

const char *http_status_text(int status) {
  static const struct {
    int status;
    const char *text;
  } TEXTS[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {202, "Accepted"},
      {204, "No Content"},
      {304, "Not Modified"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {426, "Upgrade Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
  };
  for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
    if (TEXTS[i].status == status) return TEXTS[i].text;
  return "Unknown";
}

size_t http_response_head(char *out, size_t capacity, int status, const char *content_type, size_t body_length,
                          uint32_t keep_alive_s, const char *extra) {
  char connection[64] = "close";
  if (keep_alive_s > 0)
    snprintf(connection, sizeof connection, "keep-alive\r\nKeep-Alive: timeout=%" PRIu32, keep_alive_s);
  return length_of(
      snprintf(out, capacity, "HTTP/1.1 %d %s\r\n%s%s%sContent-Length: %zu\r\n" FOR_BROWSERS "Connection: %s\r\n%s\r\n",
               status, http_status_text(status), content_type != NULL ? "Content-Type: " : "", or_empty(content_type),
               content_type != NULL ? "\r\n" : "", body_length, connection, or_empty(extra)));
}

/* X-Accel-Buffering: an nginx in between would keep events until it has a buffer full of them. */
size_t http_response_stream_head(char *out, size_t capacity, const char *content_type, const char *extra) {
  return length_of(snprintf(out, capacity,
                            "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n" FOR_BROWSERS
                            "X-Accel-Buffering: no\r\nConnection: close\r\n%s\r\n",
                            content_type, or_empty(extra)));
}

size_t http_response_upgrade_head(char *out, size_t capacity, const char *protocol, const char *extra) {
  return length_of(snprintf(out, capacity,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n%s\r\n",
                            protocol, or_empty(extra)));
}
