/* SPDX-License-Identifier: MIT */
/*
 * context: what the connections of a server are made of (SSL_CTX): certificates, protocol versions, ciphers, tickets,
 * ALPN, clients' certificates. Thread: any.
 */
#ifndef FLUXBP_LIB_TLS_CONTEXT_H
#define FLUXBP_LIB_TLS_CONTEXT_H

#include "fluxbp/server/tls.h"

#include <openssl/ssl.h>

/* Return the context for a new connection, with a reference for the caller (SSL_CTX_free). It may outlive `tls`. A
 * connection begins with the first certificate; the server name exchanges the certificate during the handshake. */
SSL_CTX *fluxbp__tls_context(fluxbp_tls_t *tls);

/*
 * Write the name that the certificate of a connection's client gives it, for permissions: the common name of its
 * subject, in UTF-8. Cut never: a name with more than `capacity` - 1 bytes, or with control characters, counts as none,
 * as does a subject with several.
 *
 * @return its length; 0: the client has shown no certificate, or it has no name
 */
size_t fluxbp__tls_client_name(const SSL *ssl, char *text, size_t capacity);

#endif
