/* SPDX-License-Identifier: MIT */
/*
 * What the tests of hubs that read a bus share: two hubs on two loops of one thread, so that every step is known.
 */
#ifndef FLUXBP_TESTS_HUB_BUS_FIXTURE_H
#define FLUXBP_TESTS_HUB_BUS_FIXTURE_H

#include "support/fixture.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct buses {
  fixture_t fx[2];
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic; /* the number of "topic" */
} buses_t;

static inline void init_with(buses_t *b, const fluxbp_bus_options_t *options) {
  assert_int_equal(fluxbp_pool_create(NULL, &b->pool), 0);
  assert_int_equal(fluxbp_bus_create(b->pool, options, &b->bus), 0);
  assert_int_equal(fluxbp_bus_topic(b->bus, "topic", &b->topic), 0);
  for (int i = 0; i < 2; i++) {
    fixture_init(&b->fx[i]);
    b->fx[i].options.bus = b->bus;
  }
}

static inline void init(buses_t *b, uint32_t slots, uint64_t first_id) {
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  options.slots = slots;
  options.first_id = first_id;
  init_with(b, &options);
}

static inline void init_with_topics(buses_t *b, uint32_t slots, uint32_t max_topics) {
  fluxbp_bus_options_t options;
  fluxbp_bus_options_init(&options);
  options.slots = slots;
  options.max_topics = max_topics;
  init_with(b, &options);
}

static inline void open_hubs(buses_t *b) {
  for (int i = 0; i < 2; i++) fixture_open(&b->fx[i]);
}

static inline void close_hubs(buses_t *b) {
  for (int i = 0; i < 2; i++) fixture_close(&b->fx[i]);
  assert_int_equal(fluxbp_bus_destroy(b->bus), 0);
  assert_int_equal(fluxbp_pool_destroy(b->pool), 0);
}

static inline int publish_on(buses_t *b, uint32_t topic, const void *data, size_t len, uint64_t *id) {
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(b->pool, data, len, &msg), 0);
  int err = fluxbp_bus_publish(b->bus, topic, msg, id);
  fluxbp_msg_unref(msg);
  return err;
}

static inline void publish_number(buses_t *b, uint64_t number) {
  char text[32];
  int len = snprintf(text, sizeof text, "%" PRIu64, number);
  assert_int_equal(publish_on(b, b->topic, text, (size_t) len, NULL), 0);
}

static inline void turns(buses_t *b, int count) {
  for (int i = 0; i < count; i++)
    for (int k = 0; k < 2; k++) fixture_turns(&b->fx[k], 1);
}

/* Numbers as lines. */
static inline size_t lines_of(uint64_t first, uint64_t last, char *out, size_t capacity) {
  size_t len = 0;
  for (uint64_t n = first; n <= last; n++) len += (size_t) snprintf(out + len, capacity - len, "%" PRIu64 "\n", n);
  return len;
}

#endif
