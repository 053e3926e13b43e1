/* SPDX-License-Identifier: MIT */
/*
 * bench_fanout: what a delivery costs the sending process, beside what the kernel takes for it in any case. All ways
 * use the same sockets in turn:
 *
 *   library       a burst is published, then the loop runs until everything is written
 *   uv_try_write  a bare loop of it over the same streams, a call for each message
 *   send          the floor: a bare loop of send(), a call for each message, and one look at epoll for each round of it
 *   writev        the floor of a burst: a bare loop of writev() with all messages of the burst
 *
 * A shot is sent first, then the clients' process reads it: what is measured is only the sending, while nobody else has
 * its hands on these sockets. It includes what loopback does within a send: it carries the bytes into the receiver's
 * queue. Processor time is by getrusage: the sum is exact, its division into user and system is the kernel's estimate.
 */
#include "bench.h"
#include "clients.h"
#include "report.h"
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { HALLS = 3, SIZES = 2, BURSTS = 4, BURST_MAX = 64, BYTES_MAX = 1024 };

/* What of a connection's isn't read when a shot is over. The kernel begins with 10 packets that haven't been
 * acknowledged, and collects what comes behind them, which costs less than sending. */
enum { UNREAD_SENDS = 8, UNREAD_BYTES = 65536, CLIENT_BUFFER_BYTES = 1 << 20 };

static const uint64_t sizes[SIZES] = {128, BYTES_MAX};
static const uint64_t bursts[BURSTS] = {1, 4, 16, BURST_MAX};

typedef enum way { LIBRARY, TRY_WRITE, SEND, WRITEV, WAYS } way_t;
static const char *const way_names[WAYS] = {"library", "uv_try_write", "send", "writev"};

typedef enum column { RATE, USER, SYSTEM, TOTAL, COLUMNS } column_t;

typedef struct settings {
  uint64_t rounds;
  uint64_t connections[HALLS];
  uint64_t deliveries;
} settings_t;

/* So many connections, and what was measured with them. */
typedef struct hall {
  child_t clients;
  room_t room;
  int *fds;
  int epoll;
  bench_rounds_t figures[SIZES][BURSTS][WAYS][COLUMNS];
  bench_rounds_t against[SIZES][BURSTS][WAYS]; /* the library's total / that of this way in the same round */
} hall_t;

typedef struct shot {
  uint64_t size;   /* of a message, in bytes */
  uint64_t burst;  /* messages in a row for each connection */
  uint64_t bursts; /* one after the other */
} shot_t;

static char messages[BURST_MAX][BYTES_MAX]; /* a real burst's are not the same bytes either */

/* ---- the ways ---- */

static void send_by_library(hall_t *hall, shot_t shot) {
  for (uint64_t i = 0; i < shot.bursts; i++) {
    for (uint64_t j = 0; j < shot.burst; j++) room_publish(&hall->room, hall->room.topic, messages[j], shot.size, 1);
    room_flush(&hall->room);
  }
  if (room_metrics(&hall->room).queued > 0) bench_die("the kernel refuses the library", UV_EAGAIN);
}

static void send_by_try_write(hall_t *hall, shot_t shot) {
  for (uint64_t i = 0; i < shot.bursts * shot.burst; i++) {
    uv_buf_t buffer = uv_buf_init(messages[i % BURST_MAX], (unsigned) shot.size);
    for (size_t j = 0; j < hall->room.count; j++)
      if (uv_try_write(fluxbp_conn_stream(hall->room.conns[j]), &buffer, 1) != (int) shot.size)
        bench_die("uv_try_write", UV_EAGAIN);
    (void) uv_run(&hall->room.loop, UV_RUN_NOWAIT);
  }
}

static void look_at_epoll(const hall_t *hall) {
  struct epoll_event event;
  (void) bench_check(epoll_wait(hall->epoll, &event, 1, 0), "epoll_wait");
}

static void send_by_send(hall_t *hall, shot_t shot) {
  for (uint64_t i = 0; i < shot.bursts * shot.burst; i++) {
    for (size_t j = 0; j < hall->room.count; j++)
      if (send(hall->fds[j], messages[i % BURST_MAX], shot.size, MSG_NOSIGNAL) != (ssize_t) shot.size)
        bench_die("send", UV_EAGAIN);
    look_at_epoll(hall);
  }
}

