/* SPDX-License-Identifier: MIT */
/*
 * deadlines: of clients' handshakes and pings. A client waits for one of them at a time.
 */
#ifndef FLUXBP_SERVER_DEADLINES_H
#define FLUXBP_SERVER_DEADLINES_H

#include "clients.h"

/** The hub was set. */
void deadlines_init(struct clients *clients);

/** Have its protocol's is_late called in --handshake from now, or not at all. */
void client_expect(struct client *client);
void client_expect_nothing(struct client *client);

/** Have its protocol's ping called in --ping, if it has one. */
void deadlines_expect_ping(struct client *client);

#endif
