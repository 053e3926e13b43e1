/* SPDX-License-Identifier: MIT */
/*
 * uring: several sends by one call of the kernel, by io_uring. Knows sockets and buffers, not connections.
 *
 * uring_linux.c is built where liburing was found at configure time; uring_none.c refuses everything.
 */
#ifndef FLUXBP_LIB_URING_H
#define FLUXBP_LIB_URING_H

#include "fluxbp/pool.h"

#include <stdint.h>
#include <uv.h>

/* The most sends of one call. On the machine of docs/performance.md a send costs 0.54 of what it costs alone in calls
 * of 16, 0.52 in calls of 32 and 0.50 in calls of 64; the clock can't be read inside of a call. */
enum { FLUXBP__URING_SENDS_MAX = 32 };

/* `taken` of a send that wasn't carried out. No error of libuv's, and no number of bytes. */
enum { FLUXBP__SEND_NOT_DONE = INT32_MIN };

typedef struct fluxbp__send {
  uv_os_sock_t fd;
  unsigned count; /* of buffers, at least 1 */
  const uv_buf_t *buffers;
  int taken; /* what uv_try_write would return: the bytes taken, UV_EAGAIN or another error */
} fluxbp__send_t;

typedef struct fluxbp__uring fluxbp__uring_t;

/* Make one: a descriptor, and less than 20 KB, half of which are the kernel's. Any thread may use it, one at a time. 0,
 * UV_ENOTSUP: built without liburing, UV_ENOMEM, or what the kernel says: UV_ENOSYS, UV_EPERM, UV_EMFILE and others. */
int fluxbp__uring_open(fluxbp_pool_t *pool, fluxbp__uring_t **out);

/* Free it. NULL: nothing is done. */
void fluxbp__uring_close(fluxbp_pool_t *pool, fluxbp__uring_t *uring);

/*
 * Carry out `count` sends, at most FLUXBP__URING_SENDS_MAX, to different sockets; none of them waits for room, and none
 * raises SIGPIPE. The buffers are free when this returns.
 *
 * Returns 0, and each send has been done; or an error of the call itself: sends that weren't done are
 * FLUXBP__SEND_NOT_DONE, and `uring` is of no further use.
 */
int fluxbp__uring_send(fluxbp__uring_t *uring, fluxbp__send_t *sends, unsigned count);

#endif
