/* SPDX-License-Identifier: MIT */
/*
 * crowd: plain sockets that are read at intervals, as in clients.c; answers are waited for where a figure ends with
 * them. What a client gets is counted for each client.
 */
#define _GNU_SOURCE /* memmem */
#include "crowd.h"

#include "bench.h"
#include "clients.h"
#include "sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  AT_ONCE = 64,    /* clients that are asked for something before the first of them is waited for */
  TAIL_BYTES = 64, /* of what a client has received */
  READ_BYTES = 1 << 16,
  LOOK_MS = 1,
  STEADY_MS = 20, /* a server is done that has had less than STEADY_US within it */
  STEADY_US = 300,
  PATIENCE_S = 60
};
static const uint64_t SECOND_NS = 1000000000;
static const uint64_t TOPIC_STRIDE = 61803398879; /* its remainder steps through all topics, far from each other */

typedef struct seats {
  const crowd_t *crowd;
  crowd_plan_t plan;
  clients_t clients, publisher;
  uint64_t *due; /* bytes for each client */
  uint64_t *got;
  uint64_t next; /* topic in the order of publishing */
  char *text;    /* what is said to a client, or by the publisher */
  size_t text_capacity;
} seats_t;

typedef struct request {
  crowd_plan_t plan;
  uint64_t what, first, count;
} request_t;

/* ---- who is subscribed to what ---- */

static uint64_t blocks_of(const crowd_plan_t *plan) {
  return plan->topics / plan->clients;
}

uint64_t crowd_topics_per_client(const crowd_plan_t *plan) {
  return blocks_of(plan) * plan->per_topic;
}

/* By how much the n-th subscribers of the topics of a block are behind the topics. */
static uint64_t shift_of(const crowd_plan_t *plan, uint64_t block, uint64_t nth) {
  return (block * 31 + nth * (plan->clients / plan->per_topic + 1)) % plan->clients;
}

static uint64_t topic_of(const crowd_plan_t *plan, uint64_t client, uint64_t place) {
  uint64_t block = place / plan->per_topic;
  return block * plan->clients + (client + shift_of(plan, block, place % plan->per_topic)) % plan->clients;
}

static uint64_t subscriber_of(const crowd_plan_t *plan, uint64_t topic, uint64_t nth) {
  uint64_t block = topic / plan->clients;
  return (topic % plan->clients + plan->clients - shift_of(plan, block, nth)) % plan->clients;
}

/* ---- talking ---- */

static void complain(const seats_t *seats, const char *what) {
  (void) fprintf(stderr, "bench_many: %s: %s\n", seats->crowd->name, what);
  exit(1);
}

static void reserve_text(seats_t *seats, size_t texts) {
  size_t capacity = (texts + 2) * DIALECT_TEXT_BYTES;
  if (capacity <= seats->text_capacity) return;
  free(seats->text);
  seats->text = bench_alloc(capacity, 1);
  seats->text_capacity = capacity;
}

/* Read until what a socket has received ends with these bytes, which are the end of the last answer. */
static void wait_for_tail(const seats_t *seats, int fd, const char *tail) {
  static char buffer[TAIL_BYTES + READ_BYTES];
  size_t length = strlen(tail), kept = 0;
  for (;;) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (bench_check(poll(&poll_fd, 1, PATIENCE_S * 1000), "poll") == 0) complain(seats, "an answer is missing");
    ssize_t read = recv(fd, buffer + kept, READ_BYTES, 0);
    if (read <= 0) complain(seats, "a connection has ended");
    size_t filled = kept + (size_t) read;
    if (memchr(buffer + kept, '-', (size_t) read) != NULL && memmem(buffer, filled, "ERR", 3) != NULL) {
      (void) fwrite(buffer, 1, filled < 200 ? filled : 200, stderr);
      complain(seats, "an error was answered");
    }
    if (filled >= length && memcmp(buffer + filled - length, tail, length) == 0) return;
    kept = filled < TAIL_BYTES ? filled : TAIL_BYTES;
    memmove(buffer, buffer + filled - kept, kept);
  }
}

static size_t put_ping(const seats_t *seats, size_t filled) {
  size_t length = strlen(seats->crowd->dialect->ping);
  memcpy(seats->text + filled, seats->crowd->dialect->ping, length);
  return filled + length;
}

static void greet(seats_t *seats, int fd) {
  reserve_text(seats, 1);
  size_t filled = seats->crowd->dialect->greet(seats->text);
  sockets_say(fd, seats->text, put_ping(seats, filled));
}

static void connect_all(seats_t *seats, clients_t *clients, uint64_t count) {
  clients_prepare(clients, count);
  clients_connect(clients, (uint16_t) seats->crowd->port, NULL);
  for (uint64_t i = 0; i < count; i++) greet(seats, clients->fds[i]);
  for (uint64_t i = 0; i < count; i++) wait_for_tail(seats, clients->fds[i], seats->crowd->dialect->pong);
}

static void connect_crowd(seats_t *seats) {
  uint64_t count = seats->plan.clients;
  seats->due = bench_alloc(count, sizeof *seats->due);
  seats->got = bench_alloc(count, sizeof *seats->got);
  connect_all(seats, &seats->clients, count);
  connect_all(seats, &seats->publisher, 1);
}

