/* SPDX-License-Identifier: MIT */
/*
 * audit: whether the ledger is right.
 */
#ifndef FLUXBP_LIB_AUDIT_H
#define FLUXBP_LIB_AUDIT_H

#include "engine.h"

/* Count everything anew. Returns false, with a line on standard error, if the ledger says something else. */
bool fluxbp__audit_balances(const fluxbp__engine_t *engine);

#endif
