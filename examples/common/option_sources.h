/* SPDX-License-Identifier: MIT */
/*
 * option_sources: reading what is given by the command line, the environment and a file. What isn't an option is
 * refused here; what a value means is not looked at.
 *
 * A file has lines NAME = VALUE, with the names of the flags; a list has a line for each of its texts. '#' begins a
 * comment, at the beginning of a line or after a blank. In the environment the texts of a list are separated by commas,
 * and a variable that is empty counts as one that isn't there.
 *
 * Each of these returns whether it could be read; if not, givens->problem says why.
 */
#ifndef COMMON_OPTION_SOURCES_H
#define COMMON_OPTION_SOURCES_H

#include "common/option_given.h"

#include <stdbool.h>

bool sources_read_flags(struct givens *givens, int argc, char **argv);

bool sources_read_environment(struct givens *givens);

/** Reads givens->path; `named_by` is what names it, for the message that it can't be read. */
bool sources_read_file(struct givens *givens, const struct given *named_by);

/** Log each variable with the table's prefix that means nothing: it may be misspelt, or be there for another reason. */
void sources_warn_of_variables(const struct option_table *table);

#endif
