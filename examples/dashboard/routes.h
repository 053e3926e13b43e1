/* SPDX-License-Identifier: MIT */
/*
 * routes: the requests that the dashboard answers. The server has checked Host and Origin before, and serves /sse.
 *
 *   GET  /, /style.css …                          the page
 *   GET  /sse?topic=gateway-0                     Server-Sent Events: board.h
 *   GET  /api/gateways                            {"gateways":["127.0.0.1:9001"],"may_act":true,"is_logged_in":false}
 *   GET  /api/connection?gateway=0&cell=7         as the gateway answers GET /api/v1/connections?cell=7
 *   POST /api/evict?gateway=0&id=9                as it answers POST /api/v1/connections/9/evict
 *   POST /api/policy?gateway=0                    as it answers POST /api/v1/policy
 *   POST /api/login, {"token":TOKEN}              {} and a cookie; 403, or 429 with Retry-After
 *   POST /api/logout                              {}
 *
 * All but the page, login and logout is answered with 401 where a login is needed (login.h). A POST has to be of
 * Content-Type application/json: a page of another site can't send that without asking first.
 */
#ifndef DASHBOARD_ROUTES_H
#define DASHBOARD_ROUTES_H

#include <fluxbp/server.h>

/** Handlers of the server, whose user is a struct dashboard. */
extern const fluxbp_server_handlers_t routes_handlers;

#endif
