# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scripts share that need a NATS of their own; sourced after e2e.sh. It listens on a port that is free, and keeps
# its streams in the scratch folder, so that it comes back with them when it is started again. Sets $nats_url, $nats_pid.
# shellcheck disable=SC2034,SC2154 # of the scripts that source each other
PATH=$PATH:/usr/sbin
for tool in nats-server python3; do
  if ! command -v "$tool" >/dev/null; then
    echo "SKIPPED: no $tool"
    exit 77
  fi
done
support=$(dirname "${BASH_SOURCE[0]}")
nats_port=

keep_port() { # sets $nats_port to one that nobody else is given until the script ends
  local i
  : >"$scratch/port"
  python3 "$support/ports.py" >"$scratch/port" &
  started+=("$!")
  for ((i = 0; i < 400; i++)); do
    ! read -r nats_port <"$scratch/port" || return 0
    sleep 0.05
  done
  fail "no port was free"
}

# start_nats [LINE...]: lines are more of its configuration. Started again it has the port that it had.
start_nats() {
  local i
  rm -f "$scratch"/nats-server_*.ports
  [ -n "$nats_port" ] || keep_port
  printf '%s\n' 'host: 127.0.0.1' "port: $nats_port" "ports_file_dir: \"$scratch\"" \
    "jetstream { store_dir: \"$scratch/jetstream\" }" "$@" >"$scratch/nats.conf"
  nats-server -c "$scratch/nats.conf" 2>>"$scratch/nats.log" &
  nats_pid=$!
  started+=("$nats_pid")
  for ((i = 0; i < 400; i++)); do
    nats_url=$(sed -n 's/.*\(nats:\/\/127.0.0.1:[0-9]*\).*/\1/p' "$scratch/nats-server_$nats_pid.ports" 2>/dev/null) || true
    [ -z "$nats_url" ] || return 0
    kill -0 "$nats_pid" 2>/dev/null || fail "NATS did not start: $(tail -n 5 "$scratch/nats.log")"
    sleep 0.05
  done
  fail "NATS was not ready within 20 s"
}

kill_nats() {
  kill -KILL "$nats_pid"
  wait "$nats_pid" 2>/dev/null || true
}

nats() { # nats request|publish ...: as nats.py takes them, or nats stream ...: as make-stream.sh
  if [ "$1" = stream ]; then
    FLUXBP_NATS=$nats_url "$support/../../examples/demo/make-stream.sh" "${@:2}" >/dev/null
  else
    python3 "$support/nats.py" "$nats_url" "$@"
  fi
}

# start_named NAME ARG...: a gateway whose log is $scratch/NAME; sets $port, $http, $gateway_pid.
start_named() {
  gateway_log=$1
  shift
  start_gateway "$@" </dev/null
}

# wait_for_named NAME PATTERN
wait_for_named() {
  gateway_log=$1
  wait_for_log "$2"
}

# get HOST:PORT PATH: status and body of an HTTP request.
get() {
  python3 -c 'import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=10)
connection.request("GET", sys.argv[2])
answer = connection.getresponse()
print(answer.status, answer.read().decode(), end="")' "$@"
}

# ask PORT LINE...: sends the lines and QUIT, and prints what comes until the end.
ask() {
  local connection
  exec {connection}<>"/dev/tcp/127.0.0.1/$1"
  shift
  say_lines "$connection" "$@" QUIT
  timeout 20 cat <&"$connection" || true
  exec {connection}>&-
}

# until_says PATTERN COMMAND...: again and again, until what it prints matches.
until_says() {
  local pattern=$1 said i
  shift
  for ((i = 0; i < 400; i++)); do
    said=$("$@" 2>&1) || true
    # shellcheck disable=SC2053 # it is a pattern
    [[ $said != $pattern ]] || return 0
    sleep 0.05
  done
  fail "$* never said '$pattern', but: $said"
}

# listen PORT FILE [LINE...]: a client that stays, and what it gets, in FILE. Returns when it is subscribed.
listen() {
  local connection file=$2
  exec {connection}<>"/dev/tcp/127.0.0.1/$1"
  shift 2
  say_lines "$connection" "$@" PING
  : >"$file" # now, not when the other process comes to it: it may be that of an earlier client
  cat <&"$connection" >"$file" &
  started+=("$!")
  until_says '*+PONG*' cat "$file"
}
