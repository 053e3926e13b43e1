/* SPDX-License-Identifier: MIT */
/*
 * bench_backbone: what a delivery costs a gateway with a backbone, beside one without. backbone.sh starts the processes
 * and says who they are on standard input: a line `NAME PID PORT` for each. The first one is the gateway that the
 * others are held against; those with port 0 come last and are no gateways: their time is shown as that of others.
 *
 *   one at a time    a message at a fixed rate
 *   bursts of 16     16 in one write, at the same rate
 *
 * The time is all processor time of the gateway (/proc/PID/task/.../schedstat), from the first message until the time
 * of the one that would follow the last, so what a backbone does when nothing happens is in it. Subscribers look for
 * messages at intervals, so no send has to wake anybody; each has to get every byte, and none more.
 */
#include "bench.h"
#include "clients.h"
#include "report.h"
#include "sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum { PROCESSES_MAX = 6, SIZES = 2, LOADS = 2, BURST_MAX = 16, MESSAGE_BYTES = 128, LOOK_MS = 2 };
static const uint64_t bursts[LOADS] = {1, BURST_MAX};
static const char *const load_names[LOADS] = {"one at a time", "bursts of 16"};
static const uint64_t MS_NS = 1000000;
static const uint64_t SECOND_NS = 1000000000;
static const uint64_t PATIENCE_NS = 20 * SECOND_NS;

typedef struct settings {
  uint64_t rounds;
  uint64_t few, many;
  uint64_t rate; /* of deliveries a second, one at a time */
  uint64_t slice_ms;
} settings_t;

typedef struct process {
  char name[32];
  int pid;
  unsigned port;
  clients_t subscribers, publisher;
  bench_rounds_t us[SIZES][LOADS];
  bench_rounds_t others_us[SIZES][LOADS]; /* of those that are no gateways, meanwhile */
  bench_rounds_t against[SIZES][LOADS];   /* this one's / the first one's in the same round */
} process_t;

typedef struct bench {
  settings_t settings;
  process_t processes[PROCESSES_MAX]; /* gateways first */
  size_t count, gateways;
  uint64_t late; /* messages and bursts that were not through when the next was due */
} bench_t;

/* ---- talking to a gateway ---- */

/* Everything that was said is done when it answers this. */
static void ask(int fd) {
  static const char answer[] = "+PONG\n";
  char got[sizeof answer];
  size_t filled = 0;
  sockets_say(fd, "PING\n", 5);
  while (filled < sizeof answer - 1) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    (void) bench_check(poll(&poll_fd, 1, -1), "poll");
    ssize_t len = recv(fd, got + filled, sizeof answer - 1 - filled, 0);
    if (len <= 0) bench_die("a gateway's answer", len == 0 ? UV_EOF : uv_translate_sys_error(errno));
    filled += (size_t) len;
  }
  if (memcmp(got, answer, filled) != 0) bench_die("a gateway's answer", UV_EPROTO);
}

static void connect_and_ask(clients_t *clients, size_t count, unsigned port) {
  clients_prepare(clients, count);
  clients_connect(clients, (uint16_t) port, NULL);
  for (size_t i = 0; i < count; i++) ask(clients->fds[i]);
}

/* The publisher gets the messages, too, and answers; nobody waits for what it gets. */
static void attend(process_t *process, uint64_t subscribers) {
  connect_and_ask(&process->subscribers, subscribers, process->port);
  connect_and_ask(&process->publisher, 1, process->port);
}

static void leave(process_t *process) {
  clients_reset(&process->subscribers);
  clients_reset(&process->publisher);
}

static size_t commands(char *text, uint64_t messages) {
  static const char command[] = "PUB news ";
  size_t len = 0;
  for (uint64_t i = 0; i < messages; i++) {
    memcpy(text + len, command, sizeof command - 1);
    len += sizeof command - 1;
    memset(text + len, 'm', MESSAGE_BYTES);
    len += MESSAGE_BYTES;
    text[len++] = '\n';
  }
  return len;
}

/* Ends the program with what the publisher has been told, but for messages. */
static void complain(const process_t *process, const char *what) {
  static char told[1 << 16];
  ssize_t len = recv(process->publisher.fds[0], told, sizeof told - 1, 0);
  told[len > 0 ? len : 0] = 0;
  (void) fprintf(stderr, "bench_backbone: %s: %s; its publisher was told:\n%s", process->name, what, told);
  exit(1);
}

/* Publish, and wait until all have it. */
static void shoot(const process_t *process, uint64_t messages) {
  char text[BURST_MAX * (MESSAGE_BYTES + 16)];
  uint64_t begun_ns = uv_hrtime();
  sockets_say(process->publisher.fds[0], text, commands(text, messages));
  uint64_t due = process->subscribers.count * messages * (MESSAGE_BYTES + 1), got = 0;
  while ((got += clients_read(&process->subscribers)) < due) {
    if (uv_hrtime() - begun_ns > PATIENCE_NS) complain(process, "messages are missing");
    uv_sleep(LOOK_MS);
  }
  if (got > due) complain(process, "clients were sent too much");
  (void) clients_read(&process->publisher);
}

/* ---- measuring ---- */

static uint64_t subscribers_of(const settings_t *settings, int size) {
  return size == 0 ? settings->few : settings->many;
}

/* From that one on. */
static double sum_us(const bench_t *bench, size_t first) {
  double us = 0;
  for (size_t i = first; i < bench->count; i++) us += bench_process_us(bench->processes[i].pid);
  return us;
}

