/* SPDX-License-Identifier: MIT */
/*
 * frame: a message encoded for one codec, as rings hold it.
 *
 * Publishing makes frames. A program that uses rings without a hub makes them here. Thread: the thread of the ring, as
 * the count of references is a plain integer.
 */
#ifndef FLUXBP_FRAME_H
#define FLUXBP_FRAME_H

#include "fluxbp/codec.h"
#include "fluxbp/export.h"
#include "fluxbp/msg.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_frame fluxbp_frame_t;

/**
 * Make a frame: encode `msg`. The caller owns one reference of the frame. A frame that shares the bytes of `msg` takes
 * one reference of `msg`.
 *
 * @param codec NULL: the payload as it is
 * @param topic name that the codec is told, or NULL
 * @param id    id of the publication, or 0
 * @return 0, or
 *   UV_EINVAL  an argument is NULL, the message is uncommitted, the codec has no size, or what the codec returned
 *   UV_E2BIG   the encoded message is over FLUXBP_MSG_MAX_BYTES, or the codec has a part that this version doesn't know
 *   UV_ENOBUFS the budget is used up
 *   UV_ENOMEM  the allocator refused
 */
FLUXBP_EXTERN int fluxbp_frame_create(fluxbp_pool_t *pool, fluxbp_msg_t *msg, const fluxbp_codec_t *codec,
                                      const char *topic, uint64_t id, fluxbp_frame_t **frame);

/** Take one more reference. @return `frame` */
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_frame_ref(fluxbp_frame_t *frame);

/** Give one reference back; the last one frees the frame. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_frame_unref(fluxbp_frame_t *frame);

/** Return the encoded bytes, valid as long as the caller has a reference; NULL for a gap marker. */
FLUXBP_EXTERN const void *fluxbp_frame_data(const fluxbp_frame_t *frame);

/** Return the number of encoded bytes; 0 for a gap marker. */
FLUXBP_EXTERN size_t fluxbp_frame_length(const fluxbp_frame_t *frame);

/** Return the id that the frame was made with. */
FLUXBP_EXTERN uint64_t fluxbp_frame_id(const fluxbp_frame_t *frame);

/** Return whether the frame is a gap marker; if so and `gap` isn't NULL, write what was lost there. */
#define fluxbp_frame_gap(frame, gap) fluxbp_frame_gap_sized((frame), (gap), sizeof(fluxbp_gap_t))
FLUXBP_EXTERN int fluxbp_frame_gap_sized(const fluxbp_frame_t *frame, fluxbp_gap_t *gap, size_t size);

#ifdef __cplusplus
}
#endif

#endif
