/* SPDX-License-Identifier: MIT */
/*
 * option_values: from the texts that were given to the program's struct of options, and back for messages. Each option
 * is looked at by itself; how options go together is the program's business.
 */
#ifndef COMMON_OPTION_VALUES_H
#define COMMON_OPTION_VALUES_H

#include "common/option_given.h"

#include <stdbool.h>
#include <stddef.h>

/** Write the defaults of the table, but those of options that are "auto". */
void option_values_init(const struct option_table *table, void *options);

/** Take what is given, of each option from the source that counts most. What doesn't count has to be right, too.
 * @return true, or false with givens->problem; what was taken until then is to be freed in any case */
bool option_values_take(void *options, struct givens *givens);

void option_values_free(const struct option_table *table, void *options);

/** Which source counts for an option. */
enum source option_source(const struct givens *givens, const struct option_entry *entry);

/** Whether an option is left to us. */
bool option_is_auto(const struct givens *givens, const char *name);

/** Write what an option comes to, of whichever kind but a list; "" if it is a text that isn't there. */
void option_format(const struct option_table *table, const void *options, const struct option_entry *entry, char *text,
                   size_t capacity);

/** Write an option with its value, and where that is from, for a message; its default too. */
void option_describe(const void *options, const struct givens *givens, const char *name, char *text, size_t capacity);

#endif
