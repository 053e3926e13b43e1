/* SPDX-License-Identifier: MIT */
/*
 * backbone_confirmations: what becomes of a message, from the thread that learns of it to the hub of who published it.
 *
 * The outbox lists those whose message's fate is known; from there they go into the box of their hub, and a task of
 * that hub's takes them out. There is one such task under way for each hub at most, so that a hub that is slow gets
 * many by one; and boxes are filled when some confirmations have come together or no more are there yet, so that one
 * that is quick isn't woken for each. Everything here is under the lock, the waiters' `done` apart.
 *
 * At most CONFIRMATIONS_MAX wait on one hub, those in its box included. When the hubs are about to end nothing is put
 * into boxes any more; who still waits then is given back by backbone_confirmations_end, with nobody left to tell.
 */
#include "backbone_parts.h"

#include <stdlib.h>

#define CONFIRMATIONS_MAX 4096

/* Confirmations that are told together, and that one task of a hub's works off. */
#define TOLD_AT_ONCE 64
#define TAKEN_AT_ONCE 256

struct confirmation_box {
  struct backbone *backbone;
  fluxbp_hub_t *hub;    /* NULL: nobody has waited on it yet */
  struct waiters known; /* to be given back */
  size_t waiting;       /* all of the hub's, those included */
  bool is_posted;       /* a task that will do so */
};

int backbone_confirmations_init(struct backbone *backbone) {
  size_t threads = backbone->host->hub_count;
  backbone->boxes = calloc(threads, sizeof backbone->boxes[0]);
  if (backbone->boxes == NULL) return UV_ENOMEM;
  for (size_t i = 0; i < threads; i++) backbone->boxes[i].backbone = backbone;
  return 0;
}

bool backbone_may_wait(const struct backbone *backbone, const struct waiter *waiter) {
  return waiter == NULL || backbone->boxes[waiter->hub_index].waiting < CONFIRMATIONS_MAX;
}

void backbone_count_waiter(struct backbone *backbone, const struct waiter *waiter) {
  if (waiter == NULL) return;
  struct confirmation_box *box = &backbone->boxes[waiter->hub_index];
  box->hub = waiter->hub;
  box->waiting++;
}

static void take_out(fluxbp_hub_t *hub, void *arg);

/* Without memory for the task the sender tries again. */
static void post(struct confirmation_box *box) {
  if (box->is_posted || box->known.first == NULL || box->backbone->is_over) return;
  int err = fluxbp_hub_post(box->hub, take_out, box);
  box->is_posted = err == 0;
  if (err != 0) box->backbone->has_untold = true;
}

/* On the hub's thread. */
static void take_out(fluxbp_hub_t *hub, void *arg) {
  struct confirmation_box *box = arg;
  struct waiters taken = {NULL, NULL};
  struct waiter *waiter;
  (void) hub;
  uv_mutex_lock(&box->backbone->lock);
  for (size_t i = 0; i < TAKEN_AT_ONCE && (waiter = waiters_take(&box->known)) != NULL; i++) {
    waiters_append(&taken, waiter);
    box->waiting--;
  }
  box->is_posted = false;
  post(box);
  uv_mutex_unlock(&box->backbone->lock);
  while ((waiter = waiters_take(&taken)) != NULL) waiter->done(waiter);
}

void backbone_tell(struct backbone *backbone) {
  struct waiter *waiter;
  backbone->has_untold = false;
  backbone->untold = 0;
  while ((waiter = waiters_take(&backbone->outbox.answered)) != NULL)
    waiters_append(&backbone->boxes[waiter->hub_index].known, waiter);
  for (size_t i = 0; i < backbone->host->hub_count; i++) post(&backbone->boxes[i]);
}

void backbone_tell_when_due(struct backbone *backbone, natsSubscription *subscription) {
  int pending = 0;
  natsStatus status = natsSubscription_GetPending(subscription, &pending, NULL);
  uv_mutex_lock(&backbone->lock);
  bool is_last = status != NATS_OK || pending == 0;
  if (backbone->outbox.answered.first != NULL && (is_last || ++backbone->untold >= TOLD_AT_ONCE))
    backbone_tell(backbone);
  uv_mutex_unlock(&backbone->lock);
}

bool backbone_has_told_all(const struct backbone *backbone) {
  if (backbone->outbox.answered.first != NULL) return false;
  for (size_t i = 0; i < backbone->host->hub_count; i++)
    if (backbone->boxes[i].known.first != NULL) return false;
  return true;
}

void backbone_confirmations_end(struct backbone *backbone) {
  struct waiter *waiter;
  if (backbone->boxes == NULL) return;
  outbox_give_up(&backbone->outbox, NULL);
  while ((waiter = waiters_take(&backbone->outbox.answered)) != NULL) waiter->done(waiter);
  for (size_t i = 0; i < backbone->host->hub_count; i++)
    while ((waiter = waiters_take(&backbone->boxes[i].known)) != NULL) waiter->done(waiter);
  free(backbone->boxes);
  backbone->boxes = NULL;
}
