/* SPDX-License-Identifier: MIT */
/*
 * option_table: which options a program has. One table says of each what it is called, what it may be, where it is kept
 * and what it means; the sources, the checks, --help and --print-config follow it. A new option is one line there.
 */
#ifndef COMMON_OPTION_TABLE_H
#define COMMON_OPTION_TABLE_H

#include "common/units.h"

#include <fluxbp/server.h>

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
  OPTION_HEADING, /* of a part of --help */
  OPTION_ACTION,  /* of the command line only: says something instead of running */
  OPTION_VALUE,   /* of entry.type */
  OPTION_POLICY,  /* a value of the policy; see fluxbp_policy_setting */
  OPTION_TEXT,    /* as it is; NULL if there is none */
  OPTION_LIST,    /* texts, each given by an option of its own */
  OPTION_ADDRESS, /* a text, and what it means beside it */
  OPTION_AMOUNT,  /* a uint64_t, 1 or more, of entry.unit */
  OPTION_READ     /* by entry.read, each time that it is given */
};

struct option_entry {
  enum option_kind kind;
  const char *name;
  const char *argument; /* what --help calls it; NULL: there is none, or none is needed */
  const char *help;     /* lines, all but the last with a newline */
  const char *fallback; /* the default; NULL: none, or what the library says */
  const char *auto_is;  /* what "auto", the default then, comes to; NULL: it isn't allowed */
  const char *policy;   /* which setting of it */
  fluxbp_value_type_t type;
  fluxbp_value_place_t place; /* in the program's struct of options; of a text, its pointer */
  size_t address_offset;      /* in that struct */
  enum units_kind unit;       /* of an amount; type.max is the largest */
  int (*is_right)(const char *text);
  const char *rule; /* of is_right, or of an amount, for a message "it must be …" */
  /* Keep what the text means at its place. Returns NULL, or what is wrong with it. */
  const char *(*read)(void *place, const char *text);
};

/* Columns of an entry, in a file whose options are a `struct options`. */
#define PLACE(member) .place = FLUXBP_VALUE_PLACE(struct options, member)
#define ADDRESS(member)                                                                                                \
  .place = FLUXBP_VALUE_PLACE(struct options, member##_text), .address_offset = offsetof(struct options, member)
#define NUMBER(least, most) .type = {.kind = FLUXBP_VALUE_NUMBER, .min = (least), .max = (most)}
#define BYTES(least, most) .type = {.kind = FLUXBP_VALUE_BYTES, .min = (least), .max = (most)}
#define AMOUNT(kind, most, text) .unit = (kind), .type = {.max = (most)}, .rule = (text)
#define SWITCH .type = {.kind = FLUXBP_VALUE_SWITCH}
#define CHOICE(names) .type = {.kind = FLUXBP_VALUE_CHOICE, .choices = (names)}

struct option_table {
  const char *program;
  /* Begins the names of environment variables. NULL: the program has options of the command line only. */
  const char *prefix;
  const struct option_entry *entries;
  size_t count;
  /* Finds a setting of OPTION_POLICY, fluxbp_policy_setting_of; and the policy's offset in the struct of options. */
  const fluxbp_policy_setting_t *(*policy_setting)(const char *name);
  size_t policy_offset;
  int column; /* of --help, where the meanings begin */
  const char *help_begin, *help_end;
  const char *argument_hint; /* in the message about an argument, before "'PROGRAM --help'" */
};

/** Return the entry of that name, or NULL. */
const struct option_entry *option_of(const struct option_table *table, const char *name);

/** Return the entry whose name is nearest to a wrong one, or NULL if none is near. */
const struct option_entry *option_like(const struct option_table *table, const char *name);

/** Return whether an option has a value, and so may be given by the environment. */
bool option_is_setting(const struct option_entry *entry);

/** Return whether an option may stand in a file: a setting that isn't the file itself. */
bool option_is_for_files(const struct option_entry *entry);

/** Return whether an option may be given without a value, meaning "on". */
bool option_is_switch(const struct option_table *table, const struct option_entry *entry);

/** The type of an OPTION_VALUE or an OPTION_POLICY, and its place in the struct of options. */
const fluxbp_value_type_t *option_type(const struct option_table *table, const struct option_entry *entry);
fluxbp_value_place_t option_place(const struct option_table *table, const struct option_entry *entry);

#endif
