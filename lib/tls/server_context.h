/* SPDX-License-Identifier: MIT */
/*
 * server_context: the SSL_CTX of a server's connections: versions, ciphers, certificates by the name that is asked for,
 * ALPN, session tickets, and the certificates of clients. It owns what its callbacks use. Thread: any.
 */
#ifndef FLUXBP_LIB_SERVER_CONTEXT_H
#define FLUXBP_LIB_SERVER_CONTEXT_H

#include "certificates.h"

#include <openssl/ssl.h>

/*
 * Read the files that `options` name, and make a context of them.
 *
 * @param context gets it; the caller frees it with SSL_CTX_free. NULL after an error
 * @return 0, UV_EINVAL or UV_ENOMEM
 */
int fluxbp__server_context_make(const fluxbp_tls_options_t *options, fluxbp__reading_t *reading, SSL_CTX **context);

#endif
