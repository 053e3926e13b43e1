#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A machine that has libuv and no other third-party library: the core is configured there. What needs more says which
# Debian packages to install and which switch leaves it out.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mkdir pkgconfig
printf 'Name: libuv\nDescription: libuv\nVersion: 1.44.2\nLibs: -luv\n' >pkgconfig/libuv.pc
export PKG_CONFIG_LIBDIR=$work/pkgconfig

configure() {
  rm -rf build
  cmake -S "$FLUXBP" -B build -DFLUXBP_TESTS=OFF -DCMAKE_FIND_ROOT_PATH=/nonexistent \
    -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY "$@"
}

quietly configure -DFLUXBP_EXAMPLES=OFF
must_fail 'libfluxbp-server needs .*jansson.*curl 7.87.0 or newer.*Debian: .*libjansson-dev.*libcurl4-openssl-dev.*-DFLUXBP_SERVER=OFF' \
  configure -DFLUXBP_EXAMPLES=ON
must_fail 'libfluxbp-client needs .*wslay.*Debian: .*libwslay-dev.*-DFLUXBP_CLIENT=OFF' \
  configure -DFLUXBP_EXAMPLES=ON -DFLUXBP_SERVER=OFF
quietly configure -DFLUXBP_EXAMPLES=ON -DFLUXBP_SERVER=OFF -DFLUXBP_CLIENT=OFF
