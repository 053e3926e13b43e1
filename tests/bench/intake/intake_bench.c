/* SPDX-License-Identifier: MIT */
/*
 * bench_intake: what it costs a server to take a message in and to hand it to one subscriber, where messages come
 * faster than one at a time: with --outstanding of them on their way. intake.sh starts the servers, and names them on
 * standard input: a line `WAY PID PORT SUBSCRIBER-PORT` for each; ways.c knows the ways.
 *
 * One thread publishes and subscribes. Each batch is a quarter of what may be outstanding, in one send; every message
 * has a number, and each byte that the subscriber gets is compared with what is due, in the order of the publishes.
 * Every answer has to come. Processor time is the server process's, of all its threads, kernel included
 * (/proc/PID/task/.../schedstat).
 */
#define _GNU_SOURCE /* memmem */
#include "bench.h"
#include "report.h"
#include "sockets.h"
#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  SERVERS_MAX = 12,
  PUBLISHERS_MAX = 256,
  BATCHES = 4, /* that what is outstanding consists of */
  NUMBER_DIGITS = 16,
  READ_BYTES = 256 << 10,
  SILENCE_MS = 30000 /* of a server from which something is due */
};

typedef struct settings {
  uint64_t rounds, messages, outstanding, publishers;
} settings_t;

/* A connection, and what was read from it in part. */
typedef struct source {
  int fd;
  size_t rest_bytes;
  char rest[WAYS_MESSAGE_BYTES + WAYS_AROUND_BYTES];
} source_t;

typedef struct publisher {
  source_t source;
  char *text; /* the batch that is being sent */
  size_t text_bytes, sent_bytes;
  uint64_t published, answered, answers_due;
  char next[WAYS_MESSAGE_BYTES], due[WAYS_MESSAGE_BYTES]; /* messages: to be published, and to come */
} publisher_t;

typedef struct server {
  const way_t *way;
  int pid;
  unsigned port, subscriber_port;
  source_t subscriber;
  size_t got_before, got_after;
  uint64_t received;
  publisher_t publishers[PUBLISHERS_MAX];
  bench_rounds_t us[2]; /* processor time, and from message to message */
} server_t;

static char read_buffer[READ_BYTES + sizeof(((source_t *) NULL)->rest)];

/* ---- the beginning ---- */

static int connect_to(unsigned port) {
  struct sockaddr_in address = sockets_loopback(1, (uint16_t) port);
  int fd = bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), on = 1;
  (void) bench_check(connect(fd, (struct sockaddr *) &address, sizeof address), "connect");
  (void) bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
  return fd;
}

