#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What many topics, subscriptions and patterns cost a gateway, or a program on the server library for patterns, beside
# Redis and NATS where Debian's redis-server and nats-server are installed. All are started here, on ports that are free, and ended.
#
#   tests/bench/many/many.sh [--build DIR] [--only NAMES] [--json FILE] -- [options of bench_many]
#
#   --build DIR    where the project was built; default: build/
#   --only NAMES   those of redis, nats that are to take part, in one word; '' for none of them
#   --json FILE    as the benches
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../support/e2e.sh"
. "$here/../options.sh"
only='redis nats'
arguments=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  if [ "$1" = --only ]; then only=${2-}; else arguments+=("$1" "${2-}"); fi
  shift $(($# > 1 ? 2 : 1))
done
read_options "${arguments[@]}" "$@"
PATH=$PATH:/usr/sbin

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_for PID PORT: until that process answers there. Fails when it ends, or does not in ten seconds.
wait_for() {
  local attempt
  for ((attempt = 0; attempt < 100; attempt++)); do
    if answers "$2"; then return 0; fi
    kill -0 "$1" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# start NAME PROTOCOL COMMAND...: runs it with a free port in place of PORT, and names it for bench_many. Another process may be
# quicker at that port; then there is another one.
start() {
  local name=$1 protocol=$2 attempt free pid
  shift 2
  for attempt in 1 2 3 4 5; do
    free=$((20000 + RANDOM % 10000))
    if answers "$free"; then continue; fi
    "${@//PORT/$free}" >"$scratch/$name.log" 2>&1 </dev/null &
    pid=$!
    started+=("$pid")
    if wait_for "$pid" "$free"; then
      echo "$name $protocol $pid $free" >>"$scratch/servers"
      return 0
    fi
    kill "$pid" 2>/dev/null || true
    echo "$name: attempt $attempt failed" >>"$scratch/$name.log"
  done
  fail "$name did not start: $(tail -n 5 "$scratch/$name.log")"
}

# has NAME COMMAND: whether it takes part.
has() {
  case " $only " in *" $1 "*) ;; *) return 1 ;; esac
  command -v "$2" >/dev/null || { echo "$1 is not installed" && return 1; }
}

start_gateway --log-level error --max-topics 1000000 --max-topics-per-client 1000 --command-rate 0 </dev/null
echo "gateway lines $gateway_pid $port" >"$scratch/servers"
start server patterns "$build/tests/pattern_server" PORT
if has redis redis-server; then
  start redis redis redis-server --port PORT --bind 127.0.0.1 --protected-mode no --save '' --appendonly no --dir "$scratch" \
    --maxclients 19900
fi
if has nats nats-server; then
  # the clients of the bench don't answer its pings
  printf 'ping_interval: "10h"\n' >"$scratch/nats.conf"
  start nats nats nats-server -a 127.0.0.1 -p PORT -c "$scratch/nats.conf"
fi

status=0
"$build/tests/bench_many" "${options[@]}" <"$scratch/servers" || status=$?
kill "${started[@]}" && wait || true
started=()
exit "$status"
