/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the policy: a policy ready for use, the clocks of one connection, and the verdict.
 *
 * Pure: what was observed and the time are arguments, nothing here does I/O or knows a socket.
 */
#ifndef FLUXBP_LIB_POLICY_H
#define FLUXBP_LIB_POLICY_H

#include "fluxbp/eviction.h"
#include "fluxbp/policy.h"

#include <stdbool.h>

/* What a ring may hold, with the watermarks as numbers. */
typedef struct fluxbp__limits {
  uint32_t slots;
  uint32_t high_slots;
  uint32_t low_slots;
  uint32_t max_bytes;
  uint32_t high_bytes;
  uint32_t low_bytes;
} fluxbp__limits_t;

typedef struct fluxbp__policy {
  fluxbp_policy_t set; /* as the user gave it */
  fluxbp__limits_t limits;
  uint32_t shortest_ms; /* the shortest limit that is on; UINT32_MAX if none is */
  uint64_t soft_bytes;  /* the soft limit; UINT64_MAX if it is off */
} fluxbp__policy_t;

/* Check and prepare. `set` NULL: the defaults. 0, UV_EINVAL or UV_E2BIG; *policy is untouched on error. */
int fluxbp__policy_prepare(const fluxbp_policy_t *set, fluxbp__policy_t *policy);

/* The clocks of a connection that the kernel refused, or whose peer doesn't answer. They start at the refusal and go
 * when the ring is drained and the peer answers. All times are observed times. */
typedef struct fluxbp__clocks {
  /* When the connection began, or was last brought up to date. */
  uint64_t grace_from_ms;
  /* When the clocks were started. */
  uint64_t refused_ms;
  /* When something last moved. */
  uint64_t progress_ms;
  /* When a verdict was last not carried out: every time is counted from then. */
  uint64_t spared_ms;
  /* Bytes written and acknowledged, at the last look. */
  uint64_t written_bytes;
  uint64_t acked_bytes;
  /* When is_behind became true. */
  uint64_t behind_ms;
  /* When the ring made its last new minimum of either kind, and the minima of its fill by slots and by bytes. */
  uint64_t min_fill_ms;
  uint64_t min_slots;
  uint64_t min_bytes;
  /* The ring has reached its high watermark and not come down to the low one since. */
  bool is_backpressured;
  /* The clock of SLOW runs: backpressured, or not drained since messages were lost. */
  bool is_behind;
  /* Messages were lost since the ring was last drained. */
  bool has_lost;
  /* The clock of SOFT_LIMIT runs: more than soft_bytes wait. */
  bool is_over_soft;
  /* The clock of UNREACHABLE runs: the peer leaves retransmissions or probes unanswered. */
  bool is_silent;
  /* When is_silent became true. */
  uint64_t silent_ms;
  /* When the peer had last been heard at silent_ms, by the clock of the observations. */
  uint64_t heard_ms;
  /* Unanswered retransmissions or probes at the last look. */
  uint32_t unanswered;
  /* When is_over_soft became true. */
  uint64_t over_soft_ms;
} fluxbp__clocks_t;

/* What waits in a ring. */
typedef struct fluxbp__backlog {
  uint64_t queued;       /* messages and notices, the head included */
  uint64_t bytes;        /* of them, whether or not the head is partly written */
  uint64_t head_bytes;   /* of the head, */
  uint64_t head_written; /* and as many of them as the kernel has taken */
} fluxbp__backlog_t;

typedef struct fluxbp__observation {
  fluxbp__backlog_t backlog;
  /* Age of the oldest message of which nothing was written. */
  uint64_t oldest_ms;
  /* Bytes that the kernel took, ever. */
  uint64_t written_bytes;
  /* Bytes that the peer's kernel acknowledged, ever; written_bytes where that isn't known. */
  uint64_t acked_bytes;
  /* Nearly all connections are slow: each has twice the time. */
  bool is_crowd_slow;
  /* Retransmissions, or probes of a closed window, one after the other without an answer; 0 where that isn't known. */
  uint32_t unanswered;
  /* When the peer's kernel last acknowledged something or answered a probe, by any clock that doesn't stop with the
   * server. Only where `unanswered` isn't 0. */
  uint64_t heard_ms;
} fluxbp__observation_t;

/* Whether nearly all connections of a hub are slow together, which is the host's or the uplink's fault, not theirs. */
typedef struct fluxbp__crowd {
  bool is_slow;            /* as of the last look */
  uint64_t grace_until_ms; /* until then everybody has twice the time */
} fluxbp__crowd_t;

/* How full a ring is, by slots or bytes, whichever is more, with what isn't written yet: a partly written head
 * counts by its fraction. FLUXBP__FILL_FULL is full, and a message that is larger than the ring makes it more. */
