/* SPDX-License-Identifier: MIT */
/*
 * bench_peers: what a delivery costs servers that are processes of their own, all with the same subscribers and
 * messages. They are started by peers.sh, which says who they are on standard input: a line `NAME PROTOCOL PID PORT`
 * for each, the library's first.
 *
 *   one outstanding   a message is published when all subscribers have the one before
 *   16 outstanding    16 are published when all subscribers have the 16 before
 *
 * The time is the server process's processor time, of all its threads (/proc/PID/task/.../schedstat). It includes
 * reading what is published, and what loopback does within a send. Subscribers look for messages at intervals, so no
 * send has to wake anybody.
 */
#define _GNU_SOURCE /* memmem */
#include "bench.h"
#include "clients.h"
#include "protocols.h"
#include "report.h"
#include "sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum { PEERS_MAX = 8, LOADS = 2, ANSWER_BYTES = 4096, LOOK_MS = 1 };
static const uint64_t outstanding[LOADS] = {1, 16};

typedef struct settings {
  uint64_t rounds;
  uint64_t subscribers;
  uint64_t deliveries;
} settings_t;

typedef struct peer {
  char name[24];
  char protocol_name[16];
  const protocol_t *protocol;
  int pid;
  unsigned port;
  clients_t subscribers, publisher;
  bench_rounds_t us[LOADS];
  bench_rounds_t against[LOADS]; /* the first peer's / that of this one in the same round */
} peer_t;

/* ---- talking to it ---- */

static void wait_for_answer(int fd, const char *last) {
  char answer[ANSWER_BYTES];
  size_t filled = 0;
  if (last == NULL) return;
  while (filled < sizeof answer) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    (void) bench_check(poll(&poll_fd, 1, -1), "poll");
    ssize_t len = recv(fd, answer + filled, sizeof answer - filled, 0);
    if (len <= 0) bench_die("a server's answer", len == 0 ? UV_EOF : uv_translate_sys_error(errno));
    filled += (size_t) len;
    if (memmem(answer, filled, last, strlen(last)) != NULL) return;
  }
  bench_die("a server's answer", UV_E2BIG);
}

static void subscribe(peer_t *peer, uint64_t count) {
  char text[PROTOCOLS_TEXT_BYTES];
  clients_prepare(&peer->subscribers, count);
  clients_connect(&peer->subscribers, (uint16_t) peer->port, NULL);
  for (size_t i = 0; i < count; i++) sockets_say(peer->subscribers.fds[i], text, peer->protocol->subscribe(text, i));
  for (size_t i = 0; i < count; i++) wait_for_answer(peer->subscribers.fds[i], peer->protocol->is_subscribed);
  clients_prepare(&peer->publisher, 1);
  clients_connect(&peer->publisher, (uint16_t) peer->port, NULL);
  sockets_say(peer->publisher.fds[0], text, peer->protocol->introduce(text));
}

/* Publish, and wait until all have it; what the publisher is told isn't of interest. A few bytes more may come: a
 * server may ask whether somebody is there. */
static void publish(peer_t *peer, uint64_t messages) {
  static char texts[16 * PROTOCOLS_TEXT_BYTES];
  size_t len = 0;
  for (uint64_t i = 0; i < messages; i++) len += peer->protocol->publish(texts + len);
  sockets_say(peer->publisher.fds[0], texts, len);
  uint64_t due = peer->subscribers.count * messages * peer->protocol->received_bytes;
  for (uint64_t got = clients_read(&peer->subscribers); got < due; got += clients_read(&peer->subscribers))
    uv_sleep(LOOK_MS);
  (void) clients_read(&peer->publisher);
}

static double run_load(const settings_t *settings, peer_t *peer, int load) {
  uint64_t deliveries = 0;
  double begun_us = bench_process_us(peer->pid);
  for (; deliveries < settings->deliveries; deliveries += settings->subscribers * outstanding[load])
    publish(peer, outstanding[load]);
  double us = (bench_process_us(peer->pid) - begun_us) / (double) deliveries;
  bench_round(&peer->us[load], us);
  return us;
}

static void run_round(const settings_t *settings, peer_t *peers, size_t count) {
  for (int load = 0; load < LOADS; load++) {
    double first_us = run_load(settings, &peers[0], load);
    for (size_t i = 1; i < count; i++)
      bench_round(&peers[i].against[load], first_us / run_load(settings, &peers[i], load));
  }
}

static double sum_us(const peer_t *peers, size_t count) {
  double us = 0;
  for (size_t i = 0; i < count; i++) us += bench_process_us(peers[i].pid);
  return us;
}

/* ---- who is there, the report ---- */

static size_t read_peers(peer_t *peers) {
  size_t count = 0;
  for (; count < PEERS_MAX; count++) {
    peer_t *peer = &peers[count];
    if (scanf("%23s %15s %d %u", peer->name, peer->protocol_name, &peer->pid, &peer->port) != 4) break;
    peer->protocol = protocols_find(peer->protocol_name);
    if (peer->protocol == NULL) bench_die(peer->protocol_name, UV_EPROTONOSUPPORT);
  }
  if (count == 0) bench_die("no servers on standard input", UV_EOF);
  return count;
}

static void print_report(report_t *report, const settings_t *settings, const peer_t *peers, size_t count) {
  static const char *const columns[] = {"median", NULL};
  char name[96];
  for (int load = 0; load < LOADS; load++) {
    (void) snprintf(name, sizeof name, "us of a delivery, %u outstanding, to %u", (unsigned) outstanding[load],
                    (unsigned) settings->subscribers);
    report_table(report, name, columns);
    for (size_t i = 0; i < count; i++) report_row(report, peers[i].name, &peers[i].us[load]);
  }
  for (int load = 0; load < LOADS; load++) {
    for (size_t i = 1; i < count; i++) {
      if (strcmp(peers[i].name, "send") == 0) continue; /* the floor is nobody's peer */
      (void) snprintf(name, sizeof name, "CPU per delivery, %u outstanding / %s", (unsigned) outstanding[load],
                      peers[i].name);
      report_goal(report, name, 1, &peers[i].against[load]);
    }
  }
}

int main(int argc, char **argv) {
  static peer_t peers[PEERS_MAX];
  static report_t report;
  settings_t settings = {.rounds = 5, .subscribers = 1000, .deliveries = 32000};
  const bench_option_t options[] = {
      {"--rounds", "of all servers", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--subscribers", "of each server", 2000, &settings.subscribers},
      {"--deliveries", "of each server in each round, one outstanding and with 16", UINT32_MAX, &settings.deliveries},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(PEERS_MAX * (settings.subscribers + 1) + 64);

  size_t count = read_peers(peers);
  report_begin(&report, json);
  double begun_us = sum_us(peers, count);
  for (size_t i = 0; i < count; i++) subscribe(&peers[i], settings.subscribers);
  for (size_t i = 0; i < count; i++) publish(&peers[i], 1); /* whatever is done once is done now */
  for (uint64_t round = 0; round < settings.rounds; round++) run_round(&settings, peers, count);
  print_report(&report, &settings, peers, count);
  for (size_t i = 0; i < count; i++) {
    clients_reset(&peers[i].subscribers);
    clients_reset(&peers[i].publisher);
  }
  bench_load_exclude(&report.load, sum_us(peers, count) - begun_us);
  report_end(&report);
  return 0;
}
