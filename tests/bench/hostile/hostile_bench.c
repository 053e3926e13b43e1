/* SPDX-License-Identifier: MIT */
/*
 * bench_hostile: what hostile clients cost healthy ones. hostile.sh starts two gateways and names them on standard
 * input: a line `NAME PID PORT HTTP-PORT TLS-PORT` for each, first the one with the healthy clients.
 *
 * For each attack there are two slices of time in a round. In one of them the attackers are clients of the gateway that
 * has the healthy clients. In the other, the control, the same attackers send the same to the other gateway of the same
 * machine. So the machine has as much to do in both, and what differs is what the clients of one gateway do to each
 * other. Beside TLS handshakes, which cost the attackers as much as the gateway, there is a third slice without an
 * attack.
 *
 * A client on lines publishes at a fixed rate, whatever became of the last message (open loop). The latency of a
 * message at each healthy client is from the time for which it was planned until the client has read it. A slice ends
 * when everything has arrived.
 */
#include "attackers.h"
#include "audience.h"
#include "bench.h"
#include "report.h"
#include "sockets.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { GATEWAYS = 2, PAST_BYTES = 1500, PROCESSES_MAX = 16 };
static const uint64_t MS_NS = 1000000;
static const uint64_t SECOND_NS = 1000000000;
static const uint64_t PATIENCE_NS = 120 * SECOND_NS;

/* Where the attackers are. */
typedef enum place { ELSEWHERE, HERE, NOWHERE, PLACES } place_t;

typedef struct settings {
  uint64_t rounds;
  uint64_t healthy, hostile;
  uint64_t processes;
  uint64_t rate;
  uint64_t slice_ms;
  uint64_t past;
  uint64_t addresses;
  uint64_t attack;
} settings_t;

typedef struct gateway {
  char name[32];
  int pid;
  unsigned lines, http, tls;
} gateway_t;

typedef struct bench {
  settings_t settings;
  gateway_t gateways[GATEWAYS];
  child_t audience;
  child_t attackers[PROCESSES_MAX];
  audience_shared_t *shared;
  int publisher;
  uint64_t published;
  bench_rounds_t p99_ms[ATTACKS][PLACES];
  bench_rounds_t p50_ms[ATTACKS][PLACES];
  bench_rounds_t sent[ATTACKS][PLACES], received[ATTACKS][PLACES], closed[ATTACKS][PLACES]; /* MB, MB, connections */
  bench_rounds_t against[ATTACKS];
  bench_rounds_t against_none; /* of ATTACK_TLS */
} bench_t;

static int connect_to(unsigned port) {
  struct sockaddr_in address = sockets_loopback(1, (uint16_t) port);
  int on = 1;
  int fd = bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void) bench_check(connect(fd, (struct sockaddr *) &address, sizeof address), "connect");
  return fd;
}

/* The answers are of no interest, but for an error. */
static void read_answers(int fd, int flags) {
  static char answers[1 << 16];
  ssize_t length;
  while ((length = recv(fd, answers, sizeof answers - 1, flags)) > 0) {
    answers[length] = 0;
    const char *error = strstr(answers, "-ERR");
    if (error != NULL) {
      (void) fprintf(stderr, "the publisher was told: %.100s\n", error);
      bench_die("publishing", UV_EPROTO);
    }
    if (flags == 0) return;
  }
  if (length == 0) bench_die("the publisher", UV_EOF);
}

static void publish(const bench_t *bench, uint64_t due_ns) {
  static const char command[] = "PUB news ";
  char text[sizeof command - 1 + AUDIENCE_MESSAGE_BYTES];
  memcpy(text, command, sizeof command - 1);
  audience_write(text + sizeof command - 1, 0, bench->published, due_ns);
  read_answers(bench->publisher, MSG_DONTWAIT);
  sockets_say(bench->publisher, text, sizeof text);
}

/* So many messages that a RESUME of them is work. */
static void fill_history(const bench_t *bench, const gateway_t *gateway) {
  static const char command[] = "PUB " ATTACK_TOPIC " ";
  char text[sizeof command - 1 + PAST_BYTES];
  int fd = connect_to(gateway->lines);
  memcpy(text, command, sizeof command - 1);
  memset(text + sizeof command - 1, 'p', PAST_BYTES - 1);
  text[sizeof text - 1] = '\n';
  sockets_say(fd, "UNSUB news\n", 11);
  read_answers(fd, 0);
  for (uint64_t i = 0; i < bench->settings.past; i++) {
    sockets_say(fd, text, sizeof text);
    read_answers(fd, 0);
  }
  (void) close(fd);
}

