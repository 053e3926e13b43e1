/* SPDX-License-Identifier: MIT */
/*
 * commands: what a client on lines, frames or a WebSocket may ask for, and what it is answered; docs/protocol.md has
 * the table.
 *
 * Answers stand in the client's own ring among its messages, so a client that sends and doesn't read fills nothing but
 * that: once it is backpressured none of its commands are done and it isn't read (intake.h), and it is evicted like any
 * other client that doesn't read. The same holds while there is no room for what it publishes, and when it has had its
 * share of an iteration of the loop: each command is done in its turn, and answered. The tenth error closes the
 * connection. QUIT waits for nothing, and nothing behind it is done.
 */
#ifndef FLUXBP_SERVER_COMMANDS_H
#define FLUXBP_SERVER_COMMANDS_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest command of a client that may not publish. A publisher may send as much more as a message has. */
#define COMMAND_BYTES 4096

/** The longest that this client may send. */
uint32_t commands_max_bytes(const fluxbp_session_t *session);

/** Do one, without the end of its line, and answer it; or give the message to the program, if it is no command. @return
 * false: it can't be done now, and nothing was */
bool commands_run(fluxbp_session_t *session, const char *text, size_t length, fluxbp_kind_t kind);

/** The same; or keep it until it can be done. @return false: it was kept, and the client is to be given no more until
 * then */
bool commands_take(fluxbp_session_t *session, const char *text, size_t length, fluxbp_kind_t kind);

#endif
