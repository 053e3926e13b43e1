/* SPDX-License-Identifier: MIT */
/*
 * bench_compression: what compression costs and saves a server, with the messages of several feeds. compression.sh
 * starts a server for each kind of client, and names them on standard input: a line `KIND PID PORT` for each.
 *
 * A message, or a burst of 16, is published when all subscribers have had the one before. The time is the server
 * process's processor time, which includes taking the message in and what loopback does within a send. The bytes are
 * those that a subscriber gets for a message, with the frame's header. Subscribers look for messages at intervals, so
 * no send has to wake anybody.
 */
#define _GNU_SOURCE /* memmem */
#include "bench.h"
#include "clients.h"
#include "feeds/feeds.h"
#include "report.h"
#include "sockets.h"
#include "ways.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum { WAYS_MAX = 12, BURSTS = 2, BURST_MAX = 16, HEAD_BYTES = 2048, LOOK_MS = 1, WITNESS_BYTES = 1 << 17 };
enum { COLUMN_BYTES, COLUMN_US, COLUMNS };

static const uint64_t bursts[BURSTS] = {1, BURST_MAX};

typedef struct settings {
  uint64_t rounds, subscribers, messages;
} settings_t;

typedef struct way {
  const way_kind_t *kind;
  int pid;
  unsigned port;
  clients_t subscribers; /* all but the witness */
  clients_t witness;     /* a subscriber of whom it is known where each message ends */
  clients_t publisher;
  size_t witness_length; /* bytes that it has had of what isn't whole */
  char witness_bytes[WITNESS_BYTES];
  bench_rounds_t figures[FEEDS][BURSTS][COLUMNS];
  struct way *plain; /* its kind without compression; or NULL */
} way_t;

/* A burst of several messages is asked for with those of 1 KB. */
static bool is_asked(feed_t feed, int burst) {
  return burst == 0 || feed == FEED_ORDERS;
}

/* ---- talking to a server ---- */

/* Byte by byte, so that nothing behind the head is taken. */
static void take_head(int fd, const char *agreed) {
  char head[HEAD_BYTES];
  for (size_t length = 0; length < sizeof head;) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    (void) bench_check(poll(&poll_fd, 1, -1), "poll");
    ssize_t count = recv(fd, head + length, 1, 0);
    if (count <= 0) bench_die("a server's answer", count == 0 ? UV_EOF : uv_translate_sys_error(errno));
    length++;
    if (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4) != 0) continue;
    if (memmem(head, length, agreed, strlen(agreed)) == NULL) bench_die(agreed, UV_EPROTO);
    return;
  }
  bench_die("a server's answer", UV_E2BIG);
}

static void seat(clients_t *clients, const way_t *way, size_t count, const char *request, const char *agreed) {
  clients_prepare(clients, count);
  clients_connect(clients, (uint16_t) way->port, NULL);
  for (size_t i = 0; i < count; i++) sockets_say(clients->fds[i], request, strlen(request));
  for (size_t i = 0; i < count; i++) take_head(clients->fds[i], agreed);
}

static void publish(const way_t *way, feed_t feed, uint64_t first, uint64_t burst) {
  static char text[BURST_MAX * WAYS_TEXT_BYTES];
  char message[FEED_MESSAGE_BYTES];
  size_t length = 0;
  for (uint64_t i = 0; i < burst; i++)
    length += ways_publish(way->kind, message, feed_write(feed, first + i, message), text + length);
  sockets_say(way->publisher.fds[0], text, length);
}

/* Read what the witness gets, until it has had so many messages. Returns their bytes. */
static uint64_t watch(way_t *way, uint64_t messages) {
  uint64_t bytes = 0;
  while (messages > 0) {
    size_t whole = way->kind->whole(way->witness_bytes, way->witness_length);
    if (whole > 0) {
      way->witness_length -= whole;
      memmove(way->witness_bytes, way->witness_bytes + whole, way->witness_length);
      bytes += whole;
      messages--;
      continue;
    }
    ssize_t count =
        recv(way->witness.fds[0], way->witness_bytes + way->witness_length, WITNESS_BYTES - way->witness_length, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN)) bench_die("the witness", UV_EOF);
    if (count > 0) way->witness_length += (size_t) count;
    if (count < 0) uv_sleep(LOOK_MS);
  }
  return bytes;
}

