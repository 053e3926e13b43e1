/* SPDX-License-Identifier: MIT */
/*
 * bench_tls_proxy: what a delivery over TLS costs a gateway that speaks TLS itself, against a gateway behind a proxy
 * that speaks TLS for it. tls_proxy.sh starts them, and names them on standard input: a line `NAME TLS-PORT
 * PUBLISH-PORT PID...` for each.
 *
 * The clients are on lines over TLS. A burst is published by lines without TLS, and the next one when the clients have
 * read everything. The processor time of all processes of a line is counted together.
 */
#include "bench.h"
#include "report.h"
#include "sockets.h"
#include "tls_clients.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { MESSAGE_BYTES = 128, BURSTS = 2, BURST_MAX = 16, WAYS = 2, PIDS_MAX = 4 };

static const uint64_t bursts[BURSTS] = {1, BURST_MAX};

typedef struct way {
  char name[32];
  unsigned tls_port, publish_port;
  int pids[PIDS_MAX];
  child_t clients;
  int publisher;
  bench_rounds_t us[BURSTS];
} way_t;

typedef struct settings {
  uint64_t rounds, connections, bursts;
} settings_t;

static void read_way(way_t *way) {
  char line[256], *place = line;
  int taken;
  if (fgets(line, sizeof line, stdin) == NULL ||
      sscanf(line, "%31s %u %u%n", way->name, &way->tls_port, &way->publish_port, &taken) != 3)
    bench_die("on standard input two ways have to be named", UV_EOF);
  place += taken;
  for (int i = 0; i < PIDS_MAX && sscanf(place, "%d%n", &way->pids[i], &taken) == 1; i++) place += taken;
}

static double spent_us(const way_t *way) {
  double us = 0;
  for (int i = 0; i < PIDS_MAX && way->pids[i] != 0; i++) us += bench_process_us(way->pids[i]);
  return us;
}

static void seat(way_t *way, uint64_t count) {
  struct sockaddr_in address = sockets_loopback(1, (uint16_t) way->publish_port);
  tls_clients_begin_connecting(&way->clients, (uint16_t) way->tls_port, count, 0);
  tls_clients_wait(&way->clients);
  tls_clients_begin_handshakes(&way->clients, true);
  tls_clients_wait(&way->clients);
  way->publisher = bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  (void) bench_check(connect(way->publisher, (struct sockaddr *) &address, sizeof address), "connect");
  sockets_say(way->publisher, "UNSUB news\n", 11);
}

static void publish(const way_t *way, uint64_t burst) {
  static const char command[] = "PUB news ";
  char text[BURST_MAX][sizeof command - 1 + MESSAGE_BYTES], answers[4096];
  for (uint64_t i = 0; i < burst; i++) {
    memcpy(text[i], command, sizeof command - 1);
    memset(text[i] + sizeof command - 1, 'm', MESSAGE_BYTES - 1);
    text[i][sizeof text[i] - 1] = '\n';
  }
  while (recv(way->publisher, answers, sizeof answers, MSG_DONTWAIT) > 0) {
  }
  sockets_say(way->publisher, text[0], burst * sizeof text[0]);
}

static double run_case(const settings_t *settings, way_t *way, uint64_t burst) {
  double begun_us = spent_us(way);
  for (uint64_t i = 0; i < settings->bursts; i++) {
    publish(way, burst);
    tls_clients_begin_receiving(&way->clients, settings->connections * burst * MESSAGE_BYTES);
    tls_clients_wait(&way->clients);
  }
  return (spent_us(way) - begun_us) / (double) (settings->connections * burst * settings->bursts);
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 7, .connections = 1000, .bursts = 20};
  const bench_option_t options[] = {
      {"--rounds", "of all cases", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--connections", "of each way", 3900, &settings.connections},
      {"--bursts", "in each case of each round", UINT32_MAX, &settings.bursts},
  };
  static const char *const us[] = {"total", NULL};
  static way_t ways[WAYS];
  static bench_rounds_t ratios[BURSTS];
  static report_t report;
  char name[192];
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings.connections + 64);
  for (int i = 0; i < WAYS; i++) read_way(&ways[i]);
  report_begin(&report, json);
  for (int i = 0; i < WAYS; i++) child_start(&ways[i].clients, tls_clients_serve, NULL);
  for (int i = 0; i < WAYS; i++) seat(&ways[i], settings.connections);
  double begun_us = spent_us(&ways[0]) + spent_us(&ways[1]);
  for (uint64_t round = 0; round < settings.rounds; round++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      double took[WAYS];
      for (uint64_t i = 0; i < WAYS; i++) {
        uint64_t way = (i + round) % WAYS;
        took[way] = run_case(&settings, &ways[way], bursts[burst]);
        bench_round(&ways[way].us[burst], took[way]);
      }
      bench_round(&ratios[burst], took[0] / took[1]);
    }
  }
  report_table(&report, "us of processor time for a delivery over TLS", us);
  for (int burst = 0; burst < BURSTS; burst++) {
    for (int i = 0; i < WAYS; i++) {
      (void) snprintf(name, sizeof name, "bursts of %d, %.31s", (int) bursts[burst], ways[i].name);
      report_row(&report, name, &ways[i].us[burst]);
    }
  }
  for (int burst = 0; burst < BURSTS; burst++) {
    (void) snprintf(name, sizeof name, "CPU per delivery over TLS, bursts of %d, %.31s / %.31s", (int) bursts[burst],
                    ways[0].name, ways[1].name);
    report_goal(&report, name, 1.0, &ratios[burst]);
  }
  for (int i = 0; i < WAYS; i++) child_end(&ways[i].clients);
  bench_load_exclude(&report.load, spent_us(&ways[0]) + spent_us(&ways[1]) - begun_us);
  report_end(&report);
  return 0;
}
