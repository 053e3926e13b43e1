/* SPDX-License-Identifier: MIT */
/*
 * eviction: why a connection was closed by the library, with the evidence.
 */
#ifndef FLUXBP_EVICTION_H
#define FLUXBP_EVICTION_H

#include "fluxbp/export.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Why the library evicts a connection. The names and words of the reasons are in lib/core/eviction.c. */
typedef enum fluxbp_evict_reason {
  FLUXBP_EVICT_NONE = 0,
  /* Something was queued and nothing moved for stall_ms. */
  FLUXBP_EVICT_STALLED,
  /* The connection was backpressured and its ring did not drain for slow_ms; or its ring was full and it had used up
   * its patience (fluxbp_hub_is_writable). */
  FLUXBP_EVICT_SLOW,
  /* The oldest message of which nothing was written was older than lag_ms. */
  FLUXBP_EVICT_LAG,
  /* The ring was full and the overflow rule says evict. */
  FLUXBP_EVICT_OVERFLOW,
  /* The pool's budget, or the hub's limit of bytes in the kernel, was nearly used up; or memory that the connection
   * can't do without could not be had. */
  FLUXBP_EVICT_BUDGET,
  /* The peer left retransmissions or probes unanswered, for 30 s or 2 * stall_ms. */
  FLUXBP_EVICT_UNREACHABLE,
  /* More than soft_bytes waited in the ring for soft_ms without a break. */
  FLUXBP_EVICT_SOFT_LIMIT,
  FLUXBP_EVICT_REASON_COUNT
} fluxbp_evict_reason_t;

/** What the kernel's view of the socket says about the peer. */
typedef enum fluxbp_cause {
  FLUXBP_CAUSE_UNKNOWN = 0,  /* the kernel has nothing to say (no TCP, not Linux) or is undecided */
  FLUXBP_CAUSE_NOT_READING,  /* the peer's kernel has acknowledged everything and its window is closed */
  FLUXBP_CAUSE_READS_SLOWLY, /* its window limits the flow, and its application empties it slowly */
  FLUXBP_CAUSE_NETWORK,      /* the window is open: the path between is what is slow */
  FLUXBP_CAUSE_UNREACHABLE,  /* what was sent is not acknowledged, retransmissions stay unanswered */
  FLUXBP_CAUSE_COUNT
} fluxbp_cause_t;

/** Why a connection stays although the limit of a verdict has passed. */
typedef enum fluxbp_put_off {
  FLUXBP_PUT_OFF_NONE = 0, /* it has not passed, or the connection goes now */
  FLUXBP_PUT_OFF_GRACE,    /* the connection is new, or was just brought up to date (grace_ms) */
  FLUXBP_PUT_OFF_CROWD,    /* nearly everybody is slow: everybody has twice the time */
  FLUXBP_PUT_OFF_SPARED,   /* on_verdict wanted it to stay: the time begins anew */
  FLUXBP_PUT_OFF_SHADOW,   /* the policy only reports */
  FLUXBP_PUT_OFF_COUNT
} fluxbp_put_off_t;

/**
 * How many reasons there is room for where figures are kept by reason, such as fluxbp_metrics_t.evictions: a new reason
 * doesn't move the fields behind them.
 */
#define FLUXBP_EVICT_REASONS_MAX 16

/**
 * The record of one eviction. What it says of the connection is from when the verdict fell. A later version may append
 * fields; the record of a callback is memory of the library's, valid during the call.
 */
typedef struct fluxbp_eviction {
  uint64_t conn_id;
  fluxbp_evict_reason_t reason;
  fluxbp_cause_t cause;
  uint64_t time_ms;           /* the hub's clock when the verdict fell */
  uint64_t since_progress_ms; /* how long nothing had moved */
  uint64_t backpressured_ms;  /* how long the ring made no new minimum, 0 if the clock of SLOW did not run */
  uint64_t oldest_ms;         /* how long the oldest message of which nothing was written had been waiting */
  uint64_t queued;            /* messages in the ring */
  uint64_t queued_bytes;      /* bytes of them that the kernel had not taken */
  uint64_t dropped;           /* messages that this connection had lost to the overflow rule */
  uint64_t kernel_bytes;      /* sent, not acknowledged by the peer's kernel (TCP on Linux), else 0 */
  uint64_t last_id;           /* id of the last message that was written whole */
  uint64_t unanswered;        /* retransmissions or probes in a row without an answer (TCP on Linux), else 0 */
  uint64_t unanswered_ms;     /* how long the clock of UNREACHABLE had run, 0 if it did not */

  /* How close it is to a verdict, which needs `used_ms` to reach `limit_ms`. */
  fluxbp_evict_reason_t nearest; /* the verdict whose time is up, or will be up first; NONE: no clock runs */
  uint64_t used_ms;              /* how long its clock has run */
  uint64_t limit_ms;             /* how long it may run as things are: the policy's limit, or more if it is put off */
  fluxbp_put_off_t put_off;      /* why the connection stays although the policy's limit has passed */

  int is_shadow; /* it was not carried out: the policy only reports (fluxbp_policy_t.is_shadow) */
} fluxbp_eviction_t;

/**
 * Return the name of a reason, one lower-case word without blanks: "stalled", "slow" … The built-in codecs write it
 * into the farewell, fluxbp_metrics_prometheus into a label. The string is constant. Any thread.
 *
 * @return never NULL; "none" for a value that this library does not know
 */
FLUXBP_EXTERN const char *fluxbp_evict_reason_name(fluxbp_evict_reason_t reason);

/**
 * Return what a reason means, as a sentence for people without a capital and a full stop: "the client was behind for
 * too long and did not catch up". The string is constant. Any thread. Compare reasons by their value or name: the words
 * may change.
 *
 * @return never NULL; the words of FLUXBP_EVICT_NONE for a value that this library does not know
 */
FLUXBP_EXTERN const char *fluxbp_evict_reason_words(fluxbp_evict_reason_t reason);

/**
 * Return the name of a postponement, lower case: "none", "grace", "crowd", "spared", "shadow". The string is constant.
 * Any thread.
 *
 * @return never NULL; "none" for a value that this library does not know
 */
FLUXBP_EXTERN const char *fluxbp_put_off_name(fluxbp_put_off_t put_off);

/**
 * Return the name of a cause, lower case, which may have a blank: "not reading", "network" … The string is constant.
 * Any thread.
 *
 * @return never NULL; "unknown" for a value that this library does not know
 */
FLUXBP_EXTERN const char *fluxbp_cause_name(fluxbp_cause_t cause);

#ifdef __cplusplus
}
#endif

#endif
