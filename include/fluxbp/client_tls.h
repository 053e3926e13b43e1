/* SPDX-License-Identifier: MIT */
/*
 * client_tls: what clients need for servers that speak TLS (wss://, https://, tls:// and the like): whom they trust,
 * and the certificate that they show. TLS 1.2 and 1.3.
 *
 * A client without one trusts the authorities of the system, which are read once for the process. With one, set
 * fluxbp_client_options_t.tls; any number of clients share it.
 *
 * Thread: any, for every function here.
 */
#ifndef FLUXBP_CLIENT_TLS_H
#define FLUXBP_CLIENT_TLS_H

#include "fluxbp/export.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_client_tls fluxbp_client_tls_t;

typedef struct fluxbp_client_tls_options {
  /* Set by fluxbp_client_tls_options_init. */
  size_t size;

  /* Path of a PEM file: the certificates that a server's certificate has to lead to, in place of those of the system.
   * Default NULL. */
  const char *ca_file;

  /* The client's own certificate, for servers that ask for one, and its key: paths of PEM files; the certificate first,
   * then those that lead to the root. Both or neither; default NULL. */
  const char *certificate;
  const char *key;

  /* Default 0. 1: any certificate is accepted, for any name. Then anybody on the way to the server can read and change
   * everything. */
  int is_insecure;
} fluxbp_client_tls_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_client_tls_options_init(options) fluxbp_client_tls_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_client_tls_options_init_sized(fluxbp_client_tls_options_t *options, size_t size);

/**
 * Read the files.
 *
 * @param problem gets a sentence if the result isn't 0, cut to `capacity` bytes; may be NULL with a capacity of 0
 * @return 0, or
 *   UV_EINVAL a file that can't be used, a certificate without a key, ca_file together with is_insecure; see `problem`
 *   UV_E2BIG  options that this version of the library doesn't know
 *   UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_client_tls_create(const fluxbp_client_tls_options_t *options, fluxbp_client_tls_t **tls,
                                           char *problem, size_t capacity);

/** Free it. Clients that were created with it keep what they need. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_client_tls_free(fluxbp_client_tls_t *tls);

#ifdef __cplusplus
}
#endif

#endif
