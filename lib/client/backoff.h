/* SPDX-License-Identifier: MIT */
/*
 * backoff: how long a client waits before it comes back. Pure: randomness is an argument.
 *
 * "Full jitter": each pause is random between 0 and a bound that doubles with each failure, so that clients that lost
 * the same server at the same moment come back spread over the whole of that time.
 */
#ifndef FLUXBP_CLIENT_BACKOFF_H
#define FLUXBP_CLIENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define FLUXBP__HINT_MAX_MS UINT64_C(3600000) /* a server can put a client off for an hour at most */

/**
 * The pause after the failure number `failures` in a row, counting from 0.
 *
 * @param hint_ms the pause that the server has asked for; the random time comes on top of it
 * @param random 64 random bits
 */
uint64_t fluxbp__backoff_ms(uint32_t first_ms, uint32_t max_ms, uint32_t failures, uint64_t hint_ms, uint64_t random);

/** Whether a server that refuses with this HTTP status would refuse again. */
bool fluxbp__backoff_is_final_status(int status);

/** Whether a server that closes with this WebSocket close code means that the client shouldn't come back as it is. */
bool fluxbp__backoff_is_final_code(int code);

/** Whether a refusal with this HTTP status, or this close code, is on account of the token: another one may do. */
bool fluxbp__backoff_is_about_token(int status, int code);

#endif
