#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Two threads serve what one does: every healthy client has every line, in order, and the stalled ones go, whichever
# thread they are on.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

lines=100000
start_gateway --stdin --threads 2 --wait-clients 110 < <(seq 1 "$lines")
"$LOADCLIENT" --target "tcp://127.0.0.1:$port" --connections 110 --mix healthy=100,stalled=10 --until "$lines" \
  --timeout 100
[ "$(grep -c 'event=evicted.*reason=stalled' "$scratch/log")" -eq 10 ] || fail "not exactly 10 stalled clients evicted"
stop_gateway
grep -q 'event=started threads=2 ' "$scratch/log" || fail "the log does not name the threads"
published=$(sed -n "s/.*event=summary lines=$lines .* published=\([0-9]*\) .*clients=110 .*evictions=10 .*/\1/p" "$scratch/log")
# each eviction is an event of the watch stream, which both hubs may have published as well before the end
if [ "${published:-0}" -lt $((2 * lines)) ] || [ "$published" -gt $((2 * lines + 2 * 10)) ]; then
  fail "the summary does not add the threads up"
fi
