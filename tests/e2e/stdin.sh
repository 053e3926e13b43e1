#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The ways in which a feed can end and come in: --once drains and exits, a file and a pipe give the same, a last line
# without a newline counts, empty lines don't.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

run_once() { # run_once LINES: with the feed on standard input
  start_gateway --stdin --once --wait-clients 20
  "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --connections 20 --mix healthy=20 --until "$1" --timeout 30
  local status=0
  wait "$gateway_pid" || status=$?
  [ "$status" -eq 0 ] || fail "with --once the gateway exited with $status"
}

seq 1 50000 >"$scratch/file"
run_once 50000 <"$scratch/file"
run_once 50000 < <(cat "$scratch/file")
run_once 3 < <(printf '1\n\n2\n\n\n3')
grep -q 'skipped_empty=3' "$scratch/log" || fail "empty lines were not counted"