/* Have all subscribers get so many messages. Returns the bytes that each has had. */
static uint64_t receive(way_t *way, uint64_t messages) {
  uint64_t bytes = watch(way, messages), due = bytes * way->subscribers.count;
  for (uint64_t got = clients_read(&way->subscribers); got < due; got += clients_read(&way->subscribers))
    uv_sleep(LOOK_MS);
  return bytes;
}

/* Returns the bytes of a burst. */
static uint64_t deliver(way_t *way, feed_t feed, uint64_t first, uint64_t burst) {
  publish(way, feed, first, burst);
  uint64_t bytes = receive(way, burst);
  (void) clients_read(&way->publisher); /* its answers */
  return bytes;
}

static void seat_all(way_t *way, uint64_t subscribers) {
  seat(&way->subscribers, way, subscribers - 1, way->kind->request, way->kind->agreed);
  seat(&way->witness, way, 1, way->kind->request, way->kind->agreed);
  seat(&way->publisher, way, 1, way->kind->publisher, "101 ");
  (void) receive(way, way->kind->greetings);
}

/* ---- rounds ---- */

static void run_case(const settings_t *settings, way_t *way, feed_t feed, int burst, uint64_t round) {
  uint64_t messages = 0, bytes = 0, first = round * settings->messages;
  double begun_us = bench_process_us(way->pid);
  for (; messages < settings->messages; messages += bursts[burst])
    bytes += deliver(way, feed, first + messages, bursts[burst]);
  double us = bench_process_us(way->pid) - begun_us;
  bench_rounds_t *figures = way->figures[feed][burst];
  bench_round(&figures[COLUMN_US], us / (double) (messages * (way->subscribers.count + 1)));
  bench_round(&figures[COLUMN_BYTES], (double) bytes / (double) messages);
}

static void run_round(const settings_t *settings, way_t *ways, size_t count, uint64_t round) {
  for (int feed = 0; feed < FEEDS; feed++)
    for (int burst = 0; burst < BURSTS; burst++)
      for (size_t i = 0; i < count && is_asked((feed_t) feed, burst); i++)
        run_case(settings, &ways[(i + round) % count], (feed_t) feed, burst, round);
}

static double sum_us(const way_t *ways, size_t count) {
  double us = 0;
  for (size_t i = 0; i < count; i++) us += bench_process_us(ways[i].pid);
  return us;
}

/* ---- who is there, the report ---- */

static way_t *find_way(way_t *ways, size_t count, const char *kind) {
  for (size_t i = 0; i < count && kind != NULL; i++)
    if (strcmp(ways[i].kind->name, kind) == 0) return &ways[i];
  return NULL;
}

static size_t read_ways(way_t *ways) {
  size_t count = 0;
  for (char kind[32]; count < WAYS_MAX; count++) {
    way_t *way = &ways[count];
    if (scanf("%31s %d %u", kind, &way->pid, &way->port) != 3) break;
    way->kind = ways_find(kind);
    if (way->kind == NULL) bench_die(kind, UV_EPROTONOSUPPORT);
  }
  if (count == 0) bench_die("no servers on standard input", UV_EOF);
  for (size_t i = 0; i < count; i++) ways[i].plain = find_way(ways, count, ways[i].kind->plain);
  return count;
}

static void print_tables(report_t *report, const settings_t *settings, const way_t *ways, size_t count) {
  static const char *const columns[] = {"bytes", "us", NULL};
  char name[128];
  for (int feed = 0; feed < FEEDS; feed++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      if (!is_asked((feed_t) feed, burst)) continue;
      (void) snprintf(name, sizeof name, "a delivery of %s, bursts of %u, to %u", feed_names[feed],
                      (unsigned) bursts[burst], (unsigned) settings->subscribers);
      report_table(report, name, columns);
      for (size_t i = 0; i < count; i++) report_row(report, ways[i].kind->name, ways[i].figures[feed][burst]);
    }
  }
}

