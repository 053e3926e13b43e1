/* SPDX-License-Identifier: MIT */
/*
 * option_print: the table as a person reads it.
 */
#include "common/option_print.h"

#include "common/option_values.h"

#include <fluxbp/fluxbp.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define SOURCE_COLUMN 40

static void print_lines(const struct option_table *table, const char *text) {
  for (; *text != '\0'; text++) {
    putchar(*text);
    if (*text == '\n') printf("%*s", table->column, "");
  }
}

static void print_default(const struct option_table *table, const void *defaults, const struct option_entry *entry) {
  char value[GIVEN_TEXT_BYTES];
  bool has_line = entry->auto_is != NULL || strchr(entry->help, '\n') != NULL;
  if (entry->kind == OPTION_ACTION || entry->kind == OPTION_LIST || option_is_switch(table, entry)) return;
  option_format(table, defaults, entry, value, sizeof value);
  if (entry->auto_is != NULL) snprintf(value, sizeof value, "auto: %s", entry->auto_is);
  if (*value == '\0') return;
  print_lines(table, has_line ? "\n" : " ");
  printf("(default %s)", value);
}

static void print_option(const struct option_table *table, const void *defaults, const struct option_entry *entry) {
  int length = printf("  --%s %s", entry->name, entry->argument != NULL ? entry->argument : "");
  if (length >= table->column) length = printf("\n") - 1;
  printf("%*s", table->column - length, "");
  print_lines(table, entry->help);
  print_default(table, defaults, entry);
  putchar('\n');
}

void print_help(const struct option_table *table, const void *options) {
  fputs(table->help_begin, stdout);
  for (size_t i = 0; i < table->count; i++)
    if (table->entries[i].kind == OPTION_HEADING)
      printf("\n%s:\n", table->entries[i].name);
    else
      print_option(table, options, &table->entries[i]);
  fputs(table->help_end, stdout);
}

void print_version(const struct option_table *table) {
  printf("%s %s (libfluxbp %s, libuv %s)\n", table->program, FLUXBP_VERSION_STRING, fluxbp_version(),
         uv_version_string());
}

static void print_source(const struct givens *givens, const struct option_entry *entry) {
  char variable[VARIABLE_BYTES];
  enum source source = option_source(givens, entry);
  switch (source) {
  case SOURCE_DEFAULT:
    printf("# default\n");
    return;
  case SOURCE_FILE:
    printf("# %s:%zu\n", givens->path, givens_last(givens, entry->name, source)->line);
    return;
  case SOURCE_ENVIRONMENT:
    option_variable(givens->table, entry, variable);
    printf("# %s\n", variable);
    return;
  case SOURCE_FLAG:
    printf("# --%s\n", entry->name);
    return;
  }
}

static void print_setting(const struct givens *givens, const struct option_entry *entry, const char *value) {
  int length = printf("%s%s = %s", *value == '\0' ? "# " : "", entry->name, value);
  printf("%*s ", length < SOURCE_COLUMN ? SOURCE_COLUMN - length : 0, "");
  print_source(givens, entry);
}

static void print_list(const void *options, const struct givens *givens, const struct option_entry *entry) {
  fluxbp_text_list_t list;
  memcpy(&list, (const char *) options + entry->place.offset, sizeof list);
  for (size_t i = 0; i < list.count; i++) print_setting(givens, entry, list.texts[i]);
  if (list.count == 0) print_setting(givens, entry, "");
}

void print_config(const void *options, const struct givens *givens) {
  char value[4096];
  const struct option_table *table = givens->table;
  printf("# What the options of %s %s come to.\n", table->program, FLUXBP_VERSION_STRING);
  for (size_t i = 0; i < table->count; i++) {
    const struct option_entry *entry = &table->entries[i];
    if (entry->kind == OPTION_HEADING) printf("\n# %s\n", entry->name);
    if (!option_is_for_files(entry)) continue;
    if (entry->kind == OPTION_LIST) {
      print_list(options, givens, entry);
      continue;
    }
    option_format(table, options, entry, value, sizeof value);
    print_setting(givens, entry, value);
  }
}
