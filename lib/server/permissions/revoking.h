/* SPDX-License-Identifier: MIT */
/*
 * revoking: taking subjects and tokens back, at this server and, by the backbone, at all others.
 */
#ifndef FLUXBP_SERVER_REVOKING_H
#define FLUXBP_SERVER_REVOKING_H

#include "revocations.h"

#include <fluxbp/server/server.h>

#include <stddef.h>
#include <stdint.h>

/** Take over a revocation that the backbone has brought. Any thread. @return 0, or an error with its problem */
int revoking_deliver(fluxbp_server_t *server, const void *data, size_t length, const char **problem);

#endif
