/* SPDX-License-Identifier: MIT */
/*
 * plain_object: reads the JSON object that nearly every message of a bulk is, `{"topic":"news","data":"hello"}`,
 * without a tree of values. It says nothing of what is wrong with an object: any other one is for a real parser. Pure.
 */
#ifndef FLUXBP_SERVER_HTTP_PLAIN_OBJECT_H
#define FLUXBP_SERVER_HTTP_PLAIN_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

enum { PLAIN_TEXT_BYTES = 65 }; /* of a topic or a key, with a NUL */

struct plain_object {
  char topic[PLAIN_TEXT_BYTES];
  char key[PLAIN_TEXT_BYTES];
  bool has_key;
  const char *data; /* in the text of the object, or the same as `unescaped` */
  size_t length;
  char *unescaped; /* to be freed; or NULL */
};

/**
 * Read an object.
 *
 * @return false, with nothing to be freed, unless all of this holds: the members are "topic" and "data", each once, and
 *   "key" at most once; their values are strings of UTF-8, with no escapes but those of one character; topic and key
 *   have no escapes, and have room; and nothing follows the object.
 */
bool plain_object_read(const char *text, size_t length, struct plain_object *object);

#endif
