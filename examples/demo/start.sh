#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Starts the demonstration: installs what is missing, builds, and runs a gateway with a live feed of fifty
# numbered lines a second in the background. Harmless to run twice; cleanup.sh beside it stops what this started.
set -euo pipefail

port=9000
ready_seconds=10

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
gateway=$PWD/build/examples/gateway
run=${XDG_RUNTIME_DIR:-/tmp}/fluxbp-demo-$UID

fail() { # fail MESSAGE: with the end of the gateway's log, if there is one
  printf '%s\n' "$1" >&2
  if [ -s "$run/gateway.log" ]; then
    echo "The end of $run/gateway.log:" >&2
    tail -n 20 "$run/gateway.log" >&2
  fi
  exit 1
}

say_how_to_go_on() {
  cat <<TEXT

  The gateway serves a feed:    tcp://127.0.0.1:$port
  See it (end with Ctrl-C):     nc 127.0.0.1 $port
  100 clients, 10 never read:   build/examples/loadclient --target tcp://127.0.0.1:$port \\
                                  --connections 100 --mix healthy=90,stalled=10 \\
                                  --stalled-rcvbuf 4096 --progress
                                (the 10 are evicted within 10 seconds, the 90 lose nothing; end with Ctrl-C)
  What the gateway says:        tail -f $run/gateway.log
  Stop it:                      examples/demo/cleanup.sh

TEXT
}

# Five lines each 100 ms, until nobody reads them any more. They are long enough (10 KB a second in all) that the kernel's
# buffers for a client that doesn't read are full within seconds.
feed() {
  local n=0 i rest
  printf -v rest '%170s' ''
  rest=${rest// /.}
  trap '' HUP PIPE # it goes on when the terminal is closed, and ends by the failing printf
  while :; do
    for i in 1 2 3 4 5; do
      n=$((n + 1))
      printf '%d %(%H:%M:%S)T hello from the feed %s\n' "$n" -1 "$rest" || return
    done
    sleep 0.1
  done
}

if [ -f "$run/gateway.pid" ]; then
  pid=$(cat "$run/gateway.pid")
  case $(readlink "/proc/$pid/exe" || true) in
    */build/examples/gateway*)
      echo "The demonstration is running already (process $pid)."
      say_how_to_go_on
      exit 0
      ;;
  esac
fi

# shellcheck source=cmake/debian-setup.sh
. cmake/debian-setup.sh
need "${build_packages[@]}" netcat-openbsd
cmake --preset release
cmake --build --preset release --parallel "$(nproc)" --target gateway loadclient

mkdir -p "$run"
if [ ! -O "$run" ] || [ -L "$run" ]; then
  fail "$run belongs to somebody else; remove it, or set XDG_RUNTIME_DIR to a folder of yours."
fi
chmod 700 "$run"
rm -f "$run"/gateway.* # of a run that ended without cleanup.sh

# setsid: it goes on when the terminal is closed. $! is the gateway, the last of the pipeline.
feed </dev/null 2>/dev/null |
  setsid "$gateway" --tcp "127.0.0.1:$port" --stdin --patience 0 >"$run/gateway.out" 2>"$run/gateway.log" &
pid=$!
echo "$pid" >"$run/gateway.pid"

for ((i = 0; i < ready_seconds * 10; i++)); do
  if grep -qs '^ready' "$run/gateway.out"; then
    say_how_to_go_on
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done

rm -f "$run/gateway.pid"
if kill "$pid" 2>/dev/null; then
  fail "The gateway was not ready within $ready_seconds seconds."
fi
fail "The gateway did not start."
