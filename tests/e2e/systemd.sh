#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Under a service manager: it hears that the gateway is ready, alive and stopping, and clients come by the socket that it
# opened. Skipped where the gateway is built without libsystemd; not if CI=true.
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/../support/e2e.sh"

skip() {
  [ "${CI-}" != true ] || fail "$*"
  echo "skipped: $*"
  exit 77
}

libraries=$(ldd "$GATEWAY")
[[ $libraries == *libsystemd* ]] || skip "the gateway is built without libsystemd"
command -v python3 >/dev/null || skip "there is no python3"

# wait_for_manager PATTERN: until the manager has written it.
wait_for_manager() {
  local i
  for ((i = 0; i < 600; i++)); do
    ! grep -q -- "$1" "$scratch/manager" || return 0
    kill -0 "$manager_pid" 2>/dev/null || fail "the gateway did not start: $(cat "$scratch/log")"
    sleep 0.05
  done
  fail "the manager never heard '$1' but: $(cat "$scratch/manager")"
}

# start_manager SOCKET... -- GATEWAY_ARGUMENT...
start_manager() {
  local sockets=()
  while [ "$1" != -- ]; do
    sockets+=("$1")
    shift
  done
  shift
  : >"$scratch/manager" # now, not when the other process comes to it: it has what the one before said
  python3 "$here/../support/service_manager.py" "${sockets[@]}" -- "$GATEWAY" "$@" \
    >"$scratch/manager" 2>"$scratch/log" </dev/null &
  manager_pid=$!
  started+=("$manager_pid")
}

# A socket of the manager's: it is served, and not the address of the options.
start_manager tcp=0 -- --tcp 127.0.0.1:1
wait_for_manager '^READY=1$'
wait_for_manager '^WATCHDOG=1$'
port=$(sed -n 's/^socket tcp //p' "$scratch/manager")
grep -q "^ready tcp=127.0.0.1:$port" "$scratch/manager" || fail "the manager's socket was not taken"
exec 3<>"/dev/tcp/127.0.0.1/$port"
say_lines 3 PING
IFS= read -r -t 20 -u 3 answer || true
[ "$answer" = '+PONG' ] || fail "a client got '$answer'"
kill -TERM "$manager_pid"
status=0
wait "$manager_pid" || status=$?
[ "$status" -eq 0 ] || fail "the gateway exited with $status"
grep -q '^STOPPING=1$' "$scratch/manager" || fail "the manager did not hear that the gateway stops"
exec 3>&-

# No socket of the manager's: the options count.
start_manager -- --tcp 127.0.0.1:0
wait_for_manager '^READY=1$'
port=$(sed -n 's/^ready tcp=127.0.0.1:\([0-9]*\).*/\1/p' "$scratch/manager")
exec 3<>"/dev/tcp/127.0.0.1/$port"
kill -TERM "$manager_pid"
wait "$manager_pid" || fail "the gateway exited with $?"

# A start that fails isn't one that is ready.
start_manager -- --tcp 203.0.113.1:9000
status=0
wait "$manager_pid" || status=$?
[ "$status" -eq 3 ] || fail "the gateway exited with $status instead of 3"
! grep -q '^READY=1$' "$scratch/manager" || fail "a gateway that can't listen said that it is ready"