/* Say it, and wait for the end of the answer. */
static void introduce(int fd, size_t (*write)(char *out), const char *last) {
  char text[WAYS_TEXT_BYTES], answer[4096];
  size_t filled = 0;
  sockets_say(fd, text, write(text));
  while (last != NULL && memmem(answer, filled, last, strlen(last)) == NULL) {
    ssize_t count = recv(fd, answer + filled, sizeof answer - filled, 0);
    if (count <= 0) bench_die("a server's answer", count == 0 ? UV_EOF : uv_translate_sys_error(errno));
    filled += (size_t) count;
  }
  (void) bench_check(fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
}

static void prepare_publisher(const settings_t *settings, server_t *server, size_t index) {
  publisher_t *publisher = &server->publishers[index];
  publisher->source.fd = connect_to(server->port);
  introduce(publisher->source.fd, server->way->introduce, server->way->is_introduced);
  publisher->text =
      bench_alloc(1, WAYS_BATCH_HEAD_BYTES + settings->outstanding * (WAYS_MESSAGE_BYTES + WAYS_AROUND_BYTES));
  memset(publisher->next, 'm', sizeof publisher->next);
  memset(publisher->next, '0', NUMBER_DIGITS);
  publisher->next[NUMBER_DIGITS] = (char) ('0' + index / 100);
  publisher->next[NUMBER_DIGITS + 1] = (char) ('0' + index / 10 % 10);
  publisher->next[NUMBER_DIGITS + 2] = (char) ('0' + index % 10);
  memcpy(publisher->due, publisher->next, sizeof publisher->due);
}

static void prepare_server(const settings_t *settings, server_t *server) {
  const way_t *way = server->way;
  server->got_before = way->got_before_bytes > 0 ? way->got_before_bytes : strlen(way->got_before);
  server->got_after = strlen(way->got_after);
  server->subscriber.fd = connect_to(server->subscriber_port);
  introduce(server->subscriber.fd, way->subscribe, way->is_subscribed);
  for (size_t i = 0; i < settings->publishers; i++) prepare_publisher(settings, server, i);
}

/* ---- what comes ---- */

/* The number in a message goes up by one. */
static void count_up(char *message) {
  for (int digit = NUMBER_DIGITS - 1; digit >= 0 && message[digit]++ == '9'; digit--) message[digit] = '0';
}

static void wrong(const server_t *server, const char *what, const char *text, size_t length) {
  (void) fprintf(stderr, "%s, message %llu: %s: %.*s\n", server->way->name, (unsigned long long) server->received, what,
                 (int) length, text);
  bench_die("not every message arrived", UV_EIO);
}

static void take_message(const settings_t *settings, server_t *server, const char *got) {
  const char *message = got + server->got_before, *digits = message + NUMBER_DIGITS;
  size_t index = (size_t) (digits[0] - '0') * 100 + (size_t) (digits[1] - '0') * 10 + (size_t) (digits[2] - '0');
  publisher_t *publisher = &server->publishers[index];
  size_t bytes = server->got_before + WAYS_MESSAGE_BYTES + server->got_after;
  if (index >= settings->publishers) wrong(server, "another message", got, bytes);
  if (memcmp(message, publisher->due, WAYS_MESSAGE_BYTES) != 0 ||
      memcmp(got, server->way->got_before, server->got_before) != 0 ||
      memcmp(message + WAYS_MESSAGE_BYTES, server->way->got_after, server->got_after) != 0)
    wrong(server, "another message", got, bytes);
  count_up(publisher->due);
  server->received++;
}

/* Returns how many bytes of `data` were whole messages, and pings of the server's between these. */
static size_t take_messages(const settings_t *settings, server_t *server, const char *data, size_t length) {
  size_t bytes = server->got_before + WAYS_MESSAGE_BYTES + server->got_after, at = 0;
  const char *ping = server->way->ping;
  size_t ping_bytes = ping != NULL ? strlen(ping) : 0;
  for (;;) {
    if (ping != NULL && length - at >= ping_bytes && memcmp(data + at, ping, ping_bytes) == 0) {
      sockets_say(server->subscriber.fd, server->way->pong, strlen(server->way->pong));
      at += ping_bytes;
    } else if (length - at >= bytes) {
      take_message(settings, server, data + at);
      at += bytes;
    } else {
      return at;
    }
  }
}

/* Returns how many bytes of `data` hold nothing of an answer that is to be counted yet. */
static size_t take_answers(const server_t *server, publisher_t *publisher, const char *data, size_t length) {
  const char *answer = server->way->answer, *at = data, *found;
  if (answer == NULL) return length;
  size_t bytes = strlen(answer);
  while ((found = memmem(at, length - (size_t) (at - data), answer, bytes)) != NULL) {
    publisher->answered++;
    at = found + bytes;
  }
  if (publisher->answered > publisher->answers_due) wrong(server, "too many answers", data, length);
  size_t left = length - (size_t) (at - data);
  return left < bytes ? length - left : length - bytes + 1;
}

/* Read behind what was left of the last time. Returns how many bytes there are. */
static size_t read_from(source_t *source, char *data) {
  memcpy(data, source->rest, source->rest_bytes);
  ssize_t count = recv(source->fd, data + source->rest_bytes, READ_BYTES, 0);
  if (count == 0) bench_die("a server has closed a connection", UV_EOF);
  if (count < 0 && errno != EAGAIN) bench_die("recv", uv_translate_sys_error(errno));
  return source->rest_bytes + (count > 0 ? (size_t) count : 0);
}

static void keep_rest(source_t *source, const char *rest, size_t length) {
  if (length > sizeof source->rest) bench_die("a message", UV_E2BIG);
  memcpy(source->rest, rest, length);
  source->rest_bytes = length;
}

static void read_messages(const settings_t *settings, server_t *server) {
  size_t length = read_from(&server->subscriber, read_buffer);
  size_t taken = take_messages(settings, server, read_buffer, length);
  keep_rest(&server->subscriber, read_buffer + taken, length - taken);
}

static void read_answers(const server_t *server, publisher_t *publisher) {
  size_t length = read_from(&publisher->source, read_buffer);
  size_t taken = take_answers(server, publisher, read_buffer, length);
  keep_rest(&publisher->source, read_buffer + taken, length - taken);
}

/* ---- a run ---- */

static bool is_sending(const publisher_t *publisher) {
  return publisher->sent_bytes < publisher->text_bytes;
}

static void send_more(publisher_t *publisher) {
  ssize_t count = send(publisher->source.fd, publisher->text + publisher->sent_bytes,
                       publisher->text_bytes - publisher->sent_bytes, 0);
  if (count > 0) publisher->sent_bytes += (size_t) count;
  if (count < 0 && errno != EAGAIN) bench_die("send", uv_translate_sys_error(errno));
}

static void publish(const server_t *server, publisher_t *publisher, size_t count) {
  static char messages[WAYS_BATCH_MAX * WAYS_MESSAGE_BYTES];
  for (size_t i = 0; i < count; i++) {
    memcpy(messages + i * WAYS_MESSAGE_BYTES, publisher->next, WAYS_MESSAGE_BYTES);
    count_up(publisher->next);
  }
  publisher->text_bytes = ways_write_batch(server->way, messages, count, publisher->text);
  publisher->sent_bytes = 0;
  publisher->published += count;
  publisher->answers_due += ways_answers(server->way, count);
  send_more(publisher);
}

static bool is_answered(const settings_t *settings, const server_t *server) {
  for (size_t i = 0; i < settings->publishers; i++)
    if (server->publishers[i].answered < server->publishers[i].answers_due) return false;
  return true;
}

static void wait_for_something(const settings_t *settings, server_t *server) {
  struct pollfd fds[PUBLISHERS_MAX + 1] = {{.fd = server->subscriber.fd, .events = POLLIN}};
  for (size_t i = 0; i < settings->publishers; i++) {
    publisher_t *publisher = &server->publishers[i];
    fds[i + 1] = (struct pollfd){.fd = publisher->source.fd, .events = POLLIN};
    if (is_sending(publisher)) fds[i + 1].events |= POLLOUT;
  }
  if (bench_check(poll(fds, settings->publishers + 1, SILENCE_MS), "poll") == 0) wrong(server, "nothing comes", "", 0);
  if (fds[0].revents != 0) read_messages(settings, server);
  for (size_t i = 0; i < settings->publishers; i++) {
    publisher_t *publisher = &server->publishers[i];
    if ((fds[i + 1].revents & POLLOUT) != 0) send_more(publisher);
    if ((fds[i + 1].revents & ~POLLOUT) != 0) read_answers(server, publisher);
  }
}

/* Publish as much as may be outstanding, until all is published; then wait for the rest. */
static void run(const settings_t *settings, server_t *server, uint64_t messages, bool is_counted) {
  uint64_t batch = settings->outstanding / BATCHES > 0 ? settings->outstanding / BATCHES : 1;
  uint64_t begun = server->received, published = 0;
  size_t turn = 0;
  double begun_us = bench_process_us(server->pid);
  uint64_t begun_ns = uv_hrtime();
  while (server->received - begun < messages || !is_answered(settings, server)) {
    for (size_t i = 0; i < settings->publishers; i++) {
      uint64_t left = messages - published, count = left < batch ? left : batch;
      publisher_t *publisher = &server->publishers[turn];
      if (count == 0 || published - (server->received - begun) + count > settings->outstanding) break;
      turn = (turn + 1) % settings->publishers;
      if (is_sending(publisher)) continue;
      publish(server, publisher, (size_t) count);
      published += count;
      if (settings->publishers == 1) i--; /* it may publish another batch */
      if (settings->publishers == 1 && is_sending(publisher)) break;
    }
    wait_for_something(settings, server);
  }
  double us = bench_process_us(server->pid) - begun_us;
  if (!is_counted) return;
  bench_round(&server->us[0], us / (double) messages);
  bench_round(&server->us[1], (double) (uv_hrtime() - begun_ns) / 1e3 / (double) messages);
}

/* ---- who is there, the report ---- */

static size_t read_servers(server_t *servers) {
  char name[24];
  size_t count = 0;
  for (; count < SERVERS_MAX; count++) {
    server_t *server = &servers[count];
    if (scanf("%23s %d %u %u", name, &server->pid, &server->port, &server->subscriber_port) != 4) break;
    server->way = ways_find(name);
    if (server->way == NULL) bench_die(name, UV_EPROTONOSUPPORT);
  }
  if (count == 0) bench_die("no servers on standard input", UV_EOF);
  return count;
}

static const server_t *find_server(const server_t *servers, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(servers[i].way->name, name) == 0) return &servers[i];
  return NULL;
}

