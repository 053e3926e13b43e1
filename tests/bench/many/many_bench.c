/* SPDX-License-Identifier: MIT */
/*
 * bench_many: what many topics and many subscriptions cost servers that are processes of their own, all with the same
 * clients and messages. They are started by many.sh, which says who they are on standard input: a line `NAME PROTOCOL
 * PID PORT` for each, the library's first. Of the library these are a gateway for topics, and a program for patterns.
 *
 *   part 1   100 000 topics with 10 subscribers each, 100 topics a client: memory and time of the million
 *            subscriptions
 *   part 2   the same topics: publishing on them in no order, and on topics without subscribers; some clients
 *            unsubscribe, subscribe again, and leave
 *   part 3   1 000 topics with 10 subscribers each, 100 topics a client, and bursts of a message on each of them
 *   part 4   10 000 patterns with a subscriber each, and messages that one of them matches
 *
 * Times are the server process's processor time, of all its threads (/proc/PID/task/.../schedstat); memory is its PSS.
 * The clients of a server are in a process of their own (crowd.h).
 */
#include "bench.h"
#include "crowd.h"
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { SERVERS_MAX = 6, PARTS = 4, PATTERNS_OF_A_CLIENT = 10, NAME_BYTES = 96 };

/* Redis makes the buffers of idle clients smaller in steps of five seconds. */
enum { SETTLE_MS = 30000 };

typedef struct settings {
  uint64_t rounds;
  uint64_t part; /* 0: all */
  uint64_t clients, blocks, per_topic;
  uint64_t movers; /* clients that unsubscribe, subscribe and leave */
  uint64_t messages, outstanding;
  uint64_t burst_clients, bursts;
  uint64_t patterns, matched;
  uint64_t settle_ms;
} settings_t;

/* What is measured, in the order of the report. */
typedef enum figure {
  BYTES,
  FIRST,
  AGAIN,
  UNSUBSCRIBE,
  LEAVE,
  PUBLISH,
  SPREAD,
  BURST,
  PATTERN_BYTES,
  PATTERN_FIRST,
  MATCHED,
  FIGURES
} figure_t;

static const char *const titles[FIGURES] = {
    [BYTES] = "bytes of a subscription",
    [FIRST] = "us of a subscription, the first of them all",
    [AGAIN] = "us of a subscription to topics that are there",
    [UNSUBSCRIBE] = "us of an unsubscription",
    [LEAVE] = "us of a client that leaves",
    [PUBLISH] = "us of a message without subscribers",
    [SPREAD] = "us of a delivery, spread over all topics",
    [BURST] = "us of a delivery, bursts over the topics",
    [PATTERN_BYTES] = "bytes of a pattern with a subscriber",
    [PATTERN_FIRST] = "us of a pattern's subscription",
    [MATCHED] = "us of a delivery by one of many patterns",
};

typedef struct server {
  crowd_t crowd;
  char protocol[16];
  bench_rounds_t figures[FIGURES];
  bench_rounds_t against[FIGURES]; /* the first server's / this one's in the same round */
} server_t;

typedef struct bench {
  settings_t settings;
  size_t all_count, count;
  server_t all[SERVERS_MAX];
  server_t *servers[SERVERS_MAX]; /* `count` of them, that take part in what is being measured */
  double values[SERVERS_MAX];     /* of these, of one figure */
} bench_t;

/* Those whose clients may subscribe to topics take part, or to patterns. */
static void choose(bench_t *bench, bool has_patterns) {
  bench->count = 0;
  for (size_t i = 0; i < bench->all_count; i++) {
    const dialect_t *dialect = bench->all[i].crowd.dialect;
    if (has_patterns ? dialect->has_patterns : dialect->has_topics) bench->servers[bench->count++] = &bench->all[i];
  }
  if (bench->count == 0) bench_die("no server takes part", UV_EINVAL);
}

/* ---- measuring ---- */

