/* SPDX-License-Identifier: MIT */
/*
 * pong: when a client that was sent a ping has had its time to answer. Pure: no clock, no I/O, no client.
 *
 * A client can't answer a ping that it has yet to receive, and one that reads slowly receives it late. So the time
 * begins when the client's kernel has acknowledged everything, the ping included. It begins anew with each
 * acknowledgement, also with one of nothing new: by that the client's kernel opens its window while the client reads.
 *
 * While something is unacknowledged there is no verdict here. Whether such a client reads too slowly, or is gone, is
 * for the policy of its connection.
 */
#ifndef FLUXBP_SERVER_PONG_H
#define FLUXBP_SERVER_PONG_H

#include <fluxbp/conn.h>

#include <stdbool.h>
#include <stdint.h>

/* An acknowledgement after a longer silence says nothing of the client: after 60 s without a word our kernel asks the
 * client's kernel whether it is there (keepalive), and that answers as long as the host runs. */
#define PONG_SILENCE_MS 50000

/**
 * From when on the client's time runs.
 *
 * @param liveness of its connection at `now_ms`
 * @param from_ms what this said the last time; when the ping was sent, the first time
 */
uint32_t pong_from_ms(const fluxbp_liveness_t *liveness, uint32_t from_ms, uint32_t now_ms);

/** Whether the time is over. */
static inline bool pong_is_overdue(uint32_t from_ms, uint32_t wait_ms, uint32_t now_ms) {
  return now_ms - from_ms >= wait_ms;
}

#endif
