/* SPDX-License-Identifier: MIT */
/*
 * policy: when a connection is backpressured, what is lost when its ring is full, and when it is evicted.
 *
 * All times are observed time: time in which the server itself is stopped or late isn't held against a client.
 * No setting is needed for UNREACHABLE, which falls when the peer has left retransmissions or probes unanswered for
 * 30 s, or for twice stall_ms if that is more.
 * docs/policy.md says which question each setting answers, and which settings suit which use.
 */
#ifndef FLUXBP_POLICY_H
#define FLUXBP_POLICY_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What happens to a message for a connection whose ring is full. Values of a state topic wait in the topic instead. */
typedef enum fluxbp_overflow {
  /* The message is lost, and so are those after it until the low watermark: one gap. */
  FLUXBP_OVERFLOW_DROP_NEWEST = 0,
  /* The oldest queued message of which nothing is written is lost. */
  FLUXBP_OVERFLOW_DROP_OLDEST,
  /* The connection is evicted. */
  FLUXBP_OVERFLOW_EVICT
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

/** Each time is 0 … FLUXBP_TIME_MS_MAX, in milliseconds of observed time. */
typedef struct fluxbp_policy {
  /* Set by fluxbp_policy_init. */
  size_t size;
  /* Messages that a ring holds at most; 2 … FLUXBP_SLOTS_MAX; default 256. */
  uint32_t slots;
  /* High watermark, in percent of slots or bytes; 1 … 100; default 50. */
  uint32_t high_percent;
  /* Low watermark; below high_percent, and in messages and bytes at least one below; default 25. */
  uint32_t low_percent;
  /* What a full ring loses; default FLUXBP_OVERFLOW_DROP_NEWEST. */
  fluxbp_overflow_t overflow;
  /* Bytes that a ring holds at most, but one message always fits; 1 … FLUXBP_RING_BYTES_MAX; default 1 MiB. */
  uint64_t max_bytes;
  /* Time without progress after which the verdict is STALLED; default 5000; 0 is off. */
  uint32_t stall_ms;
  /*
   * Time after which the verdict is SLOW: backpressured without a new minimum of what isn't written, in slots or in
   * bytes, at least 1/16 of the ring lower. A connection that has lost messages is measured on until its ring is nearly
   * drained. One that has stopped moving is left to STALLED, if that falls within as long again. Default 5000; 0 is
   * off.
   */
  uint32_t slow_ms;
  /* Age of the oldest message of which nothing is written beyond which the verdict is LAG; default 0: off. */
  uint32_t lag_ms;
  /*
   * Age of a connection before which there is no STALLED, SLOW, LAG, UNREACHABLE or SOFT_LIMIT; it begins anew when the
   * connection was brought up to date with a state topic. Default 5000.
   */
  uint32_t grace_ms;
  /*
   * Not 0: every verdict but BUDGET is reported (fluxbp_eviction_t.is_shadow), once until the ring is drained and the
   * peer answers, and not carried out. A full ring that would evict drops the newest message then. BUDGET evicts all
   * the same. Default 0.
   */
  int is_shadow;
  /*
   * Soft limit: the verdict is SOFT_LIMIT when the ring of a refused connection has held more than soft_bytes for
   * soft_ms without a break. The count is of bytes in the ring that the kernel has not taken, those of a partly written
   * message included; bytes in the kernel and values that wait in their state topic are not counted. The clock is
   * cleared when no more than soft_bytes are left. 0 … FLUXBP_RING_BYTES_MAX; default 0: off.
   */
  uint64_t soft_bytes;
  /* Time above soft_bytes after which the verdict falls; default 10000; 0 is off. */
  uint32_t soft_ms;
  /*
   * Not 0: a shortage of memory doesn't evict the connection (BUDGET), nor reset it while it drains. It is for
   * replication or administration, set by fluxbp_conn_set_policy. The connection's memory is counted all the same, at
   * most max_bytes of messages. If exempt connections hold everything, making a message fails with UV_ENOBUFS until one
   * of them reads. The connection goes as BUDGET nevertheless when it can't go on without memory that can't be had: the
   * block that it needs when the kernel refuses, or the record of a loss. Default 0.
   */
  int is_budget_exempt;
} fluxbp_policy_t;

/** Write the defaults into `*policy`. */
#define fluxbp_policy_init(policy) fluxbp_policy_init_sized((policy), sizeof(*(policy)))
FLUXBP_EXTERN void fluxbp_policy_init_sized(fluxbp_policy_t *policy, size_t size);

#ifdef __cplusplus
}
#endif

#endif
