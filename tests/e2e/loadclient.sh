#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The load client finds what a server does wrong, in each protocol, and nothing where there is nothing: messages
# dropped, swapped, repeated, corrupt, delayed; gaps and evictions that the server tells of; a resume that loses or
# repeats one.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

# start_broken_server FAULT [EVERY]: sets $port. It ends with the script.
start_broken_server() {
  local i
  : >"$scratch/out"
  "$BROKEN_SERVER" "$@" >"$scratch/out" 2>"$scratch/log" &
  server_pid=$!
  started+=("$server_pid")
  for ((i = 0; i < 400; i++)); do
    port=$(sed -n 's/^ready tcp=127.0.0.1:\([0-9]*\).*/\1/p' "$scratch/out")
    [ -z "$port" ] || return 0
    sleep 0.05
  done
  fail "the broken server was not ready within 20 s"
}

stop_broken_server() {
  kill -KILL "$server_pid"
  wait "$server_pid" 2>/dev/null || true
}

# load FAULT EVERY SCHEME CODE ARG...: one run against a server with that fault; the load client has to exit with CODE.
# Its report is in $scratch/report.
load() {
  local fault=$1 every=$2 scheme=$3 code=$4
  shift 4
  start_broken_server "$fault" "$every"
  expect_exit "$code" "$LOADCLIENT" --target "$scheme://127.0.0.1:$port" --publish "tcp://127.0.0.1:$port" --quiet \
    --connections 6 --rate 2000 --json "$scratch/report" "$@"
  stop_broken_server
}

# found CLASS NAME VALUE: what the report says of a class's integrity
found() {
  local value
  value=$(sed -n "/^    \"$1\": {/,/^    }/p" "$scratch/report" | sed -n "s/^ *\"$2\": \([0-9]*\),*$/\1/p")
  [ "${value%%$'\n'*}" = "$3" ] || fail "$1 $2 is '$value' instead of $3: $(cat "$scratch/said")"
}

for scheme in tcp ws sse; do
  echo "$scheme"
  load none 1 "$scheme" 0 --messages 1000 --slo 'loss(healthy)==0' --slo 'max<60s'
  found healthy messages 6000
  load drop 1000 "$scheme" 98 --messages 1500
  found healthy lost 6
  load swap 1000 "$scheme" 98 --messages 1500
  found healthy out_of_order 6
  found healthy lost 0
  load duplicate 1000 "$scheme" 98 --messages 1500
  found healthy duplicates 6
  load corrupt 1000 "$scheme" 98 --messages 1500
  found healthy corrupt 6
  load delay 400 "$scheme" 99 --messages 500 --slo 'p50<60s' --slo 'max<250ms'
  expect_said 'met .* p50<60s'
  expect_said 'MISSED max<250ms'
  load gap 400 "$scheme" 98 --messages 500
  found healthy gap_notices 6
  load evict 400 "$scheme" 1 --messages 500
  expect_said 'was evicted'

  reconnect=(--mix 'healthy=1,reconnect:100ms=5' --messages 2000)
  load none 1 "$scheme" 0 "${reconnect[@]}"
  found reconnect messages 10000
  grep -q '"resumed": [1-9]' "$scratch/report" || fail "nobody was cut and resumed"
  load lose 1 "$scheme" 98 "${reconnect[@]}"
  found healthy lost 0
  load repeat 1 "$scheme" 98 "${reconnect[@]}"
  found healthy duplicates 0
done

echo 'the one in ten thousand'
load drop 10000 tcp 98 --messages 12000 --rate max --connections 3
found healthy lost 3

echo 'ways to publish'
load busy 7 tcp 0 --messages 1000 # what the server refuses isn't lost
expect_said 'refused 142 messages'
load none 1 tcp 0 --messages 1000 --publishers 3 --processes 2 --size 64:9,100-2000:1
found healthy messages 6000
start_broken_server refuse 5
expect_exit 0 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --publish "http://127.0.0.1:$port" --quiet \
  --connections 6 --rate max --messages 500
