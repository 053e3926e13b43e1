/* SPDX-License-Identifier: MIT */
/*
 * valve: evictions for memory's sake.
 */
#ifndef FLUXBP_LIB_VALVE_H
#define FLUXBP_LIB_VALVE_H

#include "topics.h"

/* Forget history and evict connections while memory is tight, or the kernel holds more than `max_kernel_bytes` of
 * refused connections. Calls the user's callbacks: from the loop only. Returns true if there is more to do. */
bool fluxbp__valve_continue(fluxbp__topics_t *topics, uint64_t max_kernel_bytes);

#endif
