#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The first five minutes with curl: a stream in one terminal, publishing in another, one message and many, from HTTP and
# from standard input, and a state topic.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

feed=$scratch/feed
mkfifo "$feed"
exec 9<>"$feed"
start_gateway --http 127.0.0.1:0 --stdin --patience 0 --state prices <"$feed"

# stream NAME QUERY: curl as a newcomer calls it, its output in $scratch/NAME; returns when it is subscribed.
stream() {
  curl -sN "http://$http/sse?$2" >"$scratch/$1" &
  started+=("$!")
  wait_for_stream "$1" '^retry: [123][0-9][0-9][0-9]$'
}

wait_for_stream() { # wait_for_stream NAME PATTERN
  local i
  for ((i = 0; i < 600; i++)); do
    ! grep -q -- "$2" "$scratch/$1" || return 0
    sleep 0.05
  done
  fail "the stream $1 never had '$2' but: $(cat "$scratch/$1")"
}

# post PATH CURL_ARGUMENT...: sets $answer
post() {
  local path=$1
  shift
  answer=$(curl -sS "$@" "http://$http$path")
}

expect_answer() {
  [[ $answer =~ $1 ]] || fail "the answer is not '$1' but '$answer'"
}

stream news ''
stream json 'topic=news,sport&format=json'
post '/api/v1/publish?topic=news' -d hello
expect_answer '^\{"id":"[0-9a-f]{16}:[0-9]+"\}$'
wait_for_stream news '^id: [0-9a-f]\{16\}:[0-9]*$'
wait_for_stream news '^data: hello$'
wait_for_stream json '^data: {"id":"[0-9a-f]\{16\}:[0-9]*","topic":"news","data":"hello"}$'

printf '%s\n' '{"topic":"news","data":"one"}' '{"topic":"sport","data":"two"}' '{"topic":"news","base64":"dGhyZWU="}' \
  >"$scratch/many"
post /api/v1/publish -H 'Content-Type: application/x-ndjson' --data-binary "@$scratch/many"
expect_answer '^\{"published":3,"id":"[0-9a-f]{16}:[0-9]+"\}$'
wait_for_stream news '^data: three$'
wait_for_stream json '"topic":"sport","data":"two"'
! grep -q two "$scratch/news" || fail "a message of a topic that was not asked for"

echo 'from standard input' >&9
wait_for_stream news '^data: from standard input$'

# More than curl likes to send before it is asked to: "Expect: 100-continue".
head -c 60000 /dev/zero | tr '\0' x >"$scratch/long"
post '/api/v1/publish?topic=news' -H 'Expect: 100-continue' --data-binary "@$scratch/long"
expect_answer '"id"'
wait_for_stream news '^data: xxxxxxxx'

post '/api/v1/publish?topic=prices&key=EURUSD' -d 1.08
expect_answer '"id"'
post '/api/v1/publish?topic=prices&key=EURUSD' -d 1.09
stream prices 'topic=prices'
wait_for_stream prices '^data: 1.09$'
! grep -q '^data: 1\.08$' "$scratch/prices" || fail "a state topic gave an old message to a newcomer"

[ "$(curl -sS "http://$http/livez")" = ok ] || fail "livez isn't ok"
[ "$(curl -sS "http://$http/readyz")" = ready ] || fail "readyz isn't ready"
page=$(curl -sS "http://$http/") # whole: who is read no further fails
[[ $page == *'new WebSocket'* ]] || fail "the page at / does not say how to begin"
stop_gateway
wait_for_stream news '^event: closing$'
