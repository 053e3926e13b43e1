#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The dashboard in a browser: tests/dashboard/page_test.py. Its screenshots are in $BUILD/screenshots afterwards.
set -euo pipefail

for program in python3 chromium chromedriver; do
  if ! command -v "$program" >/dev/null; then
    echo "skipped: $program is not installed (Debian's packages are python3, chromium, chromium-driver)"
    [ "${CI-}" != true ] || exit 1
    exit 77
  fi
done
exec python3 -B "$(dirname "${BASH_SOURCE[0]}")/../dashboard/page_test.py"
