#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# pkg-config and make, in C11 and C++17, with the shared library and with the archive.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export PKG_CONFIG_PATH=$PREFIX/$LIBDIR/pkgconfig

for kind in shared static; do
  package=fluxbp
  [ $kind = shared ] || package=fluxbp-static
  for program in program ${CXX:+program_cxx}; do
    rm -f "$program"
    quietly make -f "$here/Makefile" SOURCE="$here" PACKAGE=$package CC="$CC" CXX="$CXX" "$program"
    expect_program "./$program" $kind "$PREFIX/$LIBDIR"
  done
done
