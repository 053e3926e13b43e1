/* SPDX-License-Identifier: MIT */
/*
 * Internal side of histogram: its buckets, for the text that has bounds of its own.
 */
#ifndef FLUXBP_LIB_HISTOGRAM_H
#define FLUXBP_LIB_HISTOGRAM_H

#include "fluxbp/histogram.h"

/* In which bucket a time is counted. A power of two begins one, from 4 us on. */
size_t fluxbp__histogram_bucket(uint64_t time_us);

#endif
