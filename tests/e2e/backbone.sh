#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Two gateways behind one NATS: the clients of both get everything once, by whatever way it was published. The backbone may
# be away when they start, and may go and come back; publishers are told meanwhile.
# shellcheck disable=SC2016,SC2119 # subjects of NATS begin with a dollar
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../support/nats.sh"

# has FILE LINE...: exactly these, but for answers.
has() {
  local file=$1
  shift
  until_says "$(printf '%s\n' "$@")" grep -v '^[+]' "$file"
}

# Away at the start: they serve, say so, and refuse what is published.
start_nats
kill_nats
start_named first --nats "$nats_url" --state prices --http 127.0.0.1:0
first_port=$port
first_http=$http
wait_for_named first 'event=backbone_away'
start_named second --nats "$nats_url" --state prices --http 127.0.0.1:0
second_port=$port
second_http=$http
[[ $(get "$first_http" /readyz) == '503 the backbone is away'* ]] || fail "it is ready without its backbone"
[[ $(get "$first_http" /livez) == 200* ]] || fail "it isn't alive without its backbone"
[[ $(ask "$first_port" 'PUB news lost') == *'-ERR busy: the backbone is away'* ]] || fail "a publisher was told nothing"
listen "$first_port" "$scratch/by_first" 'SUB prices'
listen "$second_port" "$scratch/by_second" 'SUB prices'

start_nats
until_says '200 ready*' get "$first_http" /readyz
until_says '200 ready*' get "$second_http" /readyz

# Each way in, and each client once.
[[ $(ask "$first_port" 'PUB news by-first') == *'+OK PUB '*:* ]] || fail "PUB was refused"
has "$scratch/by_second" by-first
[[ $(ask "$second_port" 'PUB news by-second' 'SET prices gold 7') == *'+OK SET '*:* ]] || fail "SET was refused"
has "$scratch/by_first" by-first by-second 7
echo by-nats | nats publish fluxbp.news
echo 8 | nats publish fluxbp.prices Fluxbp-Key=gold
has "$scratch/by_first" by-first by-second 7 by-nats 8
has "$scratch/by_second" by-first by-second 7 by-nats 8
[[ $(ask "$first_port" 'PUB a..b hello') == *'-ERR NATS has no subject for that topic'* ]] || fail "a..b was taken"

# What no client could get is counted, and logged.
echo lost | nats publish 'fluxbp.a/b'
echo lost | nats publish fluxbp.prices
until_says '*fluxbp_backbone_rejected_total 2*' get "$first_http" /metrics
wait_for_named first 'event=backbone_rejected.*subject=fluxbp.a/b'

# It goes, and comes back.
kill_nats
wait_for_named second 'event=backbone_disconnected'
until_says '*-ERR busy*' ask "$second_port" 'PUB news lost'
start_nats
until_says '200 ready*' get "$first_http" /readyz
until_says '200 ready*' get "$second_http" /readyz
until_says '*+OK PUB*' ask "$first_port" 'PUB news again'
has "$scratch/by_second" by-first by-second 7 by-nats 8 again
has "$scratch/by_first" by-first by-second 7 by-nats 8 again
until_says '*fluxbp_backbone_disconnects_total 1*' get "$first_http" /metrics

# A feed on standard input goes the same way, and --once waits until it is there.
seq 1 20000 >"$scratch/file"
gateway_log=feed
start_gateway --nats "$nats_url" --topic numbers --stdin --once --patience 0 --slots 32768 <"$scratch/file"
status=0
wait "$gateway_pid" || status=$?
[ "$status" -eq 0 ] || fail "the feeding gateway exited with $status"
until_says '*fluxbp_backbone_received_total 200*' get "$first_http" /metrics
until_says '*fluxbp_backbone_received_total 200*' get "$second_http" /metrics
