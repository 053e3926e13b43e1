/* SPDX-License-Identifier: MIT */
/*
 * options: what the command line, the environment and a config file ask for, complete and consistent.
 */
#ifndef GATEWAY_OPTIONS_H
#define GATEWAY_OPTIONS_H

#include "server/options.h"

/* What the process ends with. */
enum exit_code { EXIT_CODE_OK = 0, EXIT_CODE_RUNTIME = 1, EXIT_CODE_USAGE = 2, EXIT_CODE_BIND = 3 };

enum options_outcome {
  OPTIONS_RUN,
  OPTIONS_CHECK, /* --check-config: they are right; what they name is for the caller to look at, and nothing to be run */
  OPTIONS_DONE,  /* what was asked for is printed */
  OPTIONS_REFUSED /* what is wrong is told on standard error */
};

/**
 * Read all options: of the command line before the environment (FLUXBP_MAX_CONNECTIONS is --max-connections) before the
 * file that --config names before the defaults. Sets the log's level and format, too. Names of hosts are looked up, which
 * may block.
 *
 * With OPTIONS_RUN and OPTIONS_CHECK there is memory to be given back by options_free.
 */
enum options_outcome options_parse(struct options *options, int argc, char **argv);

void options_free(struct options *options);

#endif
