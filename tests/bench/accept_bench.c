/* SPDX-License-Identifier: MIT */
/*
 * bench_accept: whether thousands who connect at once keep a broadcast from those who are connected already. A message
 * is published each period, whatever became of the last one, and its latency at each client of the audience is from the
 * time for which it was planned until the client has read it. Phases take turns within a round:
 *
 *   quiet      nobody connects
 *   elsewhere  a crowd connects as fast as it can, but to a process of its own, which only calls accept
 *   storm      the same to the server: until each is accepted, handed to a loop, and a connection of a hub
 *
 * `elsewhere` is what the crowd costs everybody on this machine; what the storm costs beyond it is the server's doing.
 * Packets that the kernel drops meanwhile are counted: each holds up the messages behind it for 200 ms or more, and
 * tells nothing of the server.
 *
 * Server, audience, crowd and the acceptor of `elsewhere` are a process each. The crowd gets no broadcast, so the
 * server delivers the same in all phases; and it keeps within the backlog, since beyond it the kernel lets it wait for
 * a second.
 */
#include "audience.h"
#include "bench.h"
#include "clients.h"
#include "common/histogram.h"
#include "server.h"
#include "sockets.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS_MAX = 2, WARM_UP_MESSAGES = 10 };
static const uint64_t SECOND_NS = 1000000000;

typedef enum phase { PHASE_WARM_UP, PHASE_QUIET, PHASE_ELSEWHERE, PHASE_STORM, PHASES } phase_t;
_Static_assert((int) PHASES <= (int) AUDIENCE_PHASES, "the audience keeps a latency of each");
static const char *const phase_names[PHASES] = {"warm-up", "quiet", "elsewhere", "storm"};

typedef struct settings {
  uint64_t rounds;
  uint64_t audience;
  uint64_t crowd;
  uint64_t window;   /* that the crowd may be ahead */
  uint64_t messages; /* of a quiet phase */
  uint64_t rate;     /* messages a second */
  FILE *json;        /* NULL: not wanted */
} settings_t;

/* What the processes of a bench see of each other. */
typedef struct shared {
  audience_shared_t audience;
  clients_window_t window; /* of the crowd */
  int elsewhere;           /* the socket that listens there */
} shared_t;

/* ---- the process that accepts elsewhere: so many when it is told how many, and 0 closes them ---- */

static void accept_elsewhere(int channel, void *arg) {
  shared_t *shared = arg;
  int *fds = NULL;
  uint64_t count = 0;
  uint64_t wanted;
  while (child_hear(channel, &wanted, sizeof wanted)) {
    for (; count > 0 && wanted == 0; count--) (void) close(fds[count - 1]);
    free(fds);
    fds = bench_alloc(wanted + 1, sizeof *fds);
    for (; count < wanted; count++) {
      fds[count] = bench_check(accept(shared->elsewhere, NULL, NULL), "accept");
      (void) atomic_fetch_add(&shared->window.accepted, 1);
    }
  }
  free(fds);
}

/* ---- the crowd's process ---- */

/* It stands for other machines, which don't take the server's processors: it has what the others leave. */
static void be_crowd(int channel, void *arg) {
  shared_t *shared = arg;
  (void) bench_check(nice(19), "nice");
  clients_serve(channel, &shared->window);
}

/* ---- the server's process ---- */

typedef struct figures {
  struct histogram latency[PHASES];  /* of all rounds */
  bench_rounds_t p99_ms[PHASES];     /* of each */
  bench_rounds_t against[PHASES];    /* p99 of the storm / that of this phase in the same round */
  bench_rounds_t accepted_s[PHASES]; /* connections a second */
  uint64_t dropped[PHASES];          /* packets, by the kernel */
} figures_t;

typedef struct bench {
  settings_t settings;
  shared_t *shared;
  child_t audience, crowd, acceptor;
  uint16_t elsewhere_port;
  server_t server;
  uint64_t due_ns;
  uint32_t sequence;
  figures_t figures[THREADS_MAX]; /* by threads - 1 */
} bench_t;

static void publish_next(bench_t *bench, phase_t phase) {
  fluxbp_msg_t *msg;
  char message[AUDIENCE_MESSAGE_BYTES];
  bench->due_ns += SECOND_NS / bench->settings.rate;
  audience_write(message, (uint32_t) phase, bench->sequence++, bench->due_ns);
  bench_must(fluxbp_msg_create(bench->server.pool, message, sizeof message, &msg), "message");
  bench_sleep_until(bench->due_ns);
  bench_must(fluxbp_bus_publish(bench->server.bus, bench->server.topic, msg, NULL), "publish");
  fluxbp_msg_unref(msg);
}

static void wait_for_audience(const bench_t *bench) {
  while (atomic_load(&bench->shared->audience.received) < bench->sequence * bench->settings.audience) uv_sleep(1);
}

static void publish_quietly(bench_t *bench, phase_t phase, uint64_t messages) {
  bench->due_ns = uv_hrtime();
  for (uint64_t i = 0; i < messages; i++) publish_next(bench, phase);
  wait_for_audience(bench);
}

