/* SPDX-License-Identifier: MIT */
/*
 * option_print: what --help, --version and --print-config write to standard output.
 */
#ifndef COMMON_OPTION_PRINT_H
#define COMMON_OPTION_PRINT_H

#include "common/option_given.h"

/** Print --help. `options` has the defaults. */
void print_help(const struct option_table *table, const void *options);

void print_version(const struct option_table *table);

/** A config file that comes to the same options; behind each value, where it is from. */
void print_config(const void *options, const struct givens *givens);

#endif
