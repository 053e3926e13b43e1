/* SPDX-License-Identifier: MIT */
/*
 * fluxbp-server: a server for browsers and programs on libfluxbp. Everything in one include; docs/server.md is the way
 * in.
 */
#ifndef FLUXBP_SERVER_UMBRELLA_H
#define FLUXBP_SERVER_UMBRELLA_H

#include "fluxbp/server/handlers.h"
#include "fluxbp/server/log.h"
#include "fluxbp/server/logins.h"
#include "fluxbp/server/options.h"
#include "fluxbp/server/permissions.h"
#include "fluxbp/server/request.h"
#include "fluxbp/server/server.h"
#include "fluxbp/server/session.h"
#include "fluxbp/server/settings.h"
#include "fluxbp/server/tls.h"
#include "fluxbp/server/tls_transport.h"

#endif
