/* SPDX-License-Identifier: MIT */
/*
 * position: up to which id a client has everything of its topics, though no message of theirs may have had that id.
 * With it a client that has got nothing yet, or nothing for long, can come back without a loss.
 */
#ifndef FLUXBP_SERVER_POSITION_H
#define FLUXBP_SERVER_POSITION_H

#include "session.h"

#include <stdbool.h>

/** Tell a client that gets ids where it is, unless it is still to be given a part of the past. @return whether it was
 * told */
bool session_say_position(fluxbp_session_t *session);

/** The same for one of which the past has just been asked for, by a `struct resume` that still waits. */
bool session_say_position_if_live(fluxbp_session_t *session);

#endif
