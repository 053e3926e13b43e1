/* SPDX-License-Identifier: MIT */
/*
 * descriptors: how many files and sockets this process may have open.
 */
#ifndef COMMON_DESCRIPTORS_H
#define COMMON_DESCRIPTORS_H

#include <stdint.h>

/** Raise the soft limit as far as this process may. @return the limit; UINT64_MAX: it isn't known */
uint64_t descriptors_raise_limit(void);

#endif
