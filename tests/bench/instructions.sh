#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a delivery takes of instructions in user space, counted by callgrind: publishing, staging, flushing and the
# accounts, with libuv's and libc's part of the write and without the kernel. It comes out the same on a busy machine.
#
#   tests/bench/instructions.sh [options]     after a build
#     --program FILE    bench_instructions; default: build/tests/bench_instructions
#     --bursts N        that are counted; default 5
#     --connections N   default 1000
#     --json FILE       the figures for programs, besides
#
# Exit code 77: there is no valgrind.
set -euo pipefail

program=$(dirname "${BASH_SOURCE[0]}")/../../build/tests/bench_instructions
bursts=5
connections=1000
json=/dev/null
while [ $# -gt 0 ]; do
  case $1 in
    --program) program=$2 ;;
    --bursts) bursts=$2 ;;
    --connections) connections=$2 ;;
    --json) json=$2 ;;
    *)
      sed -n '4,13s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
  shift 2
done
command -v valgrind >/dev/null || { echo "skipped: there is no valgrind"; exit 77; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# count FUNCTION BURST: prints the instructions of one delivery that are spent in it and in what it calls.
count() {
  local deliveries collected
  deliveries=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$log" --toggle-collect="$1" \
    "$program" --connections "$connections" --bursts "$bursts" --burst "$2")
  collected=$(awk '/Collected/ { print $4 }' "$log")
  awk -v collected="$collected" -v deliveries="$deliveries" 'BEGIN { printf "%.1f", collected / deliveries }'
}

# goal WHAT MOST IS: a row of the table of goals, as report.c prints them.
goal() {
  awk -v what="$1" -v most="$2" -v is="$3" \
    'BEGIN { printf "| %s | ≤ %s | %s | – | %s |\n", what, most, is, is <= most ? "met" : "not met" }'
}

rows=
# row NAME FUNCTION BURST: prints it; leaves the figure in $instructions.
row() {
  instructions=$(count "$2" "$3")
  printf '%-44s %12s\n' "$1" "$instructions"
  rows+="${rows:+, }{\"name\": \"$1\", \"instructions\": $instructions}"
}

printf '%-44s %12s\n' 'a delivery takes in user space' instructions
row 'send, in a loop' measured_send 1
row 'uv_try_write, in a loop' measured_try_write 1
row 'library, one per flush' measured_library 1
single=$instructions
row 'library, bursts of 4' measured_library 4
row 'library, bursts of 16' measured_library 16
burst_of_16=$instructions
row 'library, bursts of 64' measured_library 64
echo "{\"rows\": [$rows]}" >"$json"
echo
goal 'user-space instructions per delivery, one per flush' 450 "$single"
goal 'user-space instructions per delivery, bursts of 16' 120 "$burst_of_16"