/* ---- measuring ---- */

static void await_deliveries(const bench_t *bench) {
  uint64_t begun_ns = uv_hrtime();
  while (atomic_load(&bench->shared->received) < bench->published * bench->settings.healthy) {
    if (uv_hrtime() - begun_ns > PATIENCE_NS) bench_die("messages are missing", UV_ETIMEDOUT);
    uv_sleep(1);
  }
}

static void begin_attack(bench_t *bench, attack_t attack, const gateway_t *gateway) {
  const settings_t *settings = &bench->settings;
  uint16_t port = (uint16_t) (attack_is_http(attack) ? gateway->http : gateway->lines);
  if (attack_is_tls(attack)) port = (uint16_t) gateway->tls;
  for (uint64_t i = 0; i < settings->processes; i++) {
    uint64_t first = settings->hostile * i / settings->processes;
    uint64_t count = settings->hostile * (i + 1) / settings->processes - first;
    attackers_child_begin(&bench->attackers[i], attack, port, count, settings->addresses > 1 ? first + 1 : 0);
  }
}

static attack_sum_t end_attack(bench_t *bench) {
  attack_sum_t all = {0};
  for (uint64_t i = 0; i < bench->settings.processes; i++) {
    attack_sum_t sum = attackers_child_end(&bench->attackers[i]);
    all.sent += sum.sent;
    all.received += sum.received;
    all.closed += sum.closed;
  }
  return all;
}

/* Publish for one slice; returns p99 in milliseconds. */
static double run_slice(bench_t *bench, attack_t attack, place_t place) {
  const settings_t *settings = &bench->settings;
  const gateway_t *gateway = &bench->gateways[place == HERE ? 0 : 1];
  uint64_t interval_ns = SECOND_NS / settings->rate;
  uint64_t messages = 1 + settings->slice_ms * MS_NS / interval_ns;
  struct histogram *latency = &bench->shared->latency[0];
  memset(latency, 0, sizeof *latency);
  if (place != NOWHERE) begin_attack(bench, attack, gateway);
  uint64_t due_ns = uv_hrtime();
  for (uint64_t i = 0; i < messages; i++) {
    bench_sleep_until(due_ns += interval_ns);
    publish(bench, due_ns);
    bench->published++;
  }
  bench_sleep_until(due_ns + interval_ns);
  attack_sum_t sum = place != NOWHERE ? end_attack(bench) : (attack_sum_t){0};
  await_deliveries(bench);
  double p99_ms = (double) histogram_percentile(latency, 99) / 1e6;
  bench_round(&bench->p99_ms[attack][place], p99_ms);
  bench_round(&bench->p50_ms[attack][place], (double) histogram_percentile(latency, 50) / 1e6);
  bench_round(&bench->sent[attack][place], (double) sum.sent / 1e6);
  bench_round(&bench->received[attack][place], (double) sum.received / 1e6);
  bench_round(&bench->closed[attack][place], (double) sum.closed);
  uv_sleep(200); /* what the attackers have left behind is done */
  return p99_ms;
}

static void run_round(bench_t *bench, uint64_t round) {
  double p99_ms[PLACES];
  for (attack_t attack = 0; attack < ATTACKS; attack++) {
    if (bench->settings.attack <= ATTACKS && attack != bench->settings.attack - 1) continue;
    int places = attack_is_tls(attack) ? PLACES : NOWHERE;
    for (int i = 0; i < places; i++) {
      place_t place = (place_t) ((i + (int) (round % 2)) % places);
      p99_ms[place] = run_slice(bench, attack, place);
    }
    bench_round(&bench->against[attack], p99_ms[HERE] / p99_ms[ELSEWHERE]);
    if (places == PLACES) bench_round(&bench->against_none, p99_ms[HERE] / p99_ms[NOWHERE]);
  }
}

/* ---- the report ---- */

static void print_rows(report_t *report, const bench_t *bench, const char *title, const char *last,
                       const bench_rounds_t (*figures)[PLACES]) {
  const char *const columns[] = {"elsewhere", last, NULL};
  report_table(report, title, columns); /* reads as many of a row as there are columns */
  for (attack_t attack = 0; attack < ATTACKS; attack++)
    if (bench->against[attack].count > 0) report_row(report, attack_name(attack), figures[attack]);
}

