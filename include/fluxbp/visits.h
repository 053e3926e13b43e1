/* SPDX-License-Identifier: MIT */
/*
 * visits: a function of the program's is called for each member of a topic, each topic of a connection, or each topic
 * of a hub. Thread: the hub's loop. The function is called inside of the call that asks for the visits.
 */
#ifndef FLUXBP_VISITS_H
#define FLUXBP_VISITS_H

#include "fluxbp/conn.h"
#include "fluxbp/export.h"
#include "fluxbp/topic.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Call `visit` for each connection that is subscribed to `topic` itself when the call begins, until `visit` returns
 * non-zero. The order says nothing. For example, to close the connections of one user:
 *
 *     static int close_if_theirs(fluxbp_conn_t *conn, void *user) {
 *       if (fluxbp_conn_user(conn) == user) fluxbp_conn_close(conn, 1000);
 *       return 0;
 *     }
 *
 *     (void) fluxbp_topic_each_member(room, close_if_theirs, user);
 *
 * `visit` may call anything: it may subscribe and unsubscribe this connection and others, publish, send, close and
 * reset connections, and destroy the topic. A connection that isn't subscribed any more when its turn comes isn't
 * visited, so after the topic was destroyed there are no more visits. One that has subscribed since the call began
 * isn't visited either. A copy of the list of members is made for the time of the call: 8 bytes for each.
 *
 * @return what the last call of `visit` returned, or 0; or UV_ENOMEM: the allocator refused, and no connection was
 *   visited
 */
FLUXBP_EXTERN int fluxbp_topic_each_member(fluxbp_topic_t *topic, int (*visit)(fluxbp_conn_t *conn, void *arg),
                                           void *arg);

/**
 * The same for each topic, and each pattern (fluxbp_topic_is_pattern), to which `conn` itself is subscribed. `visit`
 * may unsubscribe the connection, subscribe it, close or reset it, and destroy this topic and others; topics to which
 * the connection isn't subscribed any more aren't visited.
 */
FLUXBP_EXTERN int fluxbp_conn_each_topic(fluxbp_conn_t *conn, int (*visit)(fluxbp_topic_t *topic, void *arg),
                                         void *arg);

/**
 * The same for each open topic of a hub, and then for each pattern (fluxbp_topic_is_pattern). `visit` may destroy this
 * topic and others, which aren't visited any more, and open new ones, which aren't visited either. It may close the
 * hub; then the visits go on until the end.
 */
FLUXBP_EXTERN int fluxbp_hub_each_topic(fluxbp_hub_t *hub, int (*visit)(fluxbp_topic_t *topic, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
