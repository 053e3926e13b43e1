/* SPDX-License-Identifier: MIT */
/*
 * resume: a client goes on behind the id that it had last.
 *
 * Its log topics are subscribed to anew since that id, after it was told that this is where the continuation begins. What
 * was live for it until then stands before that word, so a client that had begun to receive knows what to throw away.
 */
#ifndef FLUXBP_SERVER_RESUME_H
#define FLUXBP_SERVER_RESUME_H

#include "clients.h"

#include <stdint.h>

/**
 * Have all topics that it holds continued after `since` of `epoch`; its protocol's say_resumed or say_too_old is called,
 * now or when the hub has come as far as the id. If it was too old it is subscribed to them, live, unless that closed it.
 */
void client_resume(struct client *client, uint64_t epoch, uint64_t since);

/** It doesn't want that any more: it is gone. */
void resume_forget(struct client *client);

/** For the timer of clients whose hub is behind. */
void resume_try_again(uv_timer_t *timer);

#endif