enum { FLUXBP__FILL_FULL = 65536 };
uint64_t fluxbp__backlog_fill(const fluxbp__limits_t *limits, const fluxbp__backlog_t *backlog);

/* 100 is full, however many times over. */
static inline uint32_t fluxbp__fill_percent(uint64_t fill) {
  if (fill > FLUXBP__FILL_FULL) return 100;
  return (uint32_t) ((fill * 100 + FLUXBP__FILL_FULL / 2) / FLUXBP__FILL_FULL);
}

static inline bool fluxbp__limits_is_high(const fluxbp__limits_t *limits, uint64_t queued, uint64_t bytes) {
  return queued >= limits->high_slots || bytes >= limits->high_bytes;
}

static inline bool fluxbp__limits_is_low(const fluxbp__limits_t *limits, uint64_t queued, uint64_t bytes) {
  return queued <= limits->low_slots && bytes <= limits->low_bytes;
}

/* Start the clocks: the kernel has refused a write just now. `grace_from_ms`: when the connection began, or was last
 * brought up to date. */
void fluxbp__clocks_start(fluxbp__clocks_t *clocks, uint64_t grace_from_ms, uint64_t now_ms, uint64_t written_bytes,
                          uint64_t acked_bytes);

/* The ring is drained: everything begins anew, but for the clock of UNREACHABLE, which is about what was written
 * before. */
void fluxbp__clocks_drained(fluxbp__clocks_t *clocks, uint64_t grace_from_ms, uint64_t now_ms, uint64_t written_bytes,
                            uint64_t acked_bytes);

/* The kernel took something. */
void fluxbp__clocks_progress(fluxbp__clocks_t *clocks, uint64_t now_ms, uint64_t written_bytes);

/* The ring of a connection with clocks has changed: enter or leave backpressure, start or clear the clock of
 * SOFT_LIMIT. Return true if is_backpressured changed. */
bool fluxbp__clocks_watermarks(fluxbp__clocks_t *clocks, const fluxbp__policy_t *policy,
                               const fluxbp__backlog_t *backlog, uint64_t now_ms);

/* Its ring was full, and messages were lost. */
void fluxbp__clocks_lost(fluxbp__clocks_t *clocks);

/* The verdict is not carried out: all clocks begin anew, what was observed stays. */
void fluxbp__clocks_spare(fluxbp__clocks_t *clocks, uint64_t now_ms);

/* Take note of what was observed, and say what is to be done about it. */
fluxbp_evict_reason_t fluxbp__policy_judge(const fluxbp__policy_t *policy, fluxbp__clocks_t *clocks,
                                           const fluxbp__observation_t *seen, uint64_t now_ms);

/* How close a connection is to a verdict. */
typedef struct fluxbp__standing {
  fluxbp_evict_reason_t reason; /* NONE: no clock runs */
  fluxbp_put_off_t put_off;
  uint64_t used_ms;
  uint64_t limit_ms; /* as it applies now */
  uint64_t due_ms;   /* when the verdict falls: UINT64_MAX for NONE */
} fluxbp__standing_t;

/* Return the verdict whose time is up, or else the one that comes first. Of those whose time is up it is STALLED before
 * UNREACHABLE, SLOW, LAG and SOFT_LIMIT. */
fluxbp__standing_t fluxbp__policy_standing(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                           const fluxbp__observation_t *seen, uint64_t now_ms);

/* When a clock will run out if nothing moves until then, UINT64_MAX if none runs. */
uint64_t fluxbp__policy_deadline(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                 const fluxbp__observation_t *seen);

/* Whether so many unanswered retransmissions or probes say something about the peer. A lost packet takes one. */
static inline bool fluxbp__is_unanswering(uint32_t unanswered) {
  return unanswered >= 2;
}

/* Whether the verdict UNREACHABLE is due, if what was seen is still so: worth a fresh look. */
bool fluxbp__policy_is_unreachable_due(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                       bool is_crowd_slow, uint64_t now_ms);

/* Return the whole time of STALLED, SLOW, SOFT_LIMIT or UNREACHABLE if half of it has passed, else 0. Such a connection
 * counts as slow in a crowd. */
uint64_t fluxbp__policy_halfway_ms(const fluxbp__policy_t *policy, const fluxbp__clocks_t *clocks,
                                   const fluxbp__observation_t *seen, uint64_t now_ms);

/* All `open` connections were looked at, `halfway` of them are, to a verdict with a limit of `limit_ms` at most.
 * True if the crowd has become slow just now. */
bool fluxbp__crowd_note(fluxbp__crowd_t *crowd, uint64_t open, uint64_t halfway, uint64_t limit_ms, uint64_t now_ms);

static inline bool fluxbp__crowd_has_grace(const fluxbp__crowd_t *crowd, uint64_t now_ms) {
  return now_ms < crowd->grace_until_ms;
}

#endif
