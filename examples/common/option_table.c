/* SPDX-License-Identifier: MIT */
/*
 * option_table: finding an entry, also by a name that is misspelt.
 */
#include "common/option_table.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define NAME_BYTES 32 /* more than the longest name of an option */

const struct option_entry *option_of(const struct option_table *table, const char *name) {
  for (size_t i = 0; i < table->count; i++)
    if (table->entries[i].kind != OPTION_HEADING && strcmp(table->entries[i].name, name) == 0)
      return &table->entries[i];
  return NULL;
}

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* How many letters have to be put in, taken out or changed; '_' and capitals are as good as '-' and small ones. */
static size_t distance(const char *wrong, const char *right) {
  size_t row[NAME_BYTES + 1];
  size_t width = strlen(right);
  assert(width <= NAME_BYTES);
  for (size_t j = 0; j <= width; j++) row[j] = j;
  for (; *wrong != '\0'; wrong++) {
    size_t diagonal = row[0]++;
    char letter = *wrong == '_' ? '-' : (char) tolower((unsigned char) *wrong);
    for (size_t j = 1; j <= width; j++) {
      size_t changed = diagonal + (letter != right[j - 1]);
      diagonal = row[j];
      row[j] = least(changed, least(row[j], row[j - 1]) + 1);
    }
  }
  return row[width];
}

const struct option_entry *option_like(const struct option_table *table, const char *name) {
  const struct option_entry *nearest = NULL;
  size_t limit = strlen(name) / 3 + 1;
  for (size_t i = 0; i < table->count; i++) {
    if (table->entries[i].kind == OPTION_HEADING) continue;
    size_t letters = distance(name, table->entries[i].name);
    if (letters >= limit) continue;
    limit = letters;
    nearest = &table->entries[i];
  }
  return nearest;
}

bool option_is_setting(const struct option_entry *entry) {
  return entry->kind != OPTION_HEADING && entry->kind != OPTION_ACTION;
}

bool option_is_for_files(const struct option_entry *entry) {
  return option_is_setting(entry) && strcmp(entry->name, "config") != 0;
}

bool option_is_switch(const struct option_table *table, const struct option_entry *entry) {
  bool has_type = entry->kind == OPTION_VALUE || entry->kind == OPTION_POLICY;
  return has_type && option_type(table, entry)->kind == FLUXBP_VALUE_SWITCH;
}

const fluxbp_value_type_t *option_type(const struct option_table *table, const struct option_entry *entry) {
  return entry->kind == OPTION_POLICY ? &table->policy_setting(entry->policy)->type : &entry->type;
}

fluxbp_value_place_t option_place(const struct option_table *table, const struct option_entry *entry) {
  if (entry->kind != OPTION_POLICY) return entry->place;
  fluxbp_value_place_t place = table->policy_setting(entry->policy)->place;
  place.offset += table->policy_offset;
  return place;
}
