/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_EVICTION_H
#define FLUXBP_EVICTION_H
#include "fluxbp/export.h"
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef enum fluxbp_evict_reason {
  FLUXBP_EVICT_NONE = 0,
  FLUXBP_EVICT_STALLED,
  FLUXBP_EVICT_SLOW,
  FLUXBP_EVICT_LAG,
  FLUXBP_EVICT_OVERFLOW,
  FLUXBP_EVICT_BUDGET,
  FLUXBP_EVICT_UNREACHABLE,
  FLUXBP_EVICT_SOFT_LIMIT,
  FLUXBP_EVICT_REASON_COUNT
} fluxbp_evict_reason_t;
typedef enum fluxbp_cause {
  FLUXBP_CAUSE_UNKNOWN = 0,
  FLUXBP_CAUSE_NOT_READING,
  FLUXBP_CAUSE_READS_SLOWLY,
  FLUXBP_CAUSE_NETWORK,
  FLUXBP_CAUSE_UNREACHABLE,
  FLUXBP_CAUSE_COUNT
} fluxbp_cause_t;
typedef enum fluxbp_put_off {
  FLUXBP_PUT_OFF_NONE = 0,
  FLUXBP_PUT_OFF_GRACE,
  FLUXBP_PUT_OFF_CROWD,
  FLUXBP_PUT_OFF_SPARED,
  FLUXBP_PUT_OFF_SHADOW,
  FLUXBP_PUT_OFF_COUNT
} fluxbp_put_off_t;
#define FLUXBP_EVICT_REASONS_MAX 16
typedef struct fluxbp_eviction {
  uint64_t conn_id;
  fluxbp_evict_reason_t reason;
  fluxbp_cause_t cause;
  uint64_t time_ms;
  uint64_t since_progress_ms;
  uint64_t backpressured_ms;
  uint64_t oldest_ms;
  uint64_t queued;
  uint64_t queued_bytes;
  uint64_t dropped;
  uint64_t kernel_bytes;
  uint64_t last_id;
  uint64_t unanswered;
  uint64_t unanswered_ms;
  fluxbp_evict_reason_t nearest;
  uint64_t used_ms;
  uint64_t limit_ms;
  fluxbp_put_off_t put_off;
  int is_shadow;
} fluxbp_eviction_t;
FLUXBP_EXTERN const char *fluxbp_evict_reason_name(fluxbp_evict_reason_t reason);
FLUXBP_EXTERN const char *fluxbp_evict_reason_words(fluxbp_evict_reason_t reason);
FLUXBP_EXTERN const char *fluxbp_put_off_name(fluxbp_put_off_t put_off);
FLUXBP_EXTERN const char *fluxbp_cause_name(fluxbp_cause_t cause);
#ifdef __cplusplus
}
#endif
#endif
