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
echo PING >&3
expect_line 3 '+PONG'
echo 'SUB sport' >&3
expect_line 3 '+OK'
echo 'UNSUB sport' >&3
expect_line 3 '+OK'
echo 'SUB no such/name' >&3
expect_line 3 '-ERR'
echo NONSENSE >&3
expect_line 3 '-ERR'
printf 'PING\r\n' >&3
expect_line 3 '+PONG'

# standard input: a line that is too long is skipped, binary is passed on, the feed goes on
{
  head -c 3000 /dev/zero | tr '\0' x
  printf '\nafter the long one\n'
} >&9
expect_line 3 'after the long one'

# a client's line that is too long, and binary input
exec 4<>"/dev/tcp/127.0.0.1/$port"
head -c 10000 /dev/zero | tr '\0' y >&4 || true
expect_line 4 '-ERR'
exec 5<>"/dev/tcp/127.0.0.1/$port"
{ head -c 2000 /dev/urandom && echo; } >&5 || true

# a flood of commands, and never a read: it is gone in the end, or its answers are; the process lives
(
  trap '' PIPE
  exec 6<>"/dev/tcp/127.0.0.1/$port"
  yes PING | head -c 4000000 >&6 2>/dev/null || true
) || true

# more clients than descriptors: refused in words, and there is room again when they go
for i in $(seq 1 60); do
  (exec 7<>"/dev/tcp/127.0.0.1/$port" && IFS= read -r -t 5 line <&7 && case $line in -ERR*) : >"$scratch/refused" ;; esac) &
  waiting+=($!)
done
for pid in "${waiting[@]}"; do wait "$pid" || true; done
[ -e "$scratch/refused" ] || fail "nobody was refused with a limit of 64 descriptors"
exec 8<>"/dev/tcp/127.0.0.1/$port"
echo PING >&8
expect_line 8 '+PONG'

echo 'the last line' >&9
expect_line 3 'the last line'
stop_gateway
grep -q 'event=summary' "$scratch/log" || fail "no summary in the log"
