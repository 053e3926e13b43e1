#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fails if a program that was compiled against OLDER headers may break with the library of NEWER ones. abidiff compares,
# by the rules of docs/growth.md. Exit code 77, with the reason, if a tool is missing.
#
#   compare.sh COMPILER OLDER_INCLUDE_DIR NEWER_INCLUDE_DIR GROWTH.md [FLAG...]     FLAGs go to the compiler
set -eu

compiler=$1
older=$2
newer=$3
growth=$4
shift 4
here=$(dirname "$0")
for tool in abidiff abidw python3; do
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: there is no $tool (Debian: abigail-tools, python3)"
    exit 77
  fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sh "$here/describe.sh" "$compiler" "$older" "$work/older.abi" "$@"
sh "$here/describe.sh" "$compiler" "$newer" "$work/newer.abi" "$@"
status=0
python3 -B "$here/forget_growth.py" "$work/older.abi" "$work/newer.abi" "$growth" || status=1
abidiff --harmless --non-reachable-types --no-added-syms "$work/older.abi" "$work/newer.abi" || status=1
if [ "$status" -ne 0 ]; then
  echo "Programs that were compiled with the headers in $older would break, or a rule of docs/growth.md is broken."
  echo "Make the change in another way. Only before the first release of a minor version: tests/abi/renew.sh"
fi
exit "$status"
