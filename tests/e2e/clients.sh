#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What clients may do, and what they should not: commands, over-long and binary lines, a flood of commands from one that
# never reads, a reset in mid-write, more clients than descriptors. Each has a defined outcome, and the others go on.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

feed=$scratch/feed
mkfifo "$feed"
exec 9<>"$feed"
ulimit -n 64
start_gateway --stdin --patience 0 --max-message 1K <"$feed"

# reads the next line of descriptor $1 that begins with $2
expect_line() {
  local line
  while IFS= read -r -t 20 -u "$1" line; do
    case $line in "$2"*) return 0 ;; esac
  done
  fail "descriptor $1 did not get '$2' but at the end '$line'"
}

exec 3<>"/dev/tcp/127.0.0.1/$port"
say_lines 3 PING
expect_line 3 '+PONG'
say_lines 3 'SUB sport'
expect_line 3 '+OK'
say_lines 3 'UNSUB sport'
expect_line 3 '+OK'
say_lines 3 'SUB no such/name'
expect_line 3 '-ERR'
say_lines 3 NONSENSE
expect_line 3 '-ERR'
say_lines 3 $'PING\r'
expect_line 3 '+PONG'

# standard input: a line that is too long is skipped, binary is passed on, the feed goes on
{
  head -c 3000 /dev/zero | tr '\0' x
  printf '\nafter the long one\n'
} >&9
expect_line 3 'after the long one'

# a client's line that is too long, and binary input
exec 4<>"/dev/tcp/127.0.0.1/$port"
say 4 printf '%010000d' 0
expect_line 4 '-ERR'
exec 5<>"/dev/tcp/127.0.0.1/$port"
say 5 head -c 2000 /dev/urandom
say_lines 5 ''

# a flood of commands, and never a read: it is gone in the end, or its answers are; the process lives
exec 6<>"/dev/tcp/127.0.0.1/$port"
yes PING | say 6 head -c 4000000 || true # yes has more to say
exec 6>&-

# more clients than descriptors: refused in words, and there is room again when they go
stay_until_one_is_refused() {
  local line i
  exec 7<>"/dev/tcp/127.0.0.1/$port"
  for ((i = 0; i < 200; i++)); do
    if IFS= read -r -t 0.1 line <&7 && [[ $line == -ERR* ]]; then : >"$scratch/refused"; fi
    [ ! -e "$scratch/refused" ] || return 0
  done
}
for ((i = 0; i < 60; i++)); do
  stay_until_one_is_refused &
  waiting+=($!)
done
for pid in "${waiting[@]}"; do wait "$pid" || true; done
[ -e "$scratch/refused" ] || fail "nobody was refused with a limit of 64 descriptors"
wait_for_room

echo 'the last line' >&9
expect_line 3 'the last line'
stop_gateway
grep -q 'event=summary' "$scratch/log" || fail "no summary in the log"
