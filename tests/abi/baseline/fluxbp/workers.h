/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_WORKERS_H
#define FLUXBP_WORKERS_H
#include "fluxbp/export.h"
#include "fluxbp/hub.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define FLUXBP_WORKERS_MAX 64
typedef struct fluxbp_workers fluxbp_workers_t;
typedef struct fluxbp_workers_options {
  size_t size;
  uint32_t threads;
  const fluxbp_hub_options_t *hub;
  int (*on_start)(fluxbp_hub_t *hub, size_t index, void *arg);
  void (*on_stop)(fluxbp_hub_t *hub, size_t index, void *arg);
  void *arg;
} fluxbp_workers_options_t;
#define fluxbp_workers_options_init(options) fluxbp_workers_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_workers_options_init_sized(fluxbp_workers_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_workers_start(const fluxbp_workers_options_t *options, fluxbp_workers_t **workers);
FLUXBP_EXTERN size_t fluxbp_workers_count(const fluxbp_workers_t *workers);
FLUXBP_EXTERN fluxbp_hub_t *fluxbp_workers_hub(const fluxbp_workers_t *workers, size_t index);
FLUXBP_EXTERN int fluxbp_workers_hand_over(fluxbp_workers_t *workers, fluxbp_task_cb task, void *arg);
FLUXBP_EXTERN void fluxbp_workers_stop(fluxbp_workers_t *workers, uint32_t drain_ms);
#ifdef __cplusplus
}
#endif
#endif
