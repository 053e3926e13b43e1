/* SPDX-License-Identifier: MIT */
/*
 * Internal side of evictions: what the library has to know of a reason.
 */
#ifndef FLUXBP_LIB_EVICTION_H
#define FLUXBP_LIB_EVICTION_H

#include "fluxbp/eviction.h"

#include <stdbool.h>

/* Return whether a connection that is evicted for `reason` gets the codec's farewell and a FIN. Any other is reset. */
bool fluxbp__evict_reason_has_farewell(fluxbp_evict_reason_t reason);

#endif
