/* SPDX-License-Identifier: MIT */
/*
 * bench_tls: what TLS costs, against the built-in TCP in the same run.
 *
 *   a delivery      processor time of the sending process: a burst is published, and the loop runs until everything is
 *                   written; the clients' process reads afterwards, and isn't counted
 *   a dead client   how many bytes of messages a client that never reads is given before it is evicted as STALLED. The
 *                   time is virtual: a message every 10 ms, a sweep every 250 ms
 *   memory          user-space bytes of an idle connection: what the library and libuv take, and what OpenSSL takes
 *   calls           of the allocator while messages go out: the library's, by its pool's allocator, and OpenSSL's
 *   handshakes      processor time of the server for one, with a certificate of P-256
 */
#include "bench.h"
#include "clients.h"
#include "hub.h"
#include "report.h"
#include "room.h"
#include "tls_clients.h"

#include <fluxbp/server/tls_transport.h>

#include <malloc.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockets.h"

enum { MESSAGE_BYTES = 128, BURSTS = 2, BURST_MAX = 16, UNREAD_SENDS = 8, CLIENT_BUFFER_BYTES = 1 << 20 };
enum { DEAD_MESSAGE_BYTES = 1024, DEAD_PERIOD_MS = 10, DEAD_BUFFER_BYTES = 65536, DEAD_MESSAGES_MAX = 100000 };

static const uint64_t bursts[BURSTS] = {1, BURST_MAX};

typedef enum kind { TCP, TLS, KINDS } kind_t;
static const char *const kind_names[KINDS] = {"tcp", "tls"};

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t deliveries;
} settings_t;

/* The connections of one kind, and what was measured with them. */
typedef struct hall {
  kind_t kind;
  child_t clients;
  room_t room;
  fluxbp_tls_transport_t *transport;
  bench_rounds_t us[BURSTS];
  bench_rounds_t dead_bytes;
  bench_rounds_t library_bytes, openssl_bytes; /* of an idle connection */
  bench_rounds_t library_calls, openssl_calls; /* for a million deliveries */
  bench_rounds_t handshake_us;
} hall_t;

/* ---- counting ---- */

static struct counted {
  size_t
      bytes; /* while clients are seated: to ask the allocator for sizes takes time, of which deliveries are judged */
  uint64_t calls;
} openssl, library;
static bool is_seating;

static void *count_alloc(struct counted *counted, void *memory) {
  if (is_seating) counted->bytes += malloc_usable_size(memory);
  counted->calls++;
  return memory;
}

static void count_free(struct counted *counted, void *memory) {
  if (memory == NULL) return;
  if (is_seating) counted->bytes -= malloc_usable_size(memory);
  counted->calls++;
  free(memory);
}

static void *openssl_malloc(size_t size, const char *file, int line) {
  (void) file;
  (void) line;
  return count_alloc(&openssl, malloc(size));
}

static void *openssl_realloc(void *memory, size_t size, const char *file, int line) {
  (void) file;
  (void) line;
  if (is_seating) openssl.bytes -= malloc_usable_size(memory);
  return count_alloc(&openssl, realloc(memory, size));
}

static void openssl_free(void *memory, const char *file, int line) {
  (void) file;
  (void) line;
  count_free(&openssl, memory);
}

static void *library_alloc(size_t size, void *arg) {
  (void) arg;
  return count_alloc(&library, malloc(size));
}

static void library_free(void *memory, size_t size, void *arg) {
  (void) size;
  (void) arg;
  count_free(&library, memory);
}

/* ---- a hall ---- */

static fluxbp_tls_t *certificates;

static void make_certificates(void) {
  tls_files_t files;
  char problem[256];
  tls_files_make(&files);
  const fluxbp_tls_certificate_t certificate = {files.certificate, files.key};
  fluxbp_tls_options_t options;
  fluxbp_tls_options_init(&options);
  options.certificates = &certificate;
  options.certificate_count = 1;
  int err = fluxbp_tls_create(&options, &certificates, problem, sizeof problem);
  tls_files_remove(&files);
  bench_must(err, "certificates");
}

static void open_hall(hall_t *hall, kind_t kind) {
  hall->kind = kind;
  child_start(&hall->clients, kind == TLS ? tls_clients_serve : clients_serve, NULL);
  room_prepare(&hall->room);
  hall->room.pool_options.allocator = (fluxbp_allocator_t){.alloc = library_alloc, .free = library_free};
}

