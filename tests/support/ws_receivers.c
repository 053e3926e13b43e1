/* SPDX-License-Identifier: MIT */
/*
 * ws_receivers: many WebSocket clients in one process, which hold the server to account: each has to get every message
 * of a numbered series, once and in order.
 *
 *   ws_receivers PORT CLIENTS MESSAGES SECONDS
 *
 * Writes "ready" when all are subscribed. Ends when each has the last message: 0 if nobody lost one, or got one twice
 * or out of order; 1 otherwise, also when that takes longer than SECONDS. A message is text that begins with its
 * number, from 1 on, and a blank. Of RFC 6455 only that is here which a server's frames need.
 */
#define _GNU_SOURCE /* memmem */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_AT_A_TIME 256
#define HEADER_BYTES_MAX 10 /* of a server's frame: it has no mask */
#define NUMBER_BYTES 20     /* at the beginning of a message: what follows is only counted */
#define ANSWER_BYTES 1024   /* to the handshake */
#define PING 9
#define TEXT 1

struct receiver {
  int fd;
  bool is_open;       /* the handshake is done */
  size_t kept_length; /* of the bytes in `kept` */
  uint64_t to_skip;   /* bytes of the payload that are of no interest */
  uint64_t last;      /* number of the last message */
  char kept[ANSWER_BYTES + HEADER_BYTES_MAX + NUMBER_BYTES];
};

struct receivers {
  struct receiver *list;
  size_t count, open, complete;
  uint64_t messages;
  int epoll;
  bool has_failed;
};

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void blame(struct receivers *receivers, const struct receiver *receiver, const char *what) {
  if (!receivers->has_failed)
    fprintf(stderr, "ws_receivers: client %zu, behind message %" PRIu64 ": %s\n", (size_t) (receiver - receivers->list),
            receiver->last, what);
  receivers->has_failed = true;
}

static void take_number(struct receivers *receivers, struct receiver *receiver, const char *payload, size_t length) {
  uint64_t number = 0;
  size_t i = 0;
  for (; i < length && payload[i] >= '0' && payload[i] <= '9'; i++)
    number = number * 10 + (uint64_t) (payload[i] - '0');
  if (i == 0 || i == length || payload[i] != ' ') blame(receivers, receiver, "a message without a number");
  if (number != receiver->last + 1) {
    char what[80];
    snprintf(what, sizeof what, "got message %" PRIu64, number);
    blame(receivers, receiver, what);
  }
  receiver->last = number;
  receivers->complete += number == receivers->messages;
}

/* @return bytes of the frame that were used, or 0: more have to come first */
static size_t take_frame(struct receivers *receivers, struct receiver *receiver, const char *data, size_t length) {
  const unsigned char *bytes = (const unsigned char *) data;
  size_t header = 2;
  if (length < header) return 0;
  uint64_t payload = bytes[1];
  if (payload == 126) header = 4;
  if (payload == 127) header = 10;
  if (length < header) return 0;
  if (header > 2) payload = 0;
  for (size_t i = 2; i < header; i++) payload = payload << 8 | bytes[i];
  size_t wanted = payload < NUMBER_BYTES ? (size_t) payload : NUMBER_BYTES;
  if (length - header < wanted) return 0;

  unsigned opcode = bytes[0] & 0x0fU;
  if (opcode == TEXT)
    take_number(receivers, receiver, data + header, wanted);
  else if (opcode != PING) /* unanswered: the gateway shouldn't insist */
    blame(receivers, receiver, "a frame that is no text, maybe a close frame");
  receiver->to_skip = payload - wanted;
  return header + wanted;
}

