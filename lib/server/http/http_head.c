/* SPDX-License-Identifier: MIT */
/*
 * http_head: see the header. What two programs may understand differently is refused.
 */
#include "http_head.h"

#include <string.h>
#include <strings.h>

#define CONTENT_LENGTH_DIGITS 19 /* less than 2^64 whatever they are */

static const char *refuse_head(int *status, int why, const char *problem) {
  *status = why;
  return problem;
}

/* Those of which a request has one at most: what would the second one mean? */
static const char *check_single_headers(const struct http_request *request, bool is_http_1_0, int *status) {
  static const char *const SINGLE[] = {
      "Host",          "Content-Length", "Transfer-Encoding", "Content-Type",          "Authorization",
      "Last-Event-ID", "Origin",         "Sec-WebSocket-Key", "Sec-WebSocket-Version",
  };
  for (size_t i = 0; i < sizeof SINGLE / sizeof *SINGLE; i++)
    if (http_request_count(request, SINGLE[i]) > 1)
      return refuse_head(status, 400, "a header that may be there once only is there twice");
  if (!is_http_1_0 && http_request_count(request, "Host") == 0)
    return refuse_head(status, 400, "HTTP/1.1 wants a Host header");
  return NULL;
}

static bool is_number(struct http_text text) {
  if (text.length == 0 || text.length > CONTENT_LENGTH_DIGITS) return false;
  for (size_t i = 0; i < text.length; i++)
    if (text.data[i] < '0' || text.data[i] > '9') return false;
  return true;
}

/* Whether the last transfer coding, and no other one, is chunked (RFC 9112, 6.3): else the request has no end. */
static bool ends_chunked(struct http_text codings) {
  struct http_text coding = {NULL, 0};
  size_t chunked = 0;
  while (http_text_next(&codings, &coding)) chunked += http_text_is_in_any_case(coding, "chunked");
  return chunked == 1 && http_text_is_in_any_case(coding, "chunked");
}

/* How long the body is. */
static const char *check_body_headers(const struct http_request *request, bool is_http_1_0, int *status) {
  struct http_text coding = http_request_header(request, "Transfer-Encoding");
  struct http_text size = http_request_header(request, "Content-Length");
  bool is_chunked = coding.data != NULL, has_size = size.data != NULL;

  if (is_chunked && has_size)
    return refuse_head(status, 400, "Content-Length and Transfer-Encoding exclude each other");
  if (is_chunked && is_http_1_0) return refuse_head(status, 400, "HTTP/1.0 has no Transfer-Encoding");
  if (is_chunked && !ends_chunked(coding))
    return refuse_head(status, 400,
                       "the last transfer coding of a request is chunked, once: else nobody knows where it ends");
  if (is_chunked && !http_text_is_in_any_case(coding, "chunked"))
    return refuse_head(status, 501, "the only transfer coding here is chunked");
  if (has_size && !is_number(size)) return refuse_head(status, 400, "Content-Length is a number of bytes");
  return NULL;
}

const char *http_head_check(const struct http_request *request, bool is_http_1_0, int *status) {
  const char *problem = check_single_headers(request, is_http_1_0, status);
  return problem != NULL ? problem : check_body_headers(request, is_http_1_0, status);
}

/* "http://host/path": for proxies, but servers have to take it (RFC 9112, 3.2.2). A host that isn't that of the Host
 * header could get past a check of only one of them. @return false if it isn't allowed; else *target is what is behind
 * the host */
static bool skip_authority(const struct http_request *request, struct http_text *target) {
  static const char SCHEME[] = "http://";
  size_t scheme = strlen(SCHEME);
  struct http_text host = http_request_header(request, "Host");
  if (host.length == 0 || target->length < scheme + host.length || strncasecmp(target->data, SCHEME, scheme) != 0 ||
      strncasecmp(target->data + scheme, host.data, host.length) != 0)
    return false;
  target->data += scheme + host.length;
  target->length -= scheme + host.length;
  return true;
}

const char *http_head_split_target(struct http_request *request, struct http_text target, bool is_options) {
  static const char wrong[] = "a target begins with / or with http:// and what the Host header says";
  bool is_of_server = http_text_is(target, "*") && is_options;
  bool is_absolute = target.data[0] != '/' && !is_of_server;

  if (is_absolute && !skip_authority(request, &target)) return wrong;
  const char *mark = memchr(target.data, '?', target.length);
  request->path = target;
  if (mark != NULL) {
    request->path.length = (size_t) (mark - target.data);
    request->query = (struct http_text){mark + 1, target.length - request->path.length - 1};
  }
  if (is_absolute && request->path.length == 0) request->path = (struct http_text){"/", 1};
  return request->path.data[0] == '/' || is_of_server ? NULL : wrong;
}
