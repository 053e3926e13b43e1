/* SPDX-License-Identifier: MIT */
/*
 * backbone_none: a build without libnats. It says so when it is asked for.
 */
#include <fluxbp/nats.h>

int fluxbp_nats_create(const fluxbp_nats_options_t *options, fluxbp_backbone_t **backbone) {
  (void) options;
  (void) backbone;
  return UV_ENOTSUP;
}