static void keep(bench_t *bench, figure_t figure) {
  for (size_t i = 0; i < bench->count; i++) {
    bench_round(&bench->servers[i]->figures[figure], bench->values[i]);
    if (i > 0) bench_round(&bench->servers[i]->against[figure], bench->values[0] / bench->values[i]);
  }
}

/* One server after the other; another one begins in each round. */
static void do_in_turn(bench_t *bench, const crowd_plan_t *plan, crowd_what_t what, uint64_t first, uint64_t count,
                       uint64_t round) {
  for (size_t i = 0; i < bench->count; i++) {
    size_t at = (i + round) % bench->count;
    bench->values[at] = crowd_do(&bench->servers[at]->crowd, plan, what, first, count);
  }
}

static void measure(bench_t *bench, const crowd_plan_t *plan, crowd_what_t what, uint64_t first, uint64_t count,
                    uint64_t round, figure_t figure) {
  do_in_turn(bench, plan, what, first, count, round);
  keep(bench, figure);
}

/* All wait at the same time, so that all have had as long to tidy up. */
static void measure_memory(bench_t *bench, const crowd_plan_t *plan, double bytes[SERVERS_MAX]) {
  for (size_t i = 0; i < bench->count; i++)
    crowd_begin(&bench->servers[i]->crowd, plan, CROWD_MEMORY, 0, bench->settings.settle_ms);
  for (size_t i = 0; i < bench->count; i++) bytes[i] = crowd_wait(&bench->servers[i]->crowd);
}

/* Connect all clients and subscribe them. */
static void fill(bench_t *bench, const crowd_plan_t *plan) {
  do_in_turn(bench, plan, CROWD_CONNECT, 0, 0, 0);
  do_in_turn(bench, plan, CROWD_SUBSCRIBE, 0, plan->clients, 0);
}

/* The same, and what it costs. */
static void measure_filling(bench_t *bench, const crowd_plan_t *plan, figure_t bytes, figure_t us) {
  double before[SERVERS_MAX], after[SERVERS_MAX];
  double subscriptions = (double) (plan->clients * crowd_topics_per_client(plan));
  do_in_turn(bench, plan, CROWD_CONNECT, 0, 0, 0);
  measure_memory(bench, plan, before);
  measure(bench, plan, CROWD_SUBSCRIBE, 0, plan->clients, 0, us);
  measure_memory(bench, plan, after);
  for (size_t i = 0; i < bench->count; i++) bench->values[i] = (after[i] - before[i]) / subscriptions;
  keep(bench, bytes);
}

static crowd_plan_t plan_of(const settings_t *settings, uint64_t clients) {
  return (crowd_plan_t){.topics = clients * settings->blocks, .clients = clients, .per_topic = settings->per_topic};
}

static void run_filling(bench_t *bench) {
  crowd_plan_t plan = plan_of(&bench->settings, bench->settings.clients);
  choose(bench, false);
  measure_filling(bench, &plan, BYTES, FIRST);
  do_in_turn(bench, &plan, CROWD_RESET, 0, 0, 0);
}

static void run_spread(bench_t *bench) {
  const settings_t *settings = &bench->settings;
  crowd_plan_t plan = plan_of(settings, settings->clients);
  uint64_t outstanding = settings->outstanding, movers = settings->movers;
  choose(bench, false);
  fill(bench, &plan);
  do_in_turn(bench, &plan, CROWD_PUBLISH, outstanding, outstanding, 0); /* whatever is done once is done now */
  for (uint64_t round = 0; round < settings->rounds; round++) {
    uint64_t first = round * movers % (plan.clients - movers + 1);
    measure(bench, &plan, CROWD_PUBLISH, outstanding, settings->messages, round, SPREAD);
    measure(bench, &plan, CROWD_CALL, outstanding, settings->messages, round, PUBLISH);
    measure(bench, &plan, CROWD_UNSUBSCRIBE, first, movers, round, UNSUBSCRIBE);
    measure(bench, &plan, CROWD_SUBSCRIBE, first, movers, round, AGAIN);
    measure(bench, &plan, CROWD_LEAVE, first, movers, round, LEAVE);
    do_in_turn(bench, &plan, CROWD_SUBSCRIBE, first, movers, round);
  }
  do_in_turn(bench, &plan, CROWD_RESET, 0, 0, 0);
}

