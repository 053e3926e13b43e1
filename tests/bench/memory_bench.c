/* SPDX-License-Identifier: MIT */
/*
 * bench_memory: what connections take of user-space memory, and how often a steady load calls the allocator. Everything
 * is counted: the library's memory by its pool's allocator, libuv's by uv_replace_allocator. So the figures are the
 * same on a busy machine; rounds only repeat the steady load.
 *
 *   idle           a connection that has been started, subscribed, and written to; its part of all arrays included
 *   backpressured  what it takes more while the kernel refuses and its ring is full; the messages aren't counted, since
 *                  they are there once for all
 *   calls          of alloc and free, while messages go to all of them: the idle ones read, the backpressured ones
 *                  don't, and lose each message by one overflow rule or the other
 */
#include "bench.h"
#include "clients.h"
#include "report.h"
#include "room.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_BYTES = 128, SHOT_MESSAGES = 16, FILLING_MESSAGES = 64, FILLING_SHOTS = 1000 };
enum { STALLED_BUFFER_BYTES = 4096, HOUR_MS = 3600000, RULES = 2 };
static const fluxbp_overflow_t rules[RULES] = {FLUXBP_OVERFLOW_DROP_NEWEST, FLUXBP_OVERFLOW_DROP_OLDEST};
static const char *const rule_names[RULES] = {"drop newest", "drop oldest"};

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t stalled;
  uint64_t deliveries;
} settings_t;

/* ---- what is counted ---- */

typedef struct counted {
  uint64_t calls;
  uint64_t bytes; /* had and not given back */
} counted_t;

static counted_t library, libuv;

static void *library_alloc(size_t size, void *arg) {
  (void) arg;
  library.calls++;
  library.bytes += size;
  return malloc(size);
}

static void library_free(void *memory, size_t size, void *arg) {
  (void) arg;
  library.calls++;
  library.bytes -= size;
  free(memory);
}

static void *count_libuv(void *memory) {
  libuv.calls++;
  libuv.bytes += malloc_usable_size(memory);
  return memory;
}

static void *libuv_malloc(size_t size) {
  return count_libuv(malloc(size));
}

static void *libuv_calloc(size_t count, size_t size) {
  return count_libuv(calloc(count, size));
}

static void *libuv_realloc(void *memory, size_t size) {
  libuv.bytes -= malloc_usable_size(memory);
  return count_libuv(realloc(memory, size));
}

static void libuv_free(void *memory) {
  libuv.calls += memory != NULL;
  libuv.bytes -= malloc_usable_size(memory);
  free(memory);
}

/* ---- the phases ---- */

enum { FROM_LIBRARY, FROM_LIBUV, TOGETHER, BYTES_COLUMNS };
enum { CALLS, CALLS_PER_MILLION, CALLS_COLUMNS };

typedef struct bench {
  settings_t settings;
  child_t readers, stalled;
  room_t room;
  bench_rounds_t idle[BYTES_COLUMNS], backpressured[BYTES_COLUMNS], calls[RULES][CALLS_COLUMNS];
} bench_t;

static void note_bytes(bench_rounds_t *columns, double library_bytes, double libuv_bytes, uint64_t connections) {
  bench_round(&columns[FROM_LIBRARY], library_bytes / (double) connections);
  bench_round(&columns[FROM_LIBUV], libuv_bytes / (double) connections);
  bench_round(&columns[TOGETHER], (library_bytes + libuv_bytes) / (double) connections);
}

static void seat(room_t *room, child_t *clients, uint64_t count) {
  int *fds = bench_alloc(count, sizeof *fds);
  clients_child_seat(clients, fds, count);
  room_seat(room, fds, count);
  free(fds);
}

/* Messages for everybody, which the readers read; returns how many were lost. */
static uint64_t shoot(bench_t *bench, uint64_t messages) {
  static const char message[MESSAGE_BYTES] = "the same for everybody";
  uint64_t lost = room_metrics(&bench->room).dropped;
  room_publish(&bench->room, bench->room.topic, message, sizeof message, messages);
  room_flush(&bench->room);
  clients_child_begin_receiving(&bench->readers, bench->settings.connections * messages * MESSAGE_BYTES);
  clients_child_wait(&bench->readers);
  return room_metrics(&bench->room).dropped - lost;
}

/* Until every stalled connection loses every message. */
static void fill(bench_t *bench) {
  int shots = 0;
  while (shoot(bench, FILLING_MESSAGES) < bench->settings.stalled * FILLING_MESSAGES)
    if (++shots == FILLING_SHOTS) bench_die("stalled clients take messages", UV_EPROTO);
}

