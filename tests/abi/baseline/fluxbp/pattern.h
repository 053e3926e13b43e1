/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_PATTERN_H
#define FLUXBP_PATTERN_H
#include "fluxbp/export.h"
#ifdef __cplusplus
extern "C" {
#endif
#define FLUXBP_PATTERN_MAX 255
FLUXBP_EXTERN int fluxbp_pattern_check(const char *pattern);
FLUXBP_EXTERN int fluxbp_pattern_matches(const char *pattern, const char *name);
FLUXBP_EXTERN int fluxbp_pattern_covers(const char *pattern, const char *other);
#ifdef __cplusplus
}
#endif
#endif