static void run_bursts(bench_t *bench) {
  const settings_t *settings = &bench->settings;
  crowd_plan_t plan = plan_of(settings, settings->burst_clients);
  choose(bench, false);
  fill(bench, &plan);
  do_in_turn(bench, &plan, CROWD_PUBLISH, plan.topics, plan.topics, 0);
  for (uint64_t round = 0; round < settings->rounds; round++)
    measure(bench, &plan, CROWD_PUBLISH, plan.topics, plan.topics * settings->bursts, round, BURST);
  do_in_turn(bench, &plan, CROWD_RESET, 0, 0, 0);
}

static void run_patterns(bench_t *bench) {
  const settings_t *settings = &bench->settings;
  uint64_t clients = settings->patterns / PATTERNS_OF_A_CLIENT;
  crowd_plan_t plan = {
      .topics = clients * PATTERNS_OF_A_CLIENT, .clients = clients, .per_topic = 1, .has_patterns = true};
  uint64_t outstanding = settings->outstanding;
  choose(bench, true);
  measure_filling(bench, &plan, PATTERN_BYTES, PATTERN_FIRST);
  do_in_turn(bench, &plan, CROWD_PUBLISH, outstanding, outstanding, 0);
  for (uint64_t round = 0; round < settings->rounds; round++)
    measure(bench, &plan, CROWD_PUBLISH, outstanding, settings->matched, round, MATCHED);
  do_in_turn(bench, &plan, CROWD_RESET, 0, 0, 0);
}

static double sum_us(const bench_t *bench) {
  double us = 0;
  for (size_t i = 0; i < bench->all_count; i++) us += bench_process_us(bench->all[i].crowd.pid);
  return us;
}

/* ---- who is there, the report ---- */

static void read_servers(bench_t *bench) {
  for (; bench->all_count < SERVERS_MAX; bench->all_count++) {
    server_t *server = &bench->all[bench->all_count];
    crowd_t *crowd = &server->crowd;
    if (scanf("%23s %15s %d %u", crowd->name, server->protocol, &crowd->pid, &crowd->port) != 4) break;
    crowd->dialect = dialect_find(server->protocol);
    if (crowd->dialect == NULL) bench_die(server->protocol, UV_EPROTONOSUPPORT);
  }
  if (bench->all_count == 0) bench_die("no servers on standard input", UV_EOF);
}

static void print_tables(report_t *report, const bench_t *bench) {
  static const char *const columns[] = {"median", NULL};
  for (int figure = 0; figure < FIGURES; figure++) {
    bool is_titled = false;
    for (size_t i = 0; i < bench->all_count; i++) {
      const server_t *server = &bench->all[i];
      if (server->figures[figure].count == 0) continue;
      if (!is_titled) report_table(report, titles[figure], columns);
      is_titled = true;
      report_row(report, server->crowd.name, &server->figures[figure]);
    }
  }
}

static void name_figures(const settings_t *settings, char names[FIGURES][NAME_BYTES]) {
  unsigned long long topics = settings->clients * settings->blocks, per_topic = settings->per_topic;
  unsigned long long burst_topics = settings->burst_clients * settings->blocks, patterns = settings->patterns;
  (void) snprintf(names[BYTES], NAME_BYTES, "bytes per subscription, %llu topics × %llu", topics, per_topic);
  (void) snprintf(names[FIRST], NAME_BYTES, "CPU per subscription, %llu topics × %llu", topics, per_topic);
  (void) snprintf(names[AGAIN], NAME_BYTES, "CPU per subscription to a topic that is there");
  (void) snprintf(names[UNSUBSCRIBE], NAME_BYTES, "CPU per unsubscription");
  (void) snprintf(names[LEAVE], NAME_BYTES, "CPU per client that leaves %llu topics", settings->blocks * per_topic);
  (void) snprintf(names[PUBLISH], NAME_BYTES, "CPU per message without a subscriber, beside %llu topics", topics);
  (void) snprintf(names[SPREAD], NAME_BYTES, "CPU per delivery, %llu topics × %llu", topics, per_topic);
  (void) snprintf(names[BURST], NAME_BYTES, "CPU per delivery, bursts over %llu topics", burst_topics);
  (void) snprintf(names[PATTERN_BYTES], NAME_BYTES, "bytes per pattern, of %llu", patterns);
  (void) snprintf(names[PATTERN_FIRST], NAME_BYTES, "CPU per subscription, %llu patterns", patterns);
  (void) snprintf(names[MATCHED], NAME_BYTES, "CPU per delivery, %llu patterns", patterns);
}