/* Have the clients of a hall connect, and wait until their handshakes have ended. */
static void seat(hall_t *hall, size_t count, size_t buffer_bytes) {
  int *fds = bench_alloc(count, sizeof *fds);
  uint16_t port;
  room_open(&hall->room, count);
  struct counted library_before = library, openssl_before = openssl;
  is_seating = true;
  if (hall->kind == TCP) {
    clients_child_buffer(&hall->clients, buffer_bytes);
    clients_child_seat(&hall->clients, fds, count);
    room_seat(&hall->room, fds, count);
  } else {
    fluxbp_tls_transport_options_t options;
    fluxbp_tls_transport_options_init(&options);
    options.tls = certificates;
    bench_must(fluxbp_tls_transport_create(hall->room.hub, &options, &hall->transport), "transport");
    hall->room.transport = fluxbp_tls_transport_table(hall->transport);
    int listener = sockets_listen(count, &port);
    tls_clients_begin_connecting(&hall->clients, port, count, buffer_bytes);
    sockets_accept(listener, fds, count);
    tls_clients_wait(&hall->clients);
    (void) close(listener);
    room_seat(&hall->room, fds, count);
    bench_time_t begun = bench_spent();
    tls_clients_begin_handshakes(&hall->clients, false);
    fluxbp_tls_stats_t stats;
    do {
      (void) uv_run(&hall->room.loop, UV_RUN_ONCE);
      fluxbp_tls_transport_get_stats(hall->transport, &stats);
      if (stats.failed > 0) bench_die("a handshake", UV_EPROTO);
    } while (stats.handshakes < count);
    bench_time_t ended = bench_spent();
    bench_round(&hall->handshake_us,
                (ended.user_us - begun.user_us + ended.system_us - begun.system_us) / (double) count);
    tls_clients_wait(&hall->clients);
  }
  is_seating = false;
  bench_round(&hall->library_bytes, (double) (library.bytes - library_before.bytes) / (double) count);
  bench_round(&hall->openssl_bytes, (double) (openssl.bytes - openssl_before.bytes) / (double) count);
  free(fds);
}

static void leave(hall_t *hall) {
  if (hall->kind == TLS)
    tls_clients_reset(&hall->clients);
  else
    clients_child_reset(&hall->clients);
}

static void close_hall(hall_t *hall) {
  if (hall->transport != NULL) fluxbp_tls_transport_close(hall->transport);
  room_close(&hall->room);
  fluxbp_tls_transport_free(hall->transport);
  hall->transport = NULL;
  leave(hall);
  child_end(&hall->clients);
}

/* ---- a delivery ---- */

static void receive(hall_t *hall, uint64_t bytes) {
  if (hall->kind == TLS) {
    tls_clients_begin_receiving(&hall->clients, bytes);
    tls_clients_wait(&hall->clients);
  } else {
    clients_child_begin_receiving(&hall->clients, bytes);
    clients_child_wait(&hall->clients);
  }
}

static double run_case(const settings_t *settings, hall_t *hall, uint64_t burst) {
  static const char message[MESSAGE_BYTES] = "the same for everybody";
  uint64_t deliveries = 0;
  double spent_us = 0;
  uint64_t library_calls = library.calls, openssl_calls = openssl.calls;
  while (deliveries < settings->deliveries) {
    bench_time_t begun = bench_spent();
    for (int i = 0; i < UNREAD_SENDS; i++) {
      room_publish(&hall->room, hall->room.topic, message, sizeof message, burst);
      room_flush(&hall->room);
    }
    bench_time_t ended = bench_spent();
    if (room_metrics(&hall->room).queued > 0) bench_die("the kernel refuses", UV_EAGAIN);
    spent_us += ended.user_us - begun.user_us + ended.system_us - begun.system_us;
    uint64_t count = hall->room.count * burst * UNREAD_SENDS;
    deliveries += count;
    receive(hall, count * MESSAGE_BYTES);
  }
  bench_round(&hall->library_calls, (double) (library.calls - library_calls) * 1e6 / (double) deliveries);
  bench_round(&hall->openssl_calls, (double) (openssl.calls - openssl_calls) * 1e6 / (double) deliveries);
  return spent_us / (double) deliveries;
}

/* The first messages have the pool grow. */
static void warm_up(const settings_t *settings, hall_t *hall) {
  for (int burst = 0; burst < BURSTS; burst++) (void) run_case(settings, hall, bursts[burst]);
  hall->library_calls.count = hall->openssl_calls.count = 0;
}

static void run_round(const settings_t *settings, hall_t *halls, uint64_t round, bench_rounds_t *ratios) {
  for (int burst = 0; burst < BURSTS; burst++) {
    double us[KINDS];
    for (uint64_t i = 0; i < KINDS; i++) {
      uint64_t kind = (i + round) % KINDS;
      us[kind] = run_case(settings, &halls[kind], bursts[burst]);
      bench_round(&halls[kind].us[burst], us[kind]);
    }
    bench_round(&ratios[burst], us[TLS] / us[TCP]);
  }
}

/* ---- a dead client ---- */

static uint64_t read_clock(void *clock_ms) {
  return *(uint64_t *) clock_ms;
}

static void count_eviction(fluxbp_hub_t *hub, const fluxbp_eviction_t *record) {
  if (record->reason != FLUXBP_EVICT_STALLED) bench_die("another verdict", UV_EPROTO);
  ++*(int *) fluxbp_hub_user(hub);
}

