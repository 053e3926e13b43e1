/* SPDX-License-Identifier: MIT */
/*
 * authorizer_circuit: whether a backend that has failed is asked again. After AUTHORIZER_CIRCUIT_FAILURES failures in a
 * row the circuit is open: nothing is asked for AUTHORIZER_CIRCUIT_MS; then one question finds out whether the backend
 * is back. Time is an argument. Does no I/O. Thread: one.
 */
#ifndef FLUXBP_SERVER_AUTHORIZER_CIRCUIT_H
#define FLUXBP_SERVER_AUTHORIZER_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

/* A backend that restarts refuses a few connections; one that fails all of these has been gone for longer. */
#define AUTHORIZER_CIRCUIT_FAILURES 5

/* Clients that are told so come back after a second or later. */
#define AUTHORIZER_CIRCUIT_MS 1000

/* All zero at first: closed. */
struct authorizer_circuit {
  uint32_t failures;      /* in a row */
  uint64_t open_until_ms; /* when it is open */
  bool is_probing;        /* the one question is under way */
};

/** Return whether the backend is out of order. */
bool authorizer_circuit_is_open(const struct authorizer_circuit *circuit);

/** Begin the one question of an open circuit. @return false: it is not the time, or the question is under way */
bool authorizer_circuit_probe(struct authorizer_circuit *circuit, uint64_t now_ms);

/** Note that the backend has answered. @return whether the circuit was open */
bool authorizer_circuit_succeed(struct authorizer_circuit *circuit);

/** Note a failure. @return whether it has opened the circuit, which was closed */
bool authorizer_circuit_fail(struct authorizer_circuit *circuit, uint64_t now_ms);

#endif
