/* SPDX-License-Identifier: MIT */
/*
 * relay: what the servers here that speak no protocol of their own have in common with the bench that drives them.
 * Whoever connects is a subscriber. Who sends something becomes the publisher, and each RELAY_BYTES of it are a message
 * for all subscribers.
 */
#ifndef FLUXBP_TESTS_BENCH_PEERS_RELAY_H
#define FLUXBP_TESTS_BENCH_PEERS_RELAY_H

enum { RELAY_BYTES = 128 };

#endif
