/* SPDX-License-Identifier: MIT */
/*
 * transport_stream: the built-in transports.
 */
#ifndef FLUXBP_LIB_TRANSPORT_STREAM_H
#define FLUXBP_LIB_TRANSPORT_STREAM_H

#include "engine.h"

/* Give the engine its built-in transports. */
void fluxbp__transport_stream_init(fluxbp__engine_t *engine);

#endif
