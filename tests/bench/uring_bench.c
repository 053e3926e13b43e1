/* SPDX-License-Identifier: MIT */
/*
 * bench_uring: what the whole processor of a server does for a delivery, whoever it is booked for: with io_uring, with
 * a call for each connection, and in a bare loop of send. All ways use the same sockets in turn:
 *
 *   io_uring  a burst is published, then the loop runs until everything is written
 *   calls     the same by a hub with FLUXBP_IO_URING_OFF
 *   send      a bare loop of send(), a call for each message, and one look at epoll for each round of it
 *   bare      as the library's io_uring, without the library: 32 sends a call
 *
 * Sender and clients are pinned to a processor each, and the clients read at the same time, each as soon as the kernel
 * says that something has come. When they have all of a burst the next one is sent. The processor is busy when it isn't
 * idle in /proc/stat: interrupts, softirqs and the kernel's threads are in it. That counts in hundredths of a second,
 * so each case takes some tenths of a second.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include "bench.h"
#include "clients.h"
#include "hub.h"
#include "report.h"
#include "room.h"
#include "sockets.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HALLS = 2, BURSTS = 2, MESSAGE_BYTES = 128, CLIENT_BUFFER_BYTES = 1 << 20, READ_BYTES = 65536, EVENTS = 256 };
enum { SKIPPED = 77 };

static const uint64_t bursts[BURSTS] = {1, 16};

typedef enum way { IO_URING, CALLS, SEND, BARE, WAYS } way_t;
static const char *const way_names[WAYS] = {"io_uring", "calls", "send", "bare"};

typedef enum column { LATENCY, OWN, BUSY, COLUMNS } column_t;

typedef struct settings {
  uint64_t rounds;
  uint64_t connections[HALLS];
  uint64_t milliseconds;
} settings_t;

/* So many connections, and what was measured with them. */
typedef struct hall {
  child_t clients;
  room_t room;
  int *fds;
  int epoll;
  fluxbp__uring_t *uring; /* of the bare way */
  bench_rounds_t figures[BURSTS][WAYS][COLUMNS];
  bench_rounds_t against[BURSTS][WAYS]; /* what io_uring takes / what this way takes in the same round */
} hall_t;

static char message[MESSAGE_BYTES];
static size_t processors[2]; /* of the sender, and of the clients */

/* ---- processors ---- */

/* The first two that the process may run on. False: there is one. */
static bool choose_processors(void) {
  cpu_set_t allowed;
  int count = 0;
  (void) bench_check(sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
  for (size_t i = 0; i < CPU_SETSIZE && count < 2; i++)
    if (CPU_ISSET(i, &allowed)) processors[count++] = i;
  return count == 2;
}

static void pin_to(size_t processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  (void) bench_check(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

/* Time that the sender's processor has been idle, in microseconds. */
static double idle_us(void) {
  char line[256], name[16];
  unsigned long long idle = 0, waiting = 0;
  bool is_found = false;
  FILE *file = fopen("/proc/stat", "re");
  if (file == NULL) bench_die("/proc/stat", uv_translate_sys_error(errno));
  int length = snprintf(name, sizeof name, "cpu%zu ", processors[0]);
  while (!is_found && fgets(line, sizeof line, file) != NULL)
    is_found = strncmp(line, name, (size_t) length) == 0 &&
               sscanf(line + length, "%*u %*u %*u %llu %llu", &idle, &waiting) == 2; /* NOLINT(cert-err34-c) */
  (void) fclose(file);
  if (!is_found) bench_die("/proc/stat", UV_ENOENT);
  return (double) (idle + waiting) * 1e6 / (double) sysconf(_SC_CLK_TCK);
}

/* ---- the clients' process ---- */

typedef struct seats {
  uint64_t count;
  uint16_t port;
} seats_t;

/* Read until so many bytes have come, of all together. */
static void receive(int epoll, uint64_t bytes) {
  static char unread[READ_BYTES];
  struct epoll_event events[EVENTS];
  while (bytes > 0) {
    int count = bench_check(epoll_wait(epoll, events, EVENTS, -1), "epoll_wait");
    for (int i = 0; i < count; i++) {
      ssize_t len = recv(events[i].data.fd, unread, sizeof unread, MSG_DONTWAIT);
      if (len <= 0 || (uint64_t) len > bytes) bench_die("a client", UV_EPROTO);
      bytes -= (uint64_t) len;
    }
  }
}

/* Hears of its seats, and then of each burst how many bytes it has; answers when it is read. */
static void serve_clients(int channel, void *arg) {
  clients_t clients = {.buffer_bytes = CLIENT_BUFFER_BYTES};
  seats_t seats;
  uint64_t bytes;
  (void) arg;
  pin_to(processors[1]);
  if (!child_hear(channel, &seats, sizeof seats)) return;
  int epoll = bench_check(epoll_create1(EPOLL_CLOEXEC), "epoll");
  clients_prepare(&clients, seats.count);
  clients_connect(&clients, seats.port, NULL);
  for (size_t i = 0; i < clients.count; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = clients.fds[i]};
    (void) bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, clients.fds[i], &event), "epoll_ctl");
  }
  while (child_hear(channel, &bytes, sizeof bytes)) {
    receive(epoll, bytes);
    child_tell(channel, &bytes, sizeof bytes);
  }
  clients_reset(&clients);
}

