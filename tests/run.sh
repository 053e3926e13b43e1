#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Builds the project and runs its tests, after installing what is missing. Warnings are errors here.
#
#   tests/run.sh                    an optimized build, in build/
#   tests/run.sh dev                address and undefined-behaviour sanitizers, in build-dev/
#   tests/run.sh tsan               thread sanitizer, in build-tsan/
#   tests/run.sh coverage           ends with the lines of lib/ that ran, in build-coverage/
#   tests/run.sh clang              the optimized build by clang, in build-clang/
#   tests/run.sh [WHICH] ARGS...    ARGS go to ctest: -R ring, -L unit, --repeat until-fail:20
#
# The exit status is that of ctest, or of the step before it that failed.
set -euo pipefail

preset=release
case ${1-} in
  -h | --help)
    sed -n '4,14s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  release | dev | tsan | coverage | clang)
    preset=$1
    shift
    ;;
  -* | '') ;;
  *)
    echo "$0: '$1' is none of release, dev, tsan, coverage, clang" >&2
    exit 2
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=cmake/debian-setup.sh
. cmake/debian-setup.sh
need "${build_packages[@]}" "${test_packages[@]}"
[ "${CI-}" != true ] || need "${proxy_packages[@]}"
(need "${browser_packages[@]}") || echo "Without them the dashboard's test is skipped."
case $preset in
  clang) need clang ;;
  coverage) need gcovr ;;
esac

jobs=$(nproc)
preset_suffix=-$preset
[ "$preset" != release ] || preset_suffix=
cmake --preset "$preset" -DFLUXBP_WERROR=ON
cmake --build --preset "$preset" --parallel "$jobs"
[ "${CI-}" = true ] || tests/npm/install.sh "build${preset_suffix}"

status=0
if [ "$preset" = coverage ]; then
  find build-coverage -name '*.gcda' -delete # what earlier runs counted
fi
# Half of what the long ones take is waiting: one more than there are processors.
ctest --preset "$preset" --parallel "$((jobs + 1))" "$@" || status=$?
if [ "$preset" = coverage ]; then
  gcovr --root . --filter lib/ build-coverage
fi
exit "$status"
