#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Has promtool (Debian: prometheus) read the metrics as they are printed by METRICS_TEST --print. It ends with an error
# when it can't parse them, and when their names aren't as Prometheus' users expect. Exit code 77 says skipped.
#
#   promtool.sh METRICS_TEST
set -eu

if ! command -v promtool >/dev/null; then
  echo "Skipped: there is no promtool here (Debian package prometheus)."
  exit 77
fi
text=$(mktemp)
trap 'rm -f "$text"' EXIT
"$1" --print >"$text"
promtool check metrics <"$text"
