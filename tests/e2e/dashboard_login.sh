#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The login of the dashboard, without a browser: tests/dashboard/login_test.py.
set -euo pipefail

if ! command -v python3 >/dev/null || ! command -v curl >/dev/null; then
  echo "skipped: python3 or curl is not installed"
  [ "${CI-}" != true ] || exit 1
  exit 77
fi
exec python3 -B "$(dirname "${BASH_SOURCE[0]}")/../dashboard/login_test.py"
