/* SPDX-License-Identifier: MIT */
/*
 * ring: a bounded queue of references to frames, which knows exactly what it lost.
 *
 * Every connection has one inside; this is the same ring for use on its own. 16 slots are outside of the pool's budget;
 * from there it doubles up to its limit with memory from the pool, and gives that back when it is drained. Its head may
 * be pinned while its bytes are being written: a pinned head is never dropped. What is lost is recorded as a gap marker
 * that stands in the queue at the place where the messages are missing.
 *
 * Thread: one, the same for a ring and for all rings that share its frames.
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

/** Release every frame in it, and the ring. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_ring_destroy(fluxbp_ring_t *ring);

/**
 * Queue a frame at the tail; the ring takes a reference.
 *
 * @return 0, or
 *   UV_ENOBUFS the ring is full, or it drops the newest and hasn't come down to its low watermark yet, or the pool
 *              refused the memory to grow; nothing was changed
 */
FLUXBP_EXTERN int fluxbp_ring_push(fluxbp_ring_t *ring, fluxbp_frame_t *frame);

/**
 * Queue a frame at the tail, or lose one by the rule, and record what was lost.
 *
 * @return how many messages were lost (0: none; dropping the oldest loses two when it begins, as the marker takes a
 *         slot), or
 *   UV_ENOBUFS the ring is full and the rule is FLUXBP_OVERFLOW_EVICT, or the pool had no memory for the record
 */
FLUXBP_EXTERN int fluxbp_ring_push_or_drop(fluxbp_ring_t *ring, fluxbp_frame_t *frame, fluxbp_overflow_t rule);

/** The oldest frame or gap marker, or NULL. The reference stays the ring's. */
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_ring_head(const fluxbp_ring_t *ring);

/** Remove the head and hand its reference over to the caller; NULL if the ring is empty. A pin is gone with it. */
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_ring_pop(fluxbp_ring_t *ring);

/** Keep the head from being dropped until it is popped, because some of its bytes are on their way. */
FLUXBP_EXTERN void fluxbp_ring_pin_head(fluxbp_ring_t *ring);

/** Release all frames but a pinned head. @return how many messages that were (markers don't count) */
FLUXBP_EXTERN size_t fluxbp_ring_discard(fluxbp_ring_t *ring);

/** Messages in the ring, without gap markers. */
FLUXBP_EXTERN size_t fluxbp_ring_count(const fluxbp_ring_t *ring);

/** Their bytes. */
FLUXBP_EXTERN size_t fluxbp_ring_bytes(const fluxbp_ring_t *ring);

/** How full it is, by slots or by bytes, whichever is more, in percent, rounded. */
FLUXBP_EXTERN unsigned fluxbp_ring_fill_percent(const fluxbp_ring_t *ring);

#ifdef __cplusplus
}
#endif

#endif
