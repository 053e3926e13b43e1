#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Shows on the system that start.sh has started what a slow client does to the others, which is nothing: healthy clients,
# then slow ones among them, then some that stop reading and are evicted, then some that are cut off and resume. A line a
# second says how it goes; http://127.0.0.1:8080 shows it. Ends with a summary; exit code 1 if something was not as it
# should be.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_running

seconds=${DEMO_SECONDS:-12} # for each phase
clients=${DEMO_CLIENTS:-200}
topic=demo-$$
reports=$(mktemp -d)
watcher=
trap 'if [ -n "$watcher" ]; then kill "$watcher" 2>/dev/null || true; fi; rm -rf "$reports"' EXIT

evictions='[.evictions[]] | add'

# A line a second, until it is killed.
watch_gateway() {
  local before now
  before=$(stats '.counters.written')
  while sleep 1; do
    now=$(stats '.counters.written') || return 0
    stats "\"      \(.connections.total) connected: \(.connections.healthy) healthy, \(.connections.backpressured) backpressured, \(
      .connections.stalled) stalled · $((now - before)) deliveries/s · broadcast p99 \(.broadcast.p99_us) us · \(
      $evictions) evicted in all\"" || return 0
    before=$now
  done
}

# phase NUMBER SENTENCE MIX [OPTION...]
phase() {
  local number=$1 sentence=$2 mix=$3 status=0 before
  shift 3
  printf '\n%s. %s\n' "$number" "$sentence"
  before=$(stats "$evictions")
  watch_gateway &
  watcher=$!
  "$loadclient" --quiet --target "tcp://$tcp" --topic "$topic" --publish "http://$http" --rate 300 --size 500 \
    --connections "$clients" --mix "$mix" --duration "${seconds}s" --json "$reports/$number.json" "$@" \
    >"$reports/$number.txt" 2>&1 || status=$?
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  watcher=
  jq -r '"      -> \(.classes | to_entries | map("\(.value.clients) \(.key)") | join(", ")): \(.messages) deliveries, healthy: \(
    .classes.healthy.integrity.lost) lost, \(.classes.healthy.integrity.duplicates) twice, p50 \(
    .classes.healthy.latency_ms.p50) ms, p99 \(.classes.healthy.latency_ms.p99) ms"' "$reports/$number.json"
  echo "      -> evicted: $(($(stats "$evictions") - before)), exit code of the load client: $status"
  [ "$status" -eq 0 ] || cat "$reports/$number.txt"
  results+=("$number. $([ "$status" -eq 0 ] && echo 'as it should be' || echo "NOT as it should be ($status)"): $sentence")
  [ "$status" -eq 0 ] || failed=1
}

results=()
failed=0
phase 1 "Healthy: $clients clients read as fast as they get it." healthy=100
phase 2 'Slow readers: a tenth of them takes 16 KB/s of the 150 KB/s. They lose messages, and are told which; the others lose nothing.' \
  healthy=90,slow:16KB/s=10
phase 3 'Stalled readers: a tenth never reads. They are evicted 5 s after they stopped, with the reason; the others notice nothing.' \
  healthy=90,stalled=10 --stalled-rcvbuf 4096 --slo 'evicted(stalled)==all'
phase 4 'Recovery: half of them is cut off again and again, and resumes where it was. Nobody misses anything.' \
  healthy=50,reconnect:1s=50

printf '\nSummary\n'
printf '  %s\n' "${results[@]}"
curl -fsS -m 10 "http://$http/api/v1/evictions?limit=3" |
  jq -r '.evictions[] | "  evicted: client \(.id) (\(.peer)), \(.reason), \(.cause), \(.since_progress_ms) ms after its last progress"'
exit "$failed"
