/* SPDX-License-Identifier: MIT */
/*
 * uring_linux: see uring.h. Uses liburing.
 *
 * Design notes
 *
 * - A send has MSG_DONTWAIT, so the kernel answers EAGAIN at once where there is no room; it neither waits for the
 *   socket nor hands the send to a thread of its own. Each send is done when the call that submits it returns, and its
 *   buffers are free.
 * - Registered files, IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN change nothing that can be measured
 *   here: the table of descriptors of a program is found without them, and no completion comes later. A registered file
 *   would keep a socket open that was closed, and a single issuer would tie the hub to one thread.
 * - IORING_SETUP_SUBMIT_ALL: one entry that the kernel refuses doesn't keep it from the next one. Kernels that don't
 *   know the flag (before 5.18) refuse the ring.
 */
#include "uring.h"

#include "pool.h"

#include <liburing.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct fluxbp__uring {
  struct io_uring ring;
  struct msghdr headers[FLUXBP__URING_SENDS_MAX]; /* of sends with several buffers */
};

/* On UNIX libuv's buffer is an iovec by another name. */
_Static_assert(sizeof(uv_buf_t) == sizeof(struct iovec), "buffers are handed on as they are");
_Static_assert(offsetof(uv_buf_t, base) == offsetof(struct iovec, iov_base), "in the same order");
_Static_assert(offsetof(uv_buf_t, len) == offsetof(struct iovec, iov_len), "in the same order");

int fluxbp__uring_open(fluxbp_pool_t *pool, fluxbp__uring_t **out) {
  struct io_uring_params params = {.flags = IORING_SETUP_SUBMIT_ALL};
  *out = NULL;
  fluxbp__uring_t *uring = fluxbp__pool_alloc_object(pool, sizeof *uring);
  if (uring == NULL) return UV_ENOMEM;
  int err = io_uring_queue_init_params(FLUXBP__URING_SENDS_MAX, &uring->ring, &params);
  if (err) {
    fluxbp__pool_free_object(pool, uring, sizeof *uring);
    return uv_translate_sys_error(-err);
  }
  *out = uring;
  return 0;
}

void fluxbp__uring_close(fluxbp_pool_t *pool, fluxbp__uring_t *uring) {
  if (uring == NULL) return;
  io_uring_queue_exit(&uring->ring);
  fluxbp__pool_free_object(pool, uring, sizeof *uring);
}

/* Nothing but these fields is ever set in an entry; the kernel gave zeroed memory for them. liburing's functions, which
 * can't rely on that, set all fields. */
static inline void prepare(fluxbp__uring_t *uring, fluxbp__send_t *send, unsigned index) {
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring); /* there are as many as sends, and none is in use */
  if (send->count == 1) {
    entry->opcode = IORING_OP_SEND;
    entry->addr = (uintptr_t) send->buffers->base;
    entry->len = (uint32_t) send->buffers->len;
  } else {
    struct msghdr *header = &uring->headers[index];
    *header = (struct msghdr){.msg_iov = (struct iovec *) (uintptr_t) send->buffers, .msg_iovlen = send->count};
    entry->opcode = IORING_OP_SENDMSG;
    entry->addr = (uintptr_t) header;
    entry->len = 1;
  }
  entry->fd = send->fd;
  entry->msg_flags = (uint32_t) flags;
  entry->user_data = (uintptr_t) send;
}

/* As uv_try_write does: whatever the kernel lacks to take more now, it has later. */
static inline int taken_of(int result) {
  if (result >= 0) return result;
  if (result == -EAGAIN || result == -ENOBUFS || result == -EINTR) return UV_EAGAIN;
  return uv_translate_sys_error(-result);
}

/* Returns the number of completions. */
static unsigned reap(fluxbp__uring_t *uring) {
  struct io_uring_cqe *completion;
  unsigned head;
  unsigned count = 0;
  io_uring_for_each_cqe(&uring->ring, head, completion) {
    ((fluxbp__send_t *) (uintptr_t) completion->user_data)->taken = taken_of(completion->res);
    count++;
  }
  io_uring_cq_advance(&uring->ring, count);
  return count;
}

int fluxbp__uring_send(fluxbp__uring_t *uring, fluxbp__send_t *sends, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    sends[i].taken = UV_ECANCELED;
    prepare(uring, &sends[i], i);
  }
  unsigned left = count;
  while (left > 0) {
    int submitted = io_uring_submit_and_wait(&uring->ring, left); /* what an earlier call of it left, too */
    left -= reap(uring);
    if (submitted >= 0 || submitted == -EINTR) continue;

    /* One that the kernel has taken without an answer stays UV_ECANCELED, since it can't be done again. With
     * MSG_DONTWAIT there is none. */
    for (unsigned i = count - io_uring_sq_ready(&uring->ring); i < count; i++) sends[i].taken = FLUXBP__SEND_NOT_DONE;
    return uv_translate_sys_error(-submitted);
  }
  return 0;
}
