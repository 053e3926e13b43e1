/* SPDX-License-Identifier: MIT */
/*
 * The kernel's memory for TCP after many evictions at once: a reset gives it back, a polite close would leave it with
 * sockets that nobody owns for minutes. The figures are those of the whole system, so no other test runs meanwhile.
 */
#include "support/fixture.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  CLIENTS = 500,
  MESSAGE_BYTES = 1024,
  MESSAGES_PER_SWEEP = 500, /* 2 000 in a second of virtual time */
  SWEEPS_MAX = 80,          /* 20 s of it */
  FILES = 2 * CLIENTS + 64,
  FREED_MS = 1000,    /* memory is back by then: so many iterations, each a wait of a millisecond */
  REST_FRACTION = 16, /* the kernel counts in portions for each CPU, and other programs use TCP too */
  LEAST_RISE_MIB = 30 /* or the clients haven't filled anything */
};

typedef struct tcp_memory {
  uint64_t orphans; /* sockets that no program has any more, and that still have something to send */
  uint64_t pages;
} tcp_memory_t;

static tcp_memory_t tcp_memory(void) {
  tcp_memory_t memory = {0};
  char line[256];
  FILE *file = fopen("/proc/net/sockstat", "re");
  int found = 0;
  assert_non_null(file);
  while (found == 0 && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "TCP: inuse %*u orphan %" SCNu64 " tw %*u alloc %*u mem %" SCNu64, &memory.orphans,
               &memory.pages) == 2)
      found = 1;
  (void) fclose(file);
  assert_true(found);
  return memory;
}

static uint64_t mib(uint64_t pages) {
  return pages * (uint64_t) sysconf(_SC_PAGESIZE) >> 20;
}

/* Clients never read, but close when they learn that the connection is gone. At most a millisecond. */
static void close_hung_up(fixture_t *fx) {
  struct pollfd watched[CLIENTS];
  peer_t *owners[CLIENTS];
  nfds_t count = 0;
  for (peer_t *peer = fx->peers; peer != NULL; peer = peer->next) {
    if (peer->fd < 0) continue;
    watched[count] = (struct pollfd){.fd = peer->fd}; /* asks for nothing: errors and hang-ups are always told */
    owners[count++] = peer;
  }
  (void) poll(watched, count, 1);
  for (nfds_t i = 0; i < count; i++)
    if ((watched[i].revents & (POLLHUP | POLLERR)) != 0) peer_hang_up(owners[i]);
}

static void publish_for_a_sweep(fixture_t *fx) {
  static const char message[MESSAGE_BYTES] = {'m'};
  for (int i = 0; i < MESSAGES_PER_SWEEP; i++) {
    assert_in_range(fixture_publish(fx, fx->topic, message, sizeof message), 0, CLIENTS);
    if (i % 50 == 0) fixture_turns(fx, 1);
  }
}

/* Every client's kernel has said that it takes no more, so nothing moves from now on: the kernel's time is not ours. */
static bool are_windows_closed(fixture_t *fx, void *arg) {
  (void) arg;
  for (const peer_t *peer = fx->peers; peer != NULL; peer = peer->next) {
    fluxbp__sample_t sample;
    fluxbp__probe_sample(fluxbp__transport_fd(peer->conn), &sample);
    if (sample.window > 0 || sample.unacked_packets > 0) return false;
  }
  return true;
}

static void allow_many_files(void) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur >= FILES) return;
  limit.rlim_cur = FILES;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Nobody moves, so all are slow together, and get the one extra grace: about twice the 5 s. */
static void assert_stalled_together(fixture_t *fx) {
  assert_int_equal(fixture_metrics(fx).evictions[FLUXBP_EVICT_STALLED], CLIENTS);
  assert_int_equal(fixture_metrics(fx).crowd_slow_events, 1);
  for (peer_t *peer = fx->peers; peer != NULL; peer = peer->next) {
    assert_null(peer->conn);
    assert_int_equal(peer->record.cause, FLUXBP_CAUSE_NOT_READING);
    assert_in_range(peer->record.since_progress_ms, 9500, 10250);
  }
}

static void evictions_give_the_kernels_memory_back_at_once(void **state) {
  fixture_t fx;
  (void) state;
  allow_many_files();
  fixture_init(&fx);
  fx.options.slice_us = 10000000;
  fx.options.max_kernel_bytes = 0;
  fixture_open(&fx);
  tcp_memory_t before = tcp_memory();
  for (int i = 0; i < CLIENTS; i++) (void) peer_new(&fx, FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);

  publish_for_a_sweep(&fx);
  fixture_run_until(&fx, are_windows_closed, NULL, false);
  uint64_t peak = 0;
  for (int i = 0; i < SWEEPS_MAX && fx.evictions < CLIENTS; i++) {
    publish_for_a_sweep(&fx);
    fixture_advance(&fx, fx.options.sweep_ms);
    uint64_t pages = tcp_memory().pages;
    if (pages > peak) peak = pages;
  }
  assert_stalled_together(&fx);

  tcp_memory_t now = tcp_memory();
  uint64_t most = before.pages + (peak - before.pages) / REST_FRACTION;
  uint64_t begun_ns = uv_hrtime();
  for (int i = 0; i < FREED_MS && (now.pages > most || now.orphans > before.orphans); i++) {
    close_hung_up(&fx);
    fixture_turns(&fx, 1);
    now = tcp_memory();
  }
  printf("TCP memory: %" PRIu64 " MiB before, %" PRIu64 " at the peak, %" PRIu64 " and %" PRIu64 " orphans (%" PRIu64
         " before) %.1f ms after the last eviction\n",
         mib(before.pages), mib(peak), mib(now.pages), now.orphans, before.orphans,
         (double) (uv_hrtime() - begun_ns) / 1e6);
  assert_in_range(mib(peak - before.pages), LEAST_RISE_MIB, UINT64_MAX);
  assert_in_range(now.pages, 0, most);
  assert_in_range(now.orphans, 0, before.orphans);
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(evictions_give_the_kernels_memory_back_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
