/* SPDX-License-Identifier: MIT */
/*
 * patrol: the look at TCP connections that the kernel hasn't refused.
 */
#ifndef FLUXBP_LIB_PATROL_H
#define FLUXBP_LIB_PATROL_H

#include "engine.h"

/* The step that is due, if one is, is under way from now on. */
void fluxbp__patrol_begin(fluxbp__engine_t *engine);

/* Go on with the step under way; `within_budget`: as far as the iteration's goes. Returns true if the step is done. */
bool fluxbp__patrol_continue(fluxbp__engine_t *engine, bool within_budget);

#endif
