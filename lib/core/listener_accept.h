/* SPDX-License-Identifier: MIT */
/*
 * listener_accept: accepting, and when to stop and go on.
 */
#ifndef FLUXBP_LIB_LISTENER_ACCEPT_H
#define FLUXBP_LIB_LISTENER_ACCEPT_H

#include "listener.h"

/* Stop polling for a reason, or no longer for these reasons. Loop thread. */
void fluxbp__listener_pause_by(fluxbp_listener_t *listener, fluxbp_paused_t reason);
void fluxbp__listener_resume_from(fluxbp_listener_t *listener, uint32_t reasons);

/* Callbacks of the handles. */
void fluxbp__listener_on_readable(uv_poll_t *poll, int status, int events);
void fluxbp__listener_on_timer(uv_timer_t *timer);
void fluxbp__listener_on_async(uv_async_t *async);

#endif