static void print_report(report_t *report, const bench_t *bench) {
  char what[128];
  print_rows(report, bench, "ms until half of the deliveries are done", "here", bench->p50_ms);
  print_rows(report, bench, "ms until 99 % of the deliveries are done", "here", bench->p99_ms);
  print_rows(report, bench, "MB that the attackers sent in a slice", "here", bench->sent);
  print_rows(report, bench, "MB that they received", "here", bench->received);
  print_rows(report, bench, "of their connections that were closed, or handshakes", "here", bench->closed);
  for (attack_t attack = 0; attack < ATTACKS; attack++) {
    if (bench->against[attack].count == 0) continue;
    (void) snprintf(what, sizeof what, "healthy p99 beside %u clients with %s / beside a gateway with these",
                    (unsigned) bench->settings.hostile, attack_name(attack));
    report_goal(report, what, 1.5, &bench->against[attack]);
  }
  if (bench->against_none.count > 0)
    report_goal(report, "healthy p99 beside TLS handshakes / without any", 2, &bench->against_none);
}

static void read_gateways(bench_t *bench) {
  for (int i = 0; i < GATEWAYS; i++) {
    gateway_t *gateway = &bench->gateways[i];
    if (scanf("%31s %d %u %u %u", gateway->name, &gateway->pid, &gateway->lines, &gateway->http, &gateway->tls) != 5)
      bench_die("on standard input two gateways have to be named", UV_EOF);
  }
}

int main(int argc, char **argv) {
  static bench_t bench = {.settings = {.rounds = 5,
                                       .healthy = 1900,
                                       .hostile = 100,
                                       .processes = 2,
                                       .rate = 10,
                                       .slice_ms = 3000,
                                       .past = 10000,
                                       .addresses = 1,
                                       .attack = ATTACKS + 1}};
  static report_t report;
  settings_t *settings = &bench.settings;
  const bench_option_t options[] = {
      {"--rounds", "of all attacks", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--healthy", "subscribers", 5000, &settings->healthy},
      {"--hostile", "clients that attack", 5000, &settings->hostile},
      {"--processes", "of these, each with as many", PROCESSES_MAX, &settings->processes},
      {"--rate", "messages a second", 1000, &settings->rate},
      {"--slice", "milliseconds of each attack at each gateway in each round", 60000, &settings->slice_ms},
      {"--past", "messages in the history", 20000, &settings->past},
      {"--addresses", "of the attackers; 1: all have that of the others, 2: each has its own", 2, &settings->addresses},
      {"--attack", "only this one, from 1; one more than there are is all", ATTACKS + 1, &settings->attack},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  if (settings->processes > settings->hostile) settings->processes = settings->hostile;

  read_gateways(&bench);
  bench_need_descriptors(settings->healthy + settings->hostile + 64);
  report_begin(&report, json);
  bench.shared = child_shared_memory(sizeof *bench.shared);
  child_start(&bench.audience, audience_serve, bench.shared);
  for (uint64_t i = 0; i < settings->processes; i++) child_start(&bench.attackers[i], attackers_serve, NULL);
  double begun_us = 0, ended_us = 0;
  for (int i = 0; i < GATEWAYS; i++) begun_us += bench_process_us(bench.gateways[i].pid);
  for (int i = 0; i < GATEWAYS; i++) fill_history(&bench, &bench.gateways[i]);
  bench.publisher = connect_to(bench.gateways[0].lines);
  sockets_say(bench.publisher, "UNSUB news\n", 11);
  read_answers(bench.publisher, 0);
  audience_child_seat(&bench.audience, settings->healthy, (uint16_t) bench.gateways[0].lines, true);
  for (uint64_t round = 0; round < settings->rounds; round++) run_round(&bench, round);
  print_report(&report, &bench);
  for (uint64_t i = 0; i < settings->processes; i++) child_end(&bench.attackers[i]);
  child_end(&bench.audience);
  for (int i = 0; i < GATEWAYS; i++) ended_us += bench_process_us(bench.gateways[i].pid);
  bench_load_exclude(&report.load, ended_us - begun_us);
  report_end(&report);
  return 0;
}