/* @return bytes that were used */
static size_t take_some(struct receivers *receivers, struct receiver *receiver, const char *data, size_t length) {
  if (receiver->to_skip > 0) {
    size_t skipped = receiver->to_skip < length ? (size_t) receiver->to_skip : length;
    receiver->to_skip -= skipped;
    return skipped;
  }
  if (receiver->is_open) return take_frame(receivers, receiver, data, length);
  const char *end = memmem(data, length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  if (memcmp(data, "HTTP/1.1 101 ", 13) != 0) blame(receivers, receiver, "no WebSocket");
  receiver->is_open = true;
  receivers->open++;
  return (size_t) (end - data) + 4;
}

static void take(struct receivers *receivers, struct receiver *receiver, const char *data, size_t length) {
  size_t used;
  while (length > 0 && (used = take_some(receivers, receiver, data, length)) > 0) {
    data += used;
    length -= used;
  }
  if (length > sizeof receiver->kept) {
    blame(receivers, receiver, "a long answer to the handshake");
    length = 0;
  }
  memmove(receiver->kept, data, length);
  receiver->kept_length = length;
}

static void read_from(struct receivers *receivers, struct receiver *receiver) {
  static char buffer[sizeof receiver->kept + 256 * 1024];
  size_t kept = receiver->kept_length;
  memcpy(buffer, receiver->kept, kept);
  ssize_t length = read(receiver->fd, buffer + kept, sizeof buffer - kept);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) {
    blame(receivers, receiver, length == 0 ? "the connection was closed" : strerror(errno));
    return;
  }
  take(receivers, receiver, buffer, kept + (size_t) length);
}

static bool connect_to(struct receivers *receivers, struct receiver *receiver, uint16_t port) {
  char request[256];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int length = snprintf(request, sizeof request,
                        "GET /ws HTTP/1.1\r\nHost: localhost:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
                        port);
  receiver->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (receiver->fd < 0 || connect(receiver->fd, (struct sockaddr *) &address, sizeof address) != 0 ||
      write(receiver->fd, request, (size_t) length) != length || fcntl(receiver->fd, F_SETFL, O_NONBLOCK) != 0) {
    fprintf(stderr, "ws_receivers: cannot connect: %s\n", strerror(errno));
    return false;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = receiver};
  return epoll_ctl(receivers->epoll, EPOLL_CTL_ADD, receiver->fd, &event) == 0;
}

/* Until `*done` clients are through, or it is `end_s`. */
static void serve(struct receivers *receivers, const size_t *done, double end_s) {
  struct epoll_event events[EVENTS_AT_A_TIME];
  while (*done < receivers->count && !receivers->has_failed) {
    if (now_s() > end_s) {
      fprintf(stderr, "ws_receivers: only %zu of %zu clients got so far in time\n", *done, receivers->count);
      receivers->has_failed = true;
      return;
    }
    int count = epoll_wait(receivers->epoll, events, EVENTS_AT_A_TIME, 100);
    for (int i = 0; i < count; i++) read_from(receivers, events[i].data.ptr);
  }
}

static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void) setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fputs("usage: ws_receivers PORT CLIENTS MESSAGES SECONDS\n", stderr);
    return 2;
  }
  double end_s = now_s() + (double) strtoul(argv[4], NULL, 10);
  struct receivers receivers = {.count = strtoul(argv[2], NULL, 10), .messages = strtoull(argv[3], NULL, 10)};
  raise_descriptor_limit();
  receivers.list = calloc(receivers.count, sizeof receivers.list[0]);
  receivers.epoll = epoll_create1(0);
  if (receivers.list == NULL || receivers.epoll < 0) return 1;
  for (size_t i = 0; i < receivers.count; i++)
    if (!connect_to(&receivers, &receivers.list[i], (uint16_t) strtoul(argv[1], NULL, 10))) return 1;

  serve(&receivers, &receivers.open, end_s);
  if (receivers.has_failed) return 1;
  puts("ready");
  fflush(stdout);
  double began_s = now_s();
  serve(&receivers, &receivers.complete, end_s);
  printf("%zu of %zu clients complete after %.1f s\n", receivers.complete, receivers.count, now_s() - began_s);
  free(receivers.list);
  return receivers.has_failed ? 1 : 0;
}
