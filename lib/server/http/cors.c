/* SPDX-License-Identifier: MIT */
/*
 * cors: see the header.
 */
#include "cors.h"

#include "http_response.h"

#include <stdio.h>
#include <string.h>

/* The seconds for which a browser keeps the answer to a preflight: the most that Chromium takes. The server checks the
 * request itself in any case. */
#define MAX_AGE_S 7200

/* What a page may want of an answer besides the headers that it always sees. */
#define EXPOSED "Allow, Retry-After, WWW-Authenticate"

/* What routes of the server read, and Cache-Control, which some readers of events send. */
#define READ_HEADERS "Authorization, Cache-Control, Content-Encoding, Content-Type, Last-Event-ID"

bool cors_is_preflight(const struct http_request *request) {
  return strcmp(request->method, "OPTIONS") == 0 && http_request_count(request, "Origin") > 0 &&
         http_request_count(request, "Access-Control-Request-Method") > 0;
}

/* Return the value of Access-Control-Allow-Origin; without data: none. */
static struct http_text allowed_origin(const struct origins *origins, const struct http_request *request,
                                       enum origins_page page) {
  bool is_unnamed = page == ORIGINS_UNNAMED && http_request_count(request, "Cookie") == 0;
  if (is_unnamed && origins_allow_any(origins)) return (struct http_text){"*", 1};
  if (is_unnamed || page == ORIGINS_NAMED) return http_request_header(request, "Origin");
  return (struct http_text){NULL, 0};
}

void cors_write(const struct origins *origins, const struct http_request *request, const char *extra,
                char lines[CORS_BYTES]) {
  enum origins_page page = request != NULL ? origins_page_of(origins, request) : ORIGINS_NO_PAGE;
  bool is_written = extra != NULL && http_lines_have(extra, "Access-Control-Allow-Origin:");
  struct http_text origin = {NULL, 0};
  if (!is_written) origin = allowed_origin(origins, request, page);
  int used = snprintf(lines, CORS_BYTES, "Vary: Origin\r\n");
  if (origin.data == NULL) return;
  snprintf(lines + used, CORS_BYTES - (size_t) used,
           "Access-Control-Allow-Origin: %.*s\r\n%sAccess-Control-Expose-Headers: " EXPOSED "\r\n", (int) origin.length,
           origin.data, page == ORIGINS_NAMED ? "Access-Control-Allow-Credentials: true\r\n" : "");
}

/* Return whether the preflight asks for a server on the browser's own network (Private Network Access), and may. */
static bool may_reach_network(const struct origins *origins, const struct http_request *request) {
  struct http_text wish = http_request_header(request, "Access-Control-Request-Private-Network");
  return http_text_is(wish, "true") && origins_page_of(origins, request) == ORIGINS_NAMED;
}

void cors_write_preflight(const struct origins *origins, const struct http_request *request, const char *methods,
                          char lines[CORS_PREFLIGHT_BYTES]) {
  struct http_text method = http_request_header(request, "Access-Control-Request-Method");
  struct http_text headers = http_request_header(request, "Access-Control-Request-Headers");
  if (methods != NULL) {
    method = (struct http_text){methods, strlen(methods)};
    headers = (struct http_text){READ_HEADERS, strlen(READ_HEADERS)};
  }
  snprintf(lines, CORS_PREFLIGHT_BYTES,
           "Access-Control-Allow-Methods: %.*s\r\n%s%.*s%sAccess-Control-Max-Age: %d\r\n%s"
           "Vary: Access-Control-Request-Method, Access-Control-Request-Headers, "
           "Access-Control-Request-Private-Network\r\n",
           (int) method.length, method.data, headers.length > 0 ? "Access-Control-Allow-Headers: " : "",
           (int) headers.length, headers.length > 0 ? headers.data : "", headers.length > 0 ? "\r\n" : "", MAX_AGE_S,
           may_reach_network(origins, request) ? "Access-Control-Allow-Private-Network: true\r\n" : "");
}
