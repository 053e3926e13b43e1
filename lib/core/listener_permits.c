/* SPDX-License-Identifier: MIT */
/*
 * listener_permits: giving a permit back, from any thread, and the end of a listener with its last reference.
 */
#include "listener_permits.h"

#include "pool.h"

void fluxbp__listener_free_memory(fluxbp_listener_t *listener) {
  fluxbp_pool_t *pool = listener->pool;
  bool owns_pool = listener->owns_pool;
  fluxbp__pool_free_object(pool, listener, sizeof *listener);
  if (owns_pool) fluxbp__pool_orphan(pool);
}

static void free_listener(fluxbp_listener_t *listener) {
  fluxbp__permits_free(&listener->permits);
  fluxbp__address_table_free(&listener->addresses);
  uv_mutex_destroy(&listener->lock);
  fluxbp__listener_free_memory(listener);
}

void fluxbp__listener_drop_reference(fluxbp_listener_t *listener) {
  bool was_last = --listener->references == 0;
  uv_mutex_unlock(&listener->lock);
  if (was_last) free_listener(listener);
}

/* With the lock held. */
static void wake_listener(fluxbp_listener_t *listener) {
  if (!listener->takes_wakeups || (listener->stats.paused & FLUXBP_PAUSED_BY_LIMIT) == 0) return;
  if (!atomic_exchange(&listener->is_woken, true)) (void) uv_async_send(&listener->async);
}

/* With the lock held. */
static int return_permit(fluxbp_listener_t *listener, fluxbp_permit_t permit) {
  fluxbp__permitted_t permitted;
  if (!fluxbp__permits_return(&listener->permits, permit, &permitted)) return UV_EINVAL;
  if (permitted.is_refusal) {
    listener->stats.refusals--;
    return 0;
  }
  listener->stats.connections--;
  if (permitted.address_key != FLUXBP__ADDRESS_NONE)
    fluxbp__address_table_remove(&listener->addresses, permitted.address_key);
  wake_listener(listener);
  return 0;
}

int fluxbp_listener_release(fluxbp_listener_t *listener, fluxbp_permit_t permit) {
  uv_mutex_lock(&listener->lock);
  int err = return_permit(listener, permit);
  if (err)
    uv_mutex_unlock(&listener->lock);
  else
    fluxbp__listener_drop_reference(listener);
  return err;
}