static void send_by_writev(hall_t *hall, shot_t shot) {
  struct iovec parts[BURST_MAX];
  for (uint64_t i = 0; i < shot.burst; i++) parts[i] = (struct iovec){.iov_base = messages[i], .iov_len = shot.size};
  for (uint64_t i = 0; i < shot.bursts; i++) {
    for (size_t j = 0; j < hall->room.count; j++)
      if (writev(hall->fds[j], parts, (int) shot.burst) != (ssize_t) (shot.burst * shot.size))
        bench_die("writev", UV_EAGAIN);
    look_at_epoll(hall);
  }
}

static void (*const ways[WAYS])(hall_t *hall, shot_t shot) = {send_by_library, send_by_try_write, send_by_send,
                                                              send_by_writev};

/* A call for each message costs the same in bursts: uv_try_write is asked only without, and the floor's writev only
 * with them. */
static bool is_asked(way_t way, uint64_t burst) {
  return burst == 1 ? way != WRITEV : way != TRY_WRITE;
}

/* ---- a case: shots until there were deliveries enough ---- */

static shot_t next_shot(const settings_t *settings, const hall_t *hall, way_t way, uint64_t size, uint64_t burst,
                        uint64_t deliveries) {
  if (way == SEND) burst = 1;
  uint64_t wanted = (settings->deliveries - deliveries + hall->room.count * burst - 1) / (hall->room.count * burst);
  uint64_t most = UNREAD_BYTES / (size * burst);
  if (most > UNREAD_SENDS) most = UNREAD_SENDS;
  return (shot_t){.size = size, .burst = burst, .bursts = wanted < most ? wanted : most};
}

static double run_case(const settings_t *settings, hall_t *hall, way_t way, uint64_t size, uint64_t burst,
                       bench_rounds_t *figures) {
  uint64_t deliveries = 0, passed_ns = 0;
  double user_us = 0, system_us = 0;
  while (deliveries < settings->deliveries) {
    shot_t shot = next_shot(settings, hall, way, size, burst, deliveries);
    uint64_t count = hall->room.count * shot.burst * shot.bursts;
    uint64_t begun_ns = uv_hrtime();
    bench_time_t begun = bench_spent();
    ways[way](hall, shot);
    bench_time_t ended = bench_spent();
    passed_ns += uv_hrtime() - begun_ns;
    user_us += ended.user_us - begun.user_us;
    system_us += ended.system_us - begun.system_us;
    deliveries += count;
    clients_child_begin_receiving(&hall->clients, count * size);
    clients_child_wait(&hall->clients);
  }
  bench_round(&figures[RATE], (double) deliveries * 1e9 / (double) passed_ns);
  bench_round(&figures[USER], user_us / (double) deliveries);
  bench_round(&figures[SYSTEM], system_us / (double) deliveries);
  bench_round(&figures[TOTAL], (user_us + system_us) / (double) deliveries);
  return (user_us + system_us) / (double) deliveries;
}

/* All ways, beginning with another one in each round. */
static void run_ways(const settings_t *settings, hall_t *hall, int size, int burst, uint64_t round) {
  double total_us[WAYS];
  for (uint64_t i = 0; i < WAYS; i++) {
    way_t way = (way_t) ((i + round) % WAYS);
    if (!is_asked(way, bursts[burst])) continue;
    total_us[way] = run_case(settings, hall, way, sizes[size], bursts[burst], hall->figures[size][burst][way]);
  }
  for (int way = TRY_WRITE; way < WAYS; way++)
    if (is_asked((way_t) way, bursts[burst]))
      bench_round(&hall->against[size][burst][way], total_us[LIBRARY] / total_us[way]);
}

static void run_round(const settings_t *settings, hall_t *halls, uint64_t round) {
  for (int hall = 0; hall < HALLS; hall++)
    for (int size = 0; size < SIZES; size++)
      for (int burst = 0; burst < BURSTS; burst++) run_ways(settings, &halls[hall], size, burst, round);
}

/* ---- coming, going, the report ---- */

