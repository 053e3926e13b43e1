/* SPDX-License-Identifier: MIT */
/*
 * options: the order of the sources.
 */
#include "common/options.h"

#include "common/option_print.h"
#include "common/option_sources.h"
#include "common/option_values.h"

#include <stdio.h>

/* The file that the command line or else the environment names, if any. */
static bool read_file(struct givens *givens) {
  const struct given *named_by = givens_last(givens, "config", SOURCE_FLAG);
  if (named_by == NULL) named_by = givens_last(givens, "config", SOURCE_ENVIRONMENT);
  if (named_by == NULL) return true;
  struct given copy = *named_by; /* the list is about to grow */
  givens->path = copy.text;
  return sources_read_file(givens, &copy);
}

enum options_outcome options_read(struct givens *givens, void *options, int argc, char **argv) {
  bool has_environment = givens->table->prefix != NULL;
  option_values_init(givens->table, options);
  if (!sources_read_flags(givens, argc, argv)) return OPTIONS_REFUSED;
  if (options_have(givens, "help")) {
    print_help(givens->table, options);
    return OPTIONS_DONE;
  }
  if (options_have(givens, "version")) {
    print_version(givens->table);
    return OPTIONS_DONE;
  }
  if (has_environment && !sources_read_environment(givens)) return OPTIONS_REFUSED;
  return read_file(givens) && option_values_take(options, givens) ? OPTIONS_RUN : OPTIONS_REFUSED;
}

bool options_have(const struct givens *givens, const char *name) {
  return givens_last(givens, name, SOURCE_FLAG) != NULL;
}

enum options_outcome options_refuse(const struct givens *givens) {
  fprintf(stderr, "%s: %s\n", givens->table->program, givens->problem);
  return OPTIONS_REFUSED;
}
