/* SPDX-License-Identifier: MIT */
/*
 * pace: the behaviours that have a clock. Slow clients get an allowance of bytes at each visit, bursty ones read and
 * pause in turns, reconnecting ones are cut and come back.
 */
#ifndef LOADCLIENT_PACE_H
#define LOADCLIENT_PACE_H

#include "client.h"

/** It has just been connected. */
void pace_begin(struct client *client, uint64_t now_ns);

/** Look after one client, every WORKER_TICK_MS. */
void pace_visit(struct client *client, uint64_t now_ns);

#endif
