/* SPDX-License-Identifier: MIT */
/*
 * bench_loops: what a delivery costs the server's process on two loops against one. Everything that is measured is done
 * by this process; the clients are another one, which reads all of them at intervals, so no send has to wake it.
 *
 * A burst of messages is published each 20 ms, whatever became of the last one: each connection gets it by one write,
 * so the work is the same for one loop and for two. What is measured is the processor time of the whole process
 * (getrusage: the sum is exact, its division into user and system is the kernel's estimate), from before the first
 * publish until the clients have everything. That includes the publisher, waking the loops, and what loopback does
 * within a send: it carries the bytes into the receiver's queue.
 *
 * The same without the library stands beside it: one thread and two, each with its half of the sockets, which send the
 * same at the same times. What two cores cost more there is the machine's and the kernel's.
 */
#include "bench.h"
#include "clients.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOPS_MAX = 2, MESSAGE_BYTES = 128, BURST_MAX = 64, SETTLE_MS = 20 };
static const uint64_t PERIOD_NS = 20000000;

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t bursts; /* in each case of each round */
  uint64_t burst;  /* messages of one, in the cases that don't have one alone */
  FILE *json;      /* NULL: not wanted */
} settings_t;

/* Processor time of this process, and what it was spent on. */
typedef struct cost {
  double user_us, system_us;
  double writes; /* 0: unknown */
} cost_t;

static const char message[MESSAGE_BYTES] = "the same for everybody";

static cost_t spent_until_now(void) {
  bench_time_t spent = bench_spent();
  return (cost_t){.user_us = spent.user_us, .system_us = spent.system_us};
}

static cost_t of_each(cost_t begun, cost_t ended, uint64_t deliveries) {
  double count = (double) deliveries;
  return (cost_t){.user_us = (ended.user_us - begun.user_us) / count,
                  .system_us = (ended.system_us - begun.system_us) / count,
                  .writes = (ended.writes - begun.writes) / count};
}

/* ---- with the library ---- */

static cost_t counted(server_t *server) {
  cost_t cost = spent_until_now();
  cost.writes = (double) server_counters(server).writes;
  return cost;
}

static void publish_bursts(server_t *server, uint64_t bursts, uint64_t burst) {
  fluxbp_msg_t *msg;
  bench_must(fluxbp_msg_create(server->pool, message, sizeof message, &msg), "message");
  uint64_t due_ns = uv_hrtime();
  for (uint64_t i = 0; i < bursts; i++) {
    bench_sleep_until(due_ns += PERIOD_NS);
    for (uint64_t j = 0; j < burst; j++)
      bench_must(fluxbp_bus_publish(server->bus, server->topic, msg, NULL), "publish");
  }
  fluxbp_msg_unref(msg);
}

static cost_t run_library(const settings_t *settings, child_t *clients, uint32_t loops, uint64_t burst) {
  uint64_t deliveries = settings->connections * settings->bursts * burst;
  server_t server;
  server_open(&server, loops, settings->connections, NULL, NULL);
  clients_child_prepare(clients, settings->connections);
  clients_child_begin_connecting(clients, server.port);
  clients_child_wait(clients);
  server_wait_for(&server, settings->connections);
  uv_sleep(SETTLE_MS);

  cost_t begun = counted(&server);
  clients_child_begin_receiving(clients, deliveries * MESSAGE_BYTES);
  publish_bursts(&server, settings->bursts, burst);
  clients_child_wait(clients);
  cost_t ended = counted(&server);

  server_close(&server);
  clients_child_reset(clients);
  return of_each(begun, ended, deliveries);
}

/* ---- without it ---- */

typedef struct sender {
  uv_thread_t thread;
  int *fds;
  size_t count;
  uint64_t begin_ns, bursts, burst;
} sender_t;