expect_said 'refused 100 messages'
stop_broken_server
start_broken_server delay 100 # what waits behind a slow POST is late from its planned time on, not from when it is sent
expect_exit 99 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --publish "http://127.0.0.1:$port" --quiet \
  --connections 6 --rate 1000 --messages 500 --slo 'p50<250ms'
stop_broken_server
start_broken_server none
printf 'one "line"\nand a \\ in another\n' >"$scratch/lines"
"$LOADCLIENT" --target "ws://127.0.0.1:$port" --publish "tcp://127.0.0.1:$port" --quiet --connections 2 \
  --mix reconnect=1 --lines --token secret <"$scratch/lines" >"$scratch/said" || fail "lines were not published"
stop_broken_server

echo 'refusals and limits'
start_broken_server refuse 1
expect_exit 1 "$LOADCLIENT" --target "sse://127.0.0.1:$port" --publish "tcp://127.0.0.1:$port" --quiet --messages 10
expect_said 'was refused with status 503'
stop_broken_server
expect_exit 3 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --quiet --connections 5
expect_said 'connection refused'
(
  ulimit -n 64
  expect_exit 2 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --connections 1000
  expect_said '48 connections fit'
  expect_said '--processes 21'
)
expect_exit 2 "$LOADCLIENT" --connections 0
expect_exit 2 "$LOADCLIENT" --rate 5
expect_exit 2 "$LOADCLIENT" --slo 'p99<5'
expect_exit 2 "$LOADCLIENT" --publish ws://127.0.0.1:1
expect_exit 2 "$LOADCLIENT" --processes 65
expect_said '--processes 65: it must be a number from 1 to 64'
expect_exit 2 "$LOADCLIENT" --duration
expect_said '--duration needs a value: --duration TIME'
expect_exit 2 "$LOADCLIENT" --quiet=always
expect_said '--quiet=always: it must be on or off'
expect_exit 2 "$LOADCLIENT" --quit
expect_said "--quit is no option; do you mean --quiet? See 'loadclient --help'"
expect_exit 2 "$LOADCLIENT" -x
expect_said "-x is no option; see 'loadclient --help'"
expect_exit 2 "$LOADCLIENT" 100
expect_said "'100' is not an option; see 'loadclient --help'"
expect_exit 0 "$LOADCLIENT" --help
expect_said '  --source FIRST\[-LAST]   connect from these addresses in turn'

# run_for_long ARG...: sets $pid, once messages have been received
run_for_long() {
  local i
  : >"$scratch/progress" # now, not when the other process comes to it: it has what the one before said
  "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --publish "tcp://127.0.0.1:$port" --connections 20 --processes 2 \
    --rate 500 "$@" >"$scratch/said" 2>"$scratch/progress" &
  pid=$!
  started+=("$pid")
  for ((i = 0; i < 400; i++)); do
    ! grep -q '20/20 connected  [1-9].* p99 ' "$scratch/progress" || return 0
    sleep 0.05
  done
  fail "nothing was received: $(cat "$scratch/progress")"
}

# expect_end CODE: of run_for_long
expect_end() {
  local status=0
  wait "$pid" || status=$?
  [ "$status" -eq "$1" ] || fail "it exited with $status instead of $1: $(cat "$scratch/said")"
}

echo 'interrupted'
start_broken_server none
run_for_long --hgrm "$scratch/hgrm" --json "$scratch/report"
kill -INT "$pid"
expect_end 130
expect_said 'result     interrupted'
expect_said 'healthy           20'
grep -q 'Total count' "$scratch/hgrm" || fail "no percentiles were written"

echo 'a process that dies'
run_for_long
read -r -a children <"/proc/$pid/task/$pid/children" || true # it has no newline
[ "${#children[@]}" -eq 2 ] || fail "not a publisher and a worker but ${children[*]}"
kill -KILL "${children[1]}"
expect_end 1
expect_said 'a process of the load client ended too early'
