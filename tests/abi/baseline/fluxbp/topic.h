/* SPDX-License-Identifier: MIT */
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
#define FLUXBP_TOPIC_NAME_MAX 255
#define FLUXBP_TOPIC_KEYS_MAX ((uint32_t) 1 << 24)
FLUXBP_EXTERN int fluxbp_topic_open(fluxbp_hub_t *hub, const char *name, fluxbp_topic_t **topic);
FLUXBP_EXTERN int fluxbp_topic_open_state(fluxbp_hub_t *hub, const char *name, uint32_t max_keys,
                                          fluxbp_topic_t **topic);
FLUXBP_EXTERN int fluxbp_topic_open_pattern(fluxbp_hub_t *hub, const char *pattern, fluxbp_topic_t **topic);
FLUXBP_EXTERN fluxbp_topic_t *fluxbp_topic_find_pattern(fluxbp_hub_t *hub, const char *pattern);
FLUXBP_EXTERN int fluxbp_topic_is_pattern(const fluxbp_topic_t *topic);
FLUXBP_EXTERN int fluxbp_topic_is_state(const fluxbp_topic_t *topic);
FLUXBP_EXTERN size_t fluxbp_topic_keys(const fluxbp_topic_t *topic);
FLUXBP_EXTERN size_t fluxbp_topic_frame_bytes(const fluxbp_topic_t *topic);
FLUXBP_EXTERN int fluxbp_topic_forget(fluxbp_topic_t *topic, uint64_t key);
FLUXBP_EXTERN fluxbp_topic_t *fluxbp_topic_find(fluxbp_hub_t *hub, const char *name);
FLUXBP_EXTERN void fluxbp_topic_destroy(fluxbp_topic_t *topic);
FLUXBP_EXTERN const char *fluxbp_topic_name(const fluxbp_topic_t *topic);
FLUXBP_EXTERN void *fluxbp_topic_user(const fluxbp_topic_t *topic);
FLUXBP_EXTERN void fluxbp_topic_set_user(fluxbp_topic_t *topic, void *user);
FLUXBP_EXTERN size_t fluxbp_topic_subscribers(const fluxbp_topic_t *topic);
FLUXBP_EXTERN int fluxbp_topic_subscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_topic_subscribe_since(fluxbp_topic_t *topic, fluxbp_conn_t *conn, uint64_t epoch,
                                               uint64_t since_id);
FLUXBP_EXTERN int64_t fluxbp_topic_since_last(fluxbp_topic_t *topic, uint32_t count, uint64_t *since_id);
FLUXBP_EXTERN void fluxbp_topic_measure_past(fluxbp_topic_t *topic, uint64_t since_id, uint64_t *messages,
                                             uint64_t *bytes);
FLUXBP_EXTERN uint64_t fluxbp_topic_oldest_since(fluxbp_topic_t *topic);
FLUXBP_EXTERN int fluxbp_topic_send_past(fluxbp_topic_t *topic, fluxbp_conn_t *conn, fluxbp_msg_t *msg, uint64_t id);
FLUXBP_EXTERN int fluxbp_topic_unsubscribe(fluxbp_topic_t *topic, fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_topic_has(const fluxbp_topic_t *topic, const fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_topic_publish(fluxbp_topic_t *topic, fluxbp_msg_t *msg);
FLUXBP_EXTERN int fluxbp_topic_publish_bytes(fluxbp_topic_t *topic, const void *data, size_t length);
FLUXBP_EXTERN int fluxbp_topic_publish_bytes_keyed(fluxbp_topic_t *topic, uint64_t key, const void *data,
                                                   size_t length);
FLUXBP_EXTERN int fluxbp_topic_publish_from(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t origin);
#ifdef __cplusplus
}
#endif
#endif
