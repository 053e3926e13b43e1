/* SPDX-License-Identifier: MIT */
/*
 * token bucket: a second has a thousand milliseconds and a token a thousand parts, so a millisecond brings exactly
 * tokens_per_second parts.
 */
#include "token_bucket.h"

#include <assert.h>

enum { THOUSANDTHS = 1000 };

void fluxbp__token_bucket_init(fluxbp__token_bucket_t *bucket, uint32_t tokens_per_second, uint32_t burst,
                               uint64_t now_ms) {
  assert(tokens_per_second > 0 && burst > 0);
  bucket->tokens_per_second = tokens_per_second;
  bucket->capacity = (uint64_t) burst * THOUSANDTHS;
  bucket->thousandths = bucket->capacity;
  bucket->filled_ms = now_ms;
}

static void fill(fluxbp__token_bucket_t *bucket, uint64_t now_ms) {
  if (now_ms <= bucket->filled_ms) return;
  uint64_t elapsed_ms = now_ms - bucket->filled_ms;
  uint64_t missing = bucket->capacity - bucket->thousandths;
  bucket->filled_ms = now_ms;
  /* compared so, and not as a product, which a long time would make overflow */
  if (elapsed_ms > missing / bucket->tokens_per_second)
    bucket->thousandths = bucket->capacity;
  else
    bucket->thousandths += elapsed_ms * bucket->tokens_per_second;
}

uint64_t fluxbp__token_bucket_wait_ms(fluxbp__token_bucket_t *bucket, uint64_t now_ms) {
  fill(bucket, now_ms);
  if (bucket->thousandths >= THOUSANDTHS) return 0;
  uint64_t missing = THOUSANDTHS - bucket->thousandths;
  return (missing + bucket->tokens_per_second - 1) / bucket->tokens_per_second;
}

void fluxbp__token_bucket_take(fluxbp__token_bucket_t *bucket) {
  assert(bucket->thousandths >= THOUSANDTHS);
  bucket->thousandths -= THOUSANDTHS;
}
