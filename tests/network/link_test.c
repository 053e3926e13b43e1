/* SPDX-License-Identifier: MIT */
/*
 * Verdicts on clients behind links that are slow, cut or in order, by the default policy, in real time. A verdict takes
 * seconds, so all clients run at once, each on a link of its own, and the tests then look at what became of each.
 */
#include "support/fixture.h"

#include "support/netns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
  MESSAGE_BYTES = 1000,
  LINK_BYTES = 125000, /* a second, of NETNS_SLOW */
  FEED_BYTES = 100000, /* a second, where the link is fast */
  SLOW_READER_BYTES = 20000,
  SMALL_RECEIVE_BUFFER = 16384, /* the kernel's own choice would hold minutes of a slow reader's messages */
  TICK_MS = 10,
  TICK_MAX_MS = 50, /* so much time passes for the clients in a tick at most, however late it is: a machine that is busy
                       with something else must not make bursts of a steady feed */
  FEED_MS = 16000,  /* who is to stay is fed for so long, the others until they go */
  RUN_MAX_MS = 40000, /* a verdict that hasn't come by then won't */
  HEALTHY = 8
};

/* One client and what is done to it. Times are since the beginning, rates in bytes a second, 0 is never or no limit. */
typedef struct client {
  const char *name;
  const char *link;
  uint32_t fed;
  uint32_t reads;
  int receive_buffer;
  uint64_t stops_reading_ms;
  uint64_t link_is_cut_ms;
  fluxbp_overflow_t overflow;
  bool is_healthy; /* it will have everything */

  netns_link_t wire;
  bool is_cut;
  peer_t peer;
  uint64_t sent; /* messages */
  uint64_t read; /* bytes, where the rate is limited */
} client_t;

static client_t below_the_link = {
    .name = "below the link", .link = NETNS_SLOW, .fed = LINK_BYTES / 100 * 64, .is_healthy = true};

static client_t above_the_link = {.name = "above the link", .link = NETNS_SLOW, .fed = LINK_BYTES / 100 * 160};

static client_t without_the_oldest_above_the_link = {.name = "without the oldest above the link",
                                                     .link = NETNS_SLOW,
                                                     .fed = LINK_BYTES / 100 * 160,
                                                     .overflow = FLUXBP_OVERFLOW_DROP_OLDEST};

static client_t lossless_above_the_link = {.name = "lossless above the link",
                                           .link = NETNS_SLOW,
                                           .fed = LINK_BYTES / 100 * 160,
                                           .overflow = FLUXBP_OVERFLOW_EVICT};

static client_t reads_slowly = {
    .name = "reads slowly", .fed = FEED_BYTES, .reads = SLOW_READER_BYTES, .receive_buffer = SMALL_RECEIVE_BUFFER};

static client_t never_reads = {
    .name = "never reads", .fed = FEED_BYTES, .receive_buffer = SMALL_RECEIVE_BUFFER, .stops_reading_ms = 1};

static client_t stops_reading = {.name = "reads slowly, then stops",
                                 .fed = FEED_BYTES,
                                 .reads = SLOW_READER_BYTES,
                                 .receive_buffer = SMALL_RECEIVE_BUFFER,
                                 .stops_reading_ms = 4000};

static client_t cut_off = {.name = "cut off", .fed = FEED_BYTES, .link_is_cut_ms = 1000};

/* The queue before its link is 1.6 s long by then, and so is the time between retransmissions. */
static client_t cut_off_behind_a_queue = {
    .name = "cut off behind a queue", .link = NETNS_SLOW, .fed = LINK_BYTES / 100 * 160, .link_is_cut_ms = 5000};

static client_t healthy[HEALTHY]; /* on one link */

static client_t *const singles[] = {
    &below_the_link,          &above_the_link, &without_the_oldest_above_the_link,
    &lossless_above_the_link, &reads_slowly,   &never_reads,
    &stops_reading,           &cut_off,        &cut_off_behind_a_queue,
};
enum { SINGLES = sizeof singles / sizeof singles[0] };

static fixture_t fx;
static uv_timer_t tick;
static uint64_t begun_ms;

/* ---- what a cause is told by, for whoever has to find out why it was wrong ---- */

static void print_sample(const char *when, const fluxbp__sample_t *sample) {
  printf("  %s: window %" PRIu32 ", unacked %" PRIu32 ", retransmits %" PRIu32 ", acked %" PRIu64 ", busy %" PRIu64
         " us, window-limited %" PRIu64 " us\n",
         when, sample->window, sample->unacked_packets, sample->retransmits, sample->acked_bytes, sample->busy_us,
         sample->window_limited_us);
}

