/* SPDX-License-Identifier: MIT */
/*
 * option_print: what --help, --version and --print-config write to standard output.
 */
#ifndef GATEWAY_OPTION_PRINT_H
#define GATEWAY_OPTION_PRINT_H

#include "option_given.h"
#include "options.h"

void print_help(void);

void print_version(void);

/** A config file that comes to the same options; behind each value, where it is from. */
void print_config(const struct options *options, const struct givens *givens);

#endif
