/* SPDX-License-Identifier: MIT */
/*
 * request_token: see the header.
 */
#include "request_token.h"

#include <string.h>
#include <strings.h>

#define COOKIE_NAME_BYTES 255

/* The bytes of a token of HTTP, of which the name of a cookie is one (RFC 6265, 4.1.1). */
static const char name_bytes[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool request_token_is_cookie_name(const char *name) {
  size_t length = strlen(name);
  return length > 0 && length <= COOKIE_NAME_BYTES && strspn(name, name_bytes) == length;
}

/* Any page can open a WebSocket, which always has an Origin. */
bool request_token_cookies_count(const struct http_request *request, const struct origins *origins) {
  enum origins_page page = origins_page_of(origins, request);
  bool only_reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
  if (page != ORIGINS_NO_PAGE) return page == ORIGINS_SAME || page == ORIGINS_NAMED;
  if (!only_reads || http_request_has_token(request, "Upgrade", "websocket")) return false;
  return !http_text_is_in_any_case(http_request_header(request, "Sec-Fetch-Site"), "cross-site");
}

bool request_token_find(const struct http_request *request, const struct origins *origins, const char *cookie,
                        char text[REQUEST_TOKEN_BYTES], struct http_text *token) {
  static const char scheme[] = "Bearer ";
  struct http_text header = http_request_header(request, "Authorization");
  size_t skipped = sizeof scheme - 1;
  if (header.data != NULL && header.length > skipped && strncasecmp(header.data, scheme, skipped) == 0) {
    *token = (struct http_text){header.data + skipped, header.length - skipped};
    return true;
  }
  if (http_query(request->query, "token", text, REQUEST_TOKEN_BYTES) == HTTP_QUERY_OK) {
    *token = (struct http_text){text, strlen(text)};
    return true;
  }
  if (cookie == NULL || !request_token_cookies_count(request, origins)) return false;
  *token = http_request_cookie(request, cookie);
  return token->length > 0;
}
