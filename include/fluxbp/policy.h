/* SPDX-License-Identifier: MIT */
/*
 * policy: when a connection is backpressured, what is lost when its ring is full, and when it is evicted.
 *
 * All times are observed time: what passes while the server itself is stopped or late isn't held against a client.
 * Besides what is set here, a connection goes as UNREACHABLE when its peer has left retransmissions or probes unanswered for
 * 30 s, or for twice stall_ms if that is more.
 * docs/policy.md says which question each setting answers, and what to set for which use.
 */
#ifndef FLUXBP_POLICY_H
#define FLUXBP_POLICY_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What happens to a message for a connection whose ring is full. Values of a state topic wait there instead. */
typedef enum fluxbp_overflow {
  FLUXBP_OVERFLOW_DROP_NEWEST = 0, /* it is lost, and so are those after it until the low watermark: one gap */
  FLUXBP_OVERFLOW_DROP_OLDEST,     /* the oldest queued message is lost that hasn't begun to be written */
  FLUXBP_OVERFLOW_EVICT            /* the connection is evicted */
} fluxbp_overflow_t;

/** The most slots that a ring may have. */
#define FLUXBP_SLOTS_MAX 32768

/** The most bytes that a ring may be given, as many as the largest message has. */
#define FLUXBP_RING_BYTES_MAX ((uint64_t) 1 << 30)

/**
 * The longest time of a policy or of a hub's options, in milliseconds: a week. Ages of connections have 32 bits, which
 * wrap after seven weeks; twice a limit (while a crowd is slow) together with a grace is less than half of that.
 */
#define FLUXBP_TIME_MS_MAX ((uint32_t) 7 * 24 * 60 * 60 * 1000)

/** Each time is 0 … FLUXBP_TIME_MS_MAX. */
typedef struct fluxbp_policy {
  size_t size;                /* set by fluxbp_policy_init */
  uint32_t slots;             /* messages that a ring holds at most; 2 … FLUXBP_SLOTS_MAX; default 256 */
  uint32_t high_percent;      /* the high watermark, in percent of slots or bytes; 1 … 100; default 50 */
  uint32_t low_percent;       /* the low watermark; below high_percent, and in messages and bytes at least one below;
                                 default 25 */
  fluxbp_overflow_t overflow; /* default FLUXBP_OVERFLOW_DROP_NEWEST */
  uint64_t max_bytes;         /* bytes that a ring holds at most (one message always fits); 1 … FLUXBP_RING_BYTES_MAX;
                                 default 1 MiB */
  uint32_t stall_ms;          /* STALLED after so long without progress; default 5000; 0 is off */
  uint32_t slow_ms;           /* SLOW after so long backpressured without a new minimum of what isn't written, in slots
                                 or in bytes, at least 1/16 of the ring lower; a connection that has lost messages is
                                 measured on until its ring is nearly drained (one that has stopped moving is left to
                                 STALLED, if that falls within as long again); default 5000; 0 is off */
  uint32_t lag_ms;            /* LAG when the oldest message of which nothing is written is older; default 0: off */
  uint32_t grace_ms;          /* no STALLED, SLOW, LAG or UNREACHABLE before a connection is so old, or so long after it
                                 was brought up to date with a state topic; default 5000 */
  int is_shadow;              /* every verdict but BUDGET is reported (fluxbp_eviction_t.is_shadow), once until the ring
                                 is drained and the peer answers, and not carried out; a full ring that would evict
                                 drops the newest then. BUDGET evicts all the same. default 0 */
} fluxbp_policy_t;

/** Write the defaults into `*policy`. */
#define fluxbp_policy_init(policy) fluxbp_policy_init_sized((policy), sizeof(*(policy)))
FLUXBP_EXTERN void fluxbp_policy_init_sized(fluxbp_policy_t *policy, size_t size);

#ifdef __cplusplus
}
#endif

#endif
