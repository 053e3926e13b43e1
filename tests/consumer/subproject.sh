#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The library as a part of another project: by FetchContent and by add_subdirectory, with libuv as a subproject, too.
# The project gets the archive unless it asks for shared libraries, builds no more than it uses, and installs nothing of
# ours.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

configure() {
  quietly cmake -S "$here/subproject" -B build -DFLUXBP="$FLUXBP" "$@"
}

configure -DBY=FetchContent
quietly cmake --build build --parallel 2
expect_program build/program static
[ -z "$(find build -name 'libfluxbp*.so*')" ] || fail "the shared library was built without need"
[ -z "$(find build -name '*_test' -o -name hello)" ] || fail "tests or examples were built"
[ -z "$(find build -name '*.o' -path '*/lib/*' -not -path '*/lib/core/*')" ] || fail "more than the core was built"
quietly cmake --install build --prefix installed
[ "$(cd installed && find . -type f)" = ./bin/program ] || fail "more than the program was installed"

configure -DBY=add_subdirectory -DBUILD_SHARED_LIBS=ON
quietly cmake --build build --parallel 2
expect_program build/program shared

# The receiving side alone is compiled, if the program links nothing else of ours.
if [[ " $COMPONENTS " == *' client '* ]]; then
  quietly cmake -S "$here/subproject" -B client -DFLUXBP="$FLUXBP" -DBY=FetchContent \
    -DLIBRARY=fluxbp::client -DPROGRAM=program_client.c
  quietly cmake --build client --parallel 2
  expect_program client/program static
  [ -z "$(find client -name '*.o' -path '*/lib/core/*')" ] || fail "the core was built without need"
fi

# Nothing but the target leads to libuv.
export PKG_CONFIG_LIBDIR=/nonexistent
rm build/CMakeCache.txt
configure -DBY=FetchContent -DOWN_UV=ON
quietly cmake --build build --parallel 2
expect_program build/program static
nm build/program | grep linked_by_own_uv >symbol || fail "the target uv was not taken"

# A libuv that is too old is refused, though nothing but its header tells its version.
mkdir old
printf '#include_next <uv.h>\n#undef UV_VERSION_HEX\n#define UV_VERSION_HEX 0x012c01\n' >old/uv.h
compile=("$CC" -fsyntax-only -I"$FLUXBP/include" -I"$BUILD/include" "$FLUXBP/lib/core/version.c")
must_fail 'needs libuv 1.44.2 or newer' "${compile[@]}" -Iold
quietly "${compile[@]}"
