#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints each variable of an archive that can change, but those below; the exit status is 1 when there is one.
#
#   no_globals.sh ARCHIVE
set -eu

# Made once: the key of wslay's context of each thread, and what OpenSSL's tables have of ours.
known='bio_method bio_method_made has_sink_key once shared_index shared_index_made sink_key'

found=$(nm --format=sysv "$1" | awk -F '|' -v known="$known" '
  BEGIN { split(known, names, " "); for (i in names) is_known[names[i]] = 1 }
  $7 ~ /^\.(bss|data|tbss|tdata)$/ && $3 ~ /[bBdDC]/ { gsub(/ /, "", $1); if (!($1 in is_known)) print $1 }')
[ -n "$(nm --format=sysv "$1" | grep has_sink_key)" ] || found="$found (nothing at all was found: has nm another format?)"
[ -z "$found" ] || {
  printf 'variables that all servers of a process would share:\n%s\n' "$found"
  exit 1
}
