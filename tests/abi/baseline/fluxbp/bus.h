/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_BUS_H
#define FLUXBP_BUS_H
#include "fluxbp/export.h"
#include "fluxbp/msg.h"
#include "fluxbp/pool.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct fluxbp_bus fluxbp_bus_t;
#define FLUXBP_BUS_SLOTS_MAX ((uint32_t) 1 << 20)
#define FLUXBP_BUS_READERS_MAX 64
#define FLUXBP_BUS_TOPICS_MAX ((uint32_t) 1 << 20)
#define FLUXBP_BUS_TOPIC_NAME_MAX 255
#define FLUXBP_BUS_FIRST_ID_MAX ((uint64_t) 3 << 60)
typedef struct fluxbp_bus_options {
  size_t size;
  uint32_t slots;
  uint64_t first_id;
  uint64_t epoch;
  int own_ids;
  uint32_t max_topics;
} fluxbp_bus_options_t;
typedef struct fluxbp_bus_stats {
  uint64_t published;
  uint64_t refused;
  uint32_t slots;
  uint32_t readers;
  uint64_t lag;
  void *slowest;
  uint32_t topics;
} fluxbp_bus_stats_t;
#define fluxbp_bus_options_init(options) fluxbp_bus_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_bus_options_init_sized(fluxbp_bus_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_bus_create(fluxbp_pool_t *pool, const fluxbp_bus_options_t *options, fluxbp_bus_t **bus);
FLUXBP_EXTERN int fluxbp_bus_destroy(fluxbp_bus_t *bus);
FLUXBP_EXTERN void fluxbp_bus_close(fluxbp_bus_t *bus);
FLUXBP_EXTERN uint64_t fluxbp_bus_epoch(const fluxbp_bus_t *bus);
FLUXBP_EXTERN int fluxbp_bus_topic(fluxbp_bus_t *bus, const char *name, uint32_t *topic);
FLUXBP_EXTERN int fluxbp_bus_topic_release(fluxbp_bus_t *bus, uint32_t topic);
FLUXBP_EXTERN const char *fluxbp_bus_topic_name(const fluxbp_bus_t *bus, uint32_t topic);
FLUXBP_EXTERN int fluxbp_bus_publish(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t *id);
FLUXBP_EXTERN int fluxbp_bus_publish_to(fluxbp_bus_t *bus, const char *name, fluxbp_msg_t *msg, uint64_t *id);
FLUXBP_EXTERN int fluxbp_bus_publish_as(fluxbp_bus_t *bus, uint32_t topic, fluxbp_msg_t *msg, uint64_t id);
FLUXBP_EXTERN int fluxbp_bus_publish_to_as(fluxbp_bus_t *bus, const char *name, fluxbp_msg_t *msg, uint64_t id);
FLUXBP_EXTERN int fluxbp_bus_publish_bytes(fluxbp_bus_t *bus, uint32_t topic, const void *data, size_t length,
                                           uint64_t *id);
FLUXBP_EXTERN int fluxbp_bus_publish_bytes_to(fluxbp_bus_t *bus, const char *name, const void *data, size_t length,
                                              uint64_t *id);
typedef struct fluxbp_bus_publish_options {
  size_t size;
  const char *name;
  uint32_t topic;
  uint64_t id;
  uint64_t origin;
} fluxbp_bus_publish_options_t;
#define fluxbp_bus_publish_options_init(options) fluxbp_bus_publish_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_bus_publish_options_init_sized(fluxbp_bus_publish_options_t *options, size_t size);
FLUXBP_EXTERN int fluxbp_bus_publish_with(fluxbp_bus_t *bus, fluxbp_msg_t *msg,
                                          const fluxbp_bus_publish_options_t *options, uint64_t *id);
#define fluxbp_bus_get_stats(bus,stats) fluxbp_bus_get_stats_sized((bus), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_bus_get_stats_sized(fluxbp_bus_t *bus, fluxbp_bus_stats_t *stats, size_t size);
#ifdef __cplusplus
}
#endif
#endif
