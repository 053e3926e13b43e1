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

/* SCHEME://HOST or SCHEME://HOST:PORT */
static bool parse_origin(struct http_text text, struct origin *origin) {
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
  if (strcmp(text, "*") == 0) return true;
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

static bool is_allowed(const struct origins *origins, const struct origin *origin) {
  for (size_t i = 0; i < origins->allowed_count; i++) {
    struct origin allowed;
    if (!parse_origin(text_of(origins->allowed[i], strlen(origins->allowed[i])), &allowed)) continue;
    if (is_equal(allowed.scheme, origin->scheme) && is_equal(allowed.host, origin->host) &&
        is_equal(port_of(&allowed, allowed.scheme), port_of(origin, origin->scheme)))
      return true;
  }
  return false;
}

static bool is_any_allowed(const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i], "*") == 0) return true;
  return false;
}

/* Our own scheme isn't known, there may be a proxy that speaks TLS: a port that Host doesn't say is that of the
 * page's. */
static bool is_same(const struct origin *origin, const struct origin *host) {
  bool is_web = http_text_is_in_any_case(origin->scheme, "http") || http_text_is_in_any_case(origin->scheme, "https");
  return is_web && is_equal(origin->host, host->host) &&
         is_equal(port_of(origin, origin->scheme), port_of(host, origin->scheme));
}

const char *origins_check(const struct origins *origins, const struct http_request *request) {
  struct origin host = {.host = {NULL, 0}}, origin = {.host = {NULL, 0}};
  struct http_text host_text = http_request_header(request, "Host");
  struct http_text origin_text = http_request_header(request, "Origin");

  bool has_host = http_request_count(request, "Host") == 1 && parse_authority(host_text, &host);
  if (!has_host && !is_any_allowed(origins->hosts, origins->host_count))
    return "the Host header is missing or isn't HOST or HOST:PORT";
  if (has_host && !is_host_allowed(origins, host.host))
    return "this Host is not one of the gateway's; --allow-host would make it one";

  size_t origin_count = http_request_count(request, "Origin");
  if (origin_count == 0) return NULL;
  if (origin_count > 1) return "there are several Origin headers";
  if (is_any_allowed(origins->allowed, origins->allowed_count)) return NULL;
  if (!parse_origin(origin_text, &origin))
    return "this Origin is no SCHEME://HOST:PORT; --allow-origin '*' would allow it";
  if ((has_host && is_same(&origin, &host)) || is_allowed(origins, &origin)) return NULL;
  return "pages of this Origin may not use the gateway; --allow-origin would allow it";
}
