#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# docs/getting-started.md, literally: each program on that page is put together, compiled with the commands that stand there, run,
# and talked to. Only the ports are others.
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export PKG_CONFIG_PATH=$PREFIX/$LIBDIR/pkgconfig LD_LIBRARY_PATH=$PREFIX/$LIBDIR
pkg-config --exists fluxbp-server || exit 77 # the server isn't built
PYTHONPATH=$here/../support python3 -B "$here/getting_started.py" "$FLUXBP/docs/getting-started.md"
