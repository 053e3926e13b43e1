/* SPDX-License-Identifier: MIT */
/*
 * input: whose turn it is to have done what it has sent.
 *
 * An iteration of the loop works for fluxbp_hub_options_t.input_us on what clients have sent: on_data, on_input_turn,
 * and what stands between fluxbp_conn_begin_input and fluxbp_conn_end_input. When that time is used up, connections
 * that are readable aren't read. They stand in a queue, and the next iteration begins with it. Nothing is lost: the
 * bytes stay in the kernel, and TCP holds their senders up.
 *
 * The queue is fair. Connections of one address (an IPv4 address, or the first 64 bits of an IPv6 address, or what
 * fluxbp_hub_options_t.input_key says) have turns with those of others, whatever the number of connections, and the
 * connections of one address among themselves. A turn that took long is paid for: the others have theirs meanwhile. A
 * connection that comes newly has its turn before those that have had one.
 *
 * The library can't interrupt a callback. So a program with much to do for one read does a part of it, and has itself
 * called for the rest:
 *
 *   while (has_more(parser)) {
 *     if (!fluxbp_conn_may_go_on(conn)) {
 *       keep(parser);
 *       fluxbp_conn_pause_read(conn);
 *       fluxbp_conn_wait_turn(conn);     on_input_turn goes on
 *       return;
 *     }
 *     do_one(parser);
 *   }
 *
 * Thread: the hub's loop, for every function here.
 */
#ifndef FLUXBP_INPUT_H
#define FLUXBP_INPUT_H

#include "fluxbp/conn.h"
#include "fluxbp/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Return whether the connection may have one more thing done that it has sent: non-zero, or 0 if its turn is over. In
 * on_input_turn the first call returns non-zero. Outside of on_data, on_input_turn and fluxbp_conn_begin_input it
 * returns 0. The clock isn't read in each call, so it is made for each command, message or request.
 */
FLUXBP_EXTERN int fluxbp_conn_may_go_on(fluxbp_conn_t *conn);

/**
 * Have on_input_turn called when it is the turn of the connection, in this iteration of the loop or a later one. A
 * further call before that changes nothing. It doesn't pause reading. Nothing is called when the connection isn't open
 * any more.
 *
 * @return 0, or
 *   UV_ENOTCONN the connection isn't started, or is closing
 *   UV_ENOMEM   the allocator refused
 */
FLUXBP_EXTERN int fluxbp_conn_wait_turn(fluxbp_conn_t *conn);

/**
 * Return non-zero if the connection stands in the queue: what it has sent wasn't read, or on_input_turn is due. A
 * deadline for the peer should not count that time.
 */
FLUXBP_EXTERN int fluxbp_conn_is_waiting(const fluxbp_conn_t *conn);

/**
 * Begin and end work for what the connection has sent that isn't done in on_data or on_input_turn, but in a timer, say.
 * It counts towards `input_us`. May be nested, also in these handlers, where it changes nothing. When the share is used
 * up, the end has a connection with a transport of the program's wait for its turn: read_stop may be called in it.
 */
FLUXBP_EXTERN void fluxbp_conn_begin_input(fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_conn_end_input(fluxbp_conn_t *conn);

#ifdef __cplusplus
}
#endif

#endif
