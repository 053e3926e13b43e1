/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_EXPORT_H
#define FLUXBP_EXPORT_H
#if defined(__GNUC__)
#define FLUXBP_EXTERN __attribute__((visibility("default")))
#else
#define FLUXBP_EXTERN
#endif
#endif
