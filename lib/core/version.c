/* SPDX-License-Identifier: MIT */
/*
 * version: which library is running, as opposed to which one was compiled against.
 */
#include "fluxbp/fluxbp.h"

const char *fluxbp_version(void) {
  return FLUXBP_VERSION_STRING;
}
