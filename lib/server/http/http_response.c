/* SPDX-License-Identifier: MIT */
/*
 * http_response: see the header.
 */
#include "http_response.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NO_KEEPING "Cache-Control: no-store\r\n"
#define NO_GUESSING "X-Content-Type-Options: nosniff\r\n"
#define OWN_PAGES "Content-Security-Policy: default-src 'self'\r\n"
#define FOR_BROWSERS NO_KEEPING NO_GUESSING OWN_PAGES

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
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {422, "Unprocessable Content"},
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

bool http_lines_have(const char *lines, const char *name) {
  const char *line = lines;
  while (line != NULL && strncasecmp(line, name, strlen(name)) != 0) {
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return line != NULL;
}

/* A page of a program's own may be kept, or load what it says. */
static const char *for_browsers(const char *extra, const char *name, const char *line) {
  return http_lines_have(extra, name) ? "" : line;
}

size_t http_response_head(char *out, size_t capacity, int status, const char *content_type, size_t body_length,
                          uint32_t keep_alive_s, const char *extra, const char *cors) {
  char connection[64] = "close";
  char size[48] = "";
  if (status != 204) snprintf(size, sizeof size, "Content-Length: %zu\r\n", body_length);
  if (keep_alive_s > 0)
    snprintf(connection, sizeof connection, "keep-alive\r\nKeep-Alive: timeout=%" PRIu32, keep_alive_s);
  return length_of(snprintf(
      out, capacity, "HTTP/1.1 %d %s\r\n%s%s%s%s%s" NO_GUESSING "%sConnection: %s\r\n%s%s\r\n", status,
      http_status_text(status), content_type != NULL ? "Content-Type: " : "", or_empty(content_type),
      content_type != NULL ? "\r\n" : "", size, for_browsers(extra, "Cache-Control:", NO_KEEPING),
      for_browsers(extra, "Content-Security-Policy:", OWN_PAGES), connection, or_empty(extra), or_empty(cors)));
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
