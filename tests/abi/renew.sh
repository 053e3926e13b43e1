#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes the core's public headers of today the baseline that tests/abi compares with: in baseline/fluxbp/, without comments.
#
# The baseline is the interface of the first release of a minor version. Renew it in the commit that raises the minor
# version, and as often as it takes before the first release. Never renew it otherwise: a change that the test
# reports breaks programs. docs/growth.md has the rules.
#
#   tests/abi/renew.sh
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
baseline=$root/tests/abi/baseline/fluxbp
compiler=${CC:-cc}
version=$(sed -n 's/^project(fluxbp VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
major=${version%%.*}
patch=${version##*.}
minor=${version#*.}
minor=${minor%.*}

rm -rf "$baseline"
mkdir -p "$baseline"
core=$(sed -n 's|^#include "fluxbp/\(.*\)"$|\1|p' "$root/include/fluxbp/fluxbp.h" | grep -v '^version.h$')
for name in fluxbp.h $core; do
  header=$root/include/fluxbp/$name
  {
    echo '/* SPDX-License-Identifier: MIT */'
    "$compiler" -w -fpreprocessed -dD -E -P "$header" | sed 's/ *$//'
  } >"$baseline/$(basename "$header")"
done
sed -e "s/@PROJECT_VERSION_MAJOR@/$major/" -e "s/@PROJECT_VERSION_MINOR@/$minor/" \
  -e "s/@PROJECT_VERSION_PATCH@/$patch/" -e "s/@PROJECT_VERSION@/$version/" \
  "$root/cmake/version.h.in" >"$baseline/version.h"
echo "the baseline is the interface of $version, as include/fluxbp has it"
