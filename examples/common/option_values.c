/* SPDX-License-Identifier: MIT */
/*
 * option_values: one function for each direction, by the kinds of options.
 */
#include "common/option_values.h"

#include "common/address.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_auto_text(const struct option_entry *entry, const char *text) {
  return entry->auto_is != NULL && strcmp(text, "auto") == 0;
}

static const char **text_of(void *options, const struct option_entry *entry) {
  return (const char **) (void *) ((char *) options + entry->place.offset);
}

static fluxbp_text_list_t *list_of(void *options, const struct option_entry *entry) {
  return (fluxbp_text_list_t *) (void *) ((char *) options + entry->place.offset);
}

/* The server doesn't change the list; we do. */
static const char **texts_of(const fluxbp_text_list_t *list) {
  const char **texts;
  memcpy(&texts, &list->texts, sizeof texts);
  return texts;
}

static void take_value(const struct option_table *table, void *options, const struct option_entry *entry,
                       const char *text) {
  uint64_t value;
  if (is_auto_text(entry, text)) return;
  bool is_right = fluxbp_value_parse(option_type(table, entry), text, &value);
  assert(is_right && "it was checked, or is a default");
  fluxbp_value_place_t place = option_place(table, entry);
  fluxbp_value_set(options, &place, value);
}

static const char *take_address(void *options, const struct option_entry *entry, const char *text) {
  struct sockaddr_storage *address = (struct sockaddr_storage *) (void *) ((char *) options + entry->address_offset);
  *text_of(options, entry) = NULL;
  if (strcmp(text, "off") == 0) return NULL;
  *text_of(options, entry) = text;
  return address_parse(text, address);
}

static bool take_in_list(void *options, const struct option_entry *entry, const char *text) {
  fluxbp_text_list_t *list = list_of(options, entry);
  const char **texts = realloc((void *) texts_of(list), (list->count + 1) * sizeof *texts);
  if (texts == NULL) return false;
  texts[list->count++] = text;
  list->texts = texts;
  return true;
}

/** @return NULL, or what is wrong with the text */
static const char *take_checked(const struct option_table *table, void *options, const struct option_entry *entry,
                                const char *text) {
  void *place = (char *) options + entry->place.offset;
  switch (entry->kind) {
  case OPTION_VALUE:
  case OPTION_POLICY:
    take_value(table, options, entry, text);
    return NULL;
  case OPTION_TEXT:
    *text_of(options, entry) = text;
    return NULL;
  case OPTION_LIST:
    return take_in_list(options, entry, text) ? NULL : "out of memory";
  case OPTION_ADDRESS:
    return take_address(options, entry, text);
  case OPTION_AMOUNT:
    (void) units_read_whole(text, entry->unit, entry->type.max, place); /* it was checked */
    return NULL;
  case OPTION_READ:
    return entry->read(place, text);
  case OPTION_HEADING:
  case OPTION_ACTION:
    return NULL;
  }
  return NULL;
}

void option_values_init(const struct option_table *table, void *options) {
  for (size_t i = 0; i < table->count; i++) {
    const struct option_entry *entry = &table->entries[i];
    const char *problem = entry->fallback != NULL ? take_checked(table, options, entry, entry->fallback) : NULL;
    assert(problem == NULL && "a default is wrong");
    (void) problem;
  }
}

static bool refuse_text(struct givens *givens, const struct given *given, const char *rule) {
  char what[GIVEN_TEXT_BYTES];
  given_describe(givens, given, what, sizeof what);
  return givens_refuse(givens, "%s: it must be %s%s", what, rule, given->entry->auto_is != NULL ? "; or auto" : "");
}

/* Whether the text is one for its option, as far as that can be known without looking anything up. */
static bool check_given(struct givens *givens, const struct given *given) {
  char rule[FLUXBP_VALUE_TEXT_BYTES];
  uint64_t value;
  const struct option_entry *entry = given->entry;
  if (is_auto_text(entry, given->text)) return true;
  if (entry->is_right != NULL && !entry->is_right(given->text)) return refuse_text(givens, given, entry->rule);
  if (entry->kind == OPTION_AMOUNT)
    return units_read_whole(given->text, entry->unit, entry->type.max, &value) ||
           refuse_text(givens, given, entry->rule);
  if (entry->kind != OPTION_VALUE && entry->kind != OPTION_POLICY) return true;
  if (fluxbp_value_parse(option_type(givens->table, entry), given->text, &value)) return true;
  fluxbp_value_rule(option_type(givens->table, entry), rule, sizeof rule);
  return refuse_text(givens, given, rule);
}

