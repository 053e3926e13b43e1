/* SPDX-License-Identifier: MIT */
/*
 * subscribers: every line has the same length, so a message that comes in parts is put together by counting. A line of
 * another length ends the program.
 */
#include "subscribers.h"

#include "bench.h"
#include "clients.h"
#include "sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <uv.h>

enum { EVENTS = 256, DIGITS = 20, LINES_AT_ONCE = 64 };

typedef struct member {
  char partial[SUBSCRIBERS_LINE_BYTES];
  size_t filled;
} member_t;

typedef struct audience {
  subscribers_shared_t *shared;
  int epoll;
  clients_t clients;
  member_t *members;
} audience_t;

typedef struct request {
  uint64_t count;
  uint64_t port;
} request_t;

void subscribers_write(char *message, uint64_t due_ns) {
  char digits[DIGITS + 1];
  (void) snprintf(digits, sizeof digits, "%0*llu", DIGITS, (unsigned long long) due_ns);
  memset(message, 'm', SUBSCRIBERS_LINE_BYTES - 1);
  memcpy(message, digits, DIGITS);
}

static void note_line(subscribers_shared_t *shared, const char *line, uint64_t now_ns) {
  if (line[SUBSCRIBERS_LINE_BYTES - 1] != '\n') bench_die("a line of another length", UV_EPROTO);
  histogram_record(&shared->latency, now_ns - strtoull(line, NULL, 10));
}

static void read_member(audience_t *audience, size_t index) {
  static char lines[LINES_AT_ONCE * SUBSCRIBERS_LINE_BYTES];
  member_t *member = &audience->members[index];
  memcpy(lines, member->partial, member->filled);
  ssize_t length = recv(audience->clients.fds[index], lines + member->filled, sizeof lines - member->filled, 0);
  if (length <= 0) bench_die("a healthy client", length == 0 ? UV_EOF : uv_translate_sys_error(errno));

  uint64_t now_ns = uv_hrtime();
  size_t bytes = member->filled + (size_t) length;
  size_t whole = bytes / SUBSCRIBERS_LINE_BYTES;
  for (size_t i = 0; i < whole; i++) note_line(audience->shared, lines + i * SUBSCRIBERS_LINE_BYTES, now_ns);
  member->filled = bytes % SUBSCRIBERS_LINE_BYTES;
  memcpy(member->partial, lines + whole * SUBSCRIBERS_LINE_BYTES, member->filled);
  (void) atomic_fetch_add(&audience->shared->received, whole);
}

static void watch(int epoll, int fd, uint64_t index) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = index}};
  (void) bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

/* A client that is answered is subscribed. */
static void await_pong(int fd) {
  static const char answer[] = "+PONG\n";
  char got[sizeof answer];
  size_t filled = 0;
  sockets_say(fd, "PING\n", 5);
  while (filled < sizeof answer - 1) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    (void) bench_check(poll(&poll_fd, 1, -1), "poll");
    ssize_t length = recv(fd, got + filled, sizeof answer - 1 - filled, 0);
    if (length <= 0) bench_die("an answer", length == 0 ? UV_EOF : uv_translate_sys_error(errno));
    filled += (size_t) length;
  }
  if (memcmp(got, answer, filled) != 0) bench_die("an answer", UV_EPROTO);
}

static void seat(audience_t *audience, request_t request) {
  clients_prepare(&audience->clients, request.count);
  clients_connect(&audience->clients, (uint16_t) request.port, NULL);
  audience->members = bench_alloc(request.count, sizeof audience->members[0]);
  for (size_t i = 0; i < request.count; i++) {
    await_pong(audience->clients.fds[i]);
    watch(audience->epoll, audience->clients.fds[i], i);
  }
}

/* False: the channel has ended. */
static bool serve_request(audience_t *audience, int channel) {
  request_t request;
  if (!child_hear(channel, &request, sizeof request)) return false;
  seat(audience, request);
  child_tell(channel, &request, sizeof request);
  return true;
}

void subscribers_serve(int channel, void *arg) {
  audience_t audience = {.shared = arg, .epoll = bench_check(epoll_create1(EPOLL_CLOEXEC), "epoll")};
  struct epoll_event events[EVENTS];
  watch(audience.epoll, channel, UINT64_MAX);
  for (;;) {
    int count = bench_check(epoll_wait(audience.epoll, events, EVENTS, -1), "epoll_wait");
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 != UINT64_MAX)
        read_member(&audience, events[i].data.u64);
      else if (!serve_request(&audience, channel))
        return;
    }
  }
}

void subscribers_child_seat(child_t *child, uint64_t count, uint16_t port) {
  request_t request = {.count = count, .port = port};
  child_tell(child->channel, &request, sizeof request);
  if (!child_hear(child->channel, &request, sizeof request)) bench_die("the healthy clients' process", UV_EOF);
}
