#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Holds and serves many connections on this machine: scale.sh [N], 100000 if nothing is said. A process may hold only so
# many file descriptors, so there are as many gateways as that takes, each with a load client of its own that connects
# from several loopback addresses, as an address has only so many ports. Every second a message is published on each
# gateway, and every client has to get every one. It sizes itself to the machine, says what limited it, and ends what it
# started. Exit code 1 if a message was lost.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wanted=${1:-100000}
seconds=${SCALE_SECONDS:-20}
sources=127.0.0.2-127.0.0.9
source_count=8
descriptors_of_a_process=200 # that are not clients: the gateway keeps some for administrators
bytes_of_a_connection=16384  # of both ends with their kernel buffers, measured: 7 to 12 KB

case $wanted in
  '' | *[!0-9]*)
    echo "Usage: examples/demo/scale.sh [CONNECTIONS]" >&2
    exit 2
    ;;
esac
if [ ! -x "$gateway" ] || [ ! -x "$loadclient" ]; then
  echo "Build it first: examples/demo/start.sh does, and cmake --preset release && cmake --build --preset release" >&2
  exit 1
fi

scratch=$(mktemp -d)
started=()
# shellcheck disable=SC2317 # the trap calls it, and sum the two others
finish() {
  local id
  for id in "${started[@]}"; do kill "$id" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT

# What fits.
count=$wanted
limit_to() { # limit_to NUMBER REASON
  [ "$count" -gt "$1" ] || return 0
  count=$1
  limited_by=$2
}
limited_by='what was asked for'
ulimit -n "$(ulimit -Hn)"
if [ "$(ulimit -n)" = unlimited ]; then per_process=100000; else per_process=$(($(ulimit -n) - descriptors_of_a_process)); fi
read -r first_port last_port </proc/sys/net/ipv4/ip_local_port_range
available=$(awk '/^MemAvailable/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)
limit_to $((available / bytes_of_a_connection)) "memory: $((available / 1048576)) MB are free"
gateways=$(((count + per_process - 1) / per_process))
limit_to $(((last_port - first_port) * source_count * gateways)) 'ports: net.ipv4.ip_local_port_range'
share() { # share INDEX: of the connections, for one gateway
  echo $((count / gateways + ($1 < count % gateways)))
}
echo "$count connections, limited by $limited_by: $gateways gateways with up to $(share 0) each ($per_process a process)."

field() { # field PID NAME: kB of /proc/PID/status
  awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"
}
ticks() { # ticks PID: CPU time so far
  sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}
kernel_kb() { # what sockets and their buffers have of the kernel's memory
  awk '/^(Slab|KernelStack):/ { kb += $2 } END { print kb }' /proc/meminfo
}
sum() { # sum COMMAND [ARG]: over all gateways
  local total=0 id
  for id in "${gateway_ids[@]}"; do total=$((total + $("$1" "$id" "${@:2}"))); done
  echo "$total"
}

gateway_ids=()
for ((i = 0; i < gateways; i++)); do
  "$gateway" --tcp 127.0.0.1:0 --http 127.0.0.1:0 >"$scratch/gateway.$i" 2>"$scratch/log.$i" </dev/null &
  started+=($!)
  gateway_ids+=($!)
done
for ((i = 0; i < gateways; i++)); do
  for ((tries = 0; tries < 200; tries++)); do
    ! grep -q '^ready' "$scratch/gateway.$i" || break
    sleep 0.1
  done
  tcp_of[i]=$(sed -n 's/^ready tcp=\([^ ]*\).*/\1/p' "$scratch/gateway.$i")
  http_of[i]=$(sed -n 's/^ready .*http=\([^ ]*\).*/\1/p' "$scratch/gateway.$i")
  if [ -z "${http_of[i]}" ]; then
    cat "$scratch/log.$i" >&2
    exit 1
  fi
done
user_before=$(sum field VmRSS)
kernel_before=$(kernel_kb)

clients=()
for ((i = 0; i < gateways; i++)); do
  "$loadclient" --quiet --target "tcp://${tcp_of[i]}" --publish "http://${http_of[i]}" --connections "$(share "$i")" \
    --source "$sources" --rate 1 --size 128 --duration "${seconds}s" --timeout 120s --json "$scratch/report.$i" \
    >"$scratch/client.$i" 2>&1 &
  started+=($!)
  clients+=($!)
done

connected() {
  local total=0 address
  for address in "${http_of[@]}"; do
    total=$((total + $(curl -fsS -m 20 "http://$address/api/v1/stats" | jq .connections.total)))
  done
  echo "$total"
}
for ((tries = 0; tries < 600; tries++)); do
  now=$(connected)
  printf '\r%d connected' "$now"
  [ "$now" -lt "$count" ] || break
  sleep 0.5
done
echo
user_after=$(sum field VmRSS)
kernel_after=$(kernel_kb)
cpu_before=$(sum ticks)

failed=0
for id in "${clients[@]}"; do wait "$id" || failed=1; done
cpu_after=$(sum ticks)

jq -s --argjson cpu "$((cpu_after - cpu_before))" --argjson hertz "$(getconf CLK_TCK)" --argjson count "$count" \
  --argjson user "$((user_after - user_before))" --argjson kernel "$((kernel_after - kernel_before))" -r '
  ([.[].classes.healthy.messages] | add) as $deliveries |
  "connected                      \([.[].classes.healthy.connected] | add)",
  "deliveries                     \($deliveries)",
  "lost, twice, disordered        \([.[].classes.healthy.integrity | .lost + .duplicates + .out_of_order] | add)",
  "user memory per connection     \($user * 1024 / $count | floor) B of the gateways, with what its messages take",
  "kernel memory per connection   \($kernel * 1024 / $count | floor) B, both ends",
  "CPU per delivery               \($cpu / $hertz * 1e6 / ([$deliveries, 1] | max) * 100 | floor / 100) us of the gateways",
  "a broadcast reaches all within \([.[].classes.healthy.latency_ms.p50] | max) ms (median), \(
    [.[].classes.healthy.latency_ms.max] | max) ms (worst)"' "$scratch"/report.*
if [ "$failed" -ne 0 ]; then
  cat "$scratch"/client.*
fi
exit "$failed"
