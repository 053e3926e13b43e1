/* SPDX-License-Identifier: MIT */
/*
 * options: reading all options of a program by its table: the command line before the environment
 * (FLUXBP_MAX_CONNECTIONS is --max-connections) before the file that --config names before the defaults. Without a
 * prefix of variables in its table, and without an option "config", a program has the command line only.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include "common/option_given.h"

enum options_outcome {
  OPTIONS_RUN,
  OPTIONS_CHECK,  /* --check-config: the options are right. The caller looks at what they name, and runs nothing */
  OPTIONS_DONE,   /* what was asked for is printed */
  OPTIONS_REFUSED /* what is wrong is told on standard error */
};

/**
 * Write the table's defaults, and what is given, into the struct at `options`. Its texts are in the givens, whose table
 * has to be set. Names of hosts are looked up, which may block.
 *
 * @return OPTIONS_RUN, OPTIONS_DONE (--help or --version is printed), or OPTIONS_REFUSED: givens->problem is for
 * options_refuse
 */
enum options_outcome options_read(struct givens *givens, void *options, int argc, char **argv);

/** Return whether the command line has an option. */
bool options_have(const struct givens *givens, const char *name);

/** Print the problem on standard error. @return OPTIONS_REFUSED */
enum options_outcome options_refuse(const struct givens *givens);

#endif