static bool counts(const struct givens *givens, size_t place) {
  const struct given *given = &givens->list[place];
  if (given->source != option_source(givens, given->entry)) return false;
  bool counts_each_time = given->entry->kind == OPTION_LIST || given->entry->kind == OPTION_READ;
  return counts_each_time || given == givens_last(givens, given->entry->name, given->source);
}

bool option_values_take(void *options, struct givens *givens) {
  char what[GIVEN_TEXT_BYTES];
  for (size_t i = 0; i < givens->count; i++)
    if (!check_given(givens, &givens->list[i])) return false;

  for (size_t i = 0; i < givens->count; i++) {
    const struct given *given = &givens->list[i];
    const char *problem = counts(givens, i) ? take_checked(givens->table, options, given->entry, given->text) : NULL;
    if (problem == NULL) continue;
    given_describe(givens, given, what, sizeof what);
    return givens_refuse(givens, "%s: %s%s", what, problem, given->entry->kind == OPTION_ADDRESS ? "; or 'off'" : "");
  }
  return true;
}

void option_values_free(const struct option_table *table, void *options) {
  for (size_t i = 0; i < table->count; i++)
    if (table->entries[i].kind == OPTION_LIST) free((void *) texts_of(list_of(options, &table->entries[i])));
}

enum source option_source(const struct givens *givens, const struct option_entry *entry) {
  enum source source = SOURCE_DEFAULT;
  for (size_t i = 0; i < givens->count; i++)
    if (givens->list[i].entry == entry && givens->list[i].source > source) source = givens->list[i].source;
  return source;
}

bool option_is_auto(const struct givens *givens, const char *name) {
  const struct option_entry *entry = option_of(givens->table, name);
  const struct given *given = givens_last(givens, name, option_source(givens, entry));
  return given == NULL || is_auto_text(entry, given->text);
}

void option_format(const struct option_table *table, const void *options, const struct option_entry *entry, char *text,
                   size_t capacity) {
  const char *kept = NULL;
  if (entry->kind == OPTION_VALUE || entry->kind == OPTION_POLICY) {
    fluxbp_value_place_t place = option_place(table, entry);
    const fluxbp_value_type_t *type = option_type(table, entry);
    uint64_t value = fluxbp_value_get(options, &place);
    uint64_t is_auto = place.size == sizeof(uint32_t) ? FLUXBP_LIMIT_AUTO : FLUXBP_KERNEL_BYTES_AUTO;
    if (entry->auto_is != NULL && value == is_auto)
      snprintf(text, capacity, "auto");
    else if (value < type->min) /* none was given, and there is no default */
      text[0] = '\0';
    else
      fluxbp_value_format(type, value, text, capacity);
    return;
  }
  if (entry->kind == OPTION_READ || entry->kind == OPTION_AMOUNT)
    kept = entry->fallback; /* before anything was given */
  else
    memcpy(&kept, (const char *) options + entry->place.offset, sizeof kept);
  if (kept == NULL) kept = entry->kind == OPTION_ADDRESS ? "off" : "";
  snprintf(text, capacity, "%s", kept);
}

void option_describe(const void *options, const struct givens *givens, const char *name, char *text, size_t capacity) {
  char value[GIVEN_TEXT_BYTES];
  const struct option_entry *entry = option_of(givens->table, name);
  const struct given *given = givens_last(givens, name, option_source(givens, entry));
  struct given fallback = {.entry = entry, .source = SOURCE_DEFAULT, .text = value};
  if (given == NULL) {
    option_format(givens->table, options, entry, value, sizeof value);
    given = &fallback;
  }
  given_describe(givens, given, text, capacity);
}
