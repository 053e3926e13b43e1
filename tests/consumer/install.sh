#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Installs the build to $PREFIX, for the other tests in this folder. What is installed includes each public header and
# no other one.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

rm -rf "$PREFIX"
quietly cmake --install "$BUILD" --prefix "$PREFIX"

(cd "$FLUXBP/include" && find fluxbp -name '*.h' && echo fluxbp/version.h) | sort >expected
(cd "$PREFIX/include" && find . -name '*.h' | sed 's|^\./||') | sort >installed
diff expected installed || fail "the installed headers are not those of include/"
