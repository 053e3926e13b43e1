# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scripts in this folder share. Each is a test: it uses the library as somebody would who installs it or has it
# as a subproject, in a folder of its own. Nothing is downloaded.
#
# From the environment: FLUXBP (the sources), BUILD (their build), PREFIX (where install.sh has installed them) with
# LIBDIR (the folder of the libraries there), CC, and CXX if there is a compiler of C++.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset LD_LIBRARY_PATH PKG_CONFIG_PATH CMAKE_PREFIX_PATH

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# quietly COMMAND...: shows what it printed only if it fails.
quietly() {
  "$@" >output 2>&1 || {
    cat output
    fail "$*"
  }
}

# must_fail PATTERN COMMAND...: the command has to fail, and to say PATTERN.
must_fail() {
  local pattern=$1
  shift
  ! "$@" >output 2>&1 || fail "no error from: $*"
  tr -s ' \n' ' ' <output | grep -- "$pattern" >said || { # CMake wraps its messages
    cat output
    fail "the error does not say '$pattern': $*"
  }
}

# expect_program PROGRAM shared|static [LIBDIR]: it runs, and it links that kind of libfluxbp.
expect_program() {
  local kind=static
  LD_LIBRARY_PATH=${3-} quietly "$1"
  LC_ALL=C readelf -d "$1" >dynamic
  ! grep -q 'NEEDED.*libfluxbp[-a-z]*\.so' dynamic || kind=shared
  [ $kind = "$2" ] || fail "$1 does not link the $2 library"
}

# build_with_package PREFIX [cmake options...]: builds package/ against what is installed at PREFIX, in the folder
# package.
build_with_package() {
  local prefix=$1
  shift
  rm -rf package
  quietly cmake -S "$here/package" -B package -DCMAKE_PREFIX_PATH="$prefix" "$@"
  quietly cmake --build package
}
