/* SPDX-License-Identifier: MIT */
/*
 * visits: call a function of the program for each member of a topic, each topic of a connection, or each topic of a
 * hub. Thread: the hub's loop. The calls end before fluxbp_…_each_… returns.
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
 * non-zero. The order is unspecified. For example, to close the connections of one user:
 *
 *     static int close_if_theirs(fluxbp_conn_t *conn, void *user) {
 *       if (fluxbp_conn_user(conn) == user) fluxbp_conn_close(conn, 1000);
 *       return 0;
 *     }
 *
 *     (void) fluxbp_topic_each_member(room, close_if_theirs, user);
 *
 * `visit` may subscribe and unsubscribe this connection and others, publish, send, close and reset connections, and
 * destroy the topic. A connection that isn't subscribed any more when its turn comes isn't visited, so after the topic
 * was destroyed there are no more visits. A connection that subscribes while the call runs isn't visited either. The
 * call makes a copy of the list of members: 8 bytes for each.
 *
 * @return the result of the last `visit`, 0 if there was none, or UV_ENOMEM: the allocator refused, and no connection
 *   was visited
 */
FLUXBP_EXTERN int fluxbp_topic_each_member(fluxbp_topic_t *topic, int (*visit)(fluxbp_conn_t *conn, void *arg),
                                           void *arg);

/**
 * Call `visit` in the same way for each topic, and each pattern (fluxbp_topic_is_pattern), to which `conn` itself is
 * subscribed. `visit` may unsubscribe the connection, subscribe it, close or reset it, and destroy this topic and
 * others; topics to which the connection isn't subscribed any more aren't visited.
 */
FLUXBP_EXTERN int fluxbp_conn_each_topic(fluxbp_conn_t *conn, int (*visit)(fluxbp_topic_t *topic, void *arg),
                                         void *arg);

/**
 * Call `visit` in the same way for each open topic of a hub, and then for each pattern (fluxbp_topic_is_pattern).
 * `visit` may destroy this topic and others; topics that are destroyed aren't visited any more. `visit` may open
 * topics; these aren't visited. `visit` may close the hub; the visits go on until the end.
 */
FLUXBP_EXTERN int fluxbp_hub_each_topic(fluxbp_hub_t *hub, int (*visit)(fluxbp_topic_t *topic, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
