/* SPDX-License-Identifier: MIT */
/*
 * position: up to which id a client has everything of its topics, though no message of theirs may have had that id. With it a
 * client that has got nothing yet, or nothing for long, can come back without a loss.
 */
#ifndef FLUXBP_SERVER_POSITION_H
#define FLUXBP_SERVER_POSITION_H

#include "clients.h"

#include <stdbool.h>

/** Tell a client that gets ids where it is, unless it is still to be given a part of the past. @return whether it was told */
bool client_say_position(struct client *client);

/** The same for one of which the past has just been asked for, by a `struct resume` that still waits. */
bool client_say_position_if_live(struct client *client);

#endif
