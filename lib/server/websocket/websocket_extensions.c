/* SPDX-License-Identifier: MIT */
/*
 * websocket_extensions: see the header. The list is that of RFC 6455, 9.1: offers separated by commas, each a name and
 * parameters, whose values may be quoted. Several headers are one list.
 */
#include "websocket_extensions.h"

#include "server/compression/deflater.h"

#include <stdio.h>
#include <string.h>

enum { VALUE_BYTES = 8, WINDOW_BITS_LEAST = 8, WINDOW_BITS_MOST = 15 };

struct parameter {
  struct http_text name;
  bool has_value;
  char value[VALUE_BYTES]; /* without its quotes; empty if it is too long for any parameter */
};

/* An offer of permessage-deflate. */
struct offer {
  bool is_known;        /* all of it so far */
  unsigned seen;        /* a bit for each parameter */
  unsigned window_bits; /* that the server may use; 0: it wasn't said */
};

static const char *const parameter_names[] = {"server_no_context_takeover", "client_no_context_takeover",
                                              "server_max_window_bits", "client_max_window_bits"};
enum { SERVER_NO_CONTEXT, CLIENT_NO_CONTEXT, SERVER_WINDOW, CLIENT_WINDOW, PARAMETERS };

/* RFC 7230, 3.2.6. */
static bool is_token_char(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static void skip(struct http_text *rest, size_t count) {
  rest->data += count;
  rest->length -= count;
}

static void skip_blanks(struct http_text *rest) {
  while (rest->length > 0 && (*rest->data == ' ' || *rest->data == '\t')) skip(rest, 1);
}

/* Take a character, and the blanks behind it. @return whether it is there */
static bool take_char(struct http_text *rest, char c) {
  if (rest->length == 0 || *rest->data != c) return false;
  skip(rest, 1);
  skip_blanks(rest);
  return true;
}

/* The same with a token. */
static bool take_token(struct http_text *rest, struct http_text *token) {
  *token = (struct http_text){rest->data, 0};
  while (token->length < rest->length && is_token_char(rest->data[token->length])) token->length++;
  skip(rest, token->length);
  skip_blanks(rest);
  return token->length > 0;
}

static void set_value(struct parameter *parameter, const char *value, size_t length) {
  if (length >= VALUE_BYTES) length = 0;
  memcpy(parameter->value, value, length);
  parameter->value[length] = '\0';
}

/* Without its quotes and backslashes it is a token. */
static bool take_quoted(struct http_text *rest, struct parameter *parameter) {
  char value[VALUE_BYTES];
  size_t length = 0;
  skip(rest, 1);
  for (; rest->length > 0 && *rest->data != '"'; skip(rest, 1)) {
    if (*rest->data == '\\') skip(rest, 1);
    if (rest->length == 0 || !is_token_char(*rest->data)) return false;
    if (length < VALUE_BYTES) value[length++] = *rest->data;
  }
  set_value(parameter, value, length);
  return length > 0 && take_char(rest, '"');
}

static bool take_value(struct http_text *rest, struct parameter *parameter) {
  struct http_text token;
  parameter->has_value = true;
  if (rest->length > 0 && *rest->data == '"') return take_quoted(rest, parameter);
  if (!take_token(rest, &token)) return false;
  set_value(parameter, token.data, token.length);
  return true;
}

/* @return 0: it is none */
static unsigned window_bits(const char *value) {
  unsigned bits = 0;
  for (const char *digit = value; *digit != '\0'; digit++) {
    if (*digit < '0' || *digit > '9' || (*digit == '0' && digit == value) || bits > WINDOW_BITS_MOST) return 0;
    bits = bits * 10 + (unsigned) (*digit - '0');
  }
  return bits >= WINDOW_BITS_LEAST && bits <= WINDOW_BITS_MOST ? bits : 0;
}

static bool is_value_right(unsigned place, const struct parameter *parameter) {
  if (place < SERVER_WINDOW) return !parameter->has_value;
  if (place == CLIENT_WINDOW && !parameter->has_value) return true;
  return parameter->has_value && window_bits(parameter->value) > 0;
}

static void note_parameter(struct offer *offer, const struct parameter *parameter) {
  unsigned place = 0;
  while (place < PARAMETERS && !http_text_is(parameter->name, parameter_names[place])) place++;
  if (place == PARAMETERS || (offer->seen & 1u << place) != 0 || !is_value_right(place, parameter)) {
    offer->is_known = false;
    return;
  }
  offer->seen |= 1u << place;
  if (place == SERVER_WINDOW) offer->window_bits = window_bits(parameter->value);
}

/* Take an offer, which isn't empty. @return false: it is malformed */
static bool take_offer(struct http_text *rest, struct offer *offer) {
  struct http_text name;
  if (!take_token(rest, &name)) return false;
  *offer = (struct offer){.is_known = http_text_is(name, "permessage-deflate")};
  while (take_char(rest, ';')) {
    struct parameter parameter = {.has_value = false};
    if (!take_token(rest, &parameter.name)) return false;
    if (take_char(rest, '=') && !take_value(rest, &parameter)) return false;
    note_parameter(offer, &parameter);
  }
  return rest->length == 0 || *rest->data == ',';
}

static bool can_be_kept(const struct offer *offer) {
  return offer->is_known && (offer->window_bits == 0 || offer->window_bits >= DEFLATER_WINDOW_BITS);
}

static bool choose_of_list(struct http_text rest, struct websocket_extensions *chosen) {
  skip_blanks(&rest);
  while (rest.length > 0) {
    struct offer offer;
    if (take_char(&rest, ',')) continue; /* an empty one */
    if (!take_offer(&rest, &offer)) return false;
    if (chosen->deflates || !can_be_kept(&offer)) continue;
    *chosen = (struct websocket_extensions){.deflates = true, .limits_window = offer.window_bits > 0};
  }
  return true;
}

bool websocket_extensions_choose(const struct http_request *request, struct websocket_extensions *chosen) {
  *chosen = (struct websocket_extensions){.deflates = false};
  for (size_t i = 0; i < request->header_count; i++) {
    const struct http_header *header = &request->headers[i];
    if (!http_text_is_in_any_case(header->name, "Sec-WebSocket-Extensions")) continue;
    if (!choose_of_list(header->value, chosen)) return false;
  }
  return true;
}

void websocket_extensions_answer(const struct websocket_extensions *chosen, char text[WEBSOCKET_EXTENSIONS_BYTES]) {
  text[0] = '\0';
  if (!chosen->deflates) return;
  char window[WEBSOCKET_EXTENSIONS_BYTES / 4] = "";
  if (chosen->limits_window)
    (void) snprintf(window, sizeof window, "; %s=%d", parameter_names[SERVER_WINDOW], DEFLATER_WINDOW_BITS);
  (void) snprintf(text, WEBSOCKET_EXTENSIONS_BYTES, "Sec-WebSocket-Extensions: permessage-deflate; %s; %s%s\r\n",
                  parameter_names[SERVER_NO_CONTEXT], parameter_names[CLIENT_NO_CONTEXT], window);
}
