/* SPDX-License-Identifier: MIT */
/*
 * The limits of every field of pools, buses, listeners and workers, and of the keys of state topics: what is taken
 * makes a thing that works. limits_test.c has policies, hubs and connections.
 */
#include "support/fixture.h"
#include "support/limits.h"

#include <limits.h>
#include <netinet/in.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- pool ---- */

static void init_pool(void *options) {
  fluxbp_pool_options_init((fluxbp_pool_options_t *) options);
}

/* With a budget that has no room for a message, connections come and go all the same. */
static int make_pool(const void *options) {
  fixture_t fx;
  fluxbp_pool_t *pool;
  int err = fluxbp_pool_create(options, &pool);
  if (err) return err;
  assert_int_equal(fluxbp_pool_destroy(pool), 0);
  fixture_init(&fx);
  fx.pool_options = *(const fluxbp_pool_options_t *) options;
  fixture_open(&fx);
  peer_t *peer = peer_new(&fx, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  int count = fixture_publish(&fx, fx.topic, "message", 7);
  assert_int_equal(count, fx.pool_options.max_bytes < 1024 ? UV_ENOBUFS : 1);
  if (count == 1) peer_wait_for(peer, 7);
  fixture_close(&fx);
  return 0;
}

static void pool_fields_are_taken_up_to_their_limits(void **state) {
  static const limits_field_t fields[] = {
      LIMITS_OTHER(fluxbp_pool_options_t, size),
      LIMITS_NUMBER(fluxbp_pool_options_t, max_bytes, 1, UINT64_MAX),
      LIMITS_OTHER(fluxbp_pool_options_t, allocator),
  };
  (void) state;
  limits_walk(&(limits_struct_t){.name = "fluxbp_pool_options",
                                 .header = "pool.h",
                                 .size = sizeof(fluxbp_pool_options_t),
                                 .fields = fields,
                                 .count = COUNT(fields),
                                 .init = init_pool,
                                 .make = make_pool});
}

/* ---- bus ---- */

static void init_bus(void *options) {
  fluxbp_bus_options_init((fluxbp_bus_options_t *) options);
}

static int make_bus(const void *given) {
  const fluxbp_bus_options_t *options = given;
  fixture_t fx;
  fluxbp_pool_t *pool;
  fluxbp_bus_t *bus;
  uint32_t topic;
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_pool_create(NULL, &pool), 0);
  int err = fluxbp_bus_create(pool, options, &bus);
  if (!err) {
    fixture_init(&fx);
    fx.options.bus = bus;
    fixture_open(&fx);
    peer_t *peer = peer_new(&fx, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
    assert_int_equal(fluxbp_bus_topic(bus, "topic", &topic), 0);
    assert_int_equal(fluxbp_msg_create(pool, "message", 7, &msg), 0);
    uint64_t id = options->first_id;
    assert_int_equal(
        options->own_ids ? fluxbp_bus_publish_as(bus, topic, msg, id) : fluxbp_bus_publish(bus, topic, msg, &id), 0);
    assert_true(id == options->first_id);
    fluxbp_msg_unref(msg);
    peer_wait_for(peer, 7);
    assert_true(peer_stats(peer).last_id == options->first_id);
    fixture_close(&fx);
    assert_int_equal(fluxbp_bus_destroy(bus), 0);
  }
  assert_int_equal(fluxbp_pool_destroy(pool), 0);
  return err;
}

static void bus_fields_are_taken_up_to_their_limits(void **state) {
  static const limits_field_t fields[] = {
      LIMITS_OTHER(fluxbp_bus_options_t, size),
      LIMITS_NUMBER(fluxbp_bus_options_t, slots, 2, FLUXBP_BUS_SLOTS_MAX),
      LIMITS_NUMBER(fluxbp_bus_options_t, first_id, 1, FLUXBP_BUS_FIRST_ID_MAX),
      LIMITS_NUMBER(fluxbp_bus_options_t, epoch, 0, UINT64_MAX),
      LIMITS_SIGNED(fluxbp_bus_options_t, own_ids, INT_MIN, INT_MAX),
      LIMITS_NUMBER(fluxbp_bus_options_t, max_topics, 1, FLUXBP_BUS_TOPICS_MAX),
  };
  (void) state;
  limits_walk(&(limits_struct_t){.name = "fluxbp_bus_options",
                                 .header = "bus.h",
                                 .size = sizeof(fluxbp_bus_options_t),
                                 .fields = fields,
                                 .count = COUNT(fields),
                                 .init = init_bus,
                                 .make = make_bus});
}

/* ---- state topics ---- */

static void the_keys_of_a_state_topic_are_limited(void **state) {
  static const uint32_t right[] = {1, FLUXBP_TOPIC_KEYS_MAX};
  static const uint32_t wrong[] = {0, FLUXBP_TOPIC_KEYS_MAX + 1, UINT32_MAX};
  (void) state;
  for (size_t i = 0; i < COUNT(right); i++) {
    fixture_t fx;
    fluxbp_topic_t *topic;
    fluxbp_msg_t *msg;
    fixture_init(&fx);
    fixture_open(&fx);
    assert_int_equal(fluxbp_topic_open_state(fx.hub, "state", right[i], &topic), 0);
    assert_int_equal(fluxbp_msg_create_keyed(fx.pool, UINT64_MAX, "value", 5, &msg), 0);
    assert_int_equal(fluxbp_topic_publish(topic, msg), 0);
    fluxbp_msg_unref(msg);
    fixture_close(&fx);
  }
  for (size_t i = 0; i < COUNT(wrong); i++) {
    fixture_t fx;
    fluxbp_topic_t *topic;
    fixture_init(&fx);
    fixture_open(&fx);
    assert_int_equal(fluxbp_topic_open_state(fx.hub, "state", wrong[i], &topic), UV_EINVAL);
    fixture_close(&fx);
  }
}

/* ---- listener ---- */

static int accepted_fd;

static void on_accept(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_permit_t permit) {
  (void) peer;
  close(fd);
  accepted_fd = fd;
  assert_int_equal(fluxbp_listener_release(listener, permit), 0);
}

static void init_listener(void *options) {
  fluxbp_listener_options_init((fluxbp_listener_options_t *) options);
  ((fluxbp_listener_options_t *) options)->on_accept = on_accept;
}

static void accept_one(uv_loop_t *loop, const fluxbp_listener_t *listener) {
  struct sockaddr_storage address;
  int length = sizeof address;
  accepted_fd = -1;
  assert_int_equal(fluxbp_listener_address(listener, (struct sockaddr *) &address, &length), 0);
  int client = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(client >= 0);
  assert_int_equal(connect(client, (struct sockaddr *) &address, (socklen_t) length), 0);
  while (accepted_fd == -1) (void) uv_run(loop, UV_RUN_ONCE); /* it is in the backlog, so that the loop wakes */
  close(client);
}

static int make_listener(const void *options) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  fluxbp_listener_t *listener;
  uv_loop_t loop;
  assert_int_equal(uv_loop_init(&loop), 0);
  int err = fluxbp_listener_open_tcp(&loop, (struct sockaddr *) &any, options, &listener);
  if (!err) {
    accept_one(&loop, listener);
    fluxbp_listener_close(listener, NULL);
  }
  (void) uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
  return err;
}

