#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# An installed tree that was moved: pkg-config and find_package find it where it is now, and no file names the old
# place.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cp -a "$PREFIX" moved
! grep -rF "$PREFIX" "moved/$LIBDIR/pkgconfig" "moved/$LIBDIR/cmake" || fail "the old prefix is named"

build_with_package "$work/moved"
expect_program package/program shared
grep -q "$work/moved/$LIBDIR" package/CMakeCache.txt || fail "another installation was found"

export PKG_CONFIG_PATH=$work/moved/$LIBDIR/pkgconfig
quietly make -f "$here/Makefile" SOURCE="$here" PACKAGE=fluxbp CC="$CC" program
expect_program ./program shared "$work/moved/$LIBDIR"
