/* SPDX-License-Identifier: MIT */
/*
 * Internal side of messages.
 */
#ifndef FLUXBP_LIB_MSG_H
#define FLUXBP_LIB_MSG_H

#include "fluxbp/msg.h"

#include <stdatomic.h>

struct fluxbp_msg {
  fluxbp_pool_t *pool;
  uint64_t key;
  size_t len;
  atomic_uint refs;
  int has_key;
  char data[];
};

#endif