static void send_bursts(void *arg) {
  const sender_t *sender = arg;
  struct iovec parts[BURST_MAX];
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = sender->burst};
  ssize_t size = (ssize_t) (sender->burst * MESSAGE_BYTES);
  for (size_t i = 0; i < sender->burst; i++)
    parts[i] = (struct iovec){.iov_base = (void *) (uintptr_t) message, .iov_len = sizeof message};
  for (uint64_t i = 1; i <= sender->bursts; i++) {
    bench_sleep_until(sender->begin_ns + i * PERIOD_NS);
    for (size_t j = 0; j < sender->count; j++)
      if (sendmsg(sender->fds[j], &header, MSG_NOSIGNAL) != size) bench_die("sendmsg", UV_EAGAIN);
  }
}

static void start_senders(sender_t *senders, uint32_t threads, const settings_t *settings, int *fds, uint64_t burst) {
  uint64_t begin_ns = uv_hrtime();
  size_t share = (settings->connections + threads - 1) / threads;
  for (uint32_t i = 0; i < threads; i++) {
    size_t first = i * share;
    senders[i] = (sender_t){.fds = fds + first, .begin_ns = begin_ns, .bursts = settings->bursts, .burst = burst};
    senders[i].count = first + share <= settings->connections ? share : settings->connections - first;
    bench_must(uv_thread_create(&senders[i].thread, send_bursts, &senders[i]), "thread");
  }
}

static cost_t run_bare(const settings_t *settings, child_t *clients, uint32_t threads, uint64_t burst) {
  uint64_t deliveries = settings->connections * settings->bursts * burst;
  int *fds = bench_alloc(settings->connections, sizeof *fds);
  sender_t senders[LOOPS_MAX];
  clients_child_seat(clients, fds, settings->connections);
  uv_sleep(SETTLE_MS);

  cost_t begun = spent_until_now();
  clients_child_begin_receiving(clients, deliveries * MESSAGE_BYTES);
  start_senders(senders, threads, settings, fds, burst);
  for (uint32_t i = 0; i < threads; i++) bench_must(uv_thread_join(&senders[i].thread), "join");
  clients_child_wait(clients);
  cost_t ended = spent_until_now();

  clients_child_reset(clients);
  for (uint64_t i = 0; i < settings->connections; i++) (void) close(fds[i]);
  free(fds);
  return of_each(begun, ended, deliveries);
}

/* ---- cases, rounds, the report ---- */

typedef struct bench_case {
  const char *name;
  cost_t (*run)(const settings_t *settings, child_t *clients, uint32_t loops, uint64_t burst);
  bool is_burst;
  bench_rounds_t user_us[LOOPS_MAX], system_us[LOOPS_MAX], total_us[LOOPS_MAX], writes[LOOPS_MAX]; /* by loops - 1 */
  bench_rounds_t growth; /* of the total, from one loop to two in the same round */
} bench_case_t;

