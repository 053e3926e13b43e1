/* SPDX-License-Identifier: MIT */
/*
 * Internal side of ring_index: in which slot of a ring the value of a key stands.
 */
#ifndef FLUXBP_LIB_RING_INDEX_H
#define FLUXBP_LIB_RING_INDEX_H

#include "ring.h"

#define FLUXBP__NO_RING_SLOT UINT32_MAX

/* The slot of the queued value with the topic and key of `frame`, the newest if there are several; a pinned head isn't
 * looked at. FLUXBP__NO_RING_SLOT if there is none. */
uint32_t fluxbp__ring_index_find(fluxbp__ring_t *ring, fluxbp_pool_t *pool, const fluxbp_frame_t *frame);

/* A frame has come into `slot`, behind all others. The ring has an index. */
void fluxbp__ring_index_add(fluxbp__ring_t *ring, uint32_t slot);

/* Make it anew: frames have come into other slots. The ring has an index. */
void fluxbp__ring_index_fill(fluxbp__ring_t *ring);

/* Where the tail gap of a ring with an index stands. */
fluxbp_frame_t **fluxbp__ring_index_tail_gap(struct fluxbp__ring_index *index);

/* The ring has one, and no tail gap. */
void fluxbp__ring_index_destroy(fluxbp__ring_t *ring, fluxbp_pool_t *pool);

#endif