static void print_goals(report_t *report, const bench_t *bench) {
  char names[FIGURES][NAME_BYTES], what[2 * NAME_BYTES];
  name_figures(&bench->settings, names);
  for (int figure = 0; figure < FIGURES; figure++) {
    for (size_t i = 0; i < bench->all_count; i++) {
      const server_t *server = &bench->all[i];
      const char *ours = figure < PATTERN_BYTES ? "gateway" : "server";
      if (server->against[figure].count == 0) continue;
      (void) snprintf(what, sizeof what, "%s, %s / %s", names[figure], ours, server->crowd.name);
      report_goal(report, what, 1, &server->against[figure]);
    }
  }
}

static void (*const parts[PARTS])(bench_t *bench) = {run_filling, run_spread, run_bursts, run_patterns};

int main(int argc, char **argv) {
  static bench_t bench;
  static report_t report;
  settings_t *settings = &bench.settings;
  *settings = (settings_t){.rounds = 5,
                           .clients = 10000,
                           .blocks = 10,
                           .per_topic = 10,
                           .movers = 500,
                           .messages = 20000,
                           .outstanding = 100,
                           .burst_clients = 100,
                           .bursts = 20,
                           .patterns = 10000,
                           .matched = 2000,
                           .settle_ms = SETTLE_MS};
  const bench_option_t options[] = {
      {"--rounds", "of all servers", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--part", "that is to run alone; without it all do", PARTS, &settings->part},
      {"--clients", "of each server", 19000, &settings->clients},
      {"--blocks", "so many times as many topics as clients", 90, &settings->blocks},
      {"--per-topic", "subscribers of each topic; a client has so many topics of each block", 11, &settings->per_topic},
      {"--movers", "clients that subscribe again and leave, in each round; no more than clients", 19000,
       &settings->movers},
      {"--messages", "published on topics with subscribers, and without, in each round", UINT32_MAX,
       &settings->messages},
      {"--outstanding", "of these messages", 10000, &settings->outstanding},
      {"--burst-clients", "that get the bursts", 1000, &settings->burst_clients},
      {"--bursts", "of a message on each of their topics, in each round", UINT32_MAX, &settings->bursts},
      {"--patterns", "ten of each client", 1000000, &settings->patterns},
      {"--matched", "messages for one of the patterns each, in each round", UINT32_MAX, &settings->matched},
      {"--settle", "milliseconds before memory is measured", 60000, &settings->settle_ms},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  if (settings->movers > settings->clients) bench_die("more movers than clients", UV_EINVAL);

  read_servers(&bench);
  report_begin(&report, json);
  for (size_t i = 0; i < bench.all_count; i++) crowd_start(&bench.all[i].crowd);
  double begun_us = sum_us(&bench);
  for (uint64_t part = 0; part < PARTS; part++)
    if (settings->part == 0 || settings->part == part + 1) parts[part](&bench);
  print_tables(&report, &bench);
  print_goals(&report, &bench);
  bench_load_exclude(&report.load, sum_us(&bench) - begun_us);
  for (size_t i = 0; i < bench.all_count; i++) child_end(&bench.all[i].crowd.child);
  report_end(&report);
  return 0;
}
