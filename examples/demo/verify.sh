#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Measures on the system that start.sh has started what libfluxbp promises. A line for each promise: PASS, FAIL or SKIP
# with a reason, the measured value and its limit. verify.sh --json FILE writes the same as JSON. Exit code 1 if one fails.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

json=
case ${1-} in
  --json) json=${2:?verify.sh --json FILE} ;;
  '') ;;
  *)
    echo "Usage: examples/demo/verify.sh [--json FILE]" >&2
    exit 2
    ;;
esac
need_running
is_running gateway
gateway_pid=$pid

seconds=${VERIFY_SECONDS:-15}
topic=verify-$$
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# check NAME pass|fail VALUE LIMIT
check() {
  local word=PASS
  if [ "$2" = fail ]; then
    word=FAIL
    failed=1
  fi
  printf '%s  %-42s %s (limit: %s)\n' "$word" "$1" "$3" "$4"
  jq -nc --arg name "$1" --arg outcome "$word" --arg value "$3" --arg limit "$4" '$ARGS.named' >>"$scratch/checks"
}

skip() { # skip NAME REASON
  printf 'SKIP  %-42s %s\n' "$1" "$2"
  jq -nc --arg name "$1" --arg reason "$2" '{outcome: "SKIP"} + $ARGS.named' >>"$scratch/checks"
}

# judge EXPRESSION: pass or fail, by awk.
judge() {
  awk "BEGIN { print ($1) ? \"pass\" : \"fail\" }"
}

# cpu: user and system time of the gateway so far, in ticks.
cpu() {
  # shellcheck disable=SC2046
  set -- $(sed 's/.*) //' "/proc/$gateway_pid/stat")
  echo "${12} ${13}"
}

rss() { # of the gateway, in bytes
  awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$gateway_pid/status"
}

load() { # load NAME OPTION...
  local name=$1 status=0
  shift
  "$loadclient" --quiet --target "tcp://$tcp" --topic "$topic" --publish "http://$http" --duration "${seconds}s" \
    --json "$scratch/$name.json" "$@" >"$scratch/$name.txt" 2>&1 || status=$?
  echo "$status" >"$scratch/$name.status"
}

# What is kept for resuming grows until it is full: 10000 messages.
"$loadclient" --quiet --connections 0 --publish "http://$http" --topic "$topic" --rate max --messages 12000 --size 200 \
  >"$scratch/fill.txt" 2>&1 || true

# Between the second after which all are connected and the end of the run nobody comes or goes.
echo "Healthy clients: 500, for $seconds s"
load healthy --connections 500 --rate 400 --size 200 &
loading=$!
for ((i = 0; i < 300; i++)); do
  [ "$(stats .connections.total)" -lt 500 ] || break
  sleep 0.1
done
sleep 1
stats . >"$scratch/before"
read -r user_before system_before < <(cpu)
rss_before=$(rss)
sleep "$((seconds > 6 ? seconds - 5 : 1))"
read -r user_after system_after < <(cpu)
rss_after=$(rss)
stats . >"$scratch/after"
wait "$loading"

lost=$(jq '.classes.healthy.integrity | .lost + .duplicates + .out_of_order + .corrupt' "$scratch/healthy.json")
check 'healthy clients: lost, twice, disordered' "$(judge "$lost == 0 && $(cat "$scratch/healthy.status") == 0")" "$lost" 0

rate=$(jq -s '(.[1].counters.written_at_once - .[0].counters.written_at_once) /
  ([.[1].counters.written - .[0].counters.written + .[1].counters.dropped - .[0].counters.dropped, 1] | max) * 100' \
  "$scratch/before" "$scratch/after")
check 'write success rate: taken at the first offer' "$(judge "$rate > 95")" "$(printf '%.2f %%' "$rate")" '> 95 %'

deliveries=$(jq -s '.[1].counters.written - .[0].counters.written' "$scratch/before" "$scratch/after")
hertz=$(getconf CLK_TCK)
us() { # us TICKS: microseconds a delivery
  awk "BEGIN { printf \"%.2f\", $1 / $hertz * 1e6 / $deliveries }"
}
user_us=$(us $((user_after - user_before)))
system_us=$(us $((system_after - system_before)))
check 'library and gateway, per delivery' "$(judge "$user_us < 5")" \
  "$user_us us of user time; the kernel's sending takes another $system_us us" '< 5 us'

calls=$(jq -s '.[1].memory.allocator_calls - .[0].memory.allocator_calls' "$scratch/before" "$scratch/after")
grown=$(jq -s --argjson a "$rss_before" --argjson b "$rss_after" \
  '([$b - $a, 0] | max) / (.[1].time - .[0].time) | floor' "$scratch/before" "$scratch/after")
check 'allocation in steady state' "$(judge "$grown < 1000000")" \
  "$grown bytes/s of memory; $calls allocator calls besides $deliveries deliveries, for tasks between threads and the history" '< 1 MB/s'

echo "Stalled among healthy clients: 20 of 220, for $seconds s"
stats . >"$scratch/before"
load stalled --connections 220 --mix healthy=200,stalled=20 --stalled-rcvbuf 4096 --rate 400 --size 500
stats . >"$scratch/after"
lost=$(jq '.classes.healthy.integrity | .lost + .duplicates + .out_of_order + .corrupt' "$scratch/stalled.json")
check 'healthy beside stalled ones: lost, twice' "$(judge "$lost == 0 && $(cat "$scratch/stalled.status") == 0")" "$lost" 0
evicted=$(jq '.classes.stalled.evicted' "$scratch/stalled.json")
others=$(jq -s '([.[1].evictions[]] | add) - ([.[0].evictions[]] | add)' "$scratch/before" "$scratch/after")
check 'stalled clients evicted, and only they' "$(judge "$evicted == 20 && $others == 20")" \
  "$evicted of 20, $others in all" '20 of 20'
slowest=$(curl -fsS -m 10 "http://$http/api/v1/evictions?limit=20" | jq '[.evictions[].since_progress_ms] | max')
check 'longest time without progress at eviction' "$(judge "$slowest <= 5500")" "$slowest ms" '5500 ms'

rss=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$gateway_pid/status")
budget=$(jq '.memory.budget_bytes / 1048576 | floor' "$scratch/after")
check 'memory of the gateway at its peak' "$(judge "$rss < $budget")" "$rss MB" "$budget MB, the budget"

if is_running dashboard; then
  status=$(curl -s -o "$scratch/page" -m 10 -w '%{http_code}' "http://$page/" || true)
  check 'dashboard answers' "$(judge "$status == 200")" "HTTP $status" 200
else
  skip 'dashboard answers' 'it does not run; start.sh starts it'
fi

if [ -n "$json" ]; then
  jq -s --arg time "$(date -Is)" '{time: $time, ok: all(.outcome != "FAIL"), checks: .}' "$scratch/checks" >"$json"
fi
exit "$failed"
