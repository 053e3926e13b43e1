/* SPDX-License-Identifier: MIT */
/*
 * nats_options: see the header.
 */
#include "nats_options.h"

#include <string.h>

static const fluxbp_nats_options_t defaults = {.url = "nats://127.0.0.1:4222", .subject = "fluxbp.>", .name = "fluxbp"};

void fluxbp_nats_options_init_sized(fluxbp_nats_options_t *options, size_t size) {
  memset(options, 0, size);
  memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
  options->size = size;
}

int nats_options_take(fluxbp_nats_options_t *options, const fluxbp_nats_options_t *given) {
  const char *bytes = (const char *) given;
  for (size_t i = sizeof *options; i < given->size; i++)
    if (bytes[i] != 0) return UV_E2BIG;
  fluxbp_nats_options_init(options);
  memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
  return options->url != NULL && fluxbp_nats_subject_is_right(options->subject) ? 0 : UV_EINVAL;
}
