/* SPDX-License-Identifier: MIT */
/*
 * backbone_subjects: see the header. A subject of NATS is made of tokens with dots between them, none of them empty.
 */
#include "backbone_subjects.h"

#include "server/backbone.h"

#include <ctype.h>
#include <string.h>

static bool has_empty_token(const char *text) {
  size_t length = strlen(text);
  return length == 0 || text[0] == '.' || text[length - 1] == '.' || strstr(text, "..") != NULL;
}

/* The pattern without '>'. */
static size_t prefix_length(const char *pattern) {
  return strlen(pattern) - 1;
}

int fluxbp_nats_subject_is_right(const char *text) {
  size_t length = strlen(text);
  if (length < 3 || length - 1 > SUBJECT_PREFIX_BYTES || strcmp(text + length - 2, ".>") != 0) return false;
  for (const char *byte = text; byte < text + length - 2; byte++)
    if (!isgraph((unsigned char) *byte) || strchr("*>$", *byte) != NULL) return false;
  return !has_empty_token(text);
}

bool subject_of_topic(const char *pattern, const char *topic, char subject[SUBJECT_BYTES]) {
  size_t length = prefix_length(pattern);
  if (has_empty_token(topic)) return false;
  memcpy(subject, pattern, length);
  strcpy(subject + length, topic); /* the name of a topic: it fits */
  return true;
}

const char *topic_of_subject(const char *pattern, const char *subject) {
  size_t length = prefix_length(pattern);
  if (strncmp(subject, pattern, length) != 0) return NULL;
  const char *topic = subject + length;
  bool is_right = fluxbp_server_topic_is_right(topic, strlen(topic)) || strcmp(topic, REVOKED_TOPIC) == 0;
  return is_right ? topic : NULL;
}
