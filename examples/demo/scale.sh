#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Holds and serves many connections on this machine: 100000 if nothing is said. A process may hold only so many file
# descriptors, so there are as many gateways as that takes, each with a load client of its own that connects from several
# loopback addresses, as an address has only so many ports. Every second a message is published on each gateway, and
# every client has to get every one. It sizes itself to the machine, says what limited it, and ends what it started.
#
#   examples/demo/scale.sh [--plan] [--seconds SECONDS] [CONNECTIONS]
#
#   --plan             only say how many connections fit, on how many gateways, and what limits them
#   --seconds SECONDS  for how long messages are published; default: 20
#
# Exit code 1 if a connection failed, or a message came to somebody not at all, twice or out of order. $GATEWAY and
# $LOADCLIENT are the paths of other programs than those of build/.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

gateway=${GATEWAY:-$gateway}
loadclient=${LOADCLIENT:-$loadclient}
wanted=100000
seconds=20
sources=127.0.0.2-127.0.0.9
source_count=8
descriptors_of_a_process=200 # that are not clients: the gateway keeps some for administrators
bytes_of_a_connection=16384  # of both ends with their kernel buffers, measured: 7 to 12 KB

refuse() { # refuse PROBLEM
  printf 'scale.sh: %s\nUsage: examples/demo/scale.sh [--plan] [--seconds SECONDS] [CONNECTIONS]\n' "$1" >&2
  exit 2
}

is_number() { # is_number TEXT MOST: a whole number from 1 on
  [[ $1 =~ ^[1-9][0-9]{0,8}$ ]] && [ "$1" -le "$2" ]
}

plans=false
while [ $# -gt 0 ]; do
  case $1 in
    --plan) plans=true ;;
    --seconds)
      seconds=${2-}
      is_number "$seconds" 86400 || refuse "--seconds wants a whole number from 1 to 86400, not '$seconds'"
      shift
      ;;
    -h | --help)
      sed -n '4,16s/^# \{0,1\}//p' examples/demo/scale.sh
      exit 0
      ;;
    -*) refuse "there is no option $1" ;;
    *)
      wanted=$1
      is_number "$wanted" 999999999 || refuse "CONNECTIONS is a whole number from 1 to 999999999, not '$wanted'"
      ;;
  esac
  shift
done
for tool in curl jq; do
  if ! command -v "$tool" >/dev/null; then
    echo "scale.sh needs $tool: apt-get install $tool" >&2
    exit 1
  fi
done
if [ ! -x "$gateway" ] || [ ! -x "$loadclient" ]; then
  echo "Build it first: examples/demo/start.sh does, and cmake --preset release && cmake --build --preset release" >&2
  exit 1
fi

# What fits.
count=$wanted
limit_to() { # limit_to NUMBER REASON
  [ "$count" -gt "$1" ] || return 0
  count=$1
  limited_by=$2
}
available_bytes() { # of memory: the machine's, and what the container may have
  local bytes most
  bytes=$(awk '/^MemAvailable/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)
  read -r most 2>/dev/null </sys/fs/cgroup/memory.max || most=max
  if [ "$most" != max ]; then
    most=$((most - $(cat /sys/fs/cgroup/memory.current)))
    [ "$bytes" -le "$most" ] || bytes=$most
  fi
  echo "$bytes"
}
limited_by='what was asked for'
ulimit -n "$(ulimit -Hn)"
per_process=100000
[ "$(ulimit -n)" = unlimited ] || per_process=$(($(ulimit -n) - descriptors_of_a_process))
if [ "$per_process" -lt 1 ]; then
  echo "scale.sh: a process may have $(ulimit -n) file descriptors, too few for a gateway: raise ulimit -Hn" >&2
  exit 1
fi
read -r first_port last_port </proc/sys/net/ipv4/ip_local_port_range
read -r files_open _ files_most </proc/sys/fs/file-nr
available=$(available_bytes)
limit_to $((available / bytes_of_a_connection)) "memory: $((available / 1048576)) MB are free"
limit_to $(((files_most - files_open) / 2)) "open files: fs.file-max is $files_most"
gateways=$(((count + per_process - 1) / per_process))
limit_to $(((last_port - first_port) * source_count * gateways)) 'ports: net.ipv4.ip_local_port_range'
if [ "$count" -lt 1 ]; then
  echo "scale.sh: not one connection fits: $limited_by" >&2
  exit 1
fi
share() { # share INDEX: of the connections, for one gateway
  echo $((count / gateways + ($1 < count % gateways)))
}
echo "$count connections, limited by $limited_by: $gateways gateways with up to $(share 0) each ($per_process a process)."
if $plans; then exit 0; fi

scratch=$(mktemp -d)
started=()
# shellcheck disable=SC2317 # the trap calls it
finish() {
  local id
  for id in "${started[@]}"; do kill "$id" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT

# shellcheck disable=SC2317 # sum calls it
field() { # field PID NAME: kB of /proc/PID/status
  awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"
}
# shellcheck disable=SC2317 # sum calls it
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
  "$gateway" --tcp 127.0.0.1:0 --http 127.0.0.1:0 --trust-loopback >"$scratch/gateway.$i" 2>"$scratch/log.$i" </dev/null &
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
  [ "$(jobs -rp | wc -l)" -gt "$gateways" ] || break # the load clients have ended
  sleep 0.5
done
echo
user_after=$(sum field VmRSS)
kernel_after=$(kernel_kb)
cpu_before=$(sum ticks)

failed=0
for id in "${clients[@]}"; do wait "$id" || failed=1; done
started=("${gateway_ids[@]}") # the others have ended, and their ids may be somebody else's
cpu_after=$(sum ticks)

jq -s --argjson cpu "$((cpu_after - cpu_before))" --argjson hertz "$(getconf CLK_TCK)" --argjson count "$count" \
  --argjson user "$((user_after - user_before))" --argjson kernel "$((kernel_after - kernel_before))" -r '
  ([.[].classes.healthy.messages] | add) as $deliveries |
  "connected                      \([.[].classes.healthy.connected] | add)",
  "deliveries                     \($deliveries) of \([.[] | .classes.healthy.clients * .publisher.accepted] | add)",
  "lost, twice, disordered        \([.[].classes.healthy.integrity | .lost + .duplicates + .out_of_order] | add)",
  "user memory per connection     \($user * 1024 / $count | floor) B of the gateways, with what its messages take",
  "kernel memory per connection   \($kernel * 1024 / $count | floor) B, both ends",
  "CPU per delivery               \($cpu / $hertz * 1e6 / ([$deliveries, 1] | max) * 100 | floor / 100) us of the gateways",
  "a broadcast reaches all within \([.[].classes.healthy.latency_ms.p50] | max) ms (median), \(
    [.[].classes.healthy.latency_ms.max] | max) ms (worst)"' "$scratch"/report.*
if ! jq -se 'all(.publisher.accepted > 0 and .classes.healthy.messages == .classes.healthy.clients * .publisher.accepted)' \
  "$scratch"/report.* >/dev/null; then
  failed=1
fi
if [ "$failed" -ne 0 ]; then
  cat "$scratch"/client.*
fi
exit "$failed"