/* The ratio of each round. */
static bench_rounds_t against(const server_t *one, const server_t *other) {
  bench_rounds_t ratios = {0};
  for (size_t i = 0; i < one->us[0].count; i++) bench_round(&ratios, one->us[0].values[i] / other->us[0].values[i]);
  return ratios;
}

static void print_goals(report_t *report, const server_t *servers, size_t count) {
  static const struct goal {
    const char *way, *words;
    double cpu_us, time_us; /* 0: no goal */
  } goals[] = {
      {"lines", "lines", 0.5, 1},        {"frames", "length frames", 0.5, 1},    {"websocket", "WebSocket", 0.9, 0},
      {"bulks", "HTTP, in bulks", 2, 0}, {"posts", "HTTP, one a request", 6, 0},
  };
  static const char *const peers[] = {"redis", "nats"};
  char name[128];
  for (size_t i = 0; i < sizeof goals / sizeof goals[0]; i++) {
    const server_t *server = find_server(servers, count, goals[i].way);
    if (server == NULL) continue;
    (void) snprintf(name, sizeof name, "us of CPU per message taken in by %s", goals[i].words);
    report_goal(report, name, goals[i].cpu_us, &server->us[0]);
    (void) snprintf(name, sizeof name, "us from message to message, by %s", goals[i].words);
    if (goals[i].time_us > 0) report_goal(report, name, goals[i].time_us, &server->us[1]);
    for (size_t j = 0; j < sizeof peers / sizeof peers[0]; j++) {
      const server_t *peer = find_server(servers, count, peers[j]);
      if (peer == NULL) continue;
      bench_rounds_t ratios = against(server, peer);
      (void) snprintf(name, sizeof name, "CPU per message taken in, %s / %s", goals[i].words, peers[j]);
      report_goal(report, name, 1, &ratios);
    }
  }
}