/* Publish until the crowd is accepted on that port. Returns how long that took, to the next message. */
static uint64_t publish_through(bench_t *bench, phase_t phase, uint16_t port) {
  const _Atomic uint64_t *accepted = &bench->shared->window.accepted;
  uint64_t begun_ns = uv_hrtime();
  bench->due_ns = begun_ns;
  clients_child_begin_connecting(&bench->crowd, port);
  while (atomic_load(accepted) < bench->settings.crowd) publish_next(bench, phase);
  uint64_t spent_ns = uv_hrtime() - begun_ns;
  clients_child_wait(&bench->crowd);
  wait_for_audience(bench);
  return spent_ns;
}

static uint64_t run_elsewhere(bench_t *bench) {
  uint64_t crowd = bench->settings.crowd, nobody = 0;
  child_tell(bench->acceptor.channel, &crowd, sizeof crowd);
  uint64_t spent_ns = publish_through(bench, PHASE_ELSEWHERE, bench->elsewhere_port);
  child_tell(bench->acceptor.channel, &nobody, sizeof nobody);
  return spent_ns;
}

static uint64_t run_storm(bench_t *bench) {
  return publish_through(bench, PHASE_STORM, bench->server.port);
}

static void take_figures(bench_t *bench, figures_t *figures) {
  struct histogram *latency = bench->shared->audience.latency;
  uint64_t p99_ns[PHASES];
  for (int phase = 0; phase < PHASES; phase++) {
    p99_ns[phase] = histogram_percentile(&latency[phase], 99);
    bench_round(&figures->p99_ms[phase], (double) p99_ns[phase] / 1e6);
    histogram_add(&figures->latency[phase], &latency[phase]);
    memset(&latency[phase], 0, sizeof latency[phase]);
  }
  for (int phase = 0; phase < PHASES; phase++)
    bench_round(&figures->against[phase], (double) p99_ns[PHASE_STORM] / (double) p99_ns[phase]);
}

static void run_quiet(bench_t *bench, figures_t *figures) {
  uint64_t dropped = sockets_dropped_packets();
  publish_quietly(bench, PHASE_QUIET, bench->settings.messages);
  figures->dropped[PHASE_QUIET] += sockets_dropped_packets() - dropped;
}

static void run_crowd(bench_t *bench, figures_t *figures, phase_t phase, uint64_t (*run)(bench_t *bench)) {
  const settings_t *settings = &bench->settings;
  uint64_t dropped = sockets_dropped_packets();
  atomic_store(&bench->shared->window.accepted, 0);
  clients_child_prepare(&bench->crowd, settings->crowd);
  uint64_t spent_ns = run(bench);
  figures->dropped[phase] += sockets_dropped_packets() - dropped;
  bench_round(&figures->accepted_s[phase], (double) settings->crowd * (double) SECOND_NS / (double) spent_ns);
  clients_child_reset(&bench->crowd);
  server_wait_for(&bench->server, settings->audience);
}

static void run_phases(bench_t *bench, figures_t *figures) {
  publish_quietly(bench, PHASE_WARM_UP, WARM_UP_MESSAGES);
  run_quiet(bench, figures);
  run_crowd(bench, figures, PHASE_ELSEWHERE, run_elsewhere);
  run_crowd(bench, figures, PHASE_STORM, run_storm);
  take_figures(bench, figures);
}

static void run_server(bench_t *bench, uint32_t threads) {
  const settings_t *settings = &bench->settings;
  server_open(&bench->server, threads, settings->audience, &bench->shared->window.accepted, NULL);
  bench->sequence = 0;
  audience_child_seat(&bench->audience, settings->audience, bench->server.port, false);
  server_wait_for(&bench->server, settings->audience);
  run_phases(bench, &bench->figures[threads - 1]);
  audience_child_dismiss(&bench->audience); /* first: to the audience it is an error that the server goes */
  server_close(&bench->server);
}

/* ---- the report ---- */

typedef struct row {
  double p50_ms, p99_ms, p999_ms, max_ms; /* of all rounds */
  bench_spread_t p99;                     /* of the rounds */
  double accepted_s;
} row_t;

static row_t row_of(const figures_t *figures, int phase) {
  const struct histogram *latency = &figures->latency[phase];
  return (row_t){.p50_ms = (double) histogram_percentile(latency, 50) / 1e6,
                 .p99_ms = (double) histogram_percentile(latency, 99) / 1e6,
                 .p999_ms = (double) histogram_percentile(latency, 99.9) / 1e6,
                 .max_ms = (double) latency->max_ns / 1e6,
                 .p99 = bench_spread(&figures->p99_ms[phase]),
                 .accepted_s = bench_spread(&figures->accepted_s[phase]).median};
}

static void print_rows(const figures_t *figures, unsigned threads) {
  for (int phase = PHASE_QUIET; phase < PHASES; phase++) {
    row_t row = row_of(figures, phase);
    (void) printf("%-10s %7u | %8.3f %8.3f %8.3f %8.3f | %8.3f %8.3f %8.3f | %10.0f %8llu\n", phase_names[phase],
                  threads, row.p50_ms, row.p99_ms, row.p999_ms, row.max_ms, row.p99.median, row.p99.lowest,
                  row.p99.highest, row.accepted_s, (unsigned long long) figures->dropped[phase]);
  }
}

