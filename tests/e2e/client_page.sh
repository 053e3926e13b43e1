#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The program in docs/client.md, taken from the page: it compiles, prints what is published, and goes on after the gateway
# was away.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

sources=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$sources/docs/client.md" >"$scratch/receive.c"
# shellcheck disable=SC2086 # flags, a word each
"${CC-cc}" -Wall -Wextra -Werror -I"$sources/include" -o "$scratch/receive" "$scratch/receive.c" $CLIENT_FLAGS ||
  fail "the program of the page doesn't compile"

# received TEXT: waits until the program has printed it.
received() {
  local i
  for ((i = 0; i < 400; i++)); do
    ! grep -qxF "$1" "$scratch/received" || return 0
    sleep 0.05
  done
  fail "'$1' was not received: $(cat "$scratch/received" "$scratch/problems")"
}

publish() {
  curl -sf -d "$1" "http://$http/api/v1/publish?topic=news" >/dev/null || fail "'$1' was not published"
}

start_gateway --http 127.0.0.1:0
"$scratch/receive" "ws://$http" news >"$scratch/received" 2>"$scratch/problems" &
started+=("$!")
for ((i = 0; i < 400; i++)); do # until it is subscribed
  publish first
  ! grep -q first "$scratch/received" || break
  sleep 0.05
done
publish hello
received "news: hello"

echo 'the gateway is away, and comes back'
kill -KILL "$gateway_pid"
wait "$gateway_pid" 2>/dev/null || true
where=$http
start_gateway --http "$where"
for ((i = 0; i < 400; i++)); do
  publish again
  ! grep -qxF 'news: again' "$scratch/received" || break
  sleep 0.05
done
received "news: again"
grep -q 'the next attempt is in' "$scratch/problems" || fail "the end of the connection was not told"