static void print_report(report_t *report, const settings_t *settings, const server_t *servers, size_t count) {
  static const char *const figures[] = {"us of CPU per message", "us from message to message"};
  static const char *const columns[] = {"median", NULL};
  char name[128];
  for (int figure = 0; figure < 2; figure++) {
    (void) snprintf(name, sizeof name, "%s, %u outstanding", figures[figure], (unsigned) settings->outstanding);
    report_table(report, name, columns);
    for (size_t i = 0; i < count; i++) report_row(report, servers[i].way->name, &servers[i].us[figure]);
  }
  print_goals(report, servers, count);
}

static double sum_us(const server_t *servers, size_t count) {
  double us = 0;
  for (size_t i = 0; i < count; i++) /* the ways of one gateway follow each other */
    if (i == 0 || servers[i].pid != servers[i - 1].pid) us += bench_process_us(servers[i].pid);
  return us;
}

int main(int argc, char **argv) {
  static server_t servers[SERVERS_MAX];
  static report_t report;
  settings_t settings = {.rounds = 7, .messages = 200000, .outstanding = 400, .publishers = 1};
  const bench_option_t options[] = {
      {"--rounds", "of all servers", BENCH_ROUNDS_MAX, &settings.rounds},
      {"--messages", "of each server in each round", UINT32_MAX, &settings.messages},
      {"--outstanding", "messages that were published and haven't come yet", WAYS_BATCH_MAX, &settings.outstanding},
      {"--publishers", "connections that publish, in turn", PUBLISHERS_MAX, &settings.publishers},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(SERVERS_MAX * (settings.publishers + 1) + 64);

  size_t count = read_servers(servers);
  report_begin(&report, json);
  double begun_us = sum_us(servers, count);
  for (size_t i = 0; i < count; i++) prepare_server(&settings, &servers[i]);
  for (size_t i = 0; i < count; i++) run(&settings, &servers[i], settings.messages / 10 + 1, false);
  for (uint64_t round = 0; round < settings.rounds; round++)
    for (size_t i = 0; i < count; i++) run(&settings, &servers[(i + round) % count], settings.messages, true);
  print_report(&report, &settings, servers, count);
  bench_load_exclude(&report.load, sum_us(servers, count) - begun_us);
  report_end(&report);
  return 0;
}
