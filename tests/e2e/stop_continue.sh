#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The server is stopped for 10 s, twice the time after which a client is evicted, while its rings are filled above the
# high watermark. That is not the clients' fault: when it goes on, nobody is evicted, and everybody has every line.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

stopped_seconds=10
clients=30
lines=32000  # fewer than there are slots, so that a client can't lose any
before=28000 # so many of them come before the server is stopped
padding=$(printf '%0200d' 0)

feed() { # feed FIRST LAST: to the gateway; returns when it has taken all but what fits into a pipe
  seq -f "%.0f $padding" "$1" "$2" >&9
}

stop() { # stop PID: returns when it has stopped
  local i state
  kill -STOP "$1"
  for ((i = 0; i < 400; i++)); do
    read -r _ _ state _ <"/proc/$1/stat"
    [ "$state" != T ] || return 0
    sleep 0.05
  done
  fail "process $1 did not stop"
}

mkfifo "$scratch/feed"
exec 9<>"$scratch/feed"
start_gateway --stdin --patience 0 --slots 32768 --ring-bytes 64M --wait-clients "$clients" --log-level debug \
  <"$scratch/feed"
"$LOADCLIENT" --target "tcp://127.0.0.1:$port" --connections "$clients" --until "$lines" --timeout 60 &
client_pid=$!
started+=("$client_pid")
wait_for_log 'event=input_started'

# The clients pause for a moment, so that the kernel refuses all of them, and read on while the server stands still.
stop "$client_pid"
feed 1 "$before"
stop "$gateway_pid"
backpressured=$(grep -c 'event=backpressured' "$scratch/log") || true
[ "$backpressured" -eq "$clients" ] || fail "$backpressured of $clients clients were backpressured when it was stopped"
kill -CONT "$client_pid"
feed $((before + 1)) "$lines" &
started+=("$!")
sleep "$stopped_seconds" # the fault itself
kill -CONT "$gateway_pid"

wait "$client_pid" || fail "the clients do not have every line"
stop_gateway
! grep 'event=evicted' "$scratch/log" || fail "somebody was evicted"
grep -q 'event=summary.* dropped=0 .*evictions=0 ' "$scratch/log" || fail "something was lost"
