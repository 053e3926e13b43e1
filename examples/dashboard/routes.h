/* SPDX-License-Identifier: MIT */
/*
 * routes: what the dashboard answers to which request.
 *
 *   GET  /, /style.css …                          the page
 *   GET  /events?gateway=0                        Server-Sent Events: board.h
 *   GET  /api/gateways                            {"gateways":["127.0.0.1:9001"],"may_act":true}
 *   GET  /api/connection?gateway=0&cell=7         as the gateway answers GET /api/v1/connections?cell=7
 *   POST /api/evict?gateway=0&id=9                as it answers POST /api/v1/connections/9/evict
 *   POST /api/policy?gateway=0                    as it answers POST /api/v1/policy
 *
 * A POST has to be of Content-Type application/json, which another site's page can't send without being asked first.
 */
#ifndef DASHBOARD_ROUTES_H
#define DASHBOARD_ROUTES_H

#include "server/http/http_reader.h"
#include "visitors.h"

/** Answer; for what a gateway has to be asked, the answer follows later. */
void routes_answer(struct visitor *visitor, const struct http_request *request);

#endif