static void print_record(peer_t *peer, char told) {
  if (told != TOLD_EVICTED) return;
  const fluxbp_eviction_t *record = &peer->record;
  printf("%s: %s, %s, after %" PRIu64 " ms, %" PRIu64 " without progress, %" PRIu64 " backpressured\n",
         ((const client_t *) peer->arg)->name, fluxbp_evict_reason_name(record->reason),
         fluxbp_cause_name(record->cause), record->time_ms - begun_ms, record->since_progress_ms,
         record->backpressured_ms);
  fluxbp__sample_t now;
  fluxbp__probe_sample(fluxbp__transport_fd(peer->conn), &now);
  print_sample("before", &peer->conn->pressure->samples[0]);
  print_sample("then", &peer->conn->pressure->samples[1]);
  print_sample("now", &now);
}

/* ---- running them ---- */

static void client_open(client_t *client, const netns_link_t *wire) {
  int fds[2];
  fluxbp_policy_t policy;
  assert_int_equal(netns_link_connect(wire, client->receive_buffer, fds), 0);
  peer_adopt(&fx, &client->peer, FLUXBP_TCP, &fluxbp_codec_raw, fds);
  client->peer.arg = client;
  client->peer.hook = print_record;
  fluxbp_policy_init(&policy);
  policy.overflow = client->overflow;
  assert_int_equal(fluxbp_conn_set_policy(client->peer.conn, &policy), 0);
}

static bool is_evicted(const client_t *client) {
  return client->peer.record.reason != FLUXBP_EVICT_NONE;
}

/* Each message is its number, over and over. */
static void feed(client_t *client, uint64_t elapsed_ms) {
  uint64_t message[MESSAGE_BYTES / sizeof(uint64_t)];
  while (!is_evicted(client) && client->sent * MESSAGE_BYTES < client->fed * elapsed_ms / 1000) {
    for (size_t i = 0; i < sizeof message / sizeof message[0]; i++) message[i] = client->sent;
    int is_queued = fixture_send(&client->peer, message, sizeof message);
    if (is_queued == UV_ENOTCONN) return; /* the verdict has fallen, the record follows */
    assert_in_range(is_queued, 0, 1);
    client->sent++;
  }
}

static void read_slowly(client_t *client, uint64_t elapsed_ms) {
  static char sink[65536];
  uint64_t due = client->reads * elapsed_ms / 1000 - client->read;
  ssize_t len = recv(client->peer.fd, sink, due < sizeof sink ? due : sizeof sink, 0);
  if (len > 0) client->read += (uint64_t) len;
}

static void client_tick(client_t *client, uint64_t elapsed_ms) {
  if (client->link_is_cut_ms != 0 && elapsed_ms >= client->link_is_cut_ms && !client->is_cut) {
    client->is_cut = true;
    assert_int_equal(netns_link_shape(&client->wire, NETNS_CUT), 0);
  }
  feed(client, client->is_healthy && elapsed_ms > FEED_MS ? FEED_MS : elapsed_ms);
  if (client->stops_reading_ms != 0 && elapsed_ms >= client->stops_reading_ms) return;
  if (client->reads != 0)
    read_slowly(client, elapsed_ms);
  else
    peer_read(&client->peer);
}

static bool is_done(const client_t *client) {
  return client->is_healthy ? client->peer.len == client->sent * MESSAGE_BYTES : is_evicted(client);
}

static void on_tick(uv_timer_t *timer) {
  static uint64_t elapsed_ms;
  static uint64_t last_ms;
  uint64_t since_last_ms = last_ms ? uv_now(&fx.loop) - last_ms : 0;
  elapsed_ms += since_last_ms < TICK_MAX_MS ? since_last_ms : TICK_MAX_MS;
  last_ms = uv_now(&fx.loop);
  int left = 0;
  for (int i = 0; i < SINGLES + HEALTHY; i++) {
    client_t *client = i < SINGLES ? singles[i] : &healthy[i - SINGLES];
    client_tick(client, elapsed_ms);
    left += !is_done(client);
  }
  if ((left == 0 && elapsed_ms >= FEED_MS) || elapsed_ms >= RUN_MAX_MS) (void) uv_timer_stop(timer);
}

static void open_all(void) {
  for (int i = 0; i < SINGLES; i++) {
    netns_link_t *wire = &singles[i]->wire;
    assert_int_equal(netns_link_open(wire), 0);
    if (singles[i]->link != NULL) assert_int_equal(netns_link_shape(wire, singles[i]->link), 0);
    client_open(singles[i], wire);
  }
  assert_int_equal(netns_link_open(&healthy[0].wire), 0);
  for (int i = 0; i < HEALTHY; i++) {
    healthy[i] = (client_t){.name = "healthy", .fed = FEED_BYTES, .is_healthy = true, .wire = healthy[0].wire};
    client_open(&healthy[i], &healthy[i].wire);
  }
}

static int run_all(void **state) {
  (void) state;
  fixture_init(&fx);
  fx.options.clock_ms = NULL; /* the loop's */
  fixture_open(&fx);
  open_all();

  uv_update_time(&fx.loop);
  begun_ms = uv_now(&fx.loop);
  assert_int_equal(uv_timer_init(&fx.loop, &tick), 0);
  assert_int_equal(uv_timer_start(&tick, on_tick, 0, TICK_MS), 0);
  while (uv_is_active((uv_handle_t *) &tick)) (void) uv_run(&fx.loop, UV_RUN_ONCE);
  return 0;
}

