/* SPDX-License-Identifier: MIT */
/*
 * authorizer_answer: see the header.
 */
#include "authorizer_answer.h"

#include "rights.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXPIRES_S_MAX ((json_int_t) 1 << 40)

/* A text of the answer. @return false: it is there, and is no right text */
static bool read_text(const json_t *object, const char *name, char **text) {
  const json_t *value = json_object_get(object, name);
  if (value == NULL) return true;
  return json_is_string(value) && grant_set_text(text, json_string_value(value), json_string_length(value)) == 0;
}

static bool read_end(struct grant *grant, const json_t *object) {
  const json_t *value = json_object_get(object, "expires_in");
  if (value == NULL) return true;
  json_int_t seconds = json_integer_value(value);
  if (!json_is_integer(value) || seconds < 1 || seconds > EXPIRES_S_MAX) return false;
  grant->expires_s = grant->issued_s + (uint64_t) seconds;
  return true;
}

static bool read_grant(struct grant *grant, const json_t *object, const char **problem) {
  *problem = "sub and jti of the answer are texts of at most 255 bytes, without control characters";
  if (!read_text(object, "sub", &grant->subject) || !read_text(object, "jti", &grant->id)) return false;
  *problem = "expires_in of the answer is a whole number of seconds, from 1 on";
  return read_end(grant, object) && rights_fill(grant, object, problem);
}

/* A grant without any right refuses: the backend knows the client, and gives it nothing. */
static void read_object(const json_t *object, uint64_t asked_s, struct authorizer_answer *answer,
                        const char **problem) {
  struct grant *grant = grant_create();
  *problem = "out of memory";
  if (grant == NULL) return;
  grant->issued_s = asked_s;
  if (read_grant(grant, object, problem)) {
    answer->outcome = grant->roles != 0 ? AUTHORIZER_GIVES : AUTHORIZER_REFUSES;
    if (grant->roles != 0) answer->grant = grant_ref(grant);
  }
  grant_unref(grant);
}

void authorizer_answer_read(const struct authorizer_reply *reply, uint64_t asked_s, struct authorizer_answer *answer,
                            const char **problem) {
  *answer = (struct authorizer_answer){.outcome = AUTHORIZER_AWAY};
  *problem = reply->problem;
  if (reply->problem != NULL) return;
  *problem = "the status is none of 200, 401 and 403";
  if (reply->status == 401 || reply->status == 403) answer->outcome = AUTHORIZER_REFUSES;
  if (reply->status != 200) return;
  json_t *object = json_loadb(reply->body, reply->length, JSON_REJECT_DUPLICATES, NULL);
  *problem = "the answer is no JSON object";
  if (json_is_object(object)) read_object(object, asked_s, answer, problem);
  json_decref(object);
}

/* Cache-Control (RFC 9111, 5.2): elements, separated by commas. */

static bool is_named(const char *element, size_t length, const char *name) {
  return length == strlen(name) && strncasecmp(element, name, length) == 0;
}

/* @return the greatest age that a header allows; 0: the answer may not be kept */
static uint64_t max_age_of(const char *header) {
  static const char age[] = "max-age=";
  const size_t skipped = sizeof age - 1;
  uint64_t seconds = 0;
  while (*header != '\0') {
    header += strspn(header, " \t,");
    size_t length = strcspn(header, " \t,");
    if (is_named(header, length, "no-store") || is_named(header, length, "no-cache")) return 0;
    bool is_age = length > skipped && strncasecmp(header, age, skipped) == 0;
    if (is_age && isdigit((unsigned char) header[skipped])) seconds = strtoull(header + skipped, NULL, 10);
    header += length;
  }
  return seconds;
}

uint64_t authorizer_answer_fresh_s(const struct authorizer_reply *reply, const struct authorizer_answer *answer,
                                   uint64_t now_s) {
  if (answer->outcome == AUTHORIZER_AWAY) return 0;
  uint64_t seconds = max_age_of(reply->cache_control);
  if (seconds > AUTHORIZER_FRESH_S_MAX) seconds = AUTHORIZER_FRESH_S_MAX;
  uint64_t expires_s = answer->grant != NULL ? answer->grant->expires_s : 0;
  if (expires_s == 0) return seconds;
  uint64_t left_s = expires_s > now_s ? expires_s - now_s : 0;
  return seconds < left_s ? seconds : left_s;
}

bool authorizer_answer_is_outage(const struct authorizer_reply *reply) {
  if (reply->status == 0) return true;
  return reply->status == 429 || (reply->status >= 502 && reply->status <= 504);
}
