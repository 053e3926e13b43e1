/* SPDX-License-Identifier: MIT */
/*
 * limits: how many connections this machine lets us have, found before the first one is made: file descriptors of each
 * process, and local ports of each source address.
 */
#ifndef LOADCLIENT_LIMITS_H
#define LOADCLIENT_LIMITS_H

#include "options.h"

struct limits {
  uint64_t descriptors; /* of a process; UINT64_MAX: not known */
  uint64_t ports;       /* of an address; UINT64_MAX: not known */
};

/** Raise the soft limit of descriptors as far as this process may, and return the limits of this machine. */
struct limits limits_find(void);

#define LIMITS_PROBLEM_BYTES 512

/** Return whether the clients fit; if not, `problem` gets sentences on how many fit, and how to raise a limit. */
bool limits_fit(const struct limits *limits, const struct options *options, char problem[LIMITS_PROBLEM_BYTES]);

#endif
