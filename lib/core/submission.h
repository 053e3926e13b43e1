/* SPDX-License-Identifier: MIT */
/*
 * submission: what several dirty TCP connections are due, handed to the kernel by one call where io_uring is to be had.
 */
#ifndef FLUXBP_LIB_SUBMISSION_H
#define FLUXBP_LIB_SUBMISSION_H

#include "engine.h"

/* Flush connections from the front of `list`, which they are in by `due`, but none from `end` on. False: it isn't worth
 * it, or io_uring is not to be had, and nothing was done. Once that is certain the turn doesn't flush together any
 * more. */
bool fluxbp__submission_flush(fluxbp__engine_t *engine, fluxbp__link_t *list, const fluxbp__link_t *end);

void fluxbp__submission_free(fluxbp__engine_t *engine);

#endif
