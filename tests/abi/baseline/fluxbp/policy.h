/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_POLICY_H
#define FLUXBP_POLICY_H
#include "fluxbp/export.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef enum fluxbp_overflow {
  FLUXBP_OVERFLOW_DROP_NEWEST = 0,
  FLUXBP_OVERFLOW_DROP_OLDEST,
  FLUXBP_OVERFLOW_EVICT
} fluxbp_overflow_t;
#define FLUXBP_SLOTS_MAX 32768
#define FLUXBP_RING_BYTES_MAX ((uint64_t) 1 << 30)
#define FLUXBP_TIME_MS_MAX ((uint32_t) 7 * 24 * 60 * 60 * 1000)
typedef struct fluxbp_policy {
  size_t size;
  uint32_t slots;
  uint32_t high_percent;
  uint32_t low_percent;
  fluxbp_overflow_t overflow;
  uint64_t max_bytes;
  uint32_t stall_ms;
  uint32_t slow_ms;
  uint32_t lag_ms;
  uint32_t grace_ms;
  int is_shadow;
  uint64_t soft_bytes;
  uint32_t soft_ms;
  int is_budget_exempt;
} fluxbp_policy_t;
#define fluxbp_policy_init(policy) fluxbp_policy_init_sized((policy), sizeof(*(policy)))
FLUXBP_EXTERN void fluxbp_policy_init_sized(fluxbp_policy_t *policy, size_t size);
#ifdef __cplusplus
}
#endif
#endif
