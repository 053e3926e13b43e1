/* SPDX-License-Identifier: MIT */
/*
 * uring_none: there is no liburing; every send is a call of its own.
 */
#include "uring.h"

int fluxbp__uring_open(fluxbp_pool_t *pool, fluxbp__uring_t **out) {
  (void) pool;
  *out = NULL;
  return UV_ENOTSUP;
}

void fluxbp__uring_close(fluxbp_pool_t *pool, fluxbp__uring_t *uring) {
  (void) pool;
  (void) uring;
}

int fluxbp__uring_send(fluxbp__uring_t *uring, fluxbp__send_t *sends, unsigned count) {
  (void) uring;
  for (unsigned i = 0; i < count; i++) sends[i].taken = FLUXBP__SEND_NOT_DONE;
  return UV_ENOTSUP;
}
