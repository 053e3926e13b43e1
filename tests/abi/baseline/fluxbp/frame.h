/* SPDX-License-Identifier: MIT */
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
FLUXBP_EXTERN int fluxbp_frame_create(fluxbp_pool_t *pool, fluxbp_msg_t *msg, const fluxbp_codec_t *codec,
                                      const char *topic, uint64_t id, fluxbp_frame_t **frame);
FLUXBP_EXTERN fluxbp_frame_t *fluxbp_frame_ref(fluxbp_frame_t *frame);
FLUXBP_EXTERN void fluxbp_frame_unref(fluxbp_frame_t *frame);
FLUXBP_EXTERN const void *fluxbp_frame_data(const fluxbp_frame_t *frame);
FLUXBP_EXTERN size_t fluxbp_frame_length(const fluxbp_frame_t *frame);
FLUXBP_EXTERN uint64_t fluxbp_frame_id(const fluxbp_frame_t *frame);
#define fluxbp_frame_gap(frame,gap) fluxbp_frame_gap_sized((frame), (gap), sizeof(fluxbp_gap_t))
FLUXBP_EXTERN int fluxbp_frame_gap_sized(const fluxbp_frame_t *frame, fluxbp_gap_t *gap, size_t size);
#ifdef __cplusplus
}
#endif
#endif