/* ---- the ways ---- */

/* The hub as if its options were others: both ways have the same connections. */
static void send_by_library(hall_t *hall, uint64_t burst, bool by_io_uring) {
  fluxbp__turn_t *turn = &hall->room.hub->engine.turn;
  fluxbp__visit_together_fn flush_together = turn->flush_together;
  if (!by_io_uring) turn->flush_together = NULL;
  room_publish(&hall->room, hall->room.topic, message, sizeof message, burst);
  room_flush(&hall->room);
  if (!by_io_uring) turn->flush_together = flush_together;
  if (room_metrics(&hall->room).queued > 0) bench_die("the kernel refuses the library", UV_EAGAIN);
}

static void send_by_io_uring(hall_t *hall, uint64_t burst) {
  send_by_library(hall, burst, true);
}

static void send_by_calls(hall_t *hall, uint64_t burst) {
  send_by_library(hall, burst, false);
}

static void look_at_epoll(const hall_t *hall) {
  struct epoll_event event;
  (void) bench_check(epoll_wait(hall->epoll, &event, 1, 0), "epoll_wait");
}

static void send_by_send(hall_t *hall, uint64_t burst) {
  for (uint64_t i = 0; i < burst; i++) {
    for (size_t j = 0; j < hall->room.count; j++)
      if (send(hall->fds[j], message, sizeof message, MSG_NOSIGNAL) != sizeof message) bench_die("send", UV_EAGAIN);
    look_at_epoll(hall);
  }
}

static void send_bare(hall_t *hall, uint64_t burst) {
  const uv_buf_t buffer = uv_buf_init(message, sizeof message);
  for (uint64_t i = 0; i < burst; i++) {
    for (size_t j = 0; j < hall->room.count;) {
      fluxbp__send_t sends[FLUXBP__URING_SENDS_MAX];
      unsigned count = 0;
      for (; count < FLUXBP__URING_SENDS_MAX && j < hall->room.count; count++, j++)
        sends[count] = (fluxbp__send_t){.fd = hall->fds[j], .count = 1, .buffers = &buffer};
      bench_must(fluxbp__uring_send(hall->uring, sends, count), "io_uring");
      for (unsigned k = 0; k < count; k++)
        if (sends[k].taken != sizeof message) bench_die("a send of io_uring's", UV_EAGAIN);
    }
    look_at_epoll(hall);
  }
}

static void (*const ways[WAYS])(hall_t *hall, uint64_t burst) = {send_by_io_uring, send_by_calls, send_by_send,
                                                                 send_bare};

/* A call for each message, or 32, costs the same in bursts: it isn't measured again. */
static bool is_asked(way_t way, uint64_t burst) {
  return burst == 1 || way < SEND;
}

/* ---- a case: bursts for so long ---- */

static void send_burst(hall_t *hall, way_t way, uint64_t burst) {
  uint64_t bytes = hall->room.count * burst * MESSAGE_BYTES;
  child_tell(hall->clients.channel, &bytes, sizeof bytes);
  ways[way](hall, burst);
  if (!child_hear(hall->clients.channel, &bytes, sizeof bytes)) bench_die("the clients' process", UV_EOF);
}

static double run_case(const settings_t *settings, hall_t *hall, way_t way, uint64_t burst, bench_rounds_t *figures) {
  uint64_t count = 0;
  uint64_t passed_ns;
  send_burst(hall, way, burst); /* what the way before has left in the caches isn't measured */
  double begun_idle_us = idle_us();
  bench_time_t begun = bench_spent();
  uint64_t begun_ns = uv_hrtime();
  do {
    send_burst(hall, way, burst);
    count++;
    passed_ns = uv_hrtime() - begun_ns;
  } while (passed_ns < settings->milliseconds * 1000000);
  bench_time_t ended = bench_spent();
  double busy_us = (double) passed_ns / 1e3 - (idle_us() - begun_idle_us);
  double deliveries = (double) (count * burst * hall->room.count);
  bench_round(&figures[LATENCY], (double) passed_ns / 1e3 / (double) count);
  bench_round(&figures[OWN], (ended.user_us - begun.user_us + ended.system_us - begun.system_us) / deliveries);
  bench_round(&figures[BUSY], busy_us / deliveries);
  return busy_us / deliveries;
}

