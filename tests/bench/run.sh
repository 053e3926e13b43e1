#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Runs the benches and sums up what was to be reached. On a quiet machine: whatever else runs is measured, too.
#
#   tests/bench/run.sh [--build DIR] [NAME...]
#
# NAME is one of the benches below; without one all run, which takes about ten minutes. DIR is where the project was
# built (default: build/). DIR/bench/ then has for each bench NAME.txt, what it printed, and NAME.json; and summary.txt,
# with a row for each goal, as docs/performance.md has them, and the machine that all this is of.
set -euo pipefail

benches=(instructions memory topics patterns behind subscriptions fanout transport tls isolation slices bus publish loops accept peers intake backbone hostile tls_proxy)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$here/../../build
if [ "${1-}" = --build ]; then
  build=$2
  shift 2
fi
case ${1-} in
  -*)
    sed -n '4,11s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
[ $# -eq 0 ] || benches=("$@")
out=$build/bench
mkdir -p "$out"

# run_one NAME: returns what the bench returned.
run_one() {
  case $1 in
    instructions) "$here/instructions.sh" --program "$build/tests/bench_instructions" --json "$out/$1.json" ;;
    peers | intake | backbone | hostile | tls_proxy) "$here/$1/$1.sh" --build "$build" --json "$out/$1.json" ;;
    *) "$build/tests/bench_$1" --json "$out/$1.json" ;;
  esac
}

about_the_machine() {
  echo
  echo "$(date -u +%F), commit $(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)"
  echo "$(nproc) processors: $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)," \
    "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
  echo "$(uname -sr), libuv $(pkg-config --modversion libuv), $("${CC:-cc}" --version | head -n 1)"
  grep -H 'other processes took' "$out"/*.txt | sed 's|.*/\([a-z]*\)\.txt:|\1: |' || true
}

failed=0
for bench in "${benches[@]}"; do
  echo "== $bench"
  status=0
  run_one "$bench" 2>&1 | tee "$out/$bench.txt" || status=$?
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    echo "$bench failed" | tee -a "$out/$bench.txt"
    failed=1
  fi
done

{
  echo '| what | goal | median | lowest – highest | |'
  echo '|---|---|---|---|---|'
  for bench in instructions memory topics patterns behind subscriptions fanout transport tls isolation slices peers intake backbone hostile tls_proxy; do
    [ ! -f "$out/$bench.txt" ] || grep '^| ' "$out/$bench.txt" || true
  done
  about_the_machine
} >"$out/summary.txt"
echo "== summary"
cat "$out/summary.txt"
exit "$failed"
