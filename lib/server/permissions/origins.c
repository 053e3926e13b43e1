/* SPDX-License-Identifier: MIT */
/*
 * origins: see the header. A Host or Origin that can't be parsed is one that isn't allowed.
 */
#include "origins.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define ADDRESS_BYTES 64
#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define HOST_BYTES_MAX 253 /* of a name in the DNS */
#define OPAQUE_ORIGIN "null"

/* The parts of "http://example.org:8080". */
struct origin {
  struct http_text scheme; /* none in a Host header */
  struct http_text host;   /* IPv6 with its brackets */
  struct http_text port;   /* none if it isn't said */
};

static struct http_text text_of(const char *data, size_t length) {
  return (struct http_text){data, length};
}

static bool is_equal(struct http_text a, struct http_text b) {
  return a.length == b.length && (a.length == 0 || strncasecmp(a.data, b.data, a.length) == 0);
}

static bool has_only(struct http_text text, const char *characters) {
  for (size_t i = 0; i < text.length; i++)
    if (text.data[i] == '\0' || strchr(characters, text.data[i]) == NULL) return false;
  return text.length > 0;
}

static bool is_address(struct http_text host, int family) {
  char text[ADDRESS_BYTES];
  unsigned char address[sizeof(struct in6_addr)];
  if (host.length >= sizeof text) return false;
  memcpy(text, host.data, host.length);
  text[host.length] = '\0';
  return memchr(text, '\0', host.length) == NULL && inet_pton(family, text, address) == 1;
}

static bool is_ipv6(struct http_text host) {
  return host.length > 2 && host.data[0] == '[' && host.data[host.length - 1] == ']' &&
         is_address(text_of(host.data + 1, host.length - 2), AF_INET6);
}

static bool is_port(struct http_text port) {
  unsigned number = 0;
  if (port.length > 5 || !has_only(port, "0123456789")) return false;
  for (size_t i = 0; i < port.length; i++) number = number * 10 + (unsigned) (port.data[i] - '0');
  return number > 0 && number <= 65535;
}

/* HOST or HOST:PORT, into `origin`. */
static bool parse_authority(struct http_text text, struct origin *origin) {
  const char *end = text.data + text.length;
  const char *behind = text.length > 0 && *text.data == '[' ? memchr(text.data, ']', text.length) : NULL;
  const char *from = behind != NULL ? behind : text.data;
  const char *colon = text.length > 0 ? memchr(from, ':', (size_t) (end - from)) : NULL;

  origin->host = text_of(text.data, (size_t) ((colon != NULL ? colon : end) - text.data));
  origin->port = colon != NULL ? text_of(colon + 1, (size_t) (end - colon - 1)) : text_of(NULL, 0);
  bool is_name = has_only(origin->host, LETTERS_AND_DIGITS "-._");
  return (is_name || is_ipv6(origin->host)) && (colon == NULL || is_port(origin->port));
}

/* Parse SCHEME://HOST or SCHEME://HOST:PORT. */
static bool parse_origin(struct http_text text, struct origin *origin) {
  if (text.length > ORIGIN_BYTES_MAX) return false;
  const char *colon = text.length > 0 ? memchr(text.data, ':', text.length) : NULL;
  size_t scheme = colon != NULL ? (size_t) (colon - text.data) : 0;
  if (scheme == 0 || text.length < scheme + 3 || memcmp(colon, "://", 3) != 0) return false;
  origin->scheme = text_of(text.data, scheme);
  return parse_authority(text_of(colon + 3, text.length - scheme - 3), origin);
}

int fluxbp_host_is_right(const char *text) {
  struct origin origin;
  size_t length = strlen(text);
  if (strcmp(text, "*") == 0) return true;
  return length <= HOST_BYTES_MAX && parse_authority(text_of(text, length), &origin) && origin.port.data == NULL;
}

int fluxbp_origin_is_right(const char *text) {
  struct origin origin;
  if (strcmp(text, "*") == 0 || strcmp(text, OPAQUE_ORIGIN) == 0) return true;
  return parse_origin(text_of(text, strlen(text)), &origin) && has_only(origin.scheme, LETTERS_AND_DIGITS "+-.");
}

static struct http_text port_of(const struct origin *origin, struct http_text scheme) {
  if (origin->port.data != NULL) return origin->port;
  if (http_text_is_in_any_case(scheme, "http")) return text_of("80", 2);
  if (http_text_is_in_any_case(scheme, "https")) return text_of("443", 3);
  return origin->port;
}

static bool is_host_allowed(const struct origins *origins, struct http_text host) {
  if (http_text_is_in_any_case(host, "localhost") || is_address(host, AF_INET) || is_ipv6(host)) return true;
  for (size_t i = 0; i < origins->host_count; i++)
    if (strcmp(origins->hosts[i], "*") == 0 || http_text_is_in_any_case(host, origins->hosts[i])) return true;
  return false;
}

