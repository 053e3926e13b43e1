/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_VISITS_H
#define FLUXBP_VISITS_H
#include "fluxbp/conn.h"
#include "fluxbp/export.h"
#include "fluxbp/topic.h"
#ifdef __cplusplus
extern "C" {
#endif
FLUXBP_EXTERN int fluxbp_topic_each_member(fluxbp_topic_t *topic, int (*visit)(fluxbp_conn_t *conn, void *arg),
                                           void *arg);
FLUXBP_EXTERN int fluxbp_conn_each_topic(fluxbp_conn_t *conn, int (*visit)(fluxbp_topic_t *topic, void *arg),
                                         void *arg);
FLUXBP_EXTERN int fluxbp_hub_each_topic(fluxbp_hub_t *hub, int (*visit)(fluxbp_topic_t *topic, void *arg), void *arg);
#ifdef __cplusplus
}
#endif
#endif
