# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Starting other servers for a bench, on free ports of 127.0.0.1. Sourced, behind support/e2e.sh, which ends them.
PATH=$PATH:/usr/sbin:/sbin

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_for PID PORT: until that process answers there. Fails when it ends, or does not in ten seconds.
wait_for() {
  local attempt
  for ((attempt = 0; attempt < 100; attempt++)); do
    if answers "$2"; then return 0; fi
    kill -0 "$1" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# start NAME COMMAND...: runs it with a free port in place of PORT; sets $server_pid and $server_port. Another program may be
# quicker at that port; then there is another one.
start() {
  local name=$1 attempt
  shift
  for attempt in 1 2 3 4 5; do
    server_port=$((20000 + RANDOM % 10000))
    if answers "$server_port"; then continue; fi
    "${@//PORT/$server_port}" >"$scratch/$name.log" 2>&1 &
    server_pid=$!
    started+=("$server_pid")
    if wait_for "$server_pid" "$server_port"; then return 0; fi
    kill "$server_pid" 2>/dev/null || true
    echo "$name: attempt $attempt failed" >>"$scratch/$name.log"
  done
  echo "$name did not start:" >&2
  tail -n 5 "$scratch/$name.log" >&2
  return 1
}

# has NAME COMMAND: whether it is one of $only, and there.
has() {
  # shellcheck disable=SC2154 # the script that sources this sets it
  case " $only " in *" $1 "*) ;; *) return 1 ;; esac
  command -v "$2" >/dev/null || { echo "$1 is not installed" && return 1; }
}

# How those are started that several benches have.
# shellcheck disable=SC2034,SC2154
redis=(redis-server --port PORT --bind 127.0.0.1 --protected-mode no --save '' --appendonly no --dir "$scratch")
# shellcheck disable=SC2034
nats=(nats-server -a 127.0.0.1 -p PORT)
