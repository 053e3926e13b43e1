/* SPDX-License-Identifier: MIT */
/*
 * intake: flow control towards one client. What it has sent and can't be done now is kept, and nothing more is read
 * from it until that is done, so that TCP holds it up. Nothing that has arrived is lost, and everything is done in
 * order. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_INTAKE_H
#define FLUXBP_SERVER_INTAKE_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>

/** Bytes have come. */
void intake_take(fluxbp_session_t *session, const char *data, size_t length);

/** The client is at a command that can't be done now: keep it, to be done first. */
void intake_keep(fluxbp_session_t *session, const char *command, size_t length, fluxbp_kind_t kind);

/** An answer can't be said now: nothing is done for the client before it is. */
void intake_wait(fluxbp_session_t *session);

/** Something has happened that the client may wait for: it has read, or was answered. */
void intake_go_on(fluxbp_session_t *session);

/** Whether something that the client has sent was read and isn't done yet, or an answer couldn't be said. */
static inline bool intake_is_held(const fluxbp_session_t *session) {
  return session->intake != NULL;
}

/** Return whether the client isn't read since an answer couldn't be said. */
bool intake_waits_for_answer(const fluxbp_session_t *session);

/** Return whether something that the client has sent may have come and isn't done: it is held, or waits to be read. */
bool intake_is_behind(const fluxbp_session_t *session);

/** Have one more command done. @return false: the turn of the client is over, and what is left is to be kept */
bool intake_has_time(fluxbp_session_t *session);

/** Whether the command at which the client is has waited for longer than anything should. */
bool intake_is_overdue(const fluxbp_session_t *session);

/** The client has gone. */
void intake_forget(fluxbp_session_t *session);

#endif