static void open_hall(hall_t *hall, uint64_t connections) {
  hall->fds = bench_alloc(connections, sizeof *hall->fds);
  hall->epoll = bench_check(epoll_create1(EPOLL_CLOEXEC), "epoll");
  clients_child_buffer(&hall->clients, CLIENT_BUFFER_BYTES);
  clients_child_seat(&hall->clients, hall->fds, connections);
  room_prepare(&hall->room);
  room_open(&hall->room, connections);
  room_seat(&hall->room, hall->fds, connections);
}

static void close_hall(hall_t *hall) {
  room_close(&hall->room);
  clients_child_reset(&hall->clients);
  free(hall->fds);
}

/* Visit what was measured: for each case, or for each case with a baseline. */
static void print_figures(report_t *report, const hall_t *hall) {
  char name[64];
  for (int size = 0; size < SIZES; size++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      for (int way = 0; way < WAYS; way++) {
        if (!is_asked((way_t) way, bursts[burst])) continue;
        (void) snprintf(name, sizeof name, "%zu x %d B, bursts of %d, %s", hall->room.count, (int) sizes[size],
                        (int) bursts[burst], way_names[way]);
        report_row(report, name, hall->figures[size][burst][way]);
      }
    }
  }
}

static void print_ratios(report_t *report, const hall_t *hall) {
  char name[64];
  for (int size = 0; size < SIZES; size++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      for (int way = TRY_WRITE; way < WAYS; way++) {
        if (!is_asked((way_t) way, bursts[burst])) continue;
        (void) snprintf(name, sizeof name, "%zu x %d B, bursts of %d, %s", hall->room.count, (int) sizes[size],
                        (int) bursts[burst], way_names[way]);
        report_row(report, name, &hall->against[size][burst][way]);
      }
    }
  }
}

static void print_report(report_t *report, const hall_t *halls) {
  static const char *const columns[] = {"deliveries/s", "user", "system", "total", NULL};
  static const char *const ratio[] = {"median", NULL};
  report_table(report, "us of processor time for a delivery", columns);
  for (int hall = 0; hall < HALLS; hall++) print_figures(report, &halls[hall]);
  report_table(report, "the library's time / that of", ratio);
  for (int hall = 0; hall < HALLS; hall++) print_ratios(report, &halls[hall]);

  const hall_t *hall = &halls[1]; /* of 1 000 connections, and messages of 128 B */
  report_goal(report, "CPU per delivery, one per flush / a bare uv_try_write loop", 1.05,
              &hall->against[0][0][TRY_WRITE]);
  report_goal(report, "CPU per message, bursts of 16 / one send() per message", 0.10, &hall->against[0][2][SEND]);
  report_goal(report, "CPU per message, bursts of 16 / a writev of 16", 1.10, &hall->against[0][2][WRITEV]);
  report_goal(report, "CPU per message, bursts of 64 / a writev of 64", 1.10, &hall->against[0][3][WRITEV]);
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 7, .connections = {100, 1000, 10000}, .deliveries = 20000};
  const bench_option_t options[] = {
      {"--rounds", "of all cases", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--few", "connections", 10000, &settings.connections[0]},
      {"--some", "connections, of which the goals speak", 10000, &settings.connections[1]},
      {"--many", "connections", 18000, &settings.connections[2]},
      {"--deliveries", "in each case of each round, or a burst for everybody", UINT32_MAX, &settings.deliveries},
  };
  static hall_t halls[HALLS];
  static report_t report;
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings.connections[0] + settings.connections[1] + settings.connections[2] + 64);
  memset(messages, 'm', sizeof messages);

  report_begin(&report, json);
  for (int i = 0; i < HALLS; i++) child_start(&halls[i].clients, clients_serve, NULL);
  for (int i = 0; i < HALLS; i++) open_hall(&halls[i], settings.connections[i]);
  for (uint64_t round = 0; round < settings.rounds; round++) run_round(&settings, halls, round);
  print_report(&report, halls);
  for (int i = 0; i < HALLS; i++) close_hall(&halls[i]);
  for (int i = 0; i < HALLS; i++) child_end(&halls[i].clients);
  report_end(&report);
  return 0;
}
