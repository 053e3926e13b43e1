/* SPDX-License-Identifier: MIT */
/*
 * reach: a counted pointer to a hub, under a lock, so that the hub isn't freed while something is posted to it.
 */
#include "reach.h"

#include "shards.h"

#include <stdlib.h>
#include <uv.h>

struct reach {
  uv_mutex_t lock;
  fluxbp_hub_t *hub; /* NULL: gone */
  size_t references;
  uv_thread_t thread;
};

struct reach *reach_create(fluxbp_hub_t *hub) {
  struct reach *reach = calloc(1, sizeof *reach);
  if (reach == NULL || uv_mutex_init(&reach->lock) != 0) {
    free(reach);
    return NULL;
  }
  reach->hub = hub;
  reach->references = 1;
  reach->thread = uv_thread_self();
  return reach;
}

void reach_close(struct reach *reach) {
  uv_mutex_lock(&reach->lock);
  reach->hub = NULL;
  uv_mutex_unlock(&reach->lock);
}

struct reach *reach_ref(struct reach *reach) {
  uv_mutex_lock(&reach->lock);
  reach->references++;
  uv_mutex_unlock(&reach->lock);
  return reach;
}

void reach_unref(struct reach *reach) {
  if (reach == NULL) return;
  uv_mutex_lock(&reach->lock);
  bool is_last = --reach->references == 0;
  uv_mutex_unlock(&reach->lock);
  if (!is_last) return;
  uv_mutex_destroy(&reach->lock);
  free(reach);
}

bool reach_is_here(const struct reach *reach) {
  uv_thread_t here = uv_thread_self();
  return uv_thread_equal(&reach->thread, &here) != 0;
}

fluxbp_hub_t *reach_hold(struct reach *reach) {
  uv_mutex_lock(&reach->lock);
  return reach->hub;
}

void reach_let_go(struct reach *reach) {
  uv_mutex_unlock(&reach->lock);
}

int reach_post(struct reach *reach, fluxbp_task_cb task, void *arg) {
  fluxbp_hub_t *hub = reach_hold(reach);
  int err = hub != NULL ? post_surely(hub, task, arg) : UV_ECANCELED;
  reach_let_go(reach);
  return err;
}
