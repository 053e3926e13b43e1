#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A gateway is killed in mid-stream, and another one started; then NATS is killed, and started again. A thousand clients
# that resume wherever they can have everything once, in order.
# shellcheck disable=SC2016,SC2119 # subjects of NATS begin with a dollar
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../support/nats.sh"

clients=1000
last=600

set_ports() { # at once: the clients may be reading them
  echo "$@" >"$scratch/ports.new"
  mv "$scratch/ports.new" "$scratch/ports"
}

wait_for_number() { # of the publisher
  local i
  for ((i = 0; i < 2400; i++)); do
    [ "$(tail -n 1 "$scratch/published")" -lt "$1" ] || return 0
    kill -0 "$publisher_pid" 2>/dev/null || fail "the publisher ended: $(tail -n 3 "$scratch/published.err")"
    sleep 0.05
  done
  fail "the publisher did not come to $1 within two minutes"
}

start_nats
nats stream NEWS 'fluxbp.>'
options=(--nats "$nats_url" --jetstream NEWS --slots 4096 --history 20) # most of what they missed is in the stream alone
start_named killed "${options[@]}"
killed_pid=$gateway_pid
killed_port=$port
start_named stays "${options[@]}" --http 127.0.0.1:0
stays_port=$port
stays_http=$http
set_ports "$killed_port" "$stays_port"

python3 "$support/resuming_clients.py" "$scratch/ports" "$clients" "$last" news other >"$scratch/clients" 2>&1 &
clients_pid=$!
started+=("$clients_pid")
for ((i = 0; i < 1200; i++)); do
  ! grep -q ready "$scratch/clients" || break
  kill -0 "$clients_pid" 2>/dev/null || fail "the clients ended: $(cat "$scratch/clients")"
  sleep 0.05
done
echo 0 >"$scratch/published"
python3 "$support/publisher.py" "$stays_port" 1 "$last" news other >>"$scratch/published" 2>"$scratch/published.err" &
publisher_pid=$!
started+=("$publisher_pid")

wait_for_number 100
kill -KILL "$killed_pid"
start_named new "${options[@]}"
set_ports "$port" "$stays_port"
wait_for_named new 'event=started'

wait_for_number 300
kill_nats
wait_for_named stays 'event=backbone_disconnected'
[[ $(get "$stays_http" /readyz) == '503 the backbone is away'* ]] || fail "it was ready without its backbone"
start_nats

wait "$clients_pid" || fail "$(cat "$scratch/clients")"
wait "$publisher_pid" || fail "the publisher: $(cat "$scratch/published.err")"
cat "$scratch/clients"
grep -q "clients=$clients resumed=$((clients / 2)) .*lost=0 twice=0" "$scratch/clients" || fail "not all have resumed"
[[ $(get "$stays_http" /readyz) == '200 ready'* ]] || fail "it was not ready again"
