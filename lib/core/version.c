/* SPDX-License-Identifier: MIT */
/*
 * version: which library is running, as opposed to which one was compiled against. It also refuses a libuv that is too
 * old: the build knows the version only if pkg-config has found it, not if a parent project brings libuv along.
 */
#include "fluxbp/fluxbp.h"
#include <uv.h>

#if UV_VERSION_HEX < ((1 << 16) | (44 << 8) | 2) /* FLUXBP_libuv_MINIMUM in cmake/FluxbpDependencies.cmake */
#error "libfluxbp needs libuv 1.44.2 or newer"
#endif

const char *fluxbp_version(void) {
  return FLUXBP_VERSION_STRING;
}
