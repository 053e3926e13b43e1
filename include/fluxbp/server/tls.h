/* SPDX-License-Identifier: MIT */
/*
 * tls: certificates and keys for listeners that speak TLS (FLUXBP_SPEAK_HTTP_TLS and the like). TLS 1.2 and 1.3.
 *
 * fluxbp_tls_create reads the files of all certificates; fluxbp_server_options_t.tls takes the result. One of several
 * certificates is chosen by the server name that a client asks for (SNI). fluxbp_tls_reload reads the files again, such
 * as after a renewal. Connections that are there keep what they began with.
 *
 * Thread: any, for every function here. The program keeps the object until each server that uses it is closed.
 */
#ifndef FLUXBP_SERVER_TLS_H
#define FLUXBP_SERVER_TLS_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_tls fluxbp_tls_t;

/** The most certificates of one fluxbp_tls_t. */
#define FLUXBP_TLS_CERTIFICATES_MAX 64

/** What the server asks of clients' certificates. */
typedef enum fluxbp_tls_clients {
  FLUXBP_TLS_CLIENTS_REQUIRED = 0, /* a client without a certificate of client_ca is refused */
  FLUXBP_TLS_CLIENTS_OPTIONAL      /* a client may show none; a wrong certificate is refused */
} fluxbp_tls_clients_t;

/** A certificate and its key, each in a PEM file. */
typedef struct fluxbp_tls_certificate {
  const char *certificate; /* path; the server's certificate first, then those that lead to the root */
  const char *key;         /* path */
} fluxbp_tls_certificate_t;

/** Texts are copied. */
typedef struct fluxbp_tls_options {
  /* Set by fluxbp_tls_options_init. */
  size_t size;

  /* 1 to FLUXBP_TLS_CERTIFICATES_MAX. The first one serves clients that ask for no name, or for a name that none of the
   * certificates has. A certificate with the very name goes before one with a wildcard. */
  const fluxbp_tls_certificate_t *certificates;
  size_t certificate_count;

  /* Path of a PEM file with the certificates that clients' certificates have to lead to. NULL, the default: clients
   * aren't asked for a certificate. */
  const char *client_ca;

  /* Default FLUXBP_TLS_CLIENTS_REQUIRED. Without client_ca it has no effect. */
  fluxbp_tls_clients_t clients;

  /* Seconds after which session tickets are encrypted with a new key; a ticket is good for so long. 60 to
   * 604800; default 43200 (12 hours). */
  uint32_t ticket_key_s;
} fluxbp_tls_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_tls_options_init(options) fluxbp_tls_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_tls_options_init_sized(fluxbp_tls_options_t *options, size_t size);

/**
 * Read certificates and keys. A certificate that has expired, or isn't valid yet, is refused, as is a key that doesn't
 * belong to its certificate, or a key file that others than its owner and group can read.
 *
 * @param problem gets a sentence that begins with the path and says how to mend it, cut to `capacity` bytes
 * @return 0, or
 *   UV_EINVAL a file, or an option out of its range; see `problem`
 *   UV_E2BIG  options that this version of the library doesn't know
 *   UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_tls_create(const fluxbp_tls_options_t *options, fluxbp_tls_t **tls, char *problem,
                                    size_t capacity);

/**
 * Read all files again. New connections get what the files have now; session tickets from before are not taken any
 * more. If any file can't be used, everything stays as it was. @return as fluxbp_tls_create
 */
FLUXBP_EXTERN int fluxbp_tls_reload(fluxbp_tls_t *tls, char *problem, size_t capacity);

/** Return the Unix time at which the first of the certificates in use expires. */
FLUXBP_EXTERN uint64_t fluxbp_tls_expires_s(fluxbp_tls_t *tls);

/** Free it. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_tls_free(fluxbp_tls_t *tls);

#ifdef __cplusplus
}
#endif

#endif
