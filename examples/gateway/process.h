/* SPDX-License-Identifier: MIT */
/*
 * process: what the process needs of the system before it serves: descriptors and their limit.
 */
#ifndef GATEWAY_PROCESS_H
#define GATEWAY_PROCESS_H

#include "options.h"

#include <stdbool.h>

/** Give each standard stream that is closed a descriptor, so that no socket gets its number and is written to as the
 * log. */
bool process_fill_standard_descriptors(bool *stdin_is_open);

/** Raise the limit of descriptors, and lower max_connections to it. @return false: it is too low, which was told */
bool process_limit_connections(struct options *options);

#endif
