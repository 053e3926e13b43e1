/* SPDX-License-Identifier: MIT */
/*
 * commands: the lines that a client may send, and what it is answered.
 *
 *   SUB topic    +OK SUB topic      from now on what is published on it, beside what it gets already
 *   UNSUB topic  +OK UNSUB topic    no more of it; the default topic may be left, too
 *   PING         +PONG
 *
 * Everything else is answered with -ERR and what to do. Subscribing twice is fine. Lines end with a newline, with or
 * without a carriage return; empty ones are ignored; the words may be in lower case.
 *
 * Answers stand in the client's own ring among its messages, so a client that sends and doesn't read fills nothing but
 * that: once it is backpressured its commands are dropped and counted, and it is evicted like any other client that
 * doesn't read. One that reads again is told how many were lost. Nobody may send more than 1000 commands in 100 ms;
 * what comes faster is dropped, and the client is told. A line over 4096 bytes closes the connection, and so does the
 * tenth error.
 */
#ifndef GATEWAY_COMMANDS_H
#define GATEWAY_COMMANDS_H

#include "clients.h"

void commands_init(struct client *client);

/** Take what a client has sent. */
void commands_take(struct client *client, const char *data, size_t length);

/** Tell a client that can take answers again how many commands were lost, if any. */
void commands_tell_lost(struct client *client);

#endif
