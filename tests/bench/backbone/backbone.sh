#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a backbone costs a gateway: one alone, one with --nats and one with --nats --jetstream get the same messages for the
# same subscribers, in turn. The gateways and the nats-server are started here, on ports that are free, and ended.
#
#   tests/bench/backbone/backbone.sh [--build DIR] [--json FILE] -- [options of bench_backbone]
#
#   --build DIR    where the project was built; default: build/
#   --json FILE    as the benches
#
# Exit code 77 where there is no nats-server.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../support/e2e.sh"
. "$here/../../support/nats.sh"
. "$here/../options.sh"
read_options "$@"

# named NAME ARG...: a gateway, named for bench_backbone.
named() {
  local name=$1
  start_named "$@"
  echo "$name $gateway_pid $port" >>"$scratch/processes"
}

# shellcheck disable=SC2119 # it takes none here
start_nats
nats stream BENCH 'stream.>'
named alone
named NATS --nats "$nats_url" --subject 'plain.>' --http 127.0.0.1:0
until_says '200 ready*' get "$http" /readyz
named JetStream --nats "$nats_url" --subject 'stream.>' --jetstream BENCH --http 127.0.0.1:0
until_says '200 ready*' get "$http" /readyz
echo "nats-server $nats_pid 0" >>"$scratch/processes"

status=0
"$build/tests/bench_backbone" "${options[@]}" <"$scratch/processes" || status=$?
kill "${started[@]}" && wait
started=()
exit "$status"
