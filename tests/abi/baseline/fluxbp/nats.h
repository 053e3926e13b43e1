/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_NATS_H
#define FLUXBP_NATS_H
#include "fluxbp/export.h"
#include "fluxbp/server/server.h"
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif
#define FLUXBP_NATS_SUBJECT_RULE "a subject of NATS that ends with '.>', such as 'fluxbp.>', in at most 128 letters"
typedef struct fluxbp_nats_options {
  size_t size;
  const char *url;
  const char *credentials;
  const char *subject;
  const char *stream;
  const char *name;
} fluxbp_nats_options_t;
#define fluxbp_nats_options_init(options) fluxbp_nats_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_nats_options_init_sized(fluxbp_nats_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_nats_subject_is_right(const char *text);
FLUXBP_EXTERN int fluxbp_nats_create(const fluxbp_nats_options_t *options, fluxbp_backbone_t **backbone);
#ifdef __cplusplus
}
#endif
#endif
