/* SPDX-License-Identifier: MIT */
/*
 * publisher: sends messages in an open loop, in a process of its own, so that receiving doesn't disturb its clock.
 *
 * Each message has a planned time, and carries it, whether or not it can be sent then: a server that doesn't take a
 * message for a while makes it late, and those behind it, and receivers measure all of that. Each sender has its own
 * sequence; the messages of the rate go to the senders in turn.
 */
#ifndef LOADCLIENT_PUBLISHER_H
#define LOADCLIENT_PUBLISHER_H

#include "options.h"
#include "results.h"

/* A message is late that is sent more than this behind its time. */
#define PUBLISHER_LATE_NS UINT64_C(10000000)

/** Publish, from PHASE_RUNNING until the end of what there is to publish, or of the run. @return an exit code */
int publisher_run(const struct options *options, struct results *results);

#endif
