/* SPDX-License-Identifier: MIT */
/*
 * FLUXBP_EXTERN marks what the shared library exports; everything else in it is hidden.
 */
#ifndef FLUXBP_EXPORT_H
#define FLUXBP_EXPORT_H

#if defined(__GNUC__)
#define FLUXBP_EXTERN __attribute__((visibility("default")))
#else
#define FLUXBP_EXTERN
#endif

#endif
