/* SPDX-License-Identifier: MIT */
/*
 * too_old: see the header. The names of topics have no characters that JSON escapes, nor commas.
 */
#include "too_old.h"

#include <stdio.h>
#include <string.h>

void too_old_add_topic(struct too_old *too_old, const char *name) {
  size_t length = strlen(too_old->topics);
  size_t room = sizeof too_old->topics - length;
  const char *comma = length > 0 ? "," : "";
  if (too_old->left_out > 0 || strlen(comma) + strlen(name) >= room)
    too_old->left_out++;
  else
    snprintf(too_old->topics + length, room, "%s%s", comma, name);
}

/* The length without the last name. */
static size_t without_last(const char *topics, size_t length) {
  while (length > 0 && topics[length - 1] != ',') length--;
  return length > 0 ? length - 1 : 0;
}

size_t too_old_write(const struct too_old *too_old, char *text, size_t capacity) {
  size_t names = strlen(too_old->topics);
  size_t left_out = too_old->left_out;
  for (; names > 0; names = without_last(too_old->topics, names), left_out++) {
    char more[32] = "";
    if (left_out > 0) snprintf(more, sizeof more, " and %zu more", left_out);
    int length = snprintf(text, capacity, "%s, oldest is %s, topics %.*s%s", too_old->problem, too_old->oldest,
                          (int) names, too_old->topics, more);
    if (length < (int) capacity) return (size_t) length;
  }
  int length = snprintf(text, capacity, "%s, oldest is %s", too_old->problem, too_old->oldest);
  return length < (int) capacity ? (size_t) length : capacity - 1;
}

/* One name after the other, as strings. @return the length, not less than `capacity` if there isn't so much room */
static size_t write_names(const char *names, char *text, size_t capacity) {
  size_t length = 0;
  for (const char *name = names; *name != '\0' && length < capacity;) {
    size_t bytes = strcspn(name, ",");
    const char *comma = name == names ? "" : ",";
    length += (size_t) snprintf(text + length, capacity - length, "%s\"%.*s\"", comma, (int) bytes, name);
    name += bytes + (name[bytes] == ',');
  }
  return length;
}

size_t too_old_write_json(const struct too_old *too_old, char *text, size_t capacity) {
  char names[2 * TOO_OLD_TOPICS_BYTES] = "";
  char topics[sizeof names + 16] = "";
  char more[32] = "";
  if (*too_old->topics != '\0' && write_names(too_old->topics, names, sizeof names) < sizeof names)
    snprintf(topics, sizeof topics, ",\"topics\":[%s]", names);
  if (too_old->left_out > 0) snprintf(more, sizeof more, ",\"more\":%zu", too_old->left_out);
  int length = snprintf(text, capacity, "{\"reason\":\"%s\",\"oldest\":\"%s\"%s%s}", too_old->problem, too_old->oldest,
                        topics, more);
  return length < (int) capacity ? (size_t) length : 0;
}
