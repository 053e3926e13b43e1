#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Distributions remove one kind of library from what was installed. find_package works with the other one, and says what
# is missing when neither is there.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cp -a "$PREFIX" shared
rm shared/"$LIBDIR"/*.a
build_with_package "$work/shared"
expect_program package/program shared

cp -a "$PREFIX" static
rm static/"$LIBDIR"/*.so*
build_with_package "$work/static"
expect_program package/program static

rm static/"$LIBDIR"/*.a
must_fail "neither libfluxbp.so nor libfluxbp.a is in $work/static/$LIBDIR" \
  cmake -S "$here/package" -B none -DCMAKE_PREFIX_PATH="$work/static"
