#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Fetches the clients of package-lock.json into the build folder, where the test that uses them finds them:
#
#   tests/npm/install.sh BUILD_FOLDER
#
# Without node, npm or a registry it says so, and the test is skipped.
set -euo pipefail

folder=$1/npm
here=$(dirname "${BASH_SOURCE[0]}")
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "There is no node with npm: the test with clients from npm is skipped."
  exit 0
fi
mkdir -p "$folder"
if [ -d "$folder/node_modules" ] && cmp -s "$here/package-lock.json" "$folder/package-lock.json"; then exit 0; fi
cp "$here/package.json" "$here/package-lock.json" "$folder"
if ! (cd "$folder" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund --silent); then
  rm -rf "$folder"
  echo "npm can't fetch its packages: the test with clients from npm is skipped."
fi
