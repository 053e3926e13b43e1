#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# PROXY protocol v2 from trusted addresses: who is behind it counts, in the log, in the limit of each address and in what
# may be done without a token; without the header nobody gets in; from anywhere else it is no header.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

header() { # header LAST: the client is 192.0.2.LAST, port 4660
  printf '%b' '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02'"\\x$(printf %02x "$1")"'\x0a\0\0\x01\x12\x34\x23\x28'
}

local_header() {
  printf '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0'
}

# The proxy passes a client on, and gives no address: of the family UNSPEC, of UDP, of a UNIX socket.
unspecified_header() {
  printf '\r\n\r\n\0\r\nQUIT\n\x21\0\0\0'
}

udp_header() {
  printf '\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c%012d' 0
}

unix_header() {
  printf '\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8%0216d' 0
}

# talk HEADER_COMMAND... -- LINE...: what it is told until the end of the connection.
talk() {
  local greeting=() connection # what is sent first
  while [ "$1" != -- ]; do
    greeting+=("$1")
    shift
  done
  shift
  exec {connection}<>"/dev/tcp/127.0.0.1/$port"
  say "$connection" "${greeting[@]}"
  say_lines "$connection" "$@"
  timeout 20 cat <&"$connection" || true
  exec {connection}>&-
}

# stay HEADER_COMMAND...: connects and stays, once it is answered; the descriptor is in $stayed.
stay() {
  local answer
  exec {stayed}<>"/dev/tcp/127.0.0.1/$port"
  say "$stayed" "$@"
  say_lines "$stayed" PING
  read -r -t 20 answer <&"$stayed" || true
  [ "$answer" = +PONG ] || fail "PING was answered with '$answer'"
}

start_gateway --log-level debug --proxy-from 127.0.0.0/8 --max-per-address 2 </dev/null

said=$(talk header 7 -- PING 'PUB news hello' QUIT)
[[ $said == *+PONG*'-ERR PUB takes a token'*'+OK QUIT'* ]] || fail "a client behind a proxy was told: $said"
wait_for_log 'event=connected.*peer=192.0.2.7:4660'

said=$(talk local_header -- PING 'PUB news hello' QUIT)
[[ $said == *+PONG*'+OK PUB'*'+OK QUIT'* ]] || fail "the proxy itself was told: $said"
wait_for_log 'event=connected.*peer=127.0.0.1:'

for kind in unspecified udp unix; do
  said=$(talk "${kind}_header" -- PING 'PUB news hello' QUIT)
  [[ $said == *+PONG*'-ERR PUB takes a token'*'+OK QUIT'* ]] || fail "a client with a header of kind $kind was told: $said"
done

said=$(talk true -- PING QUIT)
[ -z "$said" ] || fail "without a header it was told: $said"
wait_for_log 'event=proxy_refused.*no header'

stay header 9
first=$stayed
stay header 9
said=$(talk header 9 -- PING)
[[ $said == *'-ERR too many connections of your address'* ]] || fail "the third of an address was told: $said"
said=$(talk header 10 -- PING QUIT)
[[ $said == *+PONG* ]] || fail "another address was told: $said"
exec {first}>&-
for ((i = 0; i < 400; i++)); do
  said=$(talk header 9 -- PING QUIT)
  [[ $said != *+PONG* ]] || break
done
[[ $said == *+PONG* ]] || fail "a client that has gone is still counted: $said"
exec {stayed}>&-
stop_gateway

start_gateway --log-level debug --proxy-from 10.0.0.0/8 </dev/null
said=$(talk header 7 -- PING)
[[ $said != *+PONG* ]] || fail "a header from anywhere was believed: $said"
! grep -q 'peer=192.0.2.7' "$scratch/log" || fail "a header from anywhere was believed"
said=$(talk true -- PING QUIT)
[[ $said == *+PONG* ]] || fail "who isn't behind a proxy was told: $said"
stop_gateway
