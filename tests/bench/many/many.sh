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
. "$here/../servers.sh"
only='redis nats'
read_options "$@"

# take_part NAME PROTOCOL COMMAND...: starts it, and names it for bench_many.
take_part() {
  local name=$1 protocol=$2
  start "$name" "${@:3}" </dev/null
  echo "$name $protocol $server_pid $server_port" >>"$scratch/servers"
}

start_gateway --log-level error --max-topics 1000000 --max-topics-per-client 1000 --command-rate 0 </dev/null
echo "gateway lines $gateway_pid $port" >"$scratch/servers"
take_part server patterns "$build/tests/pattern_server" PORT
if has redis redis-server; then
  take_part redis redis "${redis[@]}" --maxclients 19900
fi
if has nats nats-server; then
  # the clients of the bench don't answer its pings
  printf 'ping_interval: "10h"\n' >"$scratch/nats.conf"
  take_part nats nats "${nats[@]}" -c "$scratch/nats.conf"
fi

status=0
"$build/tests/bench_many" "${options[@]}" <"$scratch/servers" || status=$?
kill "${started[@]}" && wait || true
started=()
exit "$status"
