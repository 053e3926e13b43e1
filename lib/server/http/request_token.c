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

/* Return whether the cookies of a request may give rights: the page that has sent it is allowed by its name, or the
 * request changes nothing and comes from no foreign page. Any page can open a WebSocket, which always has an Origin. */
static bool cookies_count(const struct http_request *request, const struct origins *origins) {
  enum origins_page page = origins_page_of(origins, request);
  bool only_reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
  if (page != ORIGINS_NO_PAGE) return page == ORIGINS_SAME || page == ORIGINS_NAMED;
  if (!only_reads || http_request_has_token(request, "Upgrade", "websocket")) return false;
  return !http_text_is_in_any_case(http_request_header(request, "Sec-Fetch-Site"), "cross-site");
}

/* Take the next pair off the value of a Cookie header: name=value pairs, separated by semicolons (RFC 6265, 5.4). A
 * value may be quoted. @return false: there is no more */
static bool next_cookie(struct http_text *rest, struct http_text *name, struct http_text *value) {
  if (rest->length == 0) return false;
  const char *end = memchr(rest->data, ';', rest->length);
  struct http_text pair = {rest->data, end != NULL ? (size_t) (end - rest->data) : rest->length};
  size_t used = end != NULL ? pair.length + 1 : pair.length;
  rest->data += used;
  rest->length -= used;
  const char *equals = memchr(pair.data, '=', pair.length);
  size_t name_length = equals != NULL ? (size_t) (equals - pair.data) : 0;
  size_t skipped = equals != NULL ? name_length + 1 : 0; /* a pair without a '=' is the value of a nameless cookie */
  *name = http_text_trim((struct http_text){pair.data, name_length});
  *value = http_text_trim((struct http_text){pair.data + skipped, pair.length - skipped});
  bool is_quoted = value->length >= 2 && value->data[0] == '"' && value->data[value->length - 1] == '"';
  if (is_quoted) *value = (struct http_text){value->data + 1, value->length - 2};
  return true;
}

/* The first one counts: a browser sends the cookie of the longest path first. */
static bool find_cookie(const struct http_request *request, const char *wanted, struct http_text *token) {
  for (size_t i = 0; i < request->header_count; i++) {
    struct http_text rest = request->headers[i].value, name;
    if (!http_text_is_in_any_case(request->headers[i].name, "Cookie")) continue;
    while (next_cookie(&rest, &name, token))
      if (http_text_is(name, wanted) && token->length > 0) return true;
  }
  return false;
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
  return cookie != NULL && cookies_count(request, origins) && find_cookie(request, cookie, token);
}
