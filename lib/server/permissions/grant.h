/* SPDX-License-Identifier: MIT */
/*
 * grant: the rights of one token: roles, and patterns of the topics for which the roles hold. A grant is filled in by
 * its maker and never changes afterwards.
 *
 * Thread: any. Several sessions, on several threads, hold references to one grant.
 */
#ifndef FLUXBP_SERVER_GRANT_H
#define FLUXBP_SERVER_GRANT_H

#include <fluxbp/server/permissions.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most patterns of a grant for one role, and the longest subject, name and id of a token, without the NUL. */
#define GRANT_PATTERNS_MAX 256
#define GRANT_TEXT_BYTES 255

/* The topics of one role. */
struct grant_topics {
  bool is_all; /* every topic of clients */
  uint32_t count;
  char **patterns; /* see fluxbp/pattern.h */
};

struct grant {
  atomic_uint owners;
  unsigned roles; /* a set of fluxbp_role_t */
  struct grant_topics subscribe, publish;
  char *subject;       /* the person or program that the token speaks for, or NULL */
  char *name;          /* for logs and listings, or NULL */
  char *id;            /* of the token (jti), or NULL */
  uint64_t issued_s;   /* Unix time; 0: the token doesn't say */
  uint64_t expires_s;  /* Unix time from which the token gives nothing; 0: never */
  uint64_t store_mark; /* of a token that stands in a file: its digest's first bytes; 0: a signed token */
};

/** Make a grant without any right. @return the grant, with a reference for the caller; NULL: out of memory */
struct grant *grant_create(void);

struct grant *grant_ref(struct grant *grant);

/** Give a reference back. The last one frees the grant. NULL is allowed. */
void grant_unref(struct grant *grant);

/** Set subject, name or id, of which `text` is the place. @return 0, UV_EINVAL: a NUL or a control character, or longer
 * than GRANT_TEXT_BYTES; or UV_ENOMEM */
int grant_set_text(char **text, const char *data, size_t length);

/** Give a role for every topic. FLUXBP_ROLE_ADMIN knows no topics. */
void grant_allow_all(struct grant *grant, fluxbp_role_t role);

/**
 * Give a role for the topics that match a pattern, FLUXBP_ROLE_SUBSCRIBE or FLUXBP_ROLE_PUBLISH. The pattern ">" stands
 * for every topic. "${sub}" in the pattern stands for the grant's subject, which was set before. A subject there may
 * have the characters of a topic's name but no separator, so that it can't name the topics of somebody else.
 *
 * @return 0, or
 *   UV_EINVAL no topic can match the text (fluxbp_topic_pattern_is_right), or the subject can't stand in it
 *   UV_E2BIG  the grant has GRANT_PATTERNS_MAX patterns for the role
 *   UV_ENOMEM
 */
int grant_allow(struct grant *grant, fluxbp_role_t role, const char *pattern, size_t length);

/** Return whether a grant gives a role for a topic. */
bool grant_allows(const struct grant *grant, fluxbp_role_t role, const char *topic);

/** Return the name of the grant's holder for logs: the name, else the subject, else the id, else "a token". */
const char *grant_holder(const struct grant *grant);

#endif
