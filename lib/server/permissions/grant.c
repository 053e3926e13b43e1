/* SPDX-License-Identifier: MIT */
/*
 * grant: see the header. The patterns of a grant are few, so they are looked at one after the other.
 */
#include "grant.h"

#include <fluxbp/pattern.h>
#include <fluxbp/server/server.h>
#include <fluxbp/server/settings.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SUBJECT_MARK "${sub}"
#define SUBJECT_MARK_BYTES (sizeof SUBJECT_MARK - 1)

struct grant *grant_create(void) {
  struct grant *grant = calloc(1, sizeof *grant);
  if (grant != NULL) atomic_store(&grant->owners, 1);
  return grant;
}

struct grant *grant_ref(struct grant *grant) {
  atomic_fetch_add(&grant->owners, 1);
  return grant;
}

static void free_topics(struct grant_topics *topics) {
  for (uint32_t i = 0; i < topics->count; i++) free(topics->patterns[i]);
  free(topics->patterns);
}

void grant_unref(struct grant *grant) {
  if (grant == NULL || atomic_fetch_sub(&grant->owners, 1) > 1) return;
  free_topics(&grant->subscribe);
  free_topics(&grant->publish);
  free(grant->subject);
  free(grant->name);
  free(grant->id);
  free(grant);
}

int grant_set_text(char **text, const char *data, size_t length) {
  if (length > GRANT_TEXT_BYTES) return UV_EINVAL;
  for (size_t i = 0; i < length; i++)
    if ((unsigned char) data[i] < ' ' || data[i] == '\x7f') return UV_EINVAL;
  char *copy = strndup(data, length);
  if (copy == NULL) return UV_ENOMEM;
  free(*text);
  *text = copy;
  return 0;
}

static struct grant_topics *topics_of(struct grant *grant, fluxbp_role_t role) {
  return role == FLUXBP_ROLE_PUBLISH ? &grant->publish : &grant->subscribe;
}

void grant_allow_all(struct grant *grant, fluxbp_role_t role) {
  grant->roles |= (unsigned) role;
  if (role != FLUXBP_ROLE_ADMIN) topics_of(grant, role)->is_all = true;
}

/* Return whether a subject is one token of a topic's name. */
static bool is_one_token(const char *subject) {
  size_t length = strlen(subject);
  return fluxbp_server_topic_is_right(subject, length) && memchr(subject, '.', length) == NULL;
}

/* Write a pattern with the subject in it. @return the length; 0: the result is too long, or the subject can't stand
 * there */
static size_t fill_in_subject(const struct grant *grant, const char *pattern, size_t length,
                              char text[FLUXBP_PATTERN_MAX + 1]) {
  size_t written = 0;
  for (size_t i = 0; i < length;) {
    const char *piece = pattern + i;
    size_t piece_length = 1;
    if (length - i >= SUBJECT_MARK_BYTES && memcmp(piece, SUBJECT_MARK, SUBJECT_MARK_BYTES) == 0) {
      if (grant->subject == NULL || !is_one_token(grant->subject)) return 0;
      piece = grant->subject;
      piece_length = strlen(piece);
      i += SUBJECT_MARK_BYTES;
    } else {
      i++;
    }
    if (written + piece_length > FLUXBP_PATTERN_MAX) return 0;
    memcpy(text + written, piece, piece_length);
    written += piece_length;
  }
  text[written] = '\0';
  return written;
}

static int add_pattern(struct grant_topics *topics, const char *pattern) {
  if (topics->count == GRANT_PATTERNS_MAX) return UV_E2BIG;
  char **patterns = realloc(topics->patterns, (topics->count + 1) * sizeof *patterns);
  if (patterns == NULL) return UV_ENOMEM;
  topics->patterns = patterns;
  patterns[topics->count] = strdup(pattern);
  if (patterns[topics->count] == NULL) return UV_ENOMEM;
  topics->count++;
  return 0;
}

int grant_allow(struct grant *grant, fluxbp_role_t role, const char *pattern, size_t length) {
  char text[FLUXBP_PATTERN_MAX + 1];
  if (memchr(pattern, '\0', length) != NULL || fill_in_subject(grant, pattern, length, text) == 0) return UV_EINVAL;
  if (!fluxbp_topic_pattern_is_right(text)) return UV_EINVAL;
  int err = 0;
  if (strcmp(text, ">") == 0)
    topics_of(grant, role)->is_all = true;
  else
    err = add_pattern(topics_of(grant, role), text);
  if (err == 0) grant->roles |= (unsigned) role;
  return err;
}

bool grant_allows(const struct grant *grant, fluxbp_role_t role, const char *topic) {
  const struct grant_topics *topics = role == FLUXBP_ROLE_PUBLISH ? &grant->publish : &grant->subscribe;
  if ((grant->roles & (unsigned) role) == 0) return false;
  if (topics->is_all || role == FLUXBP_ROLE_ADMIN) return true;
  for (uint32_t i = 0; i < topics->count; i++)
    if (fluxbp_pattern_matches(topics->patterns[i], topic)) return true;
  return false;
}

const char *grant_holder(const struct grant *grant) {
  if (grant->name != NULL) return grant->name;
  if (grant->subject != NULL) return grant->subject;
  return grant->id != NULL ? grant->id : "a token";
}
