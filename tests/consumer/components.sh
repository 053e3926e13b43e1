#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The libraries beside the core, those in $COMPONENTS: by pkg-config and by find_package, shared and as an archive, each
# in a program that links no other one. Then the archives of all in one program that has functions of the same names as
# theirs.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export PKG_CONFIG_PATH=$PREFIX/$LIBDIR/pkgconfig

for component in $COMPONENTS; do
  program=program_$component
  for kind in shared static; do
    suffix=
    [ $kind = shared ] || suffix=-static
    rm -f "$program"
    quietly make -f "$here/Makefile" SOURCE="$here" PACKAGE="fluxbp-$component$suffix" CC="$CC" "$program"
    expect_program "./$program" $kind "$PREFIX/$LIBDIR"
    build_with_package "$PREFIX" -DCOMPONENTS="$component" -DPROGRAM="$program.c" \
      -DLIBRARY="fluxbp::$component${suffix/-/_}"
    expect_program package/program $kind
  done
done

definitions=()
packages=()
for component in $COMPONENTS; do
  definitions+=("-DHAS_${component^^}")
  packages+=("fluxbp-$component-static")
done
quietly make -f "$here/Makefile" SOURCE="$here" PACKAGE="${packages[*]}" CC="$CC ${definitions[*]}" program_all
expect_program ./program_all static

# A machine without the third-party libraries that only the sources of a component include.
mkdir pkgconfig
printf 'Name: libuv\nDescription: libuv\nVersion: 1.44.2\nLibs: -luv\n' >pkgconfig/libuv.pc
export PKG_CONFIG_LIBDIR=$work/pkgconfig
without=(-DCMAKE_FIND_ROOT_PATH=/nonexistent -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY
  -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY)
cp -a "$PREFIX" archives
rm archives/"$LIBDIR"/*.so*
for component in $COMPONENTS; do
  build_with_package "$PREFIX" "${without[@]}" -DCOMPONENTS="$component" -DPROGRAM="program_$component.c" \
    -DLIBRARY="fluxbp::$component"
  expect_program package/program shared
  rm "program_$component"
  quietly make -f "$here/Makefile" SOURCE="$here" PACKAGE="fluxbp-$component" CC="$CC" "program_$component"
  must_fail "libfluxbp[-a-z]* needs .* (Debian: .*)" cmake -S "$here/package" -B "none_$component" "${without[@]}" \
    -DCMAKE_PREFIX_PATH="$work/archives" -DCOMPONENTS="$component"
done
