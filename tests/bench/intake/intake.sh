#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a message costs that is taken in and handed to one subscriber: by a gateway in each of the ways in which it takes
# messages, by the smallest relay of the library's (fluxbp_relay), and by Debian's redis-server and nats-server where they
# are installed. Each runs on free ports of 127.0.0.1, the gateway and the relay with one thread, and is ended.
#
#   tests/bench/intake/intake.sh [--build DIR] [--only NAMES] [--json FILE] -- [options of bench_intake]
#
#   --build DIR    where the project was built; default: build/
#   --only NAMES   those of lines, frames, websocket, bulks, posts, relay, redis, nats that are to take part, in one word
#   --json FILE    as the benches
#
# $GATEWAY_OPTIONS are further options of the gateway.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../support/e2e.sh"
. "$here/../options.sh"
. "$here/../servers.sh"
only='lines frames websocket bulks posts relay redis nats'
read_options "$@"

ready_port() { sed -n "s/^ready .*\<$1=127.0.0.1:\([0-9]*\).*/\1/p" "$scratch/out"; }

# shellcheck disable=SC2086 # they are several
start_gateway --tcp-length 127.0.0.1:0 --http 127.0.0.1:0 --log-level error ${GATEWAY_OPTIONS-} </dev/null
# way NAME PORT SUBSCRIBER-PORT
way() {
  case " $only " in *" $1 "*) echo "$1 $gateway_pid $2 $3" >>"$scratch/servers" ;; esac
}
way lines "$port" "$port"
way frames "$(ready_port tcp-length)" "$(ready_port tcp-length)"
way websocket "$(ready_port http)" "$(ready_port http)"
way bulks "$(ready_port http)" "$port"
way posts "$(ready_port http)" "$port"
if has relay "$build/tests/fluxbp_relay"; then
  start relay "$build/tests/fluxbp_relay" PORT
  echo "relay $server_pid $server_port $server_port" >>"$scratch/servers"
fi
if has redis redis-server; then
  start redis "${redis[@]}"
  echo "redis $server_pid $server_port $server_port" >>"$scratch/servers"
fi
if has nats nats-server; then
  start nats "${nats[@]}"
  echo "nats $server_pid $server_port $server_port" >>"$scratch/servers"
fi

status=0
"$build/tests/bench_intake" "${options[@]}" <"$scratch/servers" || status=$?
kill "${started[@]}" && wait || true
started=()
exit "$status"
