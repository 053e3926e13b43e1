/* SPDX-License-Identifier: MIT */
/*
 * ring: a bounded queue of references to frames, which records what it loses.
 *
 * Every connection has a ring. This is the same ring for use on its own. Up to 16 slots are outside of the pool's
 * budget. A longer ring doubles up to its limit with memory from the pool, and gives that memory back when it is
 * drained. The head may be pinned while its bytes are being written; a pinned head is never dropped. A loss is recorded
 * by a gap marker, which stands in the queue at the place of the missing messages.
 *
 * Thread: one, the same for all rings that share frames.
 */
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

/**
 * Make an empty ring with the policy's slots, max_bytes and low_percent.
 *
 * @param policy NULL for the defaults
 * @return 0, or UV_EINVAL, UV_E2BIG (a policy that this version doesn't know), UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_ring_create(fluxbp_pool_t *pool, const fluxbp_policy_t *policy, fluxbp_ring_t **ring);

/** Release every frame of the ring, and free the ring. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_ring_destroy(fluxbp_ring_t *ring);

/**
 * Queue a frame at the tail. The ring takes a reference.
 *
 * @return 0, or
 *   UV_ENOBUFS the ring is full; or the ring drops the newest and isn't down at its low watermark yet; or the pool
 *              refused the memory to grow. Nothing was changed
 */
FLUXBP_EXTERN int fluxbp_ring_push(fluxbp_ring_t *ring, fluxbp_frame_t *frame);

/**
 * Queue a frame at the tail, or lose one by the rule, and record the loss.
 *
 * @return the number of messages lost (0: none; dropping the oldest loses two when it begins, as the marker takes a
 *         slot), or
 *   UV_ENOBUFS the ring is full and the rule is FLUXBP_OVERFLOW_EVICT, or the pool had no memory for the record
 */
FLUXBP_EXTERN int fluxbp_ring_push_or_drop(fluxbp_ring_t *ring, fluxbp_frame_t *frame, fluxbp_overflow_t rule);

/** Return the oldest frame or gap marker, or NULL. The reference stays the ring's. */
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_ring_head(const fluxbp_ring_t *ring);

/** Remove the head, a pinned one too, and hand its reference over to the caller. @return NULL if the ring is empty */
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_ring_pop(fluxbp_ring_t *ring);

/** Pin the head: it isn't dropped until it is popped. For a head of which some bytes are written. */
FLUXBP_EXTERN void fluxbp_ring_pin_head(fluxbp_ring_t *ring);

/** Release all frames but a pinned head. @return the number of messages released; markers don't count */
FLUXBP_EXTERN size_t fluxbp_ring_discard(fluxbp_ring_t *ring);

/** Return the number of messages in the ring, without gap markers. */
FLUXBP_EXTERN size_t fluxbp_ring_count(const fluxbp_ring_t *ring);

/** Return the bytes of these messages. */
FLUXBP_EXTERN size_t fluxbp_ring_bytes(const fluxbp_ring_t *ring);

/** Return the fill of the ring in percent, rounded: by slots or by bytes, the larger of the two. */
FLUXBP_EXTERN unsigned fluxbp_ring_fill_percent(const fluxbp_ring_t *ring);

#ifdef __cplusplus
}
#endif

#endif
