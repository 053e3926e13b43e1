/* SPDX-License-Identifier: MIT */
/*
 * limits: how many connections this machine lets us have, found before the first one is made: file descriptors of each
 * process, and local ports of each source address.
 */
#ifndef LOADCLIENT_LIMITS_H
#define LOADCLIENT_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct limits {
  uint64_t descriptors; /* of a process; UINT64_MAX: not known */
  uint64_t ports;       /* of an address; UINT64_MAX: not known */

  uint64_t connections; /* that the run wants */
  uint32_t processes;
  uint32_t sources; /* addresses to connect from; 0: the kernel chooses one */
  bool is_loopback; /* IPv4: there are 16 million addresses */
};

#define LIMITS_PROBLEM_BYTES 600

/** Raise the soft limit of descriptors as far as this process may, and set the limits of this machine. */
void limits_find(struct limits *limits);

/** Return whether the connections fit; if not, `problem` gets sentences on how many fit, and how to raise a limit. */
bool limits_fit(const struct limits *limits, char problem[LIMITS_PROBLEM_BYTES]);

#endif
