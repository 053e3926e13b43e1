/* SPDX-License-Identifier: MIT */
/*
 * authorizer_circuit: see the header. Questions that were under way when the circuit opened may fail later; the time
 * for which it is open begins anew with each of them.
 */
#include "authorizer_circuit.h"

bool authorizer_circuit_is_open(const struct authorizer_circuit *circuit) {
  return circuit->failures >= AUTHORIZER_CIRCUIT_FAILURES;
}

bool authorizer_circuit_probe(struct authorizer_circuit *circuit, uint64_t now_ms) {
  if (circuit->is_probing || now_ms < circuit->open_until_ms) return false;
  circuit->is_probing = true;
  return true;
}

bool authorizer_circuit_succeed(struct authorizer_circuit *circuit) {
  bool was_open = authorizer_circuit_is_open(circuit);
  *circuit = (struct authorizer_circuit){0};
  return was_open;
}

bool authorizer_circuit_fail(struct authorizer_circuit *circuit, uint64_t now_ms) {
  bool was_open = authorizer_circuit_is_open(circuit);
  circuit->is_probing = false;
  circuit->open_until_ms = now_ms + AUTHORIZER_CIRCUIT_MS;
  if (circuit->failures < AUTHORIZER_CIRCUIT_FAILURES) circuit->failures++;
  return !was_open && authorizer_circuit_is_open(circuit);
}
