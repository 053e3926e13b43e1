#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What can be wrong with a backbone, and what the gateway says of it: nobody there, wrong credentials, no stream, a stream
# for something else, too long a message, a stream that was purged or replaced.
# shellcheck disable=SC2016,SC2119 # subjects of NATS begin with a dollar
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../support/nats.sh"

refuses() { # refuses PATTERN ARG...: it doesn't start
  local pattern=$1
  shift
  expect_exit 1 "$GATEWAY" --tcp 127.0.0.1:0 --http off "$@"
  expect_said "$pattern"
}

newest() { # of the gateway at $port: its epoch and its newest id
  ask "$port" IDS | sed -n 's/^+OK IDS \([^ ]*\)$/\1/p'
}

conf=('max_payload: 1024' 'authorization { user: "gateway", password: "right" }')
start_nats "${conf[@]}"
open_url=$nats_url
nats_url=nats://gateway:right@${open_url#nats://}

expect_exit 2 "$GATEWAY" --jetstream NEWS
expect_said 'is about NATS: add --nats URL'
expect_exit 2 "$GATEWAY" --nats "$nats_url" --subject 'a.*'
refuses 'cannot use the backbone: Authentication Violation' --nats "$open_url"
refuses 'cannot use the backbone: Authentication Violation' --nats "nats://gateway:wrong@${open_url#nats://}"
! grep -q 'wrong' "$scratch/said" || fail "it prints passwords"
refuses 'there is no stream of that name' --nats "$nats_url" --jetstream NEWS
nats stream OTHER 'other.>'
refuses "the stream doesn't take the backbone's subject" --nats "$nats_url" --jetstream OTHER

# A message that NATS doesn't take is refused where it is published.
nats stream NEWS 'fluxbp.>'
start_named serves --nats "$nats_url" --jetstream NEWS
[[ $(ask "$port" "PUB news $(printf '%2000s' x)") == *'-ERR the message is over the max_payload of NATS'* ]] ||
  fail "a long message was taken"

# says_too_old ID OLDEST: to who resumes. The stream is asked, which takes a while.
says_too_old() {
  listen "$port" "$scratch/old" "RESUME $1"
  until_says "*-ERR too old, oldest is $2*" cat "$scratch/old"
}

# What the stream has forgotten is too old; what comes after goes on.
seq 1 10 | nats publish fluxbp.news
for ((i = 0; i < 400; i++)); do
  [[ $(newest) != *:10 ]] || break
  sleep 0.05
done
epoch=$(newest)
epoch=${epoch%:*}
stop_gateway
nats request '$JS.API.STREAM.PURGE.NEWS' '{"seq":6}' >/dev/null
start_named serves --nats "$nats_url" --jetstream NEWS
says_too_old "$epoch:3" "$epoch:5"
listen "$port" "$scratch/left" IDS "RESUME $epoch:8"
until_says "*$epoch:9 news 9"$'\n'"$epoch:10 news 10*" cat "$scratch/left"

# What is published and purged while its backbone is away: nothing can be told of it but that.
goes_for_its_stream() {
  status=0
  wait "$gateway_pid" || status=$?
  [ "$status" -eq 1 ] || fail "a gateway without its stream exited with $status"
  grep -q "event=backbone_stream_lost.*$1" "$scratch/serves" || fail "it didn't say that $1"
}
elsewhere() { # at another port, so that the gateway doesn't see it
  kill_nats
  nats_port=$1
  start_nats "${conf[@]}"
  nats_url=nats://gateway:right@${nats_url#nats://}
}
here=$nats_port
elsewhere ''
seq 11 20 | nats publish fluxbp.news
nats request '$JS.API.STREAM.PURGE.NEWS' '{"seq":20}' >/dev/null
elsewhere "$here"
goes_for_its_stream 'has dropped messages'
start_named serves --nats "$nats_url" --jetstream NEWS
says_too_old "$epoch:10" "$epoch:19"

# Another stream of the same name: other ids, so another epoch, and the gateway ends for its supervisor to start it anew.
nats request '$JS.API.STREAM.DELETE.NEWS' >/dev/null
nats stream NEWS 'fluxbp.>'
goes_for_its_stream 'was replaced'
start_named anew --nats "$nats_url" --jetstream NEWS
[[ $(ask "$port" "RESUME $epoch:8") == *"-ERR unknown epoch"* ]] || fail "another stream has the same epoch"
