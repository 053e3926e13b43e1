/* SPDX-License-Identifier: MIT */
/*
 * Programs that were compiled with older or newer headers than the library: the structs that they read results into are
 * shorter or longer than the library's. docs/growth.md has the rules.
 */
#include "support/fixture.h"

#include "frame.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UNTOUCHED = 0xaa, RESULT_BYTES = 4096 };

typedef struct world {
  fixture_t fx;
  peer_t *peer;
  fluxbp_bus_t *bus;
  fluxbp_listener_t *listener;
} world_t;

static void get_conn_stats(world_t *world, void *out, size_t size) {
  fluxbp_conn_get_stats_sized(world->peer->conn, out, size);
}

static void get_evidence(world_t *world, void *out, size_t size) {
  fluxbp_conn_get_evidence_sized(world->peer->conn, out, size);
}

static void get_liveness(world_t *world, void *out, size_t size) {
  fluxbp_conn_get_liveness_sized(world->peer->conn, out, size);
}

static void get_pool_stats(world_t *world, void *out, size_t size) {
  fluxbp_pool_get_stats_sized(world->fx.pool, out, size);
}

static void get_bus_stats(world_t *world, void *out, size_t size) {
  fluxbp_bus_get_stats_sized(world->bus, out, size);
}

static void get_listener_stats(world_t *world, void *out, size_t size) {
  fluxbp_listener_get_stats_sized(world->listener, out, size);
}

static void get_history(world_t *world, void *out, size_t size) {
  fluxbp_hub_history_sized(world->fx.hub, out, size);
}

static void get_metrics(world_t *world, void *out, size_t size) {
  fluxbp_hub_get_metrics_sized(world->fx.hub, out, size);
}

/* As a program does that adds what it has to nothing. */
static void add_metrics(world_t *world, void *out, size_t size) {
  fluxbp_metrics_t *more = malloc(size); /* exactly: the address sanitizer sees a look beyond it */
  assert_non_null(more);
  fluxbp_hub_get_metrics_sized(world->fx.hub, more, size);
  memset(out, 0, size);
  fluxbp_metrics_add_sized(out, more, size);
  free(more);
}

static void get_times(world_t *world, void *out, size_t size) {
  fluxbp_hub_get_broadcast_times_sized(world->fx.hub, out, size);
  assert_int_equal(((fluxbp_histogram_t *) out)->size, size);
  ((fluxbp_histogram_t *) out)->size = 0;
}

static void get_gap(world_t *world, void *out, size_t size) {
  fluxbp_frame_t *lost;
  fluxbp_frame_t *marker;
  fluxbp_msg_t *msg;
  assert_int_equal(fluxbp_msg_create(world->fx.pool, "x", 1, &msg), 0);
  assert_int_equal(fluxbp_frame_create(world->fx.pool, msg, NULL, "topic", 7, &lost), 0);
  assert_int_equal(fluxbp__frame_create_gap(world->fx.pool, lost, &marker), 0);
  assert_int_equal(fluxbp_frame_gap_sized(marker, out, size), 1);
  fluxbp_frame_unref(marker);
  fluxbp_frame_unref(lost);
  fluxbp_msg_unref(msg);
}

static void get_eviction(world_t *world, void *out, size_t size) {
  assert_int_equal(fluxbp_hub_evictions_sized(world->fx.hub, out, 1, size), 1);
}

static void init_histogram(world_t *world, void *out, size_t size) {
  (void) world;
  fluxbp_histogram_init_sized(out, size);
  assert_int_equal(((fluxbp_histogram_t *) out)->size, size);
  ((fluxbp_histogram_t *) out)->size = 0;
}

typedef struct result {
  void (*get)(world_t *world, void *out, size_t size);
  size_t known; /* the size of the struct in this version */
  size_t older; /* what an older version may have had of it */
} result_t;

static const result_t results[] = {
    {get_conn_stats, sizeof(fluxbp_conn_stats_t), offsetof(fluxbp_conn_stats_t, fill_percent)},
    {get_evidence, sizeof(fluxbp_eviction_t), offsetof(fluxbp_eviction_t, nearest)},
    {get_liveness, sizeof(fluxbp_liveness_t), offsetof(fluxbp_liveness_t, since_heard_ms)},
    {get_pool_stats, sizeof(fluxbp_pool_stats_t), offsetof(fluxbp_pool_stats_t, peak_used_bytes)},
    {get_bus_stats, sizeof(fluxbp_bus_stats_t), offsetof(fluxbp_bus_stats_t, topics)},
    {get_listener_stats, sizeof(fluxbp_listener_stats_t), offsetof(fluxbp_listener_stats_t, paused)},
    {get_history, sizeof(fluxbp_history_range_t), offsetof(fluxbp_history_range_t, newest_id)},
    {get_metrics, sizeof(fluxbp_metrics_t), offsetof(fluxbp_metrics_t, history_forgotten)},
    {add_metrics, sizeof(fluxbp_metrics_t), offsetof(fluxbp_metrics_t, history_forgotten)},
    {get_times, sizeof(fluxbp_histogram_t), sizeof(fluxbp_histogram_t)},
    {init_histogram, sizeof(fluxbp_histogram_t), sizeof(fluxbp_histogram_t)},
    {get_gap, sizeof(fluxbp_gap_t), offsetof(fluxbp_gap_t, count)},
    {get_eviction, sizeof(fluxbp_eviction_t), offsetof(fluxbp_eviction_t, nearest)},
};

