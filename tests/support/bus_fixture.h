/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the bus share: a bus with a pool that counts, readers that count how often they are woken, and
 * short words for publishing and reading. One thread plays all parts in turn, so that every step can be looked at.
 */
#ifndef FLUXBP_TESTS_BUS_FIXTURE_H
#define FLUXBP_TESTS_BUS_FIXTURE_H

#include "bus.h"
#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

enum { SLOTS = 8 };

typedef struct fixture {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic;
} fixture_t;

typedef struct listener {
  fluxbp__bus_reader_t reader;
  int wakes;
} listener_t;

int try_to_make(fixture_t *f, uint32_t slots, uint64_t first_id);
void open_pool(fixture_t *f);
void close_pool(fixture_t *f);
void open_bus(fixture_t *f, uint32_t slots, uint64_t first_id);
void close_bus(fixture_t *f); /* which holds no message any more */
uint64_t used_bytes(const fixture_t *f);
fluxbp_bus_stats_t stats_of(const fixture_t *f);

void on_wake(void *arg);
void join(fixture_t *f, listener_t *listener);
void leave(listener_t *listener);

/* Publish a message that nobody else holds, with `number` in it. */
fluxbp_msg_t *message(fixture_t *f, uint64_t number);
int publish(fixture_t *f, uint64_t number, uint64_t *id);

/* Publish the numbers from `first` to `last`, which are to be their ids as well, and read them. */
void publish_all(fixture_t *f, uint64_t first, uint64_t last);
void assert_reads(fixture_t *f, listener_t *listener, uint64_t first, uint64_t last);
void assert_has_read_all(const listener_t *listener);

#endif