/* Returns the bytes that the client was given. */
static double outlive(kind_t kind) {
  static const char message[DEAD_MESSAGE_BYTES] = "never read";
  hall_t hall = {0};
  int evictions = 0;
  uint64_t clock_ms = 1, messages = 0;
  open_hall(&hall, kind);
  room_t *room = &hall.room;
  room->lets_evict = true;
  room->policy.grace_ms = 0;
  room->options.clock_ms = read_clock;
  room->options.clock_arg = &clock_ms;
  room->options.on_eviction = count_eviction;
  room->options.user = &evictions;
  seat(&hall, 1, DEAD_BUFFER_BYTES);
  for (; evictions == 0 && messages < DEAD_MESSAGES_MAX; messages++) {
    room_publish(room, room->topic, message, sizeof message, 1);
    clock_ms += DEAD_PERIOD_MS;
    if (clock_ms / room->options.sweep_ms != (clock_ms - DEAD_PERIOD_MS) / room->options.sweep_ms)
      fluxbp__sweep_now(&room->hub->sweep);
    (void) uv_run(&room->loop, UV_RUN_NOWAIT);
  }
  if (evictions == 0) bench_die("the client was never evicted", UV_ETIMEDOUT);
  double bytes = (double) room_metrics(room).written_bytes;
  close_hall(&hall);
  return bytes;
}

/* ---- the report ---- */

static void print_report(report_t *report, const hall_t *halls, const bench_rounds_t *ratios,
                         const bench_rounds_t *outlived) {
  static const char *const us[] = {"total", NULL}, *const median[] = {"median", NULL}, *const bytes[] = {"bytes", NULL};
  static const char *const calls[] = {"calls", NULL};
  char name[64];
  report_table(report, "us of processor time for a delivery", us);
  for (int burst = 0; burst < BURSTS; burst++) {
    for (int kind = 0; kind < KINDS; kind++) {
      (void) snprintf(name, sizeof name, "bursts of %d, %s", (int) bursts[burst], kind_names[kind]);
      report_row(report, name, &halls[kind].us[burst]);
    }
  }
  report_table(report, "tls / tcp", median);
  for (int burst = 0; burst < BURSTS; burst++) {
    (void) snprintf(name, sizeof name, "bursts of %d", (int) bursts[burst]);
    report_row(report, name, &ratios[burst]);
  }
  report_table(report, "bytes that a client is given that never reads", bytes);
  for (int kind = 0; kind < KINDS; kind++) report_row(report, kind_names[kind], &halls[kind].dead_bytes);
  report_table(report, "user-space bytes of an idle connection", bytes);
  for (int kind = 0; kind < KINDS; kind++) report_row(report, kind_names[kind], &halls[kind].library_bytes);
  report_row(report, "tls, of OpenSSL besides", &halls[TLS].openssl_bytes);
  report_table(report, "allocator calls for a million deliveries", calls);
  for (int kind = 0; kind < KINDS; kind++) report_row(report, kind_names[kind], &halls[kind].library_calls);
  report_row(report, "tls, of OpenSSL besides", &halls[TLS].openssl_calls);
  report_table(report, "us of processor time for a handshake (P-256)", us);
  report_row(report, "tls", &halls[TLS].handshake_us);
  report_goal(report, "CPU per delivery over TLS / TCP, one message at a time", 1.5, &ratios[0]);
  report_goal(report, "the same, bursts of 16", 1.6, &ratios[1]);
  report_goal(report, "bytes to a dead client over TLS / TCP", 2.0, outlived);
  report_goal(report, "user-space bytes of an idle TLS connection beside OpenSSL's", 1024, &halls[TLS].library_bytes);
  report_goal(report, "allocator calls of the library for a million deliveries over TLS", 0, &halls[TLS].library_calls);
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 15, .connections = 1000, .deliveries = 40000};
  const bench_option_t options[] = {
      {"--rounds", "of all cases", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--connections", "of each kind", 9000, &settings.connections},
      {"--deliveries", "in each case of each round", UINT32_MAX, &settings.deliveries},
  };
  static hall_t halls[KINDS];
  static report_t report;
  static bench_rounds_t ratios[BURSTS];
  static bench_rounds_t outlived;
  bool counts = CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1; /* before its first use */
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  if (!counts) bench_die("CRYPTO_set_mem_functions", UV_ENOTSUP);
  bench_need_descriptors(KINDS * settings.connections + 64);

  report_begin(&report, json);
  make_certificates();
  double bytes[KINDS];
  for (int kind = 0; kind < KINDS; kind++) bench_round(&halls[kind].dead_bytes, bytes[kind] = outlive((kind_t) kind));
  bench_round(&outlived, bytes[TLS] / bytes[TCP]);
  for (int kind = 0; kind < KINDS; kind++) open_hall(&halls[kind], (kind_t) kind);
  for (int kind = 0; kind < KINDS; kind++) {
    seat(&halls[kind], settings.connections, CLIENT_BUFFER_BYTES);
  }
  for (int kind = 0; kind < KINDS; kind++) warm_up(&settings, &halls[kind]);
  for (uint64_t round = 0; round < settings.rounds; round++) run_round(&settings, halls, round, ratios);
  print_report(&report, halls, ratios, &outlived);
  for (int kind = 0; kind < KINDS; kind++) close_hall(&halls[kind]);
  fluxbp_tls_free(certificates);
  report_end(&report);
  return 0;
}
