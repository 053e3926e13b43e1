#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The load client and the gateway, in each protocol and by each way to publish: whoever has to get everything does, over
# all its connections, beside clients that misbehave; those that never read are evicted, and nobody else.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

start_gateway --tcp-length 127.0.0.1:0 --http 127.0.0.1:0 --threads 2 --slots 4096 --history 100000 </dev/null
framed=$(sed -n 's/^ready .*tcp-length=\(127.0.0.1:[0-9]*\).*/\1/p' "$scratch/out")
for publish in "http://$http" "tcp://127.0.0.1:$port" "tcp-length://$framed"; do
  for target in "tcp://127.0.0.1:$port" "tcp-length://$framed" "ws://$http" "sse://$http"; do
    expect_exit 0 "$LOADCLIENT" --target "$target" --publish "$publish" --connections 20 --rate 1000 --messages 1000 \
      --mix 'healthy=8,slow=2,bursty:200ms=2,reconnect:200ms=8' --quiet --slo 'loss(healthy)==0' \
      --json "$scratch/report"
    grep -q '"resumed": [1-9]' "$scratch/report" || fail "$target: nobody was cut and resumed"
  done
done
stop_gateway

echo 'evictions'
start_gateway --http 127.0.0.1:0 --stall 2000 --grace 0 --slots 4096 --ring-bytes 64M </dev/null
for target in "tcp://127.0.0.1:$port" "ws://$http" "sse://$http"; do
  expect_exit 0 "$LOADCLIENT" --target "$target" --publish "tcp://127.0.0.1:$port" --connections 20 --processes 2 \
    --mix healthy=8,stalled=2 --stalled-rcvbuf 4096 --rate 100 --size 2000 --duration 8 --quiet \
    --slo 'evicted(stalled)==all' --slo 'evicted(healthy)==0' --slo 'eviction>1900ms'
done
stop_gateway
[ "$(grep -c 'event=evicted.*reason=stalled' "$scratch/log")" -eq 12 ] || fail "not exactly 12 stalled clients evicted"

echo 'tokens'
reads=only-for-subscribing writes=for-subscribing-and-publishing
printf '%s\n' "subscribe $reads" "subscribe $writes" "publish $writes" >"$scratch/tokens"
chmod 600 "$scratch/tokens"
start_gateway --http 127.0.0.1:0 --tokens "$scratch/tokens" </dev/null
for target in "tcp://127.0.0.1:$port" "ws://$http" "sse://$http"; do
  run=("$LOADCLIENT" --target "$target" --publish "http://$http" --topic news --messages 50 --quiet)
  expect_exit 0 "${run[@]}" --token "$writes"
  expect_exit 1 "${run[@]}" --token "$reads"
  expect_said 'publisher: the server answered with status 403'
done
expect_exit 1 "$LOADCLIENT" --target "sse://$http" --duration 5 --quiet
expect_said 'was refused with status 401'
stop_gateway
