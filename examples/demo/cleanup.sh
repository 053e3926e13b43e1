#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Stops what start.sh started, by the process id that it recorded, and removes its folder. The feed ends with the
# gateway. Harmless to run twice, or when nothing runs.
set -euo pipefail

stop_seconds=10
run=${XDG_RUNTIME_DIR:-/tmp}/fluxbp-demo-$UID

# Is the recorded process the gateway still? Ids are used again.
is_ours() {
  case $(readlink "/proc/$pid/exe" || true) in
    */build/examples/gateway*) return 0 ;;
  esac
  return 1
}

if [ ! -d "$run" ]; then
  echo "Nothing to clean up."
  exit 0
fi
if [ ! -O "$run" ] || [ -L "$run" ]; then
  echo "$run belongs to somebody else; left alone." >&2
  exit 1
fi

if [ -f "$run/gateway.pid" ]; then
  pid=$(cat "$run/gateway.pid")
  if is_ours; then
    kill "$pid" 2>/dev/null || true # SIGTERM: it drains
    for ((i = 0; i < stop_seconds * 10; i++)); do
      is_ours || break
      sleep 0.1
    done
    if is_ours; then
      echo "The gateway (process $pid) did not end within $stop_seconds seconds: killed." >&2
      kill -KILL "$pid" 2>/dev/null || true
    else
      echo "Stopped the gateway (process $pid)."
    fi
  fi
fi
rm -rf "$run"
