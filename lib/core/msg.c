/* SPDX-License-Identifier: MIT */
/*
 * msg: bytes with an atomic count of references, in one block of the pool, immutable once they are committed. Knows
 * nothing of sockets.
 */
#include "msg.h"

#include "pool.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <uv.h>

/* Bytes that the data may have. */
static size_t room_of(const fluxbp_msg_t *msg) {
  return msg->size - sizeof *msg - msg->name_size;
}

/* Where the name of the key begins: it is at the end, so that a shorter commit leaves it alone. */
static size_t name_offset(const fluxbp_msg_t *msg) {
  return msg->size - msg->name_size;
}

/* A message with room for `length` bytes, not committed. */
static int allocate(fluxbp_pool_t *pool, const char *name, size_t length, fluxbp_msg_t **out) {
  if (pool == NULL || length == 0 || out == NULL) return UV_EINVAL;
  if (length > FLUXBP_MSG_MAX_BYTES) return UV_E2BIG;
  size_t name_size = name != NULL ? strnlen(name, FLUXBP_MSG_NAME_MAX + 1) + 1 : 0;
  if (name_size > FLUXBP_MSG_NAME_MAX + 1) return UV_EINVAL;

  size_t size = sizeof(fluxbp_msg_t) + length + name_size;
  void *memory;
  int err = fluxbp__pool_alloc(pool, FLUXBP__MESSAGE, size, &memory);
  if (err) return err;

  fluxbp_msg_t *msg = memory;
  msg->pool = pool;
  msg->key = 0;
  msg->len = 0;
  msg->size = (uint32_t) size;
  atomic_init(&msg->refs, 1);
  msg->has_key = 0;
  msg->is_removal = 0;
  msg->name_size = (uint16_t) name_size;
  if (name != NULL) memcpy((char *) msg + name_offset(msg), name, name_size);
  *out = msg;
  return 0;
}

static int create(fluxbp_pool_t *pool, const char *name, const void *data, size_t len, fluxbp_msg_t **out) {
  if (data == NULL) return UV_EINVAL;
  int err = allocate(pool, name, len, out);
  if (err) return err;
  memcpy((*out)->data, data, len);
  (*out)->len = (uint32_t) len;
  return 0;
}

static void set_key(fluxbp_msg_t *msg, uint64_t key) {
  msg->key = key;
  msg->has_key = 1;
}

int fluxbp_msg_create(fluxbp_pool_t *pool, const void *data, size_t len, fluxbp_msg_t **msg) {
  return create(pool, NULL, data, len, msg);
}

int fluxbp_msg_create_named(fluxbp_pool_t *pool, uint64_t key, const char *name, const void *data, size_t len,
                            fluxbp_msg_t **msg) {
  int err = create(pool, name, data, len, msg);
  if (!err) set_key(*msg, key);
  return err;
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

int fluxbp_msg_alloc(fluxbp_pool_t *pool, size_t length, fluxbp_msg_t **msg) {
  return allocate(pool, NULL, length, msg);
}

int fluxbp_msg_alloc_named(fluxbp_pool_t *pool, uint64_t key, const char *name, size_t length, fluxbp_msg_t **msg) {
  int err = allocate(pool, name, length, msg);
  if (!err) set_key(*msg, key);
  return err;
}

void *fluxbp_msg_buffer(fluxbp_msg_t *msg) {
  return fluxbp__msg_is_committed(msg) ? NULL : msg->data;
}

/* Move a message to a smaller block. Without memory for it the message stays. */
static void move_to_smaller_block(fluxbp_msg_t **msg) {
  fluxbp_msg_t *large = *msg;
  size_t size = sizeof *large + large->len + large->name_size;
  void *memory;
  if (fluxbp__pool_alloc(large->pool, FLUXBP__MESSAGE, size, &memory) != 0) return;

  fluxbp_msg_t *small = memory;
  memcpy(small, large, sizeof *large + large->len);
  small->size = (uint32_t) size;
  memcpy((char *) small + name_offset(small), (char *) large + name_offset(large), large->name_size);
  *msg = small;
  fluxbp__pool_free(large->pool, FLUXBP__MESSAGE, large, large->size);
}

int fluxbp_msg_commit(fluxbp_msg_t **out, size_t length) {
  fluxbp_msg_t *msg = *out;
  bool is_shared = atomic_load_explicit(&msg->refs, memory_order_relaxed) != 1;
  if (fluxbp__msg_is_committed(msg) || is_shared) return UV_EINVAL;
  if (length == 0 || length > room_of(msg)) return UV_EINVAL;
  msg->len = (uint32_t) length;
  size_t size = sizeof *msg + length + msg->name_size;
  if (fluxbp__pool_block_size(size) <= fluxbp__pool_block_size(msg->size) / 2) move_to_smaller_block(out);
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
  /* acquire as well as release: the thread that frees must see that all others are done with the bytes */
  unsigned before = atomic_fetch_sub_explicit(&msg->refs, 1, memory_order_acq_rel);
  assert(before > 0 && "a reference was given back twice");
  if (before == 1) fluxbp__pool_free(msg->pool, FLUXBP__MESSAGE, msg, msg->size);
}

const void *fluxbp_msg_data(const fluxbp_msg_t *msg) {
  return msg->data;
}

size_t fluxbp_msg_length(const fluxbp_msg_t *msg) {
  return msg->len;
}

int fluxbp_msg_key(const fluxbp_msg_t *msg, uint64_t *key) {
  if (msg->has_key && key != NULL) *key = msg->key;
  return msg->has_key;
}

const char *fluxbp_msg_name(const fluxbp_msg_t *msg) {
  return msg->name_size > 0 ? (const char *) msg + name_offset(msg) : NULL;
}

int fluxbp_msg_is_removal(const fluxbp_msg_t *msg) {
  return msg->is_removal;
}