static void print_goal(report_t *report, const way_t *way, const way_t *other, feed_t feed, int burst, int column,
                       double most) {
  bench_rounds_t ratios = {0};
  char name[160];
  for (size_t i = 0; i < way->figures[feed][burst][column].count; i++)
    bench_round(&ratios, way->figures[feed][burst][column].values[i] / other->figures[feed][burst][column].values[i]);
  (void) snprintf(name, sizeof name, "%s per delivery, %s, bursts of %u, %s / %s",
                  column == COLUMN_US ? "CPU" : "bytes", feed_names[feed], (unsigned) bursts[burst], way->kind->name,
                  other->kind->name);
  report_goal(report, name, most, &ratios);
}

/* Against the same messages without compression. The feeds of shorter messages are in the tables alone: most of their
 * messages are left as they are. */
static void print_against_plain(report_t *report, const way_t *way) {
  static const double most_cpu = 1.10, most_bytes = 0.40;
  for (int feed = FEED_ORDERS; feed < FEEDS; feed++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      if (!is_asked((feed_t) feed, burst)) continue;
      print_goal(report, way, way->plain, (feed_t) feed, burst, COLUMN_US, most_cpu);
      print_goal(report, way, way->plain, (feed_t) feed, burst, COLUMN_BYTES, most_bytes);
    }
  }
}

/* Against another server that compresses. */
static void print_against_peer(report_t *report, const way_t *way, const way_t *peer) {
  for (int feed = 0; feed < FEEDS; feed++) {
    for (int burst = 0; burst < BURSTS; burst++) {
      if (!is_asked((feed_t) feed, burst)) continue;
      print_goal(report, way, peer, (feed_t) feed, burst, COLUMN_US, 1);
      print_goal(report, way, peer, (feed_t) feed, burst, COLUMN_BYTES, 1);
    }
  }
}

static bool is_peer(const way_t *way) {
  return strncmp(way->kind->name, "uws", 3) == 0;
}

static void print_goals(report_t *report, way_t *ways, size_t count) {
  const way_t *own = find_way(ways, count, "ws-deflate-all"); /* the peer compresses whatever it is told to */
  for (size_t i = 0; i < count; i++)
    if (ways[i].plain != NULL && !is_peer(&ways[i]) && &ways[i] != own) print_against_plain(report, &ways[i]);
  for (size_t i = 0; i < count && own != NULL; i++)
    if (ways[i].plain != NULL && is_peer(&ways[i])) print_against_peer(report, own, &ways[i]);
}

int main(int argc, char **argv) {
  static way_t ways[WAYS_MAX];
  static report_t report;
  settings_t settings = {.rounds = 5, .subscribers = 1000, .messages = 32};
  const bench_option_t options[] = {
      {"--rounds", "of all servers", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--subscribers", "of each server", 3000, &settings.subscribers},
      {"--messages", "of each feed in each round", UINT32_MAX, &settings.messages},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(WAYS_MAX * (settings.subscribers + 1) + 64);

  size_t count = read_ways(ways);
  report_begin(&report, json);
  double begun_us = sum_us(ways, count);
  for (size_t i = 0; i < count; i++) seat_all(&ways[i], settings.subscribers);
  for (size_t i = 0; i < count; i++) (void) deliver(&ways[i], FEED_ORDERS, 0, 1); /* whatever is done once */
  for (uint64_t round = 0; round < settings.rounds; round++) run_round(&settings, ways, count, round);
  print_tables(&report, &settings, ways, count);
  print_goals(&report, ways, count);
  for (size_t i = 0; i < count; i++) {
    clients_reset(&ways[i].subscribers);
    clients_reset(&ways[i].witness);
    clients_reset(&ways[i].publisher);
  }
  bench_load_exclude(&report.load, sum_us(ways, count) - begun_us);
  report_end(&report);
  return 0;
}
