#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# examples/demo/make-stream.sh: the stream is there afterwards, with the settings, and a gateway takes it; what is wrong it
# says.
# shellcheck disable=SC2016,SC2119 # subjects of NATS begin with a dollar
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../support/nats.sh"
make=$(dirname "${BASH_SOURCE[0]}")/../../examples/demo/make-stream.sh

expect_exit 0 "$make" --help
expect_said 'SETTINGS'
for wrong in '' 'a b' 'a.b' 'a"b'; do
  expect_exit 2 "$make" "$wrong"
  expect_said 'Usage: .*make-stream.sh NAME'
done
expect_exit 2 "$make" NEWS 'a b'
expect_exit 2 "$make" NEWS 'fluxbp.>' 'max_msgs'
expect_said 'SETTINGS are a JSON object'
expect_exit 2 env FLUXBP_NATS=http://127.0.0.1 "$make" NEWS
expect_said "FLUXBP_NATS isn't nats://HOST:PORT"

start_nats 'authorization { user: "gateway", password: "ri\"ght" }'
export FLUXBP_NATS=$nats_url
for ((i = 0; i < 30; i++)); do # NATS hangs up at once: whatever is still sent then must not end the script without a reason
  expect_exit 1 "$make" NEWS
  expect_said "NATS refuses: 'Authorization Violation'"
done
FLUXBP_NATS='nats://gateway:ri"ght@'${nats_url#nats://}
expect_exit 0 "$make" NEWS 'fluxbp.>' '{"max_msgs": 1000, "storage": "memory"}'
expect_said 'The stream NEWS takes fluxbp.>'
nats_url=$FLUXBP_NATS
[[ $(nats request '$JS.API.STREAM.INFO.NEWS') == *'"max_msgs":1000,'*'"storage":"memory"'* ]] ||
  fail "the stream hasn't its settings: $(nats request '$JS.API.STREAM.INFO.NEWS')"
expect_exit 0 "$make" NEWS 'fluxbp.>' '{"max_msgs": 1000, "storage": "memory"}'
expect_exit 1 "$make" NEWS 'other.>'
expect_said 'NATS refuses: stream name already in use'
expect_exit 1 "$make" OLDS 'fluxbp.>' '{"max_msgs": "many"}'
expect_said 'NATS refuses: '
kill_nats
expect_exit 1 "$make" NEWS
expect_said 'nobody listens at 127.0.0.1:'

# With the defaults, for a gateway's.
start_nats
FLUXBP_NATS=$nats_url
expect_exit 0 "$make" PLAIN
start_named serves --nats "$nats_url" --jetstream PLAIN
[[ $(ask "$port" 'PUB news hello') == *'+OK PUB'* ]] || fail "the gateway can't publish into it"
until_says '*"messages":1,*' nats request '$JS.API.STREAM.INFO.PLAIN'
stop_gateway
