/* SPDX-License-Identifier: MIT */
/* sanitized: whether a sanitizer is in this program, which makes everything slow and keeps freed memory for a while. */
#ifndef FLUXBP_TESTS_SANITIZED_H
#define FLUXBP_TESTS_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FIXTURE_IS_SANITIZED 1
#else
#define FIXTURE_IS_SANITIZED 0
#endif

#endif