static bool is_named(const struct origins *origins, const struct origin *origin) {
  for (size_t i = 0; i < origins->allowed_count; i++) {
    struct origin allowed;
    if (!parse_origin(text_of(origins->allowed[i], strlen(origins->allowed[i])), &allowed)) continue;
    if (is_equal(allowed.scheme, origin->scheme) && is_equal(allowed.host, origin->host) &&
        is_equal(port_of(&allowed, allowed.scheme), port_of(origin, origin->scheme)))
      return true;
  }
  return false;
}

static bool has_text(const char *const *list, size_t count, const char *text) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i], text) == 0) return true;
  return false;
}

bool origins_allow_any(const struct origins *origins) {
  return has_text(origins->allowed, origins->allowed_count, "*");
}

/* Return whether the page is one of the server's own host. Over TLS its scheme is https: anybody on the way can change
 * a page that came by http. Without TLS the scheme isn't known, as a proxy may speak TLS. So a port that Host doesn't
 * say is the default port of the page's scheme. */
static bool is_same(const struct origin *origin, const struct origin *host, bool is_tls) {
  bool is_secure = http_text_is_in_any_case(origin->scheme, "https");
  bool is_right = is_secure || (!is_tls && http_text_is_in_any_case(origin->scheme, "http"));
  return is_right && is_equal(origin->host, host->host) &&
         is_equal(port_of(origin, origin->scheme), port_of(host, origin->scheme));
}

/* Parse the Host header. */
static bool parse_host(const struct http_request *request, struct origin *host) {
  *host = (struct origin){.host = {NULL, 0}};
  return http_request_count(request, "Host") == 1 && parse_authority(http_request_header(request, "Host"), host);
}

static const char *check_host(const struct origins *origins, const struct http_request *request) {
  struct origin host;
  bool has_host = parse_host(request, &host);
  if (!has_host && !has_text(origins->hosts, origins->host_count, "*"))
    return "the Host header is missing or isn't HOST or HOST:PORT";
  if (has_host && !is_host_allowed(origins, host.host)) return "this Host is not in the server's list of hosts";
  return NULL;
}

enum origins_page origins_page_of(const struct origins *origins, const struct http_request *request) {
  struct origin host, origin = {.host = {NULL, 0}};
  struct http_text text = http_request_header(request, "Origin");
  size_t count = http_request_count(request, "Origin");
  if (count > 1 || check_host(origins, request) != NULL) return ORIGINS_FOREIGN;
  if (count == 0) return ORIGINS_NO_PAGE;
  bool is_parsed = parse_origin(text, &origin);
  if (is_parsed && is_named(origins, &origin)) return ORIGINS_NAMED;
  if (is_parsed && parse_host(request, &host) && is_same(&origin, &host, request->is_tls)) return ORIGINS_SAME;
  if (origins_allow_any(origins)) return ORIGINS_UNNAMED;
  bool is_opaque = http_text_is(text, OPAQUE_ORIGIN);
  return is_opaque && has_text(origins->allowed, origins->allowed_count, OPAQUE_ORIGIN) ? ORIGINS_UNNAMED
                                                                                        : ORIGINS_FOREIGN;
}

/* Return whether the method may change something. */
static bool has_effects(const struct http_request *request) {
  static const char *const SAFE[] = {"GET", "HEAD", "OPTIONS"};
  for (size_t i = 0; i < sizeof SAFE / sizeof *SAFE; i++)
    if (strcmp(request->method, SAFE[i]) == 0) return false;
  return true;
}

/* Return whether the browser says that the page has another origin than the server (Fetch Metadata). */
static bool is_cross_origin(const struct http_request *request) {
  return http_request_has_token(request, "Sec-Fetch-Site", "cross-site") ||
         http_request_has_token(request, "Sec-Fetch-Site", "same-site");
}

/* A browser sends cookies with every handshake of a WebSocket, wanted or not. */
static bool has_wanted_cookies(const struct http_request *request) {
  return http_request_count(request, "Cookie") > 0 && !http_request_has_token(request, "Upgrade", "websocket");
}

const char *origins_check(const struct origins *origins, const struct http_request *request) {
  const char *problem = check_host(origins, request);
  if (problem != NULL) return problem;
  switch (origins_page_of(origins, request)) {
  case ORIGINS_NO_PAGE:
  case ORIGINS_SAME:
    if (has_effects(request) && is_cross_origin(request))
      return "a page of another site has sent this, and its Origin is not in the server's list of origins";
    return NULL;
  case ORIGINS_NAMED:
    return NULL;
  case ORIGINS_UNNAMED:
    return has_wanted_cookies(request)
               ? "this page may not send cookies: the server's list of origins doesn't name its Origin"
               : NULL;
  case ORIGINS_FOREIGN:
    break;
  }
  return http_request_count(request, "Origin") > 1
             ? "there are several Origin headers"
             : "pages of this Origin may not use this server: it is not in the server's list of origins";
}