static void reset_crowd(seats_t *seats) {
  clients_reset(&seats->clients);
  clients_reset(&seats->publisher);
  free(seats->due);
  free(seats->got);
  seats->due = seats->got = NULL;
}

/* What has come for a client, which is thrown away. */
static uint64_t read_one(const seats_t *seats, uint64_t client) {
  ssize_t read = recv(seats->clients.fds[client], NULL, READ_BYTES * (size_t) 64, MSG_TRUNC);
  if (read == 0) complain(seats, "a client was cut off");
  if (read < 0 && errno != EAGAIN) bench_die("recv", uv_translate_sys_error(errno));
  return read > 0 ? (uint64_t) read : 0;
}

static void discard_all(const seats_t *seats) {
  for (uint64_t i = 0; i < seats->clients.count; i++) (void) read_one(seats, i);
}

/* ---- subscriptions ---- */

typedef size_t (*write_wish_t)(char *out, const wish_t *wish);

static void ask(seats_t *seats, uint64_t client, write_wish_t write) {
  uint64_t count = crowd_topics_per_client(&seats->plan);
  size_t filled = 0;
  reserve_text(seats, count + 1);
  for (uint64_t place = 0; place < count; place++) {
    wish_t wish = {topic_of(&seats->plan, client, place), place, seats->plan.has_patterns};
    filled += write(seats->text + filled, &wish);
  }
  sockets_say(seats->clients.fds[client], seats->text, put_ping(seats, filled));
}

static double ask_all(seats_t *seats, uint64_t first, uint64_t count, write_wish_t write, const char *tail) {
  double begun_us = bench_process_us(seats->crowd->pid);
  for (uint64_t done = 0; done < count; done += AT_ONCE) {
    uint64_t some = count - done < AT_ONCE ? count - done : AT_ONCE;
    for (uint64_t i = 0; i < some; i++) ask(seats, first + done + i, write);
    for (uint64_t i = 0; i < some; i++) wait_for_tail(seats, seats->clients.fds[first + done + i], tail);
  }
  double us = bench_process_us(seats->crowd->pid) - begun_us;
  return us / (double) (count * crowd_topics_per_client(&seats->plan));
}

/* ---- leaving ---- */

static void wait_for_end(const seats_t *seats, int fd) {
  static char unread[READ_BYTES];
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  do {
    if (bench_check(poll(&poll_fd, 1, PATIENCE_S * 1000), "poll") == 0) complain(seats, "a client can't leave");
  } while (recv(fd, unread, sizeof unread, 0) > 0);
}

/* Wait until the server has done what it does behind the end of a connection. Returns its time then. */
static double wait_until_steady(const seats_t *seats) {
  double before_us, us = bench_process_us(seats->crowd->pid);
  do {
    before_us = us;
    uv_sleep(STEADY_MS);
    us = bench_process_us(seats->crowd->pid);
  } while (us - before_us > STEADY_US);
  return us;
}

static double leave(seats_t *seats, uint64_t first, uint64_t count) {
  clients_t others = {0};
  int *fds = seats->clients.fds + first;
  double begun_us = bench_process_us(seats->crowd->pid);
  for (uint64_t i = 0; i < count; i++) (void) shutdown(fds[i], SHUT_WR);
  for (uint64_t i = 0; i < count; i++) wait_for_end(seats, fds[i]);
  double us = wait_until_steady(seats) - begun_us;
  for (uint64_t i = 0; i < count; i++) (void) close(fds[i]);
  connect_all(seats, &others, count);
  memcpy(fds, others.fds, count * sizeof *fds);
  free(others.fds);
  return us / (double) count;
}

/* ---- messages ---- */

static uint64_t next_topic(seats_t *seats) {
  return seats->next++ * TOPIC_STRIDE % seats->plan.topics;
}

/* One message more is due to the topic's subscribers. */
static void note_due(seats_t *seats, uint64_t topic) {
  const dialect_t *dialect = seats->crowd->dialect;
  uint64_t bytes = seats->plan.has_patterns ? dialect->matched_bytes : dialect->received_bytes;
  for (uint64_t nth = 0; nth < seats->plan.per_topic; nth++)
    seats->due[subscriber_of(&seats->plan, topic, nth)] += bytes;
}

/* Read from those that haven't got all of theirs. Returns whether there are any. */
static bool read_due(seats_t *seats) {
  bool is_due = false;
  for (uint64_t i = 0; i < seats->clients.count; i++) {
    if (seats->got[i] >= seats->due[i]) continue;
    seats->got[i] += read_one(seats, i);
    if (seats->got[i] < seats->due[i]) is_due = true;
  }
  return is_due;
}

static void receive(seats_t *seats) {
  uint64_t begun_ns = uv_hrtime();
  while (read_due(seats)) {
    if (uv_hrtime() - begun_ns > PATIENCE_S * SECOND_NS) complain(seats, "messages are missing");
    uv_sleep(LOOK_MS);
  }
}