static int close_all(void **state) {
  (void) state;
  uv_close((uv_handle_t *) &tick, NULL);
  fixture_close(&fx);
  for (int i = 0; i < SINGLES; i++) netns_link_close(&singles[i]->wire);
  netns_link_close(&healthy[0].wire);
  return 0;
}

/* ---- what became of them ---- */

static void assert_evicted(const client_t *client, fluxbp_evict_reason_t reason, fluxbp_cause_t cause) {
  const fluxbp_eviction_t *record = &client->peer.record;
  assert_string_equal(fluxbp_evict_reason_name(record->reason), fluxbp_evict_reason_name(reason));
  assert_string_equal(fluxbp_cause_name(record->cause), fluxbp_cause_name(cause));
  if (reason == FLUXBP_EVICT_STALLED) assert_in_range(record->since_progress_ms, 5000, 5500);
  if (reason == FLUXBP_EVICT_SLOW) assert_in_range(record->backpressured_ms, 5000, 5500);
}

static void assert_has_everything(const client_t *client) {
  const peer_t *peer = &client->peer;
  assert_non_null(peer->conn);
  fluxbp_conn_stats_t stats = peer_stats(peer);
  assert_int_equal(client->sent, client->fed / 1000 * FEED_MS / MESSAGE_BYTES);
  assert_int_equal(stats.accepted, client->sent);
  assert_int_equal(stats.written, client->sent);
  assert_int_equal(peer->len, client->sent * MESSAGE_BYTES);
  for (size_t at = 0; at < peer->len; at += sizeof(uint64_t)) {
    uint64_t number;
    memcpy(&number, peer->data + at, sizeof number);
    assert_int_equal(number, at / MESSAGE_BYTES);
  }
}

static void below_the_rate_of_its_link_nobody_is_evicted(void **state) {
  (void) state;
  assert_has_everything(&below_the_link);
}

static void above_the_rate_of_its_link_is_slow_by_the_network(void **state) {
  (void) state;
  assert_evicted(&above_the_link, FLUXBP_EVICT_SLOW, FLUXBP_CAUSE_NETWORK);
  assert_evicted(&without_the_oldest_above_the_link, FLUXBP_EVICT_SLOW, FLUXBP_CAUSE_NETWORK);
  assert_evicted(&lossless_above_the_link, FLUXBP_EVICT_OVERFLOW, FLUXBP_CAUSE_NETWORK);
  assert_int_equal(lossless_above_the_link.peer.record.dropped, 0);
}

static void slow_reader_is_slow_by_its_own_fault(void **state) {
  (void) state;
  assert_evicted(&reads_slowly, FLUXBP_EVICT_SLOW, FLUXBP_CAUSE_READS_SLOWLY);
}

static void who_never_reads_is_stalled_and_not_reading(void **state) {
  (void) state;
  assert_evicted(&never_reads, FLUXBP_EVICT_STALLED, FLUXBP_CAUSE_NOT_READING);
}

static void slow_reader_that_stops_is_not_reading_either(void **state) {
  (void) state;
  assert_evicted(&stops_reading, FLUXBP_EVICT_STALLED, FLUXBP_CAUSE_NOT_READING);
}

static void behind_a_cut_link_is_unreachable(void **state) {
  (void) state;
  assert_evicted(&cut_off, FLUXBP_EVICT_STALLED, FLUXBP_CAUSE_UNREACHABLE);
}

static void behind_a_cut_link_with_a_long_queue_is_unreachable(void **state) {
  (void) state;
  assert_evicted(&cut_off_behind_a_queue, FLUXBP_EVICT_STALLED, FLUXBP_CAUSE_UNREACHABLE);
}

static void healthy_clients_lose_nothing_meanwhile(void **state) {
  (void) state;
  for (int i = 0; i < HEALTHY; i++) assert_has_everything(&healthy[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(below_the_rate_of_its_link_nobody_is_evicted),
      cmocka_unit_test(above_the_rate_of_its_link_is_slow_by_the_network),
      cmocka_unit_test(slow_reader_is_slow_by_its_own_fault),
      cmocka_unit_test(who_never_reads_is_stalled_and_not_reading),
      cmocka_unit_test(slow_reader_that_stops_is_not_reading_either),
      cmocka_unit_test(behind_a_cut_link_is_unreachable),
      cmocka_unit_test(behind_a_cut_link_with_a_long_queue_is_unreachable),
      cmocka_unit_test(healthy_clients_lose_nothing_meanwhile),
  };
  const char *problem = netns_enter();
  if (problem != NULL) {
    const char *ci = getenv("CI");
    bool may_skip = ci == NULL || strcmp(ci, "true") != 0;
    printf("%s: no network to test on: %s\n", may_skip ? "skipped" : "failed", problem);
    return may_skip ? 77 : EXIT_FAILURE;
  }
  return cmocka_run_group_tests(tests, run_all, close_all);
}