/* All ways, beginning with another one in each round. */
static void run_ways(const settings_t *settings, hall_t *hall, uint64_t round) {
  double us[WAYS];
  for (int burst = 0; burst < BURSTS; burst++) {
    for (uint64_t i = 0; i < WAYS; i++) {
      way_t way = (way_t) ((i + round) % WAYS);
      if (is_asked(way, bursts[burst]))
        us[way] = run_case(settings, hall, way, bursts[burst], hall->figures[burst][way]);
    }
    for (int way = CALLS; way < WAYS; way++) bench_round(&hall->against[burst][way], us[IO_URING] / us[way]);
  }
}

/* ---- coming, going, the report ---- */

static void open_hall(hall_t *hall, uint64_t connections) {
  seats_t seats;
  memset(&seats, 0, sizeof seats); /* its padding, too */
  int listener = sockets_listen(connections, &seats.port);
  seats.count = connections;
  child_tell(hall->clients.channel, &seats, sizeof seats);
  hall->fds = bench_alloc(connections, sizeof *hall->fds);
  sockets_accept(listener, hall->fds, connections);
  (void) close(listener);
  hall->epoll = bench_check(epoll_create1(EPOLL_CLOEXEC), "epoll");
  room_prepare(&hall->room);
  room_open(&hall->room, connections);
  room_seat(&hall->room, hall->fds, connections);
}

static void close_hall(hall_t *hall) {
  fluxbp__uring_close(hall->room.pool, hall->uring);
  room_close(&hall->room);
  (void) close(hall->epoll);
  free(hall->fds);
}

static void print_report(report_t *report, const hall_t *halls) {
  static const char *const columns[] = {"latency", "own", "busy", NULL};
  static const char *const ratio[] = {"median", NULL};
  char name[64];
  report_table(report, "us until all have a burst; us for a delivery", columns);
  for (int hall = 0; hall < HALLS; hall++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      for (int way = 0; way < WAYS; way++) {
        if (!is_asked((way_t) way, bursts[burst])) continue;
        (void) snprintf(name, sizeof name, "%zu, bursts of %d, %s", halls[hall].room.count, (int) bursts[burst],
                        way_names[way]);
        report_row(report, name, halls[hall].figures[burst][way]);
      }
    }
  }
  report_table(report, "busy, io_uring / that", ratio);
  for (int hall = 0; hall < HALLS; hall++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      for (int way = CALLS; way < WAYS; way++) {
        (void) snprintf(name, sizeof name, "%zu, bursts of %d, %s", halls[hall].room.count, (int) bursts[burst],
                        way_names[way]);
        report_row(report, name, &halls[hall].against[burst][way]);
      }
    }
  }
  report_goal(report, "whole processor, 1000 clients, one at a time, io_uring / a bare send loop", 0.75,
              &halls[0].against[0][SEND]);
  report_goal(report, "whole processor, 10000 clients, one at a time, io_uring / a bare send loop", 0.90,
              &halls[1].against[0][SEND]);
  report_goal(report, "whole processor, 1000 clients, bursts of 16, io_uring / a call for each", 1.0,
              &halls[0].against[1][CALLS]);
  report_goal(report, "whole processor, 10000 clients, bursts of 16, io_uring / a call for each", 1.0,
              &halls[1].against[1][CALLS]);
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 15, .connections = {1000, 10000}, .milliseconds = 400};
  const bench_option_t options[] = {
      {"--rounds", "of all cases", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--some", "connections", 18000, &settings.connections[0]},
      {"--many", "connections", 18000, &settings.connections[1]},
      {"--milliseconds", "for each case of each round", 60000, &settings.milliseconds},
  };
  static hall_t halls[HALLS];
  static report_t report;
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings.connections[0] + settings.connections[1] + 64);
  memset(message, 'm', sizeof message);
  if (!choose_processors()) {
    (void) puts("There is one processor; sender and clients need one each.");
    return SKIPPED;
  }

  report_begin(&report, json);
  for (int i = 0; i < HALLS; i++) child_start(&halls[i].clients, serve_clients, NULL);
  pin_to(processors[0]);
  for (int i = 0; i < HALLS; i++) open_hall(&halls[i], settings.connections[i]);
  int err = 0;
  for (int i = 0; i < HALLS && !err; i++) err = fluxbp__uring_open(halls[i].room.pool, &halls[i].uring);
  for (uint64_t round = 0; round < settings.rounds && !err; round++)
    for (int i = 0; i < HALLS; i++) run_ways(&settings, &halls[i], round);
  for (int i = 0; i < HALLS; i++)
    if (!err && fluxbp_hub_io_uring(halls[i].room.hub) < 0) err = fluxbp_hub_io_uring(halls[i].room.hub);
  if (!err) print_report(&report, halls);
  for (int i = 0; i < HALLS; i++) close_hall(&halls[i]);
  for (int i = 0; i < HALLS; i++) child_end(&halls[i].clients);
  report_end(&report);
  if (err) (void) printf("There is no io_uring: %s\n", uv_strerror(err));
  return err ? SKIPPED : 0;
}
