/* SPDX-License-Identifier: MIT */
/*
 * visitors: the browsers' connections, from accept to close. Each asks for the page, and one of its connections listens
 * to a board from then on. They are connections of libfluxbp like any others: who can't keep up gets the newest state,
 * and who takes nothing any more is evicted.
 */
#ifndef DASHBOARD_VISITORS_H
#define DASHBOARD_VISITORS_H

#include "common/address.h"
#include "forwards.h"
#include "server/http/http_reader.h"

#include <fluxbp/fluxbp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dashboard;

struct visitor {
  struct dashboard *dashboard;
  struct visitor *next, **link; /* in the dashboard's list; where it is hung in */
  fluxbp_conn_t *conn;
  fluxbp_listener_t *listener;
  fluxbp_permit_t permit;
  char peer[ADDRESS_TEXT_BYTES];
  struct http_reader reader;
  uint64_t deadline_ms; /* for the next request, by the loop's clock; 0: none is expected */
  bool is_listening;    /* to a board: nothing that it says counts any more */
  bool is_closing;
  bool closes_after;       /* the answer to this request is the last */
  struct forward *forward; /* the answer that it waits for, or NULL */
};

/** Serve a socket that was accepted; it is the visitor's from then on, whatever comes of it. */
void visitors_take(struct dashboard *dashboard, fluxbp_listener_t *listener, uv_os_sock_t fd,
                   const struct sockaddr *peer, fluxbp_permit_t permit);

/** To be called some times a second: closes who doesn't ask in time. */
void visitors_tick(struct dashboard *dashboard);

/** Answer with JSON. `body` is copied. */
void visitor_answer(struct visitor *visitor, int status, const char *body, size_t length);

/** Answer with {"error":…}. `problem` is one sentence, and needs no escaping. */
void visitor_refuse(struct visitor *visitor, int status, const char *problem);

/** Answer with a file of the page: asset `index`. */
void visitor_send_asset(struct visitor *visitor, size_t index, bool takes_gzip);

/** Have it listen to that topic from now on, whose messages are Server-Sent Events. */
void visitor_listen(struct visitor *visitor, fluxbp_topic_t *topic);

#endif
