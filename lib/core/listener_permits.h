/* SPDX-License-Identifier: MIT */
/*
 * listener_permits: references to a listener.
 */
#ifndef FLUXBP_LIB_LISTENER_PERMITS_H
#define FLUXBP_LIB_LISTENER_PERMITS_H

#include "listener.h"

/* Give a reference back, with the lock held, which is given up. The last one frees the listener. */
void fluxbp__listener_drop_reference(fluxbp_listener_t *listener);

/* Free the memory of a listener whose parts are gone. */
void fluxbp__listener_free_memory(fluxbp_listener_t *listener);

#endif
