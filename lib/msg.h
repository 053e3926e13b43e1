/* SPDX-License-Identifier: MIT */
/*
 * Internal side of messages.
 */
#ifndef FLUXBP_LIB_MSG_H
#define FLUXBP_LIB_MSG_H

#include "fluxbp/msg.h"

#include <stdatomic.h>
#include <stdbool.h>

struct fluxbp_msg {
  fluxbp_pool_t *pool;
  uint64_t key;
  size_t len;
  atomic_uint refs;
  int has_key;
  char data[];
};

/* Whether somebody else has a reference, too. */
static inline bool fluxbp__msg_is_shared(const fluxbp_msg_t *msg) {
  return atomic_load_explicit(&msg->refs, memory_order_relaxed) > 1;
}

#endif
