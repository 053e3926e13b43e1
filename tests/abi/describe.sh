#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Describes the interface that headers declare, as libabigail's XML. The script makes a library that has each exported
# function and constant with an empty body, so that its debugging information has every type. Two descriptions that were
# made by one compiler with one libuv differ only where the headers do.
#
#   describe.sh COMPILER INCLUDE_DIR OUTPUT [FLAG...]     FLAGs go to the compiler
set -eu

compiler=$1
include=$2
output=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A declaration a line, and then the same as a definition: `extern const T name` gets a value, a function gets a body.
echo '#include "fluxbp/fluxbp.h"' >"$work/header.c"
{
  cat "$work/header.c"
  "$compiler" -std=gnu11 -E -P "-I$include" "$@" -DFLUXBP_EXPORT_H -DFLUXBP_EXTERN=EXPORTED "$work/header.c" |
    tr '\n' ' ' | tr ';{}' '[\n*]' |
    sed -n 's/^.*EXPORTED //p' |
    sed -e 's/^extern \(.*\)$/\1 = {0};/' -e t -e 's/$/ { __builtin_trap(); }/'
} >"$work/library.c"
"$compiler" -std=gnu11 -w -g -fno-eliminate-unused-debug-types -shared -fPIC "-I$include" "$@" "$work/library.c" \
  -o "$work/library.so"
abidw --load-all-types --no-show-locs --no-corpus-path --no-comp-dir-path "$work/library.so" >"$output"