/* Each client has had what it is to get, and no more has come but what the server says by itself. */
static void check_received(seats_t *seats) {
  size_t own_bytes = seats->crowd->dialect->own_bytes;
  for (uint64_t i = 0; i < seats->clients.count; i++) {
    uint64_t surplus = seats->got[i] + read_one(seats, i) - seats->due[i];
    if (surplus > 0 && (own_bytes == 0 || surplus % own_bytes != 0))
      complain(seats, "a client has got other messages than its own");
    seats->got[i] = seats->due[i];
  }
}

static void shoot(seats_t *seats, uint64_t messages) {
  size_t filled = 0;
  for (uint64_t i = 0; i < messages; i++) {
    uint64_t topic = next_topic(seats);
    note_due(seats, topic);
    filled += seats->crowd->dialect->publish(seats->text + filled, topic, seats->plan.has_patterns);
  }
  sockets_say(seats->publisher.fds[0], seats->text, put_ping(seats, filled));
  wait_for_tail(seats, seats->publisher.fds[0], seats->crowd->dialect->pong);
  receive(seats);
}

static double publish(seats_t *seats, uint64_t outstanding, uint64_t messages) {
  uint64_t sent = 0;
  reserve_text(seats, outstanding);
  double begun_us = bench_process_us(seats->crowd->pid);
  for (; sent < messages; sent += outstanding) shoot(seats, outstanding);
  double us = bench_process_us(seats->crowd->pid) - begun_us;
  check_received(seats);
  return us / (double) (sent * seats->plan.per_topic);
}

static double call(seats_t *seats, uint64_t outstanding, uint64_t messages) {
  uint64_t sent = 0;
  reserve_text(seats, outstanding);
  double begun_us = bench_process_us(seats->crowd->pid);
  for (; sent < messages; sent += outstanding) {
    size_t filled = 0;
    for (uint64_t i = 0; i < outstanding; i++) {
      uint64_t topic = seats->plan.topics + next_topic(seats);
      filled += seats->crowd->dialect->publish(seats->text + filled, topic, false);
    }
    sockets_say(seats->publisher.fds[0], seats->text, put_ping(seats, filled));
    wait_for_tail(seats, seats->publisher.fds[0], seats->crowd->dialect->pong);
  }
  return (bench_process_us(seats->crowd->pid) - begun_us) / (double) sent;
}

static double memory_of(const seats_t *seats, uint64_t after_ms) {
  char path[64], line[256];
  unsigned long long kilobytes = 0;
  uv_sleep((unsigned) after_ms);
  discard_all(seats); /* a server may ask its clients whether they are there */
  (void) snprintf(path, sizeof path, "/proc/%d/smaps_rollup", seats->crowd->pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) bench_die(path, uv_translate_sys_error(errno));
  while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Pss: %llu", &kilobytes) != 1) continue;
  (void) fclose(file);
  return (double) kilobytes * 1024;
}

/* ---- the process ---- */

static double serve(seats_t *seats, const request_t *request) {
  const dialect_t *dialect = seats->crowd->dialect;
  seats->plan = request->plan;
  switch ((crowd_what_t) request->what) {
  case CROWD_CONNECT:
    connect_crowd(seats);
    return 0;
  case CROWD_SUBSCRIBE:
    return ask_all(seats, request->first, request->count, dialect->subscribe, dialect->subscriber_pong);
  case CROWD_UNSUBSCRIBE:
    return ask_all(seats, request->first, request->count, dialect->unsubscribe, dialect->pong);
  case CROWD_LEAVE:
    return leave(seats, request->first, request->count);
  case CROWD_PUBLISH:
    return publish(seats, request->first, request->count);
  case CROWD_CALL:
    return call(seats, request->first, request->count);
  case CROWD_MEMORY:
    return memory_of(seats, request->count);
  case CROWD_RESET:
    reset_crowd(seats);
    return 0;
  }
  return 0;
}

static void run(int channel, void *arg) {
  seats_t seats = {.crowd = arg};
  request_t request;
  bench_need_descriptors(64);
  while (child_hear(channel, &request, sizeof request)) {
    double figure = serve(&seats, &request);
    child_tell(channel, &figure, sizeof figure);
  }
}

void crowd_start(crowd_t *crowd) {
  child_start(&crowd->child, run, crowd);
}

void crowd_begin(crowd_t *crowd, const crowd_plan_t *plan, crowd_what_t what, uint64_t first, uint64_t count) {
  request_t request;
  memset(&request, 0, sizeof request); /* its padding, too */
  request.plan = *plan;
  request.what = what;
  request.first = first;
  request.count = count;
  child_tell(crowd->child.channel, &request, sizeof request);
}

double crowd_wait(crowd_t *crowd) {
  double figure;
  if (!child_hear(crowd->child.channel, &figure, sizeof figure)) bench_die(crowd->name, UV_EOF);
  return figure;
}

double crowd_do(crowd_t *crowd, const crowd_plan_t *plan, crowd_what_t what, uint64_t first, uint64_t count) {
  crowd_begin(crowd, plan, what, first, count);
  return crowd_wait(crowd);
}
