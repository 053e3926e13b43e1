/* SPDX-License-Identifier: MIT */
/*
 * msg: immutable bytes with an atomic count of references, in one block of the pool. Knows nothing of sockets.
 */
#include "msg.h"

#include "pool.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <uv.h>

static size_t size_of(const fluxbp_msg_t *msg) {
  return sizeof *msg + msg->len + msg->name_size;
}

static int create(fluxbp_pool_t *pool, const char *name, const void *data, size_t len, fluxbp_msg_t **out) {
  if (pool == NULL || data == NULL || len == 0 || out == NULL) return UV_EINVAL;
  if (len > FLUXBP_MSG_MAX_BYTES) return UV_E2BIG;
  size_t name_size = name != NULL ? strnlen(name, FLUXBP_MSG_NAME_MAX + 1) + 1 : 0;
  if (name_size > FLUXBP_MSG_NAME_MAX + 1) return UV_EINVAL;

  void *memory;
  int err = fluxbp__pool_alloc(pool, FLUXBP__MESSAGE, sizeof(fluxbp_msg_t) + len + name_size, &memory);
  if (err) return err;

  fluxbp_msg_t *msg = memory;
  msg->pool = pool;
  msg->key = 0;
  msg->has_key = 0;
  msg->is_removal = 0;
  msg->name_size = (uint16_t) name_size;
  msg->len = len;
  atomic_init(&msg->refs, 1);
  memcpy(msg->data, data, len);
  if (name != NULL) memcpy(msg->data + len, name, name_size);
  *out = msg;
  return 0;
}

int fluxbp_msg_create(fluxbp_pool_t *pool, const void *data, size_t len, fluxbp_msg_t **msg) {
  return create(pool, NULL, data, len, msg);
}

int fluxbp_msg_create_named(fluxbp_pool_t *pool, uint64_t key, const char *name, const void *data, size_t len,
                            fluxbp_msg_t **msg) {
  int err = create(pool, name, data, len, msg);
  if (err) return err;
  (*msg)->key = key;
  (*msg)->has_key = 1;
  return 0;
}

int fluxbp_msg_create_keyed(fluxbp_pool_t *pool, uint64_t key, const void *data, size_t len, fluxbp_msg_t **msg) {
  return fluxbp_msg_create_named(pool, key, NULL, data, len, msg);
}

int fluxbp_msg_create_removal(fluxbp_pool_t *pool, uint64_t key, const char *name, const void *data, size_t len,
                              fluxbp_msg_t **msg) {
  int err = fluxbp_msg_create_named(pool, key, name, data, len, msg);
  if (err) return err;
  (*msg)->is_removal = 1;
  return 0;
}

fluxbp_msg_t *fluxbp_msg_ref(fluxbp_msg_t *msg) {
  unsigned before = atomic_fetch_add_explicit(&msg->refs, 1, memory_order_relaxed);
  assert(before > 0 && before < UINT_MAX && "a message was used after its last reference was given back");
  (void) before;
  return msg;
}

void fluxbp_msg_unref(fluxbp_msg_t *msg) {
  if (msg == NULL) return;
  /* acquire as well as release: whoever frees must see that all others are done with the bytes */
  unsigned before = atomic_fetch_sub_explicit(&msg->refs, 1, memory_order_acq_rel);
  assert(before > 0 && "a reference was given back twice");
  if (before == 1) fluxbp__pool_free(msg->pool, FLUXBP__MESSAGE, msg, size_of(msg));
}

const void *fluxbp_msg_data(const fluxbp_msg_t *msg) {
  return msg->data;
}

size_t fluxbp_msg_len(const fluxbp_msg_t *msg) {
  return msg->len;
}

int fluxbp_msg_key(const fluxbp_msg_t *msg, uint64_t *key) {
  if (msg->has_key && key != NULL) *key = msg->key;
  return msg->has_key;
}

const char *fluxbp_msg_name(const fluxbp_msg_t *msg) {
  return msg->name_size > 0 ? msg->data + msg->len : NULL;
}

int fluxbp_msg_is_removal(const fluxbp_msg_t *msg) {
  return msg->is_removal;
}
