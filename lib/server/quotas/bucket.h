/* SPDX-License-Identifier: MIT */
/*
 * bucket: a token bucket as one number, the time at which it is full (the generic cell rate algorithm). What is done
 * costs time, and time fills the bucket, one for one; full, it has its size. Something may be done while the bucket
 * isn't below empty, whatever it costs: so a bucket can be in debt, which time pays off. Pure; time is an argument, in
 * nanoseconds.
 */
#ifndef FLUXBP_SERVER_BUCKET_H
#define FLUXBP_SERVER_BUCKET_H

#include <stdint.h>

/* What the full bucket of a client, an address or a subject has: who was quiet may do at once what the rate allows in
 * so long. */
#define BUCKET_NS ((uint64_t) 10 * 1000 * 1000 * 1000)

/** Return the time until a bucket of that size isn't below empty; 0: it isn't. A bucket of 0 is full. */
static inline uint64_t bucket_wait_ns(uint64_t full_ns, uint64_t size_ns, uint64_t now_ns) {
  return full_ns > now_ns + size_ns ? full_ns - size_ns - now_ns : 0;
}

/** Return the bucket after something that cost so much. */
static inline uint64_t bucket_paid(uint64_t full_ns, uint64_t cost_ns, uint64_t now_ns) {
  return (full_ns > now_ns ? full_ns : now_ns) + cost_ns;
}

#endif
