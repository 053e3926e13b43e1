#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# With --shadow a client that doesn't read is named in the log, once, and stays: when it reads again, the feed goes on.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

start_gateway --stdin --patience 0 --wait-clients 1 --shadow --stall 1000 --grace 0 \
  --drain-ms 100 < <(yes 'a line of the feed')
exec 3<>"/dev/tcp/127.0.0.1/$port"
wait_for_log 'event=would_evict .*reason=stalled cause="not reading"'
for _ in 1 2 3; do
  IFS= read -r -t 20 -u 3 line || fail "the client was closed"
  [ "$line" = 'a line of the feed' ] || fail "not the feed but '$line'"
done
[ "$(grep -c 'event=would_evict' "$scratch/log")" -eq 1 ] || fail "not one verdict for one stall"
! grep -q 'event=evicted' "$scratch/log" || fail "a shadow policy evicted"
stop_gateway
