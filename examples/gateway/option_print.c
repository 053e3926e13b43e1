/* SPDX-License-Identifier: MIT */
/*
 * option_print: the table as a person reads it.
 */
#include "option_print.h"

#include "option_values.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 27
#define SOURCE_COLUMN 40

static const char help_begin[] = "Usage: gateway [OPTION]...\n"
                                 "Sends messages to every client that connects: nc 127.0.0.1 9000 shows the feed.\n";

static const char help_end[] =
    "\n"
    "BYTES take a suffix K, M or G; HOST:PORT may be 'off'. Each option may also be given by the environment\n"
    "(FLUXBP_MAX_CONNECTIONS=5000, FLUXBP_STATE=prices,scores) or in the file of --config (max-connections = 5000).\n"
    "What the command line says counts more than the environment, and that more than the file. A switch that they "
    "have\n"
    "on is put off by --NAME=off.\n"
    "\n"
    "With --stdin and patience the feed is lossless: whoever isn't evicted gets every line, in order. Empty lines and\n"
    "those over --max-message are skipped.\n"
    "SIGTERM and SIGINT drain and exit; a second one exits at once.\n"
    "\n"
    "Exit codes: 0 done, 1 failed while running, 2 wrong options, 3 cannot listen.\n"
    "\n"
    "Example:\n"
    "  tail -F access.log | gateway --stdin\n";

static void print_default(const struct options *defaults, const struct option_entry *entry) {
  char value[GIVEN_TEXT_BYTES];
  if (entry->kind == OPTION_ACTION || entry->kind == OPTION_LIST || option_is_switch(entry)) return;
  if (entry->auto_is != NULL) {
    printf("\n%*s(default auto: %s)", HELP_COLUMN, "", entry->auto_is);
    return;
  }
  option_format(defaults, entry, value, sizeof value);
  if (*value != '\0') printf(" (default %s)", value);
}

static void print_usage(const struct option_entry *entry) {
  int length = printf("  --%s %s", entry->name, entry->argument != NULL ? entry->argument : "");
  if (length >= HELP_COLUMN) length = printf("\n") - 1;
  printf("%*s%s", HELP_COLUMN - length, "", entry->help);
}

void print_help(void) {
  struct options defaults;
  option_values_init(&defaults);
  fputs(help_begin, stdout);
  for (size_t i = 0; i < option_count; i++) {
    const struct option_entry *entry = &option_entries[i];
    if (entry->kind == OPTION_HEADING) {
      printf("\n%s:\n", entry->name);
      continue;
    }
    print_usage(entry);
    print_default(&defaults, entry);
    printf("\n");
  }
  fputs(help_end, stdout);
}

void print_version(void) {
  printf("gateway %s (libfluxbp %s, libuv %s)\n", FLUXBP_VERSION_STRING, fluxbp_version(), uv_version_string());
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
    option_variable(entry, variable);
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

static void print_list(const struct options *options, const struct givens *givens, const struct option_entry *entry) {
  fluxbp_text_list_t list;
  memcpy(&list, (const char *) options + entry->place.offset, sizeof list);
  for (size_t i = 0; i < list.count; i++) print_setting(givens, entry, list.texts[i]);
  if (list.count == 0) print_setting(givens, entry, "");
}

void print_config(const struct options *options, const struct givens *givens) {
  char value[4096];
  printf("# What the options of gateway %s come to.\n", FLUXBP_VERSION_STRING);
  for (size_t i = 0; i < option_count; i++) {
    const struct option_entry *entry = &option_entries[i];
    if (entry->kind == OPTION_HEADING) printf("\n# %s\n", entry->name);
    if (!option_is_for_files(entry)) continue;
    if (entry->kind == OPTION_LIST) {
      print_list(options, givens, entry);
      continue;
    }
    option_format(options, entry, value, sizeof value);
    print_setting(givens, entry, value);
  }
}
