/* SPDX-License-Identifier: MIT */
/*
 * token bucket: so many a second, and so many at once after a quiet time. Pure; time is an argument.
 */
#ifndef FLUXBP_LIB_TOKEN_BUCKET_H
#define FLUXBP_LIB_TOKEN_BUCKET_H

#include <stdint.h>

typedef struct fluxbp__token_bucket {
  uint32_t tokens_per_second;
  uint64_t capacity;    /* in thousandths of a token, */
  uint64_t thousandths; /* and how many of them there are: whole numbers, so that nothing is lost to rounding */
  uint64_t filled_ms;   /* up to when the time has been turned into tokens */
} fluxbp__token_bucket_t;

/* Both at least 1. It is full at first. */
void fluxbp__token_bucket_init(fluxbp__token_bucket_t *bucket, uint32_t tokens_per_second, uint32_t burst,
                               uint64_t now_ms);

/* How long until there is a token: 0 if there is one, at most 1000. A clock that goes backwards brings nothing. */
uint64_t fluxbp__token_bucket_wait_ms(fluxbp__token_bucket_t *bucket, uint64_t now_ms);

/* Take the token that fluxbp__token_bucket_wait_ms found. */
void fluxbp__token_bucket_take(fluxbp__token_bucket_t *bucket);

#endif
