/* SPDX-License-Identifier: MIT */
/*
 * option_values: from the texts that were given to struct options, and back for messages. Each option is looked at by
 * itself; what they have to do with each other is in options.c.
 */
#ifndef GATEWAY_OPTION_VALUES_H
#define GATEWAY_OPTION_VALUES_H

#include "option_given.h"
#include "options.h"

#include <stdbool.h>
#include <stddef.h>

/** Write the defaults, but those of options that are "auto". */
void option_values_init(struct options *options);

/** Take what is given, of each option from the source that counts most. What doesn't count has to be right, too.
 * @return true, or false with givens->problem; what was taken until then is to be freed in any case */
bool option_values_take(struct options *options, struct givens *givens);

void option_values_free(struct options *options);

/** Which source counts for an option. */
enum source option_source(const struct givens *givens, const struct option_entry *entry);

/** Whether an option is left to us. */
bool option_is_auto(const struct givens *givens, const char *name);

/** Write what an option comes to, of whichever kind but a list; "" if it is a text that isn't there. */
void option_format(const struct options *options, const struct option_entry *entry, char *text, size_t capacity);

/** Write an option with its value, and where that is from, for a message; its default too. */
void option_describe(const struct options *options, const struct givens *givens, const char *name, char *text,
                     size_t capacity);

#endif