static void listener_fields_are_taken_up_to_their_limits(void **state) {
  static const limits_field_t fields[] = {
      LIMITS_OTHER(fluxbp_listener_options_t, size),
      LIMITS_OTHER(fluxbp_listener_options_t, on_accept),
      LIMITS_OTHER(fluxbp_listener_options_t, on_refused),
      LIMITS_OTHER(fluxbp_listener_options_t, on_error),
      LIMITS_OTHER(fluxbp_listener_options_t, pool),
      LIMITS_SIGNED(fluxbp_listener_options_t, backlog, 1, INT_MAX),
      LIMITS_SIGNED(fluxbp_listener_options_t, reuse_port, INT_MIN, INT_MAX),
      LIMITS_SIGNED(fluxbp_listener_options_t, ipv6_only, INT_MIN, INT_MAX),
      LIMITS_SIGNED(fluxbp_listener_options_t, unix_mode, -1, 0777),
      LIMITS_NUMBER(fluxbp_listener_options_t, at_limit, 0, FLUXBP_AT_LIMIT_PAUSE),
      LIMITS_NUMBER(fluxbp_listener_options_t, max_connections, 1, FLUXBP_LISTENER_CONNECTIONS_MAX),
      LIMITS_NUMBER(fluxbp_listener_options_t, max_per_address, 0, UINT32_MAX),
      LIMITS_NUMBER(fluxbp_listener_options_t, max_refusals, 0, FLUXBP_LISTENER_CONNECTIONS_MAX),
      LIMITS_NUMBER(fluxbp_listener_options_t, accepts_per_second, 0, UINT32_MAX),
      LIMITS_NUMBER(fluxbp_listener_options_t, accept_burst, 1, UINT32_MAX),
      LIMITS_OTHER(fluxbp_listener_options_t, clock_ms),
      LIMITS_OTHER(fluxbp_listener_options_t, clock_arg),
      LIMITS_OTHER(fluxbp_listener_options_t, user),
  };
  (void) state;
  limits_walk(&(limits_struct_t){.name = "fluxbp_listener_options",
                                 .header = "listener.h",
                                 .size = sizeof(fluxbp_listener_options_t),
                                 .fields = fields,
                                 .count = COUNT(fields),
                                 .init = init_listener,
                                 .make = make_listener});
}

