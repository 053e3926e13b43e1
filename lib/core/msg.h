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
  uint8_t has_key;
  uint8_t is_removal;
  uint16_t name_size; /* bytes of the key's name behind the data, with its NUL; 0: none */
  char data[];
};

#endif
