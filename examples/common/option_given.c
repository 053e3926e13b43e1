/* SPDX-License-Identifier: MIT */
/*
 * option_given: the list, and how each of it is called in a message.
 */
#include "common/option_given.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct givens *givens) {
  if (givens->count < givens->capacity) return true;
  size_t capacity = givens->capacity > 0 ? givens->capacity * 2 : 32;
  struct given *list = realloc(givens->list, capacity * sizeof *list);
  if (list == NULL) return false;
  givens->list = list;
  givens->capacity = capacity;
  return true;
}

bool givens_add(struct givens *givens, const struct option_entry *entry, enum source source, size_t line,
                const char *text, size_t length) {
  char *copy = strndup(text, length);
  if (copy == NULL || !make_room(givens)) {
    free(copy);
    return givens_refuse(givens, "out of memory while options are read");
  }
  givens->list[givens->count++] = (struct given){.entry = entry, .source = source, .line = line, .text = copy};
  return true;
}

const struct given *givens_last(const struct givens *givens, const char *name, enum source source) {
  for (size_t i = givens->count; i > 0; i--) {
    const struct given *given = &givens->list[i - 1];
    if (given->source == source && strcmp(given->entry->name, name) == 0) return given;
  }
  return NULL;
}

bool givens_refuse(struct givens *givens, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(givens->problem, sizeof givens->problem, format, arguments);
  va_end(arguments);
  return false;
}

void givens_free(struct givens *givens) {
  for (size_t i = 0; i < givens->count; i++) free(givens->list[i].text);
  free(givens->list);
}

static void describe_flag(const struct givens *givens, const struct given *given, char *text, size_t capacity) {
  const char *name = given->entry->name;
  if (!option_is_switch(givens->table, given->entry))
    snprintf(text, capacity, "--%s %s", name, given->text);
  else if (strcmp(given->text, "on") == 0)
    snprintf(text, capacity, "--%s", name);
  else
    snprintf(text, capacity, "--%s=%s", name, given->text);
}

void given_describe(const struct givens *givens, const struct given *given, char *text, size_t capacity) {
  char variable[VARIABLE_BYTES];
  switch (given->source) {
  case SOURCE_FLAG:
    describe_flag(givens, given, text, capacity);
    return;
  case SOURCE_ENVIRONMENT:
    option_variable(givens->table, given->entry, variable);
    snprintf(text, capacity, "%s=%s", variable, given->text);
    return;
  case SOURCE_FILE:
    snprintf(text, capacity, "%s:%zu: %s = %s", givens->path, given->line, given->entry->name, given->text);
    return;
  case SOURCE_DEFAULT:
    snprintf(text, capacity, "--%s %s (the default)", given->entry->name, given->text);
    return;
  }
}

void option_variable(const struct option_table *table, const struct option_entry *entry,
                     char variable[VARIABLE_BYTES]) {
  snprintf(variable, VARIABLE_BYTES, "%s%s", table->prefix, entry->name);
  for (char *letter = variable; *letter != '\0'; letter++)
    *letter = *letter == '-' ? '_' : (char) toupper((unsigned char) *letter);
}
