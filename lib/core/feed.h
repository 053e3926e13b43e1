/* SPDX-License-Identifier: MIT */
/*
 * feed: what topics do for the connections below them.
 */
#ifndef FLUXBP_LIB_FEED_H
#define FLUXBP_LIB_FEED_H

#include "engine.h"

extern const fluxbp__feed_t fluxbp__topics_feed;

#endif