static void accept_nobody(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                          fluxbp_permit_t permit) {
  (void) peer;
  (void) close(fd);
  (void) fluxbp_listener_release(listener, permit);
}

static void evict_one(fixture_t *fx) {
  peer_t *peer = peer_new(fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  (void) peer_refuse(peer);
  for (int i = 0; i < 2; i++) (void) fixture_send(peer, "x", 1);
  peer_hang_up(peer);
  peer_wait_for_close(peer);
}

/* One connection that was written to, and the record of another one that was evicted. */
static void world_open(world_t *world) {
  fluxbp_listener_options_t options;
  struct sockaddr_in address;
  fixture_init(&world->fx);
  world->fx.policy.slots = 2;
  world->fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&world->fx);
  assert_int_equal(fluxbp_bus_create(world->fx.pool, NULL, &world->bus), 0);
  fluxbp_listener_options_init(&options);
  options.on_accept = accept_nobody;
  assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
  assert_int_equal(fluxbp_listener_open_tcp(&world->fx.loop, (struct sockaddr *) &address, &options, &world->listener),
                   0);

  evict_one(&world->fx);
  world->peer = peer_new(&world->fx, FLUXBP_PIPE, &fluxbp_codec_raw, FIXTURE_SMALL_BUFFERS);
  assert_int_equal(fixture_publish(&world->fx, world->fx.topic, "hello", 5), 1);
  peer_wait_for(world->peer, 5);
}

static void world_close(world_t *world) {
  fluxbp_listener_close(world->listener, NULL);
  fixture_turns(&world->fx, 3);
  assert_int_equal(fluxbp_bus_destroy(world->bus), 0);
  fixture_close(&world->fx);
}

static void assert_all(const unsigned char *bytes, size_t from, size_t to, unsigned char value) {
  for (size_t i = from; i < to; i++) assert_int_equal(bytes[i], value);
}

static void result_is_as_long_as_its_reader_knows_it(void **state) {
  static unsigned char whole[RESULT_BYTES];
  static unsigned char older[RESULT_BYTES];
  static unsigned char newer[RESULT_BYTES];
  enum { MORE = 64 };
  world_t world;
  (void) state;
  world_open(&world);
  for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
    const result_t *result = &results[i];
    assert_in_range(result->known, 1, RESULT_BYTES - MORE - 1);
    memset(whole, UNTOUCHED, sizeof whole);
    memset(older, UNTOUCHED, sizeof older);
    memset(newer, UNTOUCHED, sizeof newer);
    result->get(&world, whole, result->known);
    assert_all(whole, result->known, sizeof whole, UNTOUCHED);
    result->get(&world, older, result->older);
    assert_memory_equal(older, whole, result->older);
    assert_all(older, result->older, sizeof older, UNTOUCHED);
    result->get(&world, newer, result->known + MORE);
    assert_memory_equal(newer, whole, result->older); /* behind that there may be padding */
    assert_all(newer, result->known, result->known + MORE, 0);
    assert_all(newer, result->known + MORE, sizeof newer, UNTOUCHED);
  }
  world_close(&world);
}

static void records_stand_as_close_as_their_reader_knows_them(void **state) {
  enum { RECORDS = 3 };
  const size_t sizes[] = {offsetof(fluxbp_eviction_t, time_ms), sizeof(fluxbp_eviction_t) + 16};
  fixture_t fx;
  (void) state;
  fixture_init(&fx);
  fx.policy.slots = 2;
  fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  fixture_open(&fx);
  for (int i = 0; i < RECORDS; i++) evict_one(&fx);
  for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
    static unsigned char bytes[RESULT_BYTES];
    memset(bytes, UNTOUCHED, sizeof bytes);
    assert_int_equal(fluxbp_hub_evictions_sized(fx.hub, (void *) bytes, RECORDS, sizes[k]), RECORDS);
    for (size_t i = 0; i < RECORDS; i++) {
      const fluxbp_eviction_t *record = (const void *) (bytes + i * sizes[k]);
      assert_int_equal(record->conn_id, RECORDS - i);
      assert_int_equal(record->reason, FLUXBP_EVICT_OVERFLOW);
    }
    assert_all(bytes, RECORDS * sizes[k], sizeof bytes, UNTOUCHED);
  }
  fixture_close(&fx);
}

static void figures_that_an_older_program_does_not_have_are_zero_in_the_text(void **state) {
  static char expected[16384];
  static char text[16384];
  const size_t older = offsetof(fluxbp_metrics_t, history_forgotten);
  fluxbp_metrics_t metrics = {.published = 7};
  (void) state;
  size_t length = fluxbp_metrics_prometheus(&metrics, expected, sizeof expected);
  metrics.history_forgotten = 5; /* no part of what the older program has */
  metrics.history_bytes = 5;
  assert_int_equal(fluxbp_metrics_prometheus_sized(&metrics, older, text, sizeof text), length);
  assert_in_range(length, 1, sizeof text - 1);
  assert_string_equal(text, expected);
  assert_non_null(strstr(text, "fluxbp_messages_published_total 7\n"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(result_is_as_long_as_its_reader_knows_it),
      cmocka_unit_test(records_stand_as_close_as_their_reader_knows_them),
      cmocka_unit_test(figures_that_an_older_program_does_not_have_are_zero_in_the_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
