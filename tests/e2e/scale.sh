#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# examples/demo/scale.sh: $SCALE_CONNECTIONS connections (10000; 1000 with a sanitizer) are held and served by as many
# gateways as the machine's limits take; nobody loses anything, a connection takes less memory than max_bytes, and no
# process is left. Skipped, with the reason, where so many don't fit. What it can't do it says.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

scale=$(dirname "${BASH_SOURCE[0]}")/../../examples/demo/scale.sh
export GATEWAY LOADCLIENT
connections=10000
max_bytes=1200 # some 940 today
case $(ldd "$GATEWAY") in
  *libasan* | *libtsan*)
    connections=1000
    max_bytes=1000000 # a sanitizer's memory is not the gateway's
    ;;
esac
connections=${SCALE_CONNECTIONS:-$connections}
seconds=3

for tool in curl jq setsid; do
  command -v "$tool" >/dev/null || { echo "SKIPPED: no $tool" && exit 77; }
done

# begin ARG...: in a process group of its own; what it prints is in $scratch/said.
begin() {
  : >"$scratch/said"
  setsid "$scale" "$@" >"$scratch/said" 2>&1 </dev/null &
  group=$!
  started+=("-$group")
}

# left: the processes of that group, which are none when it has ended well.
left() {
  local stat fields
  for stat in /proc/[0-9]*/stat; do
    fields=$(sed 's/^\([0-9]*\) (.*) \(.\) [0-9]* \([0-9]*\) .*/\3 \1 \2/' "$stat" 2>/dev/null) || continue
    case $fields in "$group "*) echo "${fields#* } $(tr '\0' ' ' <"${stat%stat}cmdline")" ;; esac
  done
}

# figure NAME: the number behind that name in what it printed.
figure() {
  sed -n "s/^$1  *\([0-9][0-9]*\).*/\1/p" "$scratch/said"
}

expect_figure() { # expect_figure NAME VALUE
  [ "$(figure "$1")" = "$2" ] || fail "$1 is not $2: $(cat "$scratch/said")"
}

# Wrong, or too much.
for wrong in many 0 -3 1.5 1000000000 ''; do
  expect_exit 2 "$scale" "$wrong"
  expect_said 'Usage: .*scale.sh'
done
expect_said "CONNECTIONS is a whole number from 1 to 999999999, not ''"
expect_exit 2 "$scale" --seconds
expect_said "--seconds wants a whole number from 1 to 86400, not ''"
expect_exit 0 "$scale" --help
expect_said '--plan'
expect_exit 0 "$scale" --plan 999999999
expect_said '^[0-9]* connections, limited by \(memory\|open files\|ports\): .* gateways with up to'
expect_exit 0 bash -c 'ulimit -n 700 && exec "$@"' limited "$scale" --plan 1000
expect_said '^1000 connections, limited by .*: 2 gateways with up to 500 each (500 a process)'
expect_exit 1 bash -c 'ulimit -n 200 && exec "$@"' limited "$scale" 1000
expect_said 'raise ulimit -Hn'
expect_exit 1 env GATEWAY=/nowhere "$scale" 1000
expect_said 'Build it first'

expect_exit 0 "$scale" --plan "$connections"
if ! grep -q "^$connections connections, limited by what was asked for" "$scratch/said"; then
  echo "SKIPPED: $connections connections don't fit: $(cat "$scratch/said")"
  exit 77
fi

# It does what it says.
status=0
begin --seconds "$seconds" "$connections"
wait "$group" || status=$?
[ "$status" -eq 0 ] || fail "it exited with $status: $(cat "$scratch/said")"
[ -z "$(left)" ] || fail "processes are left: $(left)"
expect_figure connected "$connections"
expect_figure deliveries "$((connections * seconds))"
expect_figure 'lost, twice, disordered' 0
bytes=$(figure 'user memory per connection')
[ "${bytes:-$max_bytes}" -lt "$max_bytes" ] || fail "a connection takes $max_bytes bytes or more: $(cat "$scratch/said")"
cat "$scratch/said"

# Ended before its time it takes everything with it.
begin --seconds 600 100
for ((tries = 0; tries < 600; tries++)); do
  ! grep -q '100 connected' "$scratch/said" || break
  sleep 0.05
done
grep -q '100 connected' "$scratch/said" || fail "it never had its connections: $(cat "$scratch/said")"
[ "$(left | wc -l)" -ge 3 ] || fail "there are not even the programs that it runs: $(left)"
kill -TERM "$group"
wait "$group" || true
for ((tries = 0; tries < 100; tries++)); do
  [ -n "$(left)" ] || break # it may have been asking the gateways
  sleep 0.05
done
[ -z "$(left)" ] || fail "processes are left: $(left)"
