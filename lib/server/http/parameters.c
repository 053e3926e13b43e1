/* SPDX-License-Identifier: MIT */
/*
 * parameters: see the header.
 */
#include "parameters.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* One of the known names. */
struct parameter {
  const char *name;
  size_t length;
  unsigned place; /* in the list, below 32 */
  bool may_repeat;
};

/* Takes the first name off the list. */
static bool next_known(const char **list, struct parameter *known) {
  if (**list == '\0') return false;
  size_t length = strcspn(*list, " ");
  known->name = *list;
  known->may_repeat = (*list)[length - 1] == '*';
  known->length = known->may_repeat ? length - 1 : length;
  *list += length + ((*list)[length] == ' ');
  return true;
}

static bool find_known(const char *list, const char *name, struct parameter *found) {
  for (unsigned place = 0; next_known(&list, found); place++) {
    found->place = place;
    if (found->length == strlen(name) && memcmp(found->name, name, found->length) == 0) return true;
  }
  return false;
}

static void list_known(const char *list, char *problem, size_t used) {
  struct parameter known;
  for (const char *separator = ""; next_known(&list, &known); separator = ", ") {
    int length =
        snprintf(problem + used, PARAMETERS_PROBLEM_BYTES - used, "%s%.*s", separator, (int) known.length, known.name);
    used += (size_t) length;
    if (used >= PARAMETERS_PROBLEM_BYTES) return;
  }
}

bool parameters_check(struct http_text query, const char *known, char problem[PARAMETERS_PROBLEM_BYTES]) {
  uint32_t seen = 0; /* a bit for each known name */
  struct http_text sent, value;
  while (http_query_next(&query, &sent, &value)) {
    char name[PARAMETER_NAME_BYTES];
    struct parameter found;
    if (!http_query_decode(sent, name, sizeof name)) {
      snprintf(problem, PARAMETERS_PROBLEM_BYTES,
               "a query parameter's name is too long, or not percent-encoded properly");
      return false;
    }
    if (name[0] == '_') continue;
    if (!find_known(known, name, &found)) {
      int length =
          snprintf(problem, PARAMETERS_PROBLEM_BYTES, "there is no query parameter '%s' here; there are: ", name);
      list_known(known, problem, (size_t) length);
      return false;
    }
    if ((seen & UINT32_C(1) << found.place) != 0 && !found.may_repeat) {
      snprintf(problem, PARAMETERS_PROBLEM_BYTES, "the query parameter '%s' is there more than once", name);
      return false;
    }
    seen |= UINT32_C(1) << found.place;
  }
  return true;
}
