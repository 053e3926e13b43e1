/* SPDX-License-Identifier: MIT */
/*
 * options_fixture: reading options in a test: the arguments as one line, a config file as a text, and what was printed.
 */
#ifndef TESTS_GATEWAY_OPTIONS_FIXTURE_H
#define TESTS_GATEWAY_OPTIONS_FIXTURE_H

#include "gateway/options.h"

#include <stddef.h>

#define SAID_BYTES 16384

struct options_fixture {
  struct options options;
  char path[64]; /* of the config file; "%s" in the arguments stands for it */
  char said[SAID_BYTES];
};

/* For cmocka: *state is the fixture, and the environment has no variable of ours. */
int options_set_up(void **state);
int options_tear_down(void **state);

/** Read options from arguments that blanks separate; what is printed or refused is in f->said. */
enum options_outcome read_options(struct options_fixture *f, const char *arguments);

/** Fail unless the options are right. */
void assert_taken(struct options_fixture *f, const char *arguments);

/** Fail unless they are refused, with exactly this on standard error behind "gateway: "; "%s" is the file. */
void assert_refused(struct options_fixture *f, const char *arguments, const char *message);

/** Write the config file. */
void write_config(struct options_fixture *f, const char *text, size_t length);

#endif
