/* SPDX-License-Identifier: MIT */
/*
 * url: the parts of a URL. Nothing in it can end a line of a request: a byte that isn't printable ASCII is refused.
 */
#include "fluxbp/client.h"

#include <stdbool.h>
#include <string.h>

struct scheme {
  const char *prefix;
  fluxbp_client_protocol_t protocol;
  uint16_t port; /* the default one; 0: there is none */
  bool is_secure;
};

static const struct scheme schemes[] = {
    {"tcp://", FLUXBP_CLIENT_LINES, 0, false},         {"tls://", FLUXBP_CLIENT_LINES, 0, true},
    {"tcp-length://", FLUXBP_CLIENT_LENGTH, 0, false}, {"tls-length://", FLUXBP_CLIENT_LENGTH, 0, true},
    {"ws://", FLUXBP_CLIENT_WEBSOCKET, 80, false},     {"wss://", FLUXBP_CLIENT_WEBSOCKET, 443, true},
    {"http://", FLUXBP_CLIENT_HTTP, 80, false},        {"https://", FLUXBP_CLIENT_HTTP, 443, true},
    {"sse://", FLUXBP_CLIENT_SSE, 80, false},
};

static bool begins_with(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_printable(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char) *text <= ' ' || (unsigned char) *text >= 0x7f) return false;
  return true;
}

/* `text` begins behind the colon. */
static const char *parse_port(const char *text, size_t length, uint16_t *port) {
  static const char problem[] = "the port must be a number from 1 to 65535";
  unsigned long value = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9' || value > 65535) return problem;
    value = value * 10 + (unsigned long) (text[i] - '0');
  }
  if (value == 0 || value > 65535) return problem;
  *port = (uint16_t) value;
  return NULL;
}

/* HOST, HOST:PORT or [HOST]:PORT */
static const char *parse_authority(fluxbp_client_url_t *url) {
  const char *text = url->authority, *end = text + url->authority_length, *rest;
  if (memchr(text, '@', url->authority_length) != NULL) return "a name and a password don't belong into the URL";
  if (text < end && *text == '[') {
    rest = memchr(text, ']', url->authority_length);
    if (rest == NULL) return "the bracket of the IPv6 address isn't closed";
    url->host = text + 1;
    url->host_length = (size_t) (rest - url->host);
    rest++;
  } else {
    const char *colon = memchr(text, ':', url->authority_length);
    rest = colon != NULL ? colon : end;
    if (memchr(rest, ':', (size_t) (end - rest)) != NULL && memchr(rest + 1, ':', (size_t) (end - rest) - 1) != NULL)
      return "an IPv6 address goes into brackets, such as [::1]:9000";
    url->host = text;
    url->host_length = (size_t) (rest - text);
  }
  if (url->host_length == 0) return "the host is missing";
  if (url->host_length > 255) return "the host is too long";
  if (rest == end) return url->port != 0 ? NULL : "the port is missing, such as tcp://127.0.0.1:9000";
  if (*rest != ':') return "expected HOST:PORT";
  return parse_port(rest + 1, (size_t) (end - rest) - 1, &url->port);
}

static const char *parse_place(fluxbp_client_url_t *url, const struct scheme *scheme, const char *place) {
  url->protocol = scheme->protocol;
  url->port = scheme->port;
  url->is_secure = scheme->is_secure;
  url->authority = place;
  url->authority_length = strcspn(place, "/?");
  url->path = place + url->authority_length;
  if (strchr(place, '#') != NULL) return "a fragment (#) isn't sent to a server";
  if (!is_printable(place)) return "a URL may hold printable ASCII only; write others as %20";
  bool has_path = url->protocol != FLUXBP_CLIENT_LINES && url->protocol != FLUXBP_CLIENT_LENGTH;
  if (!has_path && *url->path != '\0' && strcmp(url->path, "/") != 0) return "it takes no path";
  return parse_authority(url);
}

static int parse_url(const char *text, fluxbp_client_url_t *url, const char **problem) {
  *problem = "write it as tcp://HOST:PORT, tcp-length://, ws://, sse:// or http://, or with TLS as tls://, "
             "tls-length://, wss:// or https://, such as tcp://127.0.0.1:9000";
  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
    if (begins_with(text, schemes[i].prefix))
      *problem = parse_place(url, &schemes[i], text + strlen(schemes[i].prefix));
  return *problem == NULL ? 0 : UV_EINVAL;
}

int fluxbp_client_url_parse_sized(const char *text, fluxbp_client_url_t *url, size_t size, const char **problem) {
  fluxbp_client_url_t known = {0};
  const char *unwanted;
  int error = parse_url(text, &known, problem != NULL ? problem : &unwanted);
  memset(url, 0, size);
  memcpy(url, &known, size < sizeof known ? size : sizeof known);
  return error;
}
