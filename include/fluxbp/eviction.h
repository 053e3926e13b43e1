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
  /* The kernel says nothing (no TCP, not Linux), or the samples fit no cause. */
  FLUXBP_CAUSE_UNKNOWN = 0,
  /* The peer's kernel has acknowledged everything, and its window is closed. */
  FLUXBP_CAUSE_NOT_READING,
  /* The peer's window limits the flow: the application there reads slowly. */
  FLUXBP_CAUSE_READS_SLOWLY,
  /* The peer's window is open: the path to the peer is slow. */
  FLUXBP_CAUSE_NETWORK,
  /* Bytes aren't acknowledged, and retransmissions stay unanswered. */
  FLUXBP_CAUSE_UNREACHABLE,
  FLUXBP_CAUSE_COUNT
} fluxbp_cause_t;

/** Why a connection stays although the limit of a verdict has passed. */
typedef enum fluxbp_put_off {
  /* The limit has not passed, or the connection is evicted now. */
  FLUXBP_PUT_OFF_NONE = 0,
  /* The connection is new, or was just brought up to date (grace_ms). */
  FLUXBP_PUT_OFF_GRACE,
  /* Nearly all connections of the hub are slow: each has twice the time. */
  FLUXBP_PUT_OFF_CROWD,
  /* on_verdict spared the connection: the time began anew. */
  FLUXBP_PUT_OFF_SPARED,
  /* The policy only reports. */
  FLUXBP_PUT_OFF_SHADOW,
  FLUXBP_PUT_OFF_COUNT
} fluxbp_put_off_t;

/**
 * How many reasons there is room for where figures are kept by reason, such as fluxbp_metrics_t.evictions: a new reason
 * doesn't move the fields behind them.
 */
#define FLUXBP_EVICT_REASONS_MAX 16

/**
 * The record of one eviction, with the state of the connection when the verdict fell. A later version may append
 * fields. A record that is passed to a callback belongs to the library, and is valid during the call.
 */
typedef struct fluxbp_eviction {
  uint64_t conn_id;
  fluxbp_evict_reason_t reason;
  fluxbp_cause_t cause;
  /* Time of the hub's clock when the verdict fell. */
  uint64_t time_ms;
  /* Time in which nothing had moved. */
  uint64_t since_progress_ms;
  /* Time in which the ring made no new minimum; 0 if the clock of SLOW did not run. */
  uint64_t backpressured_ms;
  /* Age of the oldest message of which nothing was written. */
  uint64_t oldest_ms;
  /* Messages that were queued. */
  uint64_t queued;
  /* Bytes of them that the kernel had not taken. */
  uint64_t queued_bytes;
  /* Messages that this connection had lost by the overflow rule. */
  uint64_t dropped;
  /* Bytes in the kernel that the peer's kernel had not acknowledged (TCP on Linux); otherwise 0. */
  uint64_t kernel_bytes;
  /* Id of the last message with an id that was written whole. */
  uint64_t last_id;
  /* Retransmissions or probes in a row without an answer (TCP on Linux); otherwise 0. */
  uint64_t unanswered;
  /* Time that the clock of UNREACHABLE had run; 0 if it did not run. */
  uint64_t unanswered_ms;

  /* Verdict whose time is up, or will be up first; NONE: no clock runs. */
  fluxbp_evict_reason_t nearest;
  /* Time that the clock of that verdict has run. The verdict falls when it reaches limit_ms. */
  uint64_t used_ms;
  /* Time that the clock may run: the policy's limit, or more if the verdict is put off. */
  uint64_t limit_ms;
  /* Why the connection stays although the policy's limit has passed. */
  fluxbp_put_off_t put_off;

  /* Whether the verdict was only reported, and not carried out (fluxbp_policy_t.is_shadow). */
  int is_shadow;
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
