/* SPDX-License-Identifier: MIT */
/*
 * nats_options: the options of a backbone.
 */
#ifndef FLUXBP_NATS_OPTIONS_H
#define FLUXBP_NATS_OPTIONS_H

#include <fluxbp/nats.h>

/** Write what was given over the defaults. @return 0, UV_EINVAL or UV_E2BIG */
int nats_options_take(fluxbp_nats_options_t *options, const fluxbp_nats_options_t *given);

#endif
