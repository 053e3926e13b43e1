/* SPDX-License-Identifier: MIT */
/*
 * accept_encoding: see the header. Weights are thousandths, as the format has three digits behind the point.
 */
#include "accept_encoding.h"

#include <string.h>

enum { UNNAMED = -1, WEIGHT_MAX = 1000, DIGITS_MAX = 3 };

/* Read "0.5", "1", "0.125". @return 0 if it is no weight */
static int read_weight(struct http_text text) {
  int weight = 0;
  int unit = WEIGHT_MAX / 10;
  if (text.length == 0 || text.length > DIGITS_MAX + 2 || (text.data[0] != '0' && text.data[0] != '1')) return 0;
  if (text.length > 1 && text.data[1] != '.') return 0;
  weight = (text.data[0] - '0') * WEIGHT_MAX;
  for (size_t i = 2; i < text.length; i++, unit /= 10) {
    if (text.data[i] < '0' || text.data[i] > '9') return 0;
    weight += (text.data[i] - '0') * unit;
  }
  return weight <= WEIGHT_MAX ? weight : 0;
}

/* Split "gzip;q=0.5" into the coding and its weight. */
static struct http_text split(struct http_text element, int *weight) {
  const char *semicolon = memchr(element.data, ';', element.length);
  *weight = WEIGHT_MAX;
  if (semicolon == NULL) return element;
  size_t length = (size_t) (semicolon - element.data);
  struct http_text parameter = http_text_trim((struct http_text){semicolon + 1, element.length - length - 1});
  bool is_weight =
      parameter.length >= 2 && (parameter.data[0] == 'q' || parameter.data[0] == 'Q') && parameter.data[1] == '=';
  *weight = is_weight ? read_weight((struct http_text){parameter.data + 2, parameter.length - 2}) : 0;
  return http_text_trim((struct http_text){element.data, length});
}

bool accept_encoding_has_gzip(const struct http_request *request) {
  int gzip = UNNAMED, identity = UNNAMED, others = UNNAMED;
  for (size_t i = 0; i < request->header_count; i++) {
    struct http_text rest = request->headers[i].value, element;
    if (!http_text_is_in_any_case(request->headers[i].name, "Accept-Encoding")) continue;
    while (http_text_next(&rest, &element)) {
      int weight;
      struct http_text coding = split(element, &weight);
      if (http_text_is_in_any_case(coding, "gzip") || http_text_is_in_any_case(coding, "x-gzip"))
        gzip = weight;
      else if (http_text_is_in_any_case(coding, "identity"))
        identity = weight;
      else if (http_text_is(coding, "*"))
        others = weight;
    }
  }
  if (gzip == UNNAMED) gzip = others;
  return gzip > 0 && gzip >= identity;
}
