/* SPDX-License-Identifier: MIT */
/*
 * option_given: what a source says of an option, as it was written and with where that was, so that a message can name
 * the place. What it means isn't known here.
 */
#ifndef COMMON_OPTION_GIVEN_H
#define COMMON_OPTION_GIVEN_H

#include "common/option_table.h"

#include <stdbool.h>
#include <stddef.h>

/* Each counts more than those before it. */
enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };

struct given {
  const struct option_entry *entry;
  enum source source;
  size_t line; /* of a file */
  char *text;
};

/* All of them, as they came; and what is wrong with them. */
struct givens {
  const struct option_table *table;
  struct given *list;
  size_t count, capacity;
  const char *path; /* of the file; NULL: there is none */
  char problem[1024];
};

#define GIVEN_TEXT_BYTES 512 /* of a description; longer ones are cut */
#define VARIABLE_BYTES 48    /* of the name of any environment variable of ours */

/** Keep a copy of the text. @return true, or false with a problem: there is no memory */
bool givens_add(struct givens *givens, const struct option_entry *entry, enum source source, size_t line,
                const char *text, size_t length);

/** @return the last one of that name from that source, or NULL */
const struct given *givens_last(const struct givens *givens, const char *name, enum source source);

/** Say what is wrong. @return false */
bool givens_refuse(struct givens *givens, const char *format, ...) __attribute__((format(printf, 2, 3)));

void givens_free(struct givens *givens);

/** Write it as the user knows it: "--slots 1", "FLUXBP_SLOTS=1", "gateway.conf:3: slots = 1". */
void given_describe(const struct givens *givens, const struct given *given, char *text, size_t capacity);

/** Write the name of the option's environment variable. */
void option_variable(const struct option_table *table, const struct option_entry *entry, char variable[VARIABLE_BYTES]);

#endif
