#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The dashboard's server, without a browser: tests/dashboard/server_test.py.
set -euo pipefail

if ! command -v python3 >/dev/null; then
  echo "skipped: python3 is not installed"
  [ "${CI-}" != true ] || exit 1
  exit 77
fi
exec python3 -B "$(dirname "${BASH_SOURCE[0]}")/../dashboard/server_test.py"