static uint64_t control_bytes(const bench_t *bench) {
  fluxbp_pool_stats_t stats;
  fluxbp_pool_get_stats(bench->room.pool, &stats);
  return stats.used_bytes - stats.payload_bytes;
}

static void measure_bytes(bench_t *bench) {
  const settings_t *settings = &bench->settings;
  counted_t library_before = library, libuv_before = libuv;
  seat(&bench->room, &bench->readers, settings->connections);
  note_bytes(bench->idle, (double) library.bytes - (double) library_before.bytes,
             (double) libuv.bytes - (double) libuv_before.bytes, settings->connections);

  clients_child_buffer(&bench->stalled, STALLED_BUFFER_BYTES);
  seat(&bench->room, &bench->stalled, settings->stalled);
  uint64_t before = control_bytes(bench);
  libuv_before = libuv;
  fill(bench);
  note_bytes(bench->backpressured, (double) control_bytes(bench) - (double) before,
             (double) libuv.bytes - (double) libuv_before.bytes, settings->stalled);
}

static void run_steady(bench_t *bench, int rule) {
  bench->room.policy.overflow = rules[rule];
  bench_must(fluxbp_hub_set_policy(bench->room.hub, &bench->room.policy), "policy");
  (void) shoot(bench, SHOT_MESSAGES); /* the first loss by a rule makes its marker */

  uint64_t calls = library.calls + libuv.calls;
  uint64_t begun = room_metrics(&bench->room).accepted, deliveries = 0;
  for (; deliveries < bench->settings.deliveries; deliveries = room_metrics(&bench->room).accepted - begun)
    (void) shoot(bench, SHOT_MESSAGES);
  calls = library.calls + libuv.calls - calls;
  bench_round(&bench->calls[rule][CALLS], (double) calls);
  bench_round(&bench->calls[rule][CALLS_PER_MILLION], (double) calls * 1e6 / (double) deliveries);
}

static void print_report(report_t *report, const bench_t *bench) {
  static const char *const bytes[] = {"library", "libuv", "together", NULL};
  static const char *const calls[] = {"calls", "per million", NULL};
  char name[64];
  report_table(report, "bytes of a connection", bytes);
  report_row(report, "idle", bench->idle);
  report_row(report, "backpressured, besides", bench->backpressured);
  report_table(report, "allocator calls while deliveries go on", calls);
  for (int i = 0; i < RULES; i++) {
    (void) snprintf(name, sizeof name, "%u read, %u are stalled: %s", (unsigned) bench->settings.connections,
                    (unsigned) bench->settings.stalled, rule_names[i]);
    report_row(report, name, bench->calls[i]);
  }
  report_goal(report, "user-space bytes per idle connection", 450, &bench->idle[TOGETHER]);
  for (int i = 0; i < RULES; i++) {
    (void) snprintf(name, sizeof name, "allocator calls per million deliveries, %s", rule_names[i]);
    report_goal(report, name, 0, &bench->calls[i][CALLS_PER_MILLION]);
  }
}

int main(int argc, char **argv) {
  static bench_t bench;
  static report_t report;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 5, .connections = 10000, .stalled = 1000, .deliveries = 1000000};
  const bench_option_t options[] = {
      {"--rounds", "of the steady load", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--connections", "that read", 18000, &settings->connections},
      {"--stalled", "connections that don't", 18000, &settings->stalled},
      {"--deliveries", "of a steady load", UINT32_MAX, &settings->deliveries},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_must(uv_replace_allocator(libuv_malloc, libuv_realloc, libuv_calloc, libuv_free), "uv_replace_allocator");
  bench_need_descriptors(settings->connections + settings->stalled + 64);

  report_begin(&report, json);
  child_start(&bench.readers, clients_serve, NULL);
  child_start(&bench.stalled, clients_serve, NULL);
  room_prepare(&bench.room);
  bench.room.pool_options.allocator = (fluxbp_allocator_t){.alloc = library_alloc, .free = library_free};
  bench.room.policy.stall_ms = HOUR_MS; /* not 0: it is the kernel's patience, too */
  bench.room.policy.slow_ms = 0;
  bench.room.options.max_kernel_bytes = 0;
  room_open(&bench.room, settings->connections + settings->stalled);
  measure_bytes(&bench);
  for (uint64_t round = 0; round < settings->rounds; round++)
    for (int rule = 0; rule < RULES; rule++) run_steady(&bench, rule);
  print_report(&report, &bench);
  room_close(&bench.room);
  clients_child_reset(&bench.readers);
  clients_child_reset(&bench.stalled);
  child_end(&bench.readers);
  child_end(&bench.stalled);
  report_end(&report);
  return 0;
}
