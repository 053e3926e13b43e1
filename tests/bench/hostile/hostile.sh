#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What hostile clients cost healthy ones: two gateways with --threads 2 are started here, on ports that are free, and ended.
# The healthy clients are at the first one; the attackers are there, too, or at the second one (the control), in turn.
#
#   tests/bench/hostile/hostile.sh [--build DIR] [--json FILE] -- [options of bench_hostile]
#
#   --build DIR    where the project was built; default: build/
#   --json FILE    as the benches
#
# $GATEWAY_OPTIONS, separated by blanks, are further options of both gateways.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../support/e2e.sh"
. "$here/../options.sh"
read_options "$@"
read -ra further <<<"${GATEWAY_OPTIONS-}"

make_certificate

for name in attacked other; do
  gateway_log=$name.log
  start_gateway --http 127.0.0.1:0 --tcp-tls 127.0.0.1:0 --tls-cert "$certificate" --tls-key "$key" \
    --threads 2 --log-level error "${further[@]}" </dev/null
  tls=$(sed -n 's/.* tcp-tls=127.0.0.1:\([0-9]*\).*/\1/p' "$scratch/out")
  echo "$name $gateway_pid $port ${http##*:} $tls" >>"$scratch/gateways"
done

status=0
"$build/tests/bench_hostile" "${options[@]}" <"$scratch/gateways" || status=$?
kill "${started[@]}" && wait
started=()
exit "$status"
