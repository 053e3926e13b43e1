/* SPDX-License-Identifier: MIT */
/*
 * audience: a message that comes in parts is put together; one that is missing ends the program.
 */
#include "audience.h"

#include "bench.h"
#include "clients.h"
#include "common/message.h"
#include "sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { EVENTS = 256, MESSAGES_AT_ONCE = 64 };

typedef struct member {
  char partial[AUDIENCE_MESSAGE_BYTES];
  size_t filled;
  uint64_t next;
} member_t;

typedef struct audience {
  audience_shared_t *shared;
  int epoll;
  clients_t clients;
  member_t *members;
  struct message_cache *cache;
} audience_t;

/* 0 clients: disconnect. */
typedef struct audience_request {
  uint64_t count;
  uint64_t port;
  bool asks;
} audience_request_t;

void audience_write(char *message, uint32_t phase, uint64_t sequence, uint64_t due_ns) {
  char filler[AUDIENCE_MESSAGE_BYTES];
  struct message parts = {.run = phase, .sequence = sequence, .planned_ns = due_ns};
  memset(filler, 'm', sizeof filler);
  size_t length = message_write(&parts, filler, message_text_length(AUDIENCE_MESSAGE_BYTES - 1), message);
  message[length] = '\n';
}

static void note(audience_t *audience, member_t *member, const char *text, uint64_t now_ns) {
  struct message message;
  if (message_cache_read(audience->cache, text, AUDIENCE_MESSAGE_BYTES - 1, &message) != MESSAGE_OK ||
      message.run >= AUDIENCE_PHASES || message.sequence != member->next++)
    bench_die("a message was lost", UV_EPROTO);
  histogram_record(&audience->shared->latency[message.run], now_ns - message.planned_ns);
}

static void read_member(audience_t *audience, size_t index) {
  static char messages[MESSAGES_AT_ONCE][AUDIENCE_MESSAGE_BYTES];
  member_t *member = &audience->members[index];
  memcpy(messages, member->partial, member->filled);
  ssize_t length =
      recv(audience->clients.fds[index], messages[0] + member->filled, sizeof messages - member->filled, 0);
  if (length <= 0) bench_die("a client of the audience", length == 0 ? UV_EOF : uv_translate_sys_error(errno));

  uint64_t now_ns = uv_hrtime();
  size_t bytes = member->filled + (size_t) length;
  size_t whole = bytes / sizeof messages[0];
  for (size_t i = 0; i < whole; i++) note(audience, member, messages[i], now_ns);
  member->filled = bytes % sizeof messages[0];
  memcpy(member->partial, messages[whole % MESSAGES_AT_ONCE], member->filled);
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

static void seat_audience(audience_t *audience, audience_request_t request) {
  clients_prepare(&audience->clients, request.count);
  clients_connect(&audience->clients, (uint16_t) request.port, NULL);
  audience->members = bench_alloc(request.count, sizeof audience->members[0]);
  atomic_store(&audience->shared->received, 0);
  for (size_t i = 0; i < request.count; i++) {
    if (request.asks) await_pong(audience->clients.fds[i]);
    watch(audience->epoll, audience->clients.fds[i], i);
  }
}

static void dismiss_audience(audience_t *audience) {
  clients_reset(&audience->clients);
  free(audience->members);
  audience->members = NULL;
}

/* False: the channel has ended. */
static bool serve_audience(audience_t *audience, int channel) {
  audience_request_t request;
  if (!child_hear(channel, &request, sizeof request)) return false;
  if (request.count > 0)
    seat_audience(audience, request);
  else
    dismiss_audience(audience);
  child_tell(channel, &request, sizeof request);
  return true;
}

void audience_serve(int channel, void *arg) {
  audience_t audience = {.shared = arg, .epoll = bench_check(epoll_create1(EPOLL_CLOEXEC), "epoll")};
  struct epoll_event events[EVENTS];
  audience.cache = message_cache_create();
  if (audience.cache == NULL) bench_die("the audience", UV_ENOMEM);
  watch(audience.epoll, channel, UINT64_MAX);
  for (;;) {
    int count = bench_check(epoll_wait(audience.epoll, events, EVENTS, -1), "epoll_wait");
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 != UINT64_MAX)
        read_member(&audience, events[i].data.u64);
      else if (!serve_audience(&audience, channel)) {
        free(audience.cache);
        return;
      }
    }
  }
}

static void ask(const child_t *audience, audience_request_t request) {
  child_tell(audience->channel, &request, sizeof request);
  if (!child_hear(audience->channel, &request, sizeof request)) bench_die("the audience's process", UV_EOF);
}

void audience_child_seat(child_t *child, uint64_t count, uint16_t port, bool asks) {
  ask(child, (audience_request_t){.count = count, .port = port, .asks = asks});
}

void audience_child_dismiss(child_t *child) {
  ask(child, (audience_request_t){.count = 0});
}
