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
  uint32_t len;  /* bytes of the data; 0 until the message is committed */
  uint32_t size; /* bytes of this struct, of the room for the data, and of the name */
  atomic_uint refs;
  uint8_t has_key;
  uint8_t is_removal;
  uint16_t name_size; /* bytes of the key's name at the end, with its NUL; 0: none */
  char data[];
};

/* Whether the message may be published: false between fluxbp_msg_alloc and fluxbp_msg_commit. */
static inline bool fluxbp__msg_is_committed(const fluxbp_msg_t *msg) {
  return msg->len > 0;
}

#endif