/* Returns how many were not through when the next was due. */
static uint64_t shoot_at_rate(process_t *process, uint64_t shots, uint64_t interval_ns, uint64_t messages) {
  uint64_t late = 0;
  for (uint64_t shot = 0; shot < shots; shot++) {
    uint64_t due_ns = uv_hrtime() + interval_ns;
    shoot(process, messages);
    late += uv_hrtime() > due_ns;
    bench_sleep_until(due_ns);
  }
  return late;
}

/* A gateway's slice of time: microseconds of a delivery. */
static double run_slice(bench_t *bench, process_t *process, int size, int load) {
  uint64_t subscribers = process->subscribers.count;
  uint64_t interval_ns = SECOND_NS * subscribers / bench->settings.rate;
  uint64_t shots = 1 + (bench->settings.slice_ms * MS_NS - 1) / interval_ns;
  double deliveries = (double) (subscribers * shots * bursts[load]);
  double begun_us = bench_process_us(process->pid), others_begun_us = sum_us(bench, bench->gateways);
  bench->late += shoot_at_rate(process, shots, interval_ns, bursts[load]);
  double us = (bench_process_us(process->pid) - begun_us) / deliveries;
  bench_round(&process->us[size][load], us);
  bench_round(&process->others_us[size][load], (sum_us(bench, bench->gateways) - others_begun_us) / deliveries);
  return us;
}

/* Each is first as often as the others, and last. */
static void run_round(bench_t *bench, uint64_t round, int size) {
  size_t gateways = bench->gateways;
  for (int load = 0; load < LOADS; load++) {
    double us[PROCESSES_MAX];
    for (size_t i = 0; i < gateways; i++) {
      size_t turn = round % 2 == 0 ? i : gateways - 1 - i;
      size_t index = (turn + round / 2) % gateways;
      us[index] = run_slice(bench, &bench->processes[index], size, load);
    }
    for (size_t i = 1; i < gateways; i++) bench_round(&bench->processes[i].against[size][load], us[i] / us[0]);
  }
}

static void run_size(bench_t *bench, int size) {
  process_t *processes = bench->processes;
  for (size_t i = 0; i < bench->gateways; i++) attend(&processes[i], subscribers_of(&bench->settings, size));
  for (size_t i = 0; i < bench->gateways; i++) shoot(&processes[i], BURST_MAX); /* what is done once is done now */
  for (uint64_t round = 0; round < bench->settings.rounds; round++) run_round(bench, round, size);
  for (size_t i = 0; i < bench->gateways; i++) leave(&processes[i]);
}

/* ---- who is there, the report ---- */

static void read_processes(bench_t *bench) {
  for (; bench->count < PROCESSES_MAX; bench->count++) {
    process_t *process = &bench->processes[bench->count];
    if (scanf("%31s %d %u", process->name, &process->pid, &process->port) != 3) break;
    if (process->port == 0) continue;
    if (bench->gateways++ != bench->count) bench_die("on standard input gateways come first", UV_EINVAL);
  }
  if (bench->gateways < 2) bench_die("on standard input two gateways have to be named", UV_EOF);
}

static void print_tables(report_t *report, const bench_t *bench, int size, int load) {
  static const char *const columns[] = {"others", "median", NULL};
  char title[64];
  (void) snprintf(title, sizeof title, "us of a delivery to %u, %s", (unsigned) subscribers_of(&bench->settings, size),
                  load_names[load]);
  report_table(report, title, columns);
  for (size_t i = 0; i < bench->gateways; i++) {
    const process_t *process = &bench->processes[i];
    report_row(report, process->name,
               (const bench_rounds_t[]){process->others_us[size][load], process->us[size][load]});
  }
}

static void print_goals(report_t *report, const bench_t *bench, int size, int load) {
  char what[128];
  for (size_t i = 1; i < bench->gateways; i++) {
    const process_t *process = &bench->processes[i];
    (void) snprintf(what, sizeof what, "gateway's CPU per delivery to %u, %s, with %s / without",
                    (unsigned) subscribers_of(&bench->settings, size), load_names[load], process->name);
    report_goal(report, what, 1.1, &process->against[size][load]);
  }
}

int main(int argc, char **argv) {
  static bench_t bench = {.settings = {.rounds = 9, .few = 1000, .many = 5000, .rate = 40000, .slice_ms = 1000}};
  static report_t report;
  settings_t *settings = &bench.settings;
  const bench_option_t options[] = {
      {"--rounds", "of all gateways", BENCH_ROUNDS_MAX, &settings->rounds},
      {"--few", "subscribers of each gateway", 5000, &settings->few},
      {"--many", "the same, in the second half", 5000, &settings->many},
      {"--rate", "deliveries a second, one at a time", 1000000, &settings->rate},
      {"--slice", "milliseconds for each gateway and load in each round", 60000, &settings->slice_ms},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  uint64_t most = settings->few > settings->many ? settings->few : settings->many;

  read_processes(&bench);
  bench_need_descriptors(bench.gateways * (most + 1) + 64);
  report_begin(&report, json);
  double begun_us = sum_us(&bench, 0);
  for (int size = 0; size < SIZES; size++) run_size(&bench, size);
  for (int which = 0; which < SIZES * LOADS; which++) print_tables(&report, &bench, which / LOADS, which % LOADS);
  for (int which = 0; which < SIZES * LOADS; which++) print_goals(&report, &bench, which / LOADS, which % LOADS);
  bench_load_exclude(&report.load, sum_us(&bench, 0) - begun_us);
  report_end(&report);
  if (bench.late > 0)
    (void) printf("%llu shots were not through when the next was due\n", (unsigned long long) bench.late);
  return 0;
}
