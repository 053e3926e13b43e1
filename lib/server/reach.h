/* SPDX-License-Identifier: MIT */
/*
 * reach: how another thread posts to a shard's hub, also when the hub is gone: what a program keeps of a session (a
 * deferral, a request) may outlive the server. Any thread.
 */
#ifndef FLUXBP_LIB_SERVER_REACH_H
#define FLUXBP_LIB_SERVER_REACH_H

#include <fluxbp/fluxbp.h>

#include <stdbool.h>

struct reach;

/** On the hub's thread; with a reference for the caller. @return NULL: out of memory */
struct reach *reach_create(fluxbp_hub_t *hub);

/** The hub is about to be closed: nothing is posted to it any more. */
void reach_close(struct reach *reach);

struct reach *reach_ref(struct reach *reach);

/** Give up a reference. NULL is allowed. */
void reach_unref(struct reach *reach);

/** Return whether this is the thread of the hub. */
bool reach_is_here(const struct reach *reach);

/** Keep the hub, and its server, from going until reach_let_go, which has to follow soon. @return NULL: the hub is
 * gone */
fluxbp_hub_t *reach_hold(struct reach *reach);

void reach_let_go(struct reach *reach);

/** Have `task` called on the hub's thread. Waits for memory. @return 0, or UV_ECANCELED: the hub is gone */
int reach_post(struct reach *reach, fluxbp_task_cb task, void *arg);

#endif
