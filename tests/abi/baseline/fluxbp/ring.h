/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_RING_H
#define FLUXBP_RING_H
#include "fluxbp/export.h"
#include "fluxbp/frame.h"
#include "fluxbp/policy.h"
#include "fluxbp/pool.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct fluxbp_ring fluxbp_ring_t;
FLUXBP_EXTERN int fluxbp_ring_create(fluxbp_pool_t *pool, const fluxbp_policy_t *policy, fluxbp_ring_t **ring);
FLUXBP_EXTERN void fluxbp_ring_destroy(fluxbp_ring_t *ring);
FLUXBP_EXTERN int fluxbp_ring_push(fluxbp_ring_t *ring, fluxbp_frame_t *frame);
FLUXBP_EXTERN int fluxbp_ring_push_or_drop(fluxbp_ring_t *ring, fluxbp_frame_t *frame, fluxbp_overflow_t rule);
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_ring_head(const fluxbp_ring_t *ring);
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_ring_pop(fluxbp_ring_t *ring);
FLUXBP_EXTERN void fluxbp_ring_pin_head(fluxbp_ring_t *ring);
FLUXBP_EXTERN size_t fluxbp_ring_discard(fluxbp_ring_t *ring);
FLUXBP_EXTERN size_t fluxbp_ring_count(const fluxbp_ring_t *ring);
FLUXBP_EXTERN size_t fluxbp_ring_bytes(const fluxbp_ring_t *ring);
FLUXBP_EXTERN unsigned fluxbp_ring_fill_percent(const fluxbp_ring_t *ring);
#ifdef __cplusplus
}
#endif
#endif
