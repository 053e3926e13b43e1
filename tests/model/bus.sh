#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Explores the model of the bus with spin, then versions of it that are broken on purpose: those must fail, each in the
# way that is expected, or the model is good for nothing. Takes some ten seconds.
#
#   bus.sh          what ctest runs
#   bus.sh --full   one more message, and what takes longer: some minutes and 2 GB
set -euo pipefail

model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/bus.pml
for tool in spin cc; do
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: $tool is not installed (tests/run.sh installs what is missing)"
    exit 77
  fi
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
status=0

# explore KIND DEFINE...: the verdict of a run is in the file `said`. KIND is states (assertions, dead ends) or cycles.
explore() {
  local kind=$1 compile=-DSAFETY run=()
  shift
  if [ "$kind" = cycles ]; then
    compile=-DNP
    run=(-l)
  fi
  rm -f bus.pml.trail
  spin -a "$@" "$model" >/dev/null
  cc -O2 -w "$compile" -DMEMLIM=2500 -o pan pan.c
  ./pan -m100000 "${run[@]}" >said 2>&1 || true
}

# The program is right: nothing was found, and nothing was left out.
holds() {
  local kind=$1
  shift
  explore "$kind" "$@"
  if grep -q 'errors: 0' said && ! grep -q 'Search not completed' said; then
    printf 'ok      %s %s: %s\n' "$kind" "$*" "$(grep -o '[0-9]* states, stored' said)"
  else
    printf 'FAILED  %s %s:\n' "$kind" "$*"
    cat said
    status=1
  fi
}

# fails WITH DEFINE...: the broken version is caught, and pan says WITH.
fails() {
  local with=$1
  shift
  explore states "$@"
  if grep -q "$with" said; then
    printf 'ok      %s is caught: %s\n' "$*" "$(grep -m1 '^pan:1' said)"
  else
    printf 'FAILED  %s is not caught:\n' "$*"
    cat said
    status=1
  fi
}

holds states
holds states -DRUN=2
holds cycles -DNO_VISITOR
holds cycles -DNO_VISITOR -DRUN=2
fails 'invalid end state' -DCLEAR_LATE
fails 'invalid end state' -DNO_ORDER
fails 'invalid end state' -DRUN=2 -DFIRST_FIRST
fails 'assertion violated is_held' -DFIRST_RELEASES
fails 'assertion violated has_topic' -DEARLY_RELEASE
fails 'assertion violated is_joined' -DNO_MUTE
fails 'assertion violated (at==position)' -DNO_GATE_WAIT
if [ "${1-}" = --full ]; then
  holds states -DMESSAGES=3
  holds states -DMESSAGES=3 -DRUN=2
  holds cycles
  fails 'assertion violated ((slowest' -DMESSAGES=3 -DUNBOUNDED_SLOWEST
fi
exit "$status"
