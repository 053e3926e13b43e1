/* SPDX-License-Identifier: MIT */
/*
 * libfluxbp: fan one stream of messages out to thousands of connections. A slow connection costs the others nothing.
 *
 * This is the whole public interface. Each concept has a header of its own; a small program may include this one.
 *
 * Conventions: functions return 0 or a count on success, and libuv's negative codes otherwise. A hub, its topics and
 * its connections belong to the thread of their loop. Messages, pools and buses may be used from any thread. No
 * callback runs inside of a call of the program: events are delivered from the loop.
 *
 * Versions: a program runs with every later library of the same MINOR. Options and tables of functions begin with their
 * size; an option that is missing has its default, an entry that is missing counts as NULL, and what this library
 * doesn't know has to be zero (UV_E2BIG). Results are read by macros that pass the size of the caller's struct. The
 * library appends to the structs that it hands to callbacks. Enums get more numbers. docs/growth.md says the rest.
 */
#ifndef FLUXBP_FLUXBP_H
#define FLUXBP_FLUXBP_H

#include "fluxbp/bus.h"
#include "fluxbp/codec.h"
#include "fluxbp/conn.h"
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/frame.h"
#include "fluxbp/histogram.h"
#include "fluxbp/hub.h"
#include "fluxbp/hub_options.h"
#include "fluxbp/input.h"
#include "fluxbp/listener.h"
#include "fluxbp/metrics.h"
#include "fluxbp/msg.h"
#include "fluxbp/pattern.h"
#include "fluxbp/policy.h"
#include "fluxbp/pool.h"
#include "fluxbp/ring.h"
#include "fluxbp/topic.h"
#include "fluxbp/transport.h"
#include "fluxbp/value.h"
#include "fluxbp/version.h"
#include "fluxbp/visits.h"
#include "fluxbp/workers.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Return the version of the library that is running, as "major.minor.patch". Any thread. */
FLUXBP_EXTERN const char *fluxbp_version(void);

#ifdef __cplusplus
}
#endif

#endif
