/* SPDX-License-Identifier: MIT */
/*
 * option_table: which options there are. One table says of each what it is called, what it may be, where it is kept and
 * what it means; the sources, the checks, --help and --print-config follow it. A new option is one line there.
 */
#ifndef GATEWAY_OPTION_TABLE_H
#define GATEWAY_OPTION_TABLE_H

#include "options.h"

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
  OPTION_HEADING, /* of a part of --help */
  OPTION_ACTION,  /* of the command line only: says something instead of serving */
  OPTION_VALUE,   /* of entry.type */
  OPTION_POLICY,  /* a value of the policy; see fluxbp_policy_setting */
  OPTION_TEXT,    /* as it is; NULL if there is none */
  OPTION_LIST,    /* texts, each given by an option of its own */
  OPTION_ADDRESS  /* a text, and what it means beside it */
};

struct option_entry {
  enum option_kind kind;
  const char *name;
  const char *argument; /* what --help calls it; NULL: there is none, or none is needed */
  const char *help;
  const char *fallback; /* the default; NULL: none, or what the library says */
  const char *auto_is;  /* what "auto", the default then, comes to; NULL: it isn't allowed */
  const char *policy;   /* which setting of it */
  fluxbp_value_type_t type;
  fluxbp_value_place_t place; /* in struct options; of a text, its pointer */
  size_t address_offset;      /* in struct options */
  int (*is_right)(const char *text);
  const char *rule; /* of is_right, for a message "it must be …" */
};

extern const struct option_entry option_entries[];
extern const size_t option_count;

/** @return the entry of that name, or NULL */
const struct option_entry *option_of(const char *name);

/** @return the entry whose name is nearest to what somebody wrote, or NULL if none is near */
const struct option_entry *option_like(const char *name);

/** Whether it has a value, and so may be given by the environment. */
bool option_is_setting(const struct option_entry *entry);

/** Whether it may stand in a file: a setting that isn't the file itself. */
bool option_is_for_files(const struct option_entry *entry);

/** Whether it may be given without a value, meaning "on". */
bool option_is_switch(const struct option_entry *entry);

/** The type of an OPTION_VALUE or an OPTION_POLICY, and where in struct options it is. */
const fluxbp_value_type_t *option_type(const struct option_entry *entry);
fluxbp_value_place_t option_place(const struct option_entry *entry);

#endif
