/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_MSG_H
#define FLUXBP_MSG_H
#include "fluxbp/export.h"
#include "fluxbp/pool.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define FLUXBP_MSG_MAX_BYTES ((size_t) 1 << 30)
typedef struct fluxbp_msg fluxbp_msg_t;
FLUXBP_EXTERN int fluxbp_msg_create(fluxbp_pool_t *pool, const void *data, size_t length, fluxbp_msg_t **msg);
FLUXBP_EXTERN int fluxbp_msg_create_keyed(fluxbp_pool_t *pool, uint64_t key, const void *data, size_t length,
                                          fluxbp_msg_t **msg);
#define FLUXBP_MSG_NAME_MAX 255
FLUXBP_EXTERN int fluxbp_msg_create_named(fluxbp_pool_t *pool, uint64_t key, const char *name, const void *data,
                                          size_t length, fluxbp_msg_t **msg);
FLUXBP_EXTERN int fluxbp_msg_create_removal(fluxbp_pool_t *pool, uint64_t key, const char *name, const void *data,
                                            size_t length, fluxbp_msg_t **msg);
FLUXBP_EXTERN int fluxbp_msg_alloc(fluxbp_pool_t *pool, size_t length, fluxbp_msg_t **msg);
FLUXBP_EXTERN int fluxbp_msg_alloc_named(fluxbp_pool_t *pool, uint64_t key, const char *name, size_t length,
                                         fluxbp_msg_t **msg);
FLUXBP_EXTERN void *fluxbp_msg_buffer(fluxbp_msg_t *msg);
FLUXBP_EXTERN int fluxbp_msg_commit(fluxbp_msg_t **msg, size_t length);
FLUXBP_EXTERN fluxbp_msg_t *fluxbp_msg_ref(fluxbp_msg_t *msg);
FLUXBP_EXTERN void fluxbp_msg_unref(fluxbp_msg_t *msg);
FLUXBP_EXTERN const void *fluxbp_msg_data(const fluxbp_msg_t *msg);
FLUXBP_EXTERN size_t fluxbp_msg_length(const fluxbp_msg_t *msg);
FLUXBP_EXTERN int fluxbp_msg_key(const fluxbp_msg_t *msg, uint64_t *key);
FLUXBP_EXTERN const char *fluxbp_msg_name(const fluxbp_msg_t *msg);
FLUXBP_EXTERN int fluxbp_msg_is_removal(const fluxbp_msg_t *msg);
#ifdef __cplusplus
}
#endif
#endif
