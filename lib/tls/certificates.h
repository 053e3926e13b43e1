/* SPDX-License-Identifier: MIT */
/*
 * certificates: certificates and keys from PEM files, and what is wrong with them. Thread: any.
 */
#ifndef FLUXBP_LIB_CERTIFICATES_H
#define FLUXBP_LIB_CERTIFICATES_H

#include "fluxbp/server/tls.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <time.h>

/* One reading of several files. */
typedef struct fluxbp__reading {
  time_t now_s;       /* certificates have to be valid now */
  uint64_t expires_s; /* when the first one expires of those that were read; the caller begins with UINT64_MAX */

  /* What is wrong, cut to `capacity` bytes. */
  char *problem;
  size_t capacity;
} fluxbp__reading_t;

/* A certificate of the server's; the owner frees its parts. */
typedef struct fluxbp__certificate {
  X509 *certificate;
  STACK_OF(X509) * chain; /* those that lead to the root */
  EVP_PKEY *key;
} fluxbp__certificate_t;

/* Write a sentence that begins with the path. Return UV_EINVAL. */
int fluxbp__reading_refuse(const fluxbp__reading_t *reading, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Write that there is no memory. Return UV_ENOMEM. */
int fluxbp__reading_no_memory(const fluxbp__reading_t *reading);

/*
 * Read all certificates of a file, at least one.
 *
 * @param list gets them; the caller frees it with sk_X509_pop_free. NULL after an error
 * @return 0, UV_EINVAL or UV_ENOMEM
 */
int fluxbp__certificates_read(fluxbp__reading_t *reading, const char *path, STACK_OF(X509) * *list);

/* Read a certificate of the server's with its key. Return as above; after an error it holds nothing. */
int fluxbp__certificate_read(fluxbp__reading_t *reading, const fluxbp_tls_certificate_t *paths,
                             fluxbp__certificate_t *certificate);

/* Free the parts. Parts that are NULL are allowed. */
void fluxbp__certificate_clear(fluxbp__certificate_t *certificate);

#endif
