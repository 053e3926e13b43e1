#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The load client beside a backbone: what it publishes to NATS, or at one gateway, comes to its clients at another one,
# whole and in order.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../support/nats.sh"

# shellcheck disable=SC2119 # it takes none here
start_nats
start_named first --nats "$nats_url"
first=tcp://127.0.0.1:$port
start_named second --nats "$nats_url" --http 127.0.0.1:0
until_says '200 ready*' get "$http" /readyz
for publish in "$nats_url" "$nats_url/fluxbp.news" "$first"; do
  expect_exit 0 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --publish "$publish" --connections 10 --rate 1000 \
    --messages 1000 --quiet --json "$scratch/report"
  grep -q '"messages": 10000,' "$scratch/report" || fail "$publish: not everything came: $(cat "$scratch/said")"
  grep -q '"accepted": 1000,' "$scratch/report" || fail "$publish: not everything was accepted"
done
kill_nats
expect_exit 3 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --publish "$nats_url" --connections 1 --quiet
