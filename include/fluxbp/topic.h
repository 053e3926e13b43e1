/* SPDX-License-Identifier: MIT */
/*
 * topic: who gets what is published under a name. Thread: the hub's loop.
 */
#ifndef FLUXBP_TOPIC_H
#define FLUXBP_TOPIC_H

#include "fluxbp/conn.h"
#include "fluxbp/export.h"
#include "fluxbp/msg.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_topic fluxbp_topic_t;

/** The longest name, in bytes. */
#define FLUXBP_TOPIC_NAME_MAX 255

/**
 * Make a topic, or find the one of that name.
 *
 * @return 0, or
 *   UV_EINVAL    the name is empty or longer than FLUXBP_TOPIC_NAME_MAX
 *   UV_ENOMEM    the allocator refused
 *   UV_ECANCELED the hub is closing
 */
FLUXBP_EXTERN int fluxbp_topic_open(fluxbp_hub_t *hub, const char *name, fluxbp_topic_t **topic);

/** The topic of that name, or NULL. */
FLUXBP_EXTERN fluxbp_topic_t *fluxbp_topic_find(fluxbp_hub_t *hub, const char *name);

/** Unsubscribe everybody and forget the topic. What is queued already is still delivered. */
FLUXBP_EXTERN void fluxbp_topic_destroy(fluxbp_topic_t *topic);

/** Its name; valid as long as the topic. */
FLUXBP_EXTERN const char *fluxbp_topic_name(const fluxbp_topic_t *topic);

/** How many connections are subscribed. */
FLUXBP_EXTERN size_t fluxbp_topic_subscribers(const fluxbp_topic_t *topic);

/**
 * Deliver what is published on `topic` from now on to `conn`, which may be started later.
 *
 * @return 1, 0 if it was subscribed already, or
 *   UV_EINVAL   they belong to different hubs
 *   UV_ENOTCONN the connection is closing
 *   UV_ENOMEM   the allocator refused
 */
FLUXBP_EXTERN int fluxbp_topic_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);

/** @return 1, or 0 if it wasn't subscribed. What is queued already is still delivered. */
FLUXBP_EXTERN int fluxbp_topic_unsubscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);

/** Whether `conn` is subscribed. */
FLUXBP_EXTERN int fluxbp_topic_has(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn);

/**
 * Queue `msg` for every subscriber of `topic`: all of them, or none and an error.
 *
 * Takes what references it needs; the caller keeps its own. No system call is made, unless a ring is full that the
 * kernel hasn't been offered yet. May be called from any callback; no callback runs before it returns.
 *
 * @return the number of connections that it was meant for (>= 0; some may have lost it by their overflow rule), or
 *   UV_ENOBUFS   the budget is used up
 *   UV_ECANCELED the hub is closing
 *   and what fluxbp_frame_create returns
 */
FLUXBP_EXTERN int fluxbp_topic_publish(fluxbp_topic_t *topic, fluxbp_msg_t *msg);

#ifdef __cplusplus
}
#endif

#endif