/* ---- workers ---- */

static unsigned processors = 4;

unsigned __wrap_uv_available_parallelism(void); /* NOLINT(bugprone-reserved-identifier): the linker's word */
unsigned __wrap_uv_available_parallelism(void) {
  return processors;
}

static void init_workers(void *options) {
  fluxbp_workers_options_init((fluxbp_workers_options_t *) options);
}

static int make_workers(const void *given) {
  const fluxbp_workers_options_t *options = given;
  fluxbp_workers_t *workers;
  int err = fluxbp_workers_start(options, &workers);
  if (err) return err;
  assert_int_equal(fluxbp_workers_count(workers), options->threads != 0 ? options->threads : processors);
  fluxbp_workers_stop(workers, 0);
  return 0;
}

static void workers_fields_are_taken_up_to_their_limits(void **state) {
  static const limits_field_t fields[] = {
      LIMITS_OTHER(fluxbp_workers_options_t, size),    LIMITS_NUMBER(fluxbp_workers_options_t, threads, 0, 64),
      LIMITS_OTHER(fluxbp_workers_options_t, hub),     LIMITS_OTHER(fluxbp_workers_options_t, on_start),
      LIMITS_OTHER(fluxbp_workers_options_t, on_stop), LIMITS_OTHER(fluxbp_workers_options_t, arg),
  };
  (void) state;
  assert_int_equal(FLUXBP_WORKERS_MAX, 64);
  limits_walk(&(limits_struct_t){.name = "fluxbp_workers_options",
                                 .header = "workers.h",
                                 .size = sizeof(fluxbp_workers_options_t),
                                 .fields = fields,
                                 .count = COUNT(fields),
                                 .init = init_workers,
                                 .make = make_workers});
}

static void workers_without_options_start_whatever_the_number_of_processors(void **state) {
  static const unsigned machines[] = {1, FLUXBP_WORKERS_MAX, FLUXBP_WORKERS_MAX + 1, 4096};
  (void) state;
  for (size_t i = 0; i < COUNT(machines); i++) {
    fluxbp_workers_t *workers;
    processors = machines[i];
    assert_int_equal(fluxbp_workers_start(NULL, &workers), 0);
    assert_int_equal(fluxbp_workers_count(workers), processors < FLUXBP_WORKERS_MAX ? processors : FLUXBP_WORKERS_MAX);
    fluxbp_workers_stop(workers, 0);
  }
  processors = 4;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pool_fields_are_taken_up_to_their_limits),
      cmocka_unit_test(bus_fields_are_taken_up_to_their_limits),
      cmocka_unit_test(the_keys_of_a_state_topic_are_limited),
      cmocka_unit_test(listener_fields_are_taken_up_to_their_limits),
      cmocka_unit_test(workers_fields_are_taken_up_to_their_limits),
      cmocka_unit_test(workers_without_options_start_whatever_the_number_of_processors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