static void print_ratios(const figures_t *figures, unsigned threads) {
  for (int phase = PHASE_QUIET; phase < PHASE_STORM; phase++) {
    bench_spread_t ratio = bench_spread(&figures->against[phase]);
    (void) printf("%-18s %7u | %8.2f %8.2f %8.2f\n", phase_names[phase], threads, ratio.median, ratio.lowest,
                  ratio.highest);
  }
}

static void print_table(const bench_t *bench, double others) {
  (void) printf("%-18s | %-35s | %-26s |\n", "", "latency in ms, all rounds", "p99 of a round, in ms");
  (void) printf("%-10s %7s | %8s %8s %8s %8s | %8s %8s %8s | %10s %8s\n", "phase", "threads", "p50", "p99", "p99.9",
                "max", "median", "lowest", "highest", "accepted/s", "dropped");
  for (unsigned i = 0; i < THREADS_MAX; i++) print_rows(&bench->figures[i], i + 1);
  (void) printf("\n%-18s %7s | %8s %8s %8s\n", "p99 of the storm /", "threads", "median", "lowest", "highest");
  for (unsigned i = 0; i < THREADS_MAX; i++) print_ratios(&bench->figures[i], i + 1);
  (void) printf("\nother processes took %.2f processors\n", others);
}

static void print_json_phase(FILE *json, const figures_t *figures, int phase, unsigned threads) {
  row_t row = row_of(figures, phase);
  bench_spread_t ratio = bench_spread(&figures->against[phase]);
  (void) fprintf(json,
                 "%s\n  {\"phase\": \"%s\", \"threads\": %u, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, "
                 "\"max_ms\": %.3f, \"median_p99_ms\": %.3f, \"lowest_p99_ms\": %.3f, \"highest_p99_ms\": %.3f, ",
                 threads == 1 && phase == PHASE_QUIET ? "" : ",", phase_names[phase], threads, row.p50_ms, row.p99_ms,
                 row.p999_ms, row.max_ms, row.p99.median, row.p99.lowest, row.p99.highest);
  (void) fprintf(
      json,
      "\"accepted_s\": %.0f, \"dropped_packets\": %llu, \"storm_ratio\": %.3f, \"lowest_storm_ratio\": %.3f, "
      "\"highest_storm_ratio\": %.3f}",
      row.accepted_s, (unsigned long long) figures->dropped[phase], ratio.median, ratio.lowest, ratio.highest);
}

static void print_json(const bench_t *bench, double others) {
  const settings_t *settings = &bench->settings;
  FILE *json = settings->json;
  (void) fprintf(json,
                 "{\"rounds\": %llu, \"audience\": %llu, \"crowd\": %llu, \"rate\": %llu, \"others\": %.3f, "
                 "\"phases\": [",
                 (unsigned long long) settings->rounds, (unsigned long long) settings->audience,
                 (unsigned long long) settings->crowd, (unsigned long long) settings->rate, others);
  for (unsigned i = 0; i < THREADS_MAX; i++)
    for (int phase = PHASE_QUIET; phase < PHASES; phase++) print_json_phase(json, &bench->figures[i], phase, i + 1);
  (void) fprintf(json, "\n]}\n");
}

static void start_children(bench_t *bench) {
  bench->shared = child_shared_memory(sizeof *bench->shared);
  bench->shared->window.most = bench->settings.window;
  bench->shared->elsewhere = sockets_listen(bench->settings.crowd, &bench->elsewhere_port);
  child_start(&bench->audience, audience_serve, &bench->shared->audience);
  child_start(&bench->crowd, be_crowd, bench->shared);
  child_start(&bench->acceptor, accept_elsewhere, bench->shared);
}

static void end_children(bench_t *bench) {
  child_end(&bench->audience);
  child_end(&bench->crowd);
  child_end(&bench->acceptor);
}

int main(int argc, char **argv) {
  static bench_t bench;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 11, .audience = 500, .crowd = 10000, .window = 1000, .messages = 100, .rate = 100};
  const bench_option_t options[] = {
      {"--rounds", "of all phases, with one thread and with two", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--audience", "clients that get the broadcast", 20000, &settings->audience},
      {"--crowd", "clients that connect in a storm", 20000, &settings->crowd},
      {"--window", "of them, that are ahead of who accepts", 20000, &settings->window},
      {"--messages", "of a quiet phase", 1000000, &settings->messages},
      {"--rate", "messages a second", 10000, &settings->rate},
  };
  settings->json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(settings->audience + settings->crowd + 64);

  bench_load_t load;
  bench_load_begin(&load);
  start_children(&bench);
  for (uint64_t round = 0; round < settings->rounds; round++)
    for (uint32_t threads = 1; threads <= THREADS_MAX; threads++) run_server(&bench, threads);
  end_children(&bench);
  double others = bench_load_of_others(&load);
  print_table(&bench, others);
  if (settings->json != NULL) print_json(&bench, others);
  return 0;
}
