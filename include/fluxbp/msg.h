/* SPDX-License-Identifier: MIT */
/*
 * message: immutable bytes that may be published any number of times, on any number of hubs. The bytes are copied
 * (fluxbp_msg_create), or written in place (fluxbp_msg_alloc, fluxbp_msg_commit).
 *
 * A message counts its references. A new message has one, which is the caller's; publishing takes the references that
 * are needed. Thread: any.
 */
#ifndef FLUXBP_MSG_H
#define FLUXBP_MSG_H

#include "fluxbp/export.h"
#include "fluxbp/pool.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The largest message, in bytes: what one write can take on every system (a count of bytes has to fit an int). */
#define FLUXBP_MSG_MAX_BYTES ((size_t) 1 << 30)

typedef struct fluxbp_msg fluxbp_msg_t;

/**
 * Make a message with a copy of `length` bytes at `data`. The caller owns one reference.
 *
 * @return 0, or
 *   UV_EINVAL  length is 0, or an argument is NULL
 *   UV_E2BIG   length is over FLUXBP_MSG_MAX_BYTES
 *   UV_ENOBUFS the pool's budget is used up: publish later, or less
 *   UV_ENOMEM  the allocator refused
 */
FLUXBP_EXTERN int fluxbp_msg_create(fluxbp_pool_t *pool, const void *data, size_t length, fluxbp_msg_t **msg);

/** Make a message, as fluxbp_msg_create, with the key under which a state topic keeps the newest message. */
FLUXBP_EXTERN int fluxbp_msg_create_keyed(fluxbp_pool_t *pool, uint64_t key, const void *data, size_t length,
                                          fluxbp_msg_t **msg);

/** The longest name of a key, in bytes. */
#define FLUXBP_MSG_NAME_MAX 255

/**
 * Make a message, as fluxbp_msg_create_keyed, with a name of the key, which codecs get (fluxbp_publication_t). Nothing
 * else in the library reads the name.
 *
 * @param name at most FLUXBP_MSG_NAME_MAX bytes and a NUL, or NULL
 * @return as fluxbp_msg_create, and UV_EINVAL for a longer name
 */
FLUXBP_EXTERN int fluxbp_msg_create_named(fluxbp_pool_t *pool, uint64_t key, const char *name, const void *data,
                                          size_t length, fluxbp_msg_t **msg);

/**
 * Make a message, as fluxbp_msg_create_named, that removes its key. A state topic delivers the message as the newest
 * value of the key, and keeps nothing under the key for later subscribers. Subscribers get `data`, unless their codec
 * encodes a removal in another way. On a log topic a removal is a message like any other.
 */
FLUXBP_EXTERN int fluxbp_msg_create_removal(fluxbp_pool_t *pool, uint64_t key, const char *name, const void *data,
                                            size_t length, fluxbp_msg_t **msg);

/**
 * Make a message whose bytes are written in place, without a copy: write to fluxbp_msg_buffer, then call
 * fluxbp_msg_commit. The caller owns the one reference; fluxbp_msg_unref gives an uncommitted message up. A call that
 * publishes or sends an uncommitted message returns UV_EINVAL.
 *
 * @param length bytes of the buffer, which are not initialized; as many as the message can have
 * @return 0, or
 *   UV_EINVAL  length is 0, or an argument is NULL
 *   UV_E2BIG   length is over FLUXBP_MSG_MAX_BYTES
 *   UV_ENOBUFS the pool's budget is used up: publish later, or less
 *   UV_ENOMEM  the allocator refused
 */
FLUXBP_EXTERN int fluxbp_msg_alloc(fluxbp_pool_t *pool, size_t length, fluxbp_msg_t **msg);

/** Make a message, as fluxbp_msg_alloc, with a key and its name (or NULL), as fluxbp_msg_create_named. */
FLUXBP_EXTERN int fluxbp_msg_alloc_named(fluxbp_pool_t *pool, uint64_t key, const char *name, size_t length,
                                         fluxbp_msg_t **msg);

/** Return the buffer of an uncommitted message, valid until fluxbp_msg_commit; NULL if the message is committed. */
FLUXBP_EXTERN void *fluxbp_msg_buffer(fluxbp_msg_t *msg);

/**
 * Commit a message: its bytes are the first `length` of the buffer, and don't change from now on. If they fit into
 * half of the memory that the message has, the message moves to smaller memory, and `*msg` is its new address. So a
 * guess that was far too large costs nothing later. If there is no smaller memory now, the message keeps its memory.
 *
 * @param length at least 1, at most the length of fluxbp_msg_alloc
 * @return 0, or
 *   UV_EINVAL length is out of its range, the message is committed, or it has another reference; nothing was changed
 */
FLUXBP_EXTERN int fluxbp_msg_commit(fluxbp_msg_t **msg, size_t length);

/** Take one more reference. @return `msg` */
FLUXBP_EXTERN fluxbp_msg_t *fluxbp_msg_ref(fluxbp_msg_t *msg);

/** Give one reference back; the last one frees the message. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_msg_unref(fluxbp_msg_t *msg);

/** Return the bytes, valid as long as the caller has a reference. */
FLUXBP_EXTERN const void *fluxbp_msg_data(const fluxbp_msg_t *msg);

/** Return the number of bytes, at least 1; 0 until the message is committed. */
FLUXBP_EXTERN size_t fluxbp_msg_length(const fluxbp_msg_t *msg);

/** Return whether the message has a key; if so and `key` isn't NULL, write the key there. */
FLUXBP_EXTERN int fluxbp_msg_key(const fluxbp_msg_t *msg, uint64_t *key);

/** Return the name of the key, valid as long as the caller has a reference; NULL: there is none. */
FLUXBP_EXTERN const char *fluxbp_msg_name(const fluxbp_msg_t *msg);

/** Return whether the message removes its key. */
FLUXBP_EXTERN int fluxbp_msg_is_removal(const fluxbp_msg_t *msg);

#ifdef __cplusplus
}
#endif

#endif
