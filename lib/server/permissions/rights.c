/* SPDX-License-Identifier: MIT */
/*
 * rights: see the header.
 */
#include "rights.h"

#include <uv.h>

static const char *problem_of(int err) {
  if (err == UV_E2BIG) return "there are too many topics in it; at most 256 for subscribing and 256 for publishing";
  if (err == UV_ENOMEM) return "out of memory; try again later";
  return "a topic in it is no pattern, or has ${sub} and the subject is no part of a topic's name";
}

static bool add_patterns(struct grant *grant, fluxbp_role_t role, const json_t *patterns, const char **problem) {
  if (patterns == NULL) return true;
  *problem = "subscribe and publish in it are arrays of patterns";
  if (!json_is_array(patterns)) return false;
  for (size_t i = 0; i < json_array_size(patterns); i++) {
    const json_t *pattern = json_array_get(patterns, i);
    if (!json_is_string(pattern)) return false;
    int err = grant_allow(grant, role, json_string_value(pattern), json_string_length(pattern));
    if (err == 0) continue;
    *problem = problem_of(err);
    return false;
  }
  return true;
}

static bool set_name(struct grant *grant, const json_t *name, const char **problem) {
  if (name == NULL) return true;
  *problem = "the name in it is a text of at most 255 bytes";
  return json_is_string(name) && grant_set_text(&grant->name, json_string_value(name), json_string_length(name)) == 0;
}

bool rights_fill(struct grant *grant, const json_t *object, const char **problem) {
  const json_t *admin = json_object_get(object, "admin");
  *problem = "its rights are no object";
  if (!json_is_object(object)) return false;
  *problem = "admin in it is true or false";
  if (admin != NULL && !json_is_boolean(admin)) return false;
  if (json_is_true(admin)) grant_allow_all(grant, FLUXBP_ROLE_ADMIN);
  return add_patterns(grant, FLUXBP_ROLE_SUBSCRIBE, json_object_get(object, "subscribe"), problem) &&
         add_patterns(grant, FLUXBP_ROLE_PUBLISH, json_object_get(object, "publish"), problem) &&
         set_name(grant, json_object_get(object, "name"), problem);
}
