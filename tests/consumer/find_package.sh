#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# CMake's find_package, in C11 and C++17, with the shared library and with the archive; with libuv by pkg-config,
# without pkg-config, and as a target that the project has already. A component that isn't installed is named in the
# error.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build_with_package "$PREFIX"
expect_program package/program shared
build_with_package "$PREFIX" -DLIBRARY=fluxbp::fluxbp_static
expect_program package/program static
if [ -n "$CXX" ]; then
  build_with_package "$PREFIX" -DLANGUAGES=CXX
  expect_program package/program shared
fi
build_with_package "$PREFIX" -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON
expect_program package/program shared

must_fail 'libfluxbp-nosuch is not installed' \
  cmake -S "$here/package" -B nosuch -DCMAKE_PREFIX_PATH="$PREFIX" -DCOMPONENTS=nosuch
build_with_package "$PREFIX" -DOPTIONAL_COMPONENTS=nosuch
must_fail 'libfluxbp needs libuv 1.44.2 or newer (Debian: libuv1-dev)' env PKG_CONFIG_LIBDIR=/nonexistent \
  cmake -S "$here/package" -B without_libuv -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_FIND_ROOT_PATH=/nonexistent \
  -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY
