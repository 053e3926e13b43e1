#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A feed on standard input reaches every client that reads, whole and in order, while others never read: those are
# evicted as stalled, because they do not read, 5.0 to 5.5 s after their last progress, and nobody else is. Memory stays small throughout.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

lines=${LINES_FED:-200000}
max_rss_kb=40960
case $(ldd "$GATEWAY") in *libasan* | *libtsan*) max_rss_kb=0 ;; esac # a sanitizer's memory is not the gateway's

start_gateway --stdin --wait-clients 220 < <(seq 1 "$lines")
"$LOADCLIENT" --target "tcp://127.0.0.1:$port" --connections 220 --mix healthy=200,stalled=20 --until "$lines" \
  --timeout 100

[ "$(grep -c 'event=evicted' "$scratch/log")" -eq 20 ] || fail "not exactly 20 evictions"
[ "$(grep -c 'event=evicted.*reason=stalled' "$scratch/log")" -eq 20 ] || fail "an eviction for another reason"
[ "$(grep -c 'event=evicted.*cause="not reading"' "$scratch/log")" -eq 20 ] || fail "an eviction with another cause"
while read -r since; do
  [ "$since" -ge 5000 ] && [ "$since" -le 5500 ] || fail "evicted $since ms after its last progress"
done < <(sed -n 's/.*event=evicted.*since_progress_ms=\([0-9]*\).*/\1/p' "$scratch/log")

rss_kb=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$gateway_pid/status")
echo "peak memory of the gateway: $rss_kb kB"
[ "$max_rss_kb" -eq 0 ] || [ "$rss_kb" -le "$max_rss_kb" ] || fail "more than $max_rss_kb kB"
stop_gateway