static bench_case_t cases[] = {
    {.name = "library, single messages", .run = run_library},
    {.name = "send, single messages", .run = run_bare},
    {.name = "library, bursts", .run = run_library, .is_burst = true},
    {.name = "send, bursts", .run = run_bare, .is_burst = true},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void run_case(bench_case_t *c, const settings_t *settings, child_t *clients, bool begins_with_two) {
  double total_us[LOOPS_MAX];
  for (uint32_t i = 0; i < LOOPS_MAX; i++) {
    uint32_t loops = begins_with_two ? LOOPS_MAX - i : i + 1;
    cost_t cost = c->run(settings, clients, loops, c->is_burst ? settings->burst : 1);
    total_us[loops - 1] = cost.user_us + cost.system_us;
    bench_round(&c->user_us[loops - 1], cost.user_us);
    bench_round(&c->system_us[loops - 1], cost.system_us);
    bench_round(&c->total_us[loops - 1], total_us[loops - 1]);
    bench_round(&c->writes[loops - 1], cost.writes);
  }
  bench_round(&c->growth, total_us[1] / total_us[0]);
}

static void run_rounds(const settings_t *settings, child_t *clients) {
  for (uint64_t round = 0; round < settings->rounds; round++)
    for (size_t i = 0; i < CASES; i++) run_case(&cases[i], settings, clients, round % 2 == 1);
}

static void print_table(double others) {
  (void) printf("%-26s %5s %9s %9s %9s %9s %9s %8s\n", "us of a delivery, median", "loops", "user", "system", "total",
                "lowest", "highest", "writes");
  for (size_t i = 0; i < CASES; i++) {
    const bench_case_t *c = &cases[i];
    for (uint32_t j = 0; j < LOOPS_MAX; j++) {
      bench_spread_t total = bench_spread(&c->total_us[j]);
      (void) printf("%-26s %5u %9.3f %9.3f %9.3f %9.3f %9.3f %8.3f\n", c->name, j + 1,
                    bench_spread(&c->user_us[j]).median, bench_spread(&c->system_us[j]).median, total.median,
                    total.lowest, total.highest, bench_spread(&c->writes[j]).median);
    }
  }
  (void) printf("\n%-26s %15s %19s %9s\n", "two loops / one", "median", "lowest", "highest");
  for (size_t i = 0; i < CASES; i++) {
    bench_spread_t growth = bench_spread(&cases[i].growth);
    (void) printf("%-26s %15.3f %19.3f %9.3f\n", cases[i].name, growth.median, growth.lowest, growth.highest);
  }
  (void) printf("\nother processes took %.2f processors\n", others);
}

static void print_json(const settings_t *settings, double others) {
  FILE *json = settings->json;
  (void) fprintf(json,
                 "{\"rounds\": %llu, \"connections\": %llu, \"bursts\": %llu, \"burst\": %llu, \"others\": %.3f, "
                 "\"cases\": [",
                 (unsigned long long) settings->rounds, (unsigned long long) settings->connections,
                 (unsigned long long) settings->bursts, (unsigned long long) settings->burst, others);
  for (size_t i = 0; i < CASES; i++) {
    const bench_case_t *c = &cases[i];
    bench_spread_t growth = bench_spread(&c->growth);
    (void) fprintf(json, "%s\n  {\"name\": \"%s\", \"growth\": %.4f, \"lowest_growth\": %.4f, \"highest_growth\": %.4f",
                   i ? "," : "", c->name, growth.median, growth.lowest, growth.highest);
    for (uint32_t j = 0; j < LOOPS_MAX; j++) {
      bench_spread_t total = bench_spread(&c->total_us[j]);
      (void) fprintf(json,
                     ",\n   \"loops_%u\": {\"user_us\": %.4f, \"system_us\": %.4f, \"total_us\": %.4f, "
                     "\"lowest_us\": %.4f, \"highest_us\": %.4f, \"writes\": %.4f}",
                     j + 1, bench_spread(&c->user_us[j]).median, bench_spread(&c->system_us[j]).median, total.median,
                     total.lowest, total.highest, bench_spread(&c->writes[j]).median);
    }
    (void) fprintf(json, "}");
  }
  (void) fprintf(json, "\n]}\n");
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 7, .connections = 1000, .bursts = 50, .burst = 16};
  const bench_option_t options[] = {
      {"--rounds", "of all cases", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--connections", "of the server", 20000, &settings.connections},
      {"--bursts", "in each case of each round, one each 20 ms", 1000000, &settings.bursts},
      {"--burst", "messages of a burst", BURST_MAX, &settings.burst},
  };
  settings.json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings.connections + 64);

  bench_load_t load;
  child_t clients;
  bench_load_begin(&load);
  child_start(&clients, clients_serve, NULL);
  run_rounds(&settings, &clients);
  child_end(&clients);
  double others = bench_load_of_others(&load);
  print_table(others);
  if (settings.json != NULL) print_json(&settings, others);
  return 0;
}
