#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Stops what start.sh started, by the process ids that it recorded, and removes its folder. The feed ends with the
# gateway. Harmless to run twice, or when nothing runs.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

stop_seconds=10

# stop NAME: SIGTERM first: it says good-bye to its clients.
stop() {
  local i
  is_running "$1" || return 0
  kill "$pid" 2>/dev/null || true
  for ((i = 0; i < stop_seconds * 10; i++)); do
    is_running "$1" || break
    sleep 0.1
  done
  if is_running "$1"; then
    echo "The $1 (process $pid) did not end within $stop_seconds seconds: killed." >&2
    kill -KILL "$pid" 2>/dev/null || true
  else
    echo "Stopped the $1 (process $pid)."
  fi
}

if [ ! -d "$run" ]; then
  echo "Nothing to clean up."
  exit 0
fi
if [ ! -O "$run" ] || [ -L "$run" ]; then
  echo "$run belongs to somebody else; left alone." >&2
  exit 1
fi
stop dashboard
stop gateway
rm -rf "$run"
