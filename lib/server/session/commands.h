/* SPDX-License-Identifier: MIT */
/*
 * commands: what a client on lines, frames or a WebSocket may ask for, and what it is answered; docs/protocol.md has the
 * table.
 *
 * Answers stand in the client's own ring among its messages, so a client that sends and doesn't read fills nothing but
 * that: once it is backpressured its commands are dropped and counted, and it is evicted like any other client that
 * doesn't read. One that reads again is told how many were lost. Nobody may send more than 1000 commands in 100 ms;
 * what comes faster is dropped, and the client is told. The tenth error closes the connection. QUIT is never dropped, and
 * nothing behind it is done.
 */
#ifndef FLUXBP_SERVER_COMMANDS_H
#define FLUXBP_SERVER_COMMANDS_H

#include "clients.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest command of who may not publish; who may, may send as much more as a message has. */
#define COMMAND_BYTES 4096

/** The longest that this client may send. */
uint32_t commands_max_bytes(const struct client *client);

/** Do one, without the end of its line, and answer it. */
void commands_run(struct client *client, const char *text, size_t length);

/** Count something that costs as much as a command, such as a ping. @return whether there weren't too many lately */
bool commands_are_few(struct client *client);

/** Tell a client that can take answers again how many commands were lost, if any. */
void commands_tell_lost(struct client *client);

#endif
