/* SPDX-License-Identifier: MIT */
/*
 * bench_publish: what fluxbp_bus_publish costs its caller with few connections and with many. Two servers are there at
 * the same time, each with one loop, and bursts are published on them in turn; before each burst everything is
 * delivered, so that the loop sleeps.
 *
 *   first   of a burst: it wakes the loop, which takes a system call
 *   others  the mean of the rest of the burst, while the loop wakes up and begins to deliver
 *
 * Both are by the clock. The figure of a round is the median of its bursts, since the scheduler stops the publisher in
 * some of them.
 */
#include "bench.h"
#include "clients.h"
#include "server.h"

#include <stdio.h>

enum { SERVERS = 2, BURST = 64, MESSAGE_BYTES = 128 };

typedef struct settings {
  uint64_t rounds;
  uint64_t connections[SERVERS];
  uint64_t bursts; /* on each server in each round; at most BENCH_ROUNDS_MAX */
  FILE *json;      /* NULL: not wanted */
} settings_t;

typedef struct side {
  child_t clients;
  server_t server;
  uint64_t connections;
  bench_rounds_t first_ns, others_ns; /* of the bursts of a round */
  bench_rounds_t first, others;       /* the rounds' medians */
} side_t;

static void open_side(side_t *side, uint64_t connections) {
  side->connections = connections;
  server_open(&side->server, 1, connections, NULL, NULL);
  clients_child_prepare(&side->clients, connections);
  clients_child_begin_connecting(&side->clients, side->server.port);
  clients_child_wait(&side->clients);
  server_wait_for(&side->server, connections);
}

static void close_side(side_t *side) {
  server_close(&side->server);
  clients_child_reset(&side->clients);
}

static void must_publish(server_t *server, fluxbp_msg_t *msg) {
  bench_must(fluxbp_bus_publish(server->bus, server->topic, msg, NULL), "publish");
}

static void publish_burst(side_t *side) {
  static const char text[MESSAGE_BYTES] = "the same for everybody";
  fluxbp_msg_t *msg;
  bench_must(fluxbp_msg_create(side->server.pool, text, sizeof text, &msg), "message");
  clients_child_begin_receiving(&side->clients, side->connections * BURST * MESSAGE_BYTES);

  uint64_t begun_ns = uv_hrtime();
  must_publish(&side->server, msg);
  uint64_t first_ns = uv_hrtime();
  for (size_t i = 1; i < BURST; i++) must_publish(&side->server, msg);
  uint64_t ended_ns = uv_hrtime();

  fluxbp_msg_unref(msg);
  clients_child_wait(&side->clients);
  bench_round(&side->first_ns, (double) (first_ns - begun_ns));
  bench_round(&side->others_ns, (double) (ended_ns - first_ns) / (BURST - 1));
}

static void run_round(const settings_t *settings, side_t *sides) {
  for (int i = 0; i < SERVERS; i++) sides[i].first_ns.count = sides[i].others_ns.count = 0;
  for (uint64_t burst = 0; burst < settings->bursts; burst++)
    for (int i = 0; i < SERVERS; i++) publish_burst(&sides[i]);
  for (int i = 0; i < SERVERS; i++) {
    bench_round(&sides[i].first, bench_spread(&sides[i].first_ns).median);
    bench_round(&sides[i].others, bench_spread(&sides[i].others_ns).median);
  }
}

static void print_table(const side_t *sides, double others) {
  (void) printf("%-18s %11s %12s %8s %8s\n", "publish", "connections", "ns (median)", "lowest", "highest");
  for (int i = 0; i < SERVERS; i++) {
    bench_spread_t first = bench_spread(&sides[i].first), rest = bench_spread(&sides[i].others);
    unsigned long long connections = (unsigned long long) sides[i].connections;
    (void) printf("%-18s %11llu %12.1f %8.1f %8.1f\n", "first of a burst", connections, first.median, first.lowest,
                  first.highest);
    (void) printf("%-18s %11llu %12.1f %8.1f %8.1f\n", "the others", connections, rest.median, rest.lowest,
                  rest.highest);
  }
  (void) printf("\nother processes took %.2f processors\n", others);
}

static void print_json(const settings_t *settings, const side_t *sides, double others) {
  FILE *json = settings->json;
  (void) fprintf(json, "{\"rounds\": %llu, \"bursts\": %llu, \"burst\": %d, \"others\": %.3f, \"cases\": [",
                 (unsigned long long) settings->rounds, (unsigned long long) settings->bursts, BURST, others);
  for (int i = 0; i < SERVERS; i++) {
    bench_spread_t first = bench_spread(&sides[i].first), rest = bench_spread(&sides[i].others);
    (void) fprintf(json,
                   "%s\n  {\"connections\": %llu, \"first_ns\": %.1f, \"lowest_first_ns\": %.1f, "
                   "\"highest_first_ns\": %.1f, \"others_ns\": %.1f, \"lowest_others_ns\": %.1f, "
                   "\"highest_others_ns\": %.1f}",
                   i ? "," : "", (unsigned long long) sides[i].connections, first.median, first.lowest, first.highest,
                   rest.median, rest.lowest, rest.highest);
  }
  (void) fprintf(json, "\n]}\n");
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 7, .connections = {10, 10000}, .bursts = 20};
  const bench_option_t options[] = {
      {"--rounds", "of bursts", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--few", "connections of one server", 20000, &settings.connections[0]},
      {"--many", "connections of the other", 20000, &settings.connections[1]},
      {"--bursts", "of 64 messages in each round", BENCH_ROUNDS_MAX, &settings.bursts},
  };
  settings.json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings.connections[0] + settings.connections[1] + 64);

  static side_t sides[SERVERS];
  bench_load_t load;
  bench_load_begin(&load);
  for (int i = 0; i < SERVERS; i++) child_start(&sides[i].clients, clients_serve, NULL);
  for (int i = 0; i < SERVERS; i++) open_side(&sides[i], settings.connections[i]);
  for (uint64_t round = 0; round < settings.rounds; round++) run_round(&settings, sides);
  for (int i = 0; i < SERVERS; i++) close_side(&sides[i]);
  for (int i = 0; i < SERVERS; i++) child_end(&sides[i].clients);
  double others = bench_load_of_others(&load);
  print_table(sides, others);
  if (settings.json != NULL) print_json(&settings, sides, others);
  return 0;
}
