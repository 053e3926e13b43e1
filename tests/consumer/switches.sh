#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The switches of the build, each installed and used: BUILD_SHARED_LIBS, FLUXBP_INSTALL, an absolute
# CMAKE_INSTALL_LIBDIR inside and outside of the prefix. The core needs a C compiler, CMake and libuv: it is built here
# without pkg-config.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# install_with [cmake options...]: builds the core with them and installs it to $work/prefix.
install_with() {
  rm -rf prefix libraries
  rm -f build/CMakeCache.txt build/install_manifest.txt
  quietly cmake -S "$FLUXBP" -B build -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 \
    -DFLUXBP_EXAMPLES=OFF -DFLUXBP_TESTS=OFF -DFLUXBP_SERVER=OFF -DFLUXBP_CLIENT=OFF -DFLUXBP_NATS=OFF \
    -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON -DCMAKE_INSTALL_PREFIX="$work/prefix" "$@"
  quietly cmake --build build --parallel 2
  quietly cmake --install build
}

# expect_usable shared|static [LIBDIR]: by pkg-config and by find_package.
expect_usable() {
  local libdir=${2-$work/prefix/lib}
  rm -f program
  PKG_CONFIG_PATH=$libdir/pkgconfig quietly make -f "$here/Makefile" SOURCE="$here" CC="$CC" program
  expect_program ./program "$1" "$libdir"
  build_with_package "$work/prefix;$work/libraries" -Dfluxbp_DIR="$libdir/cmake/fluxbp"
  expect_program package/program "$1"
}

install_with -DCMAKE_INSTALL_LIBDIR=lib
for library in libfluxbp.so libfluxbp.a; do
  [ -e prefix/lib/$library ] || fail "$library was not installed"
done
expect_usable shared

install_with -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=ON
[ ! -e prefix/lib/libfluxbp.a ] || fail "the archive was installed with BUILD_SHARED_LIBS=ON"
expect_usable shared

install_with -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF
[ -z "$(ls prefix/lib/*.so* 2>/dev/null)" ] || fail "the shared library was installed with BUILD_SHARED_LIBS=OFF"
expect_usable static

install_with -DCMAKE_INSTALL_LIBDIR="$work/prefix/lib/deep/er"
expect_usable shared "$work/prefix/lib/deep/er"
! grep -rF "$work/prefix" prefix/lib/deep/er/pkgconfig prefix/lib/deep/er/cmake ||
  fail "a full path inside of the prefix is kept"

install_with -DCMAKE_INSTALL_LIBDIR="$work/libraries"
expect_usable shared "$work/libraries"

install_with -DFLUXBP_INSTALL=OFF
[ ! -s build/install_manifest.txt ] || fail "something was installed with FLUXBP_INSTALL=OFF"
