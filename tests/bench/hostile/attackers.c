/* SPDX-License-Identifier: MIT */
/*
 * attackers: each connection sends a beginning once, then one text without an end. What is received is thrown away by
 * the kernel.
 */
#include "attackers.h"

#include "bench.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  EVENTS = 128,
  TEXT_BYTES = 65536,
  READ_BYTES = 1 << 18,
  JSON_DEPTH = 2000,
  JSON_BYTES = 380000,
  FIRST_ADDRESS = 1024 /* 127.0.4.0 */
};

typedef struct attacker {
  int fd;
  SSL *tls;     /* NULL: it speaks none */
  size_t begun; /* bytes of the beginning that are sent, */
  size_t at;    /* and where in the text it is */
} attacker_t;

typedef struct request {
  uint64_t attack;
  uint64_t port;
  uint64_t count; /* 0: end */
  uint64_t first_address;
} request_t;

typedef struct crowd {
  request_t request;
  const char *beginning;
  char *text;
  size_t length;
  int epoll;
  SSL_CTX *tls; /* NULL: none is spoken */
  attacker_t *attackers;
  attack_sum_t sum;
} crowd_t;

typedef struct kind {
  const char *name;
  bool is_http;
  const char *beginning; /* sent once by each connection */
  const char *unit;      /* NULL: see write_json_request */
  bool is_tls;           /* it begins, and sends nothing */
} kind_t;

/* A masked PING command of a WebSocket, with a mask of zeros. */
#define WEBSOCKET_PING "\x81\x84\x01\x01\x01\x01QHOF"

static const kind_t kinds[ATTACKS] = {
    [ATTACK_LIVEZ] = {"pipelined GET /livez", true, "", "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"},
    [ATTACK_RESUME] = {"storms of RESUME oldest", false, "UNSUB news\nSUB " ATTACK_TOPIC "\n", "RESUME oldest\n"},
    [ATTACK_PING] = {"floods of PING on lines", false, "UNSUB news\n", "PING\n"},
    [ATTACK_JSON] = {"deeply nested JSON", true, "", NULL},
    [ATTACK_SOCKETS] =
        {"floods of PING on WebSocket", true,
         "GET /ws?topic=quiet HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         WEBSOCKET_PING},
    [ATTACK_TLS] = {"TLS handshakes", false, "", "", true},
};

const char *attack_name(attack_t attack) {
  return kinds[attack].name;
}

int attack_is_http(attack_t attack) {
  return kinds[attack].is_http;
}

int attack_is_tls(attack_t attack) {
  return kinds[attack].is_tls;
}

/* ---- what is sent ---- */

static void repeat_unit(crowd_t *crowd, const char *unit) {
  size_t unit_bytes = strlen(unit);
  crowd->text = bench_alloc(TEXT_BYTES, 1);
  if (unit_bytes == 0) return;
  for (crowd->length = 0; crowd->length + unit_bytes <= TEXT_BYTES; crowd->length += unit_bytes)
    memcpy(crowd->text + crowd->length, unit, unit_bytes);
}

/* A message that is right, but for a member that no message has: arrays of arrays, as deep as the parser takes them. */
static size_t write_json(char *out) {
  size_t length = (size_t) sprintf(out, "{\"topic\":\"quiet\",\"data\":\"x\",\"z\":[0");
  while (length + 2 * JSON_DEPTH + 8 < JSON_BYTES) {
    out[length++] = ',';
    memset(out + length, '[', JSON_DEPTH);
    memset(out + length + JSON_DEPTH, ']', JSON_DEPTH);
    length += 2 * JSON_DEPTH;
  }
  out[length++] = ']';
  out[length++] = '}';
  return length;
}

static void write_json_request(crowd_t *crowd) {
  char *body = bench_alloc(JSON_BYTES, 1);
  size_t body_bytes = write_json(body);
  crowd->text = bench_alloc(JSON_BYTES + 512, 1);
  int head = sprintf(crowd->text,
                     "POST /api/v1/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     body_bytes);
  memcpy(crowd->text + head, body, body_bytes);
  crowd->length = (size_t) head + body_bytes;
  free(body);
}

/* ---- one connection ---- */

static int connect_attacker(const crowd_t *crowd, size_t index) {
  uint64_t first = crowd->request.first_address;
  uint32_t host = first > 0 ? FIRST_ADDRESS + (uint32_t) (first + index) : 1;
  struct sockaddr_in from = sockets_loopback(host, 0);
  struct sockaddr_in to = sockets_loopback(1, (uint16_t) crowd->request.port);
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  int on = 1;
  int fd = bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef IP_BIND_ADDRESS_NO_PORT
  (void) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
  (void) bench_check(bind(fd, (struct sockaddr *) &from, sizeof from), "bind");
  (void) bench_check(connect(fd, (struct sockaddr *) &to, sizeof to), "connect");
  (void) bench_check(fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
  return fd;
}

static void open_attacker(crowd_t *crowd, size_t index) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data = {.u64 = index}};
  attacker_t *attacker = &crowd->attackers[index];
  *attacker = (attacker_t){.fd = connect_attacker(crowd, index)};
  if (crowd->tls != NULL) {
    attacker->tls = SSL_new(crowd->tls);
    if (attacker->tls == NULL || SSL_set_fd(attacker->tls, attacker->fd) != 1) bench_die("TLS", UV_ENOMEM);
    SSL_set_connect_state(attacker->tls);
    event.events |= EPOLLET; /* its socket has nearly always room */
  }
  (void) bench_check(epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, crowd->attackers[index].fd, &event), "epoll_ctl");
}

static void replace_attacker(crowd_t *crowd, size_t index) {
  SSL_free(crowd->attackers[index].tls);
  (void) close(crowd->attackers[index].fd);
  crowd->sum.closed++;
  open_attacker(crowd, index);
}

/* False: the gateway has closed the connection. */
static bool is_there(ssize_t result) {
  return result > 0 || (result < 0 && errno == EAGAIN);
}

static bool read_attacker(crowd_t *crowd, const attacker_t *attacker) {
  static char unread[READ_BYTES];
  ssize_t length = recv(attacker->fd, unread, sizeof unread, MSG_TRUNC);
  if (length > 0) crowd->sum.received += (uint64_t) length;
  return is_there(length);
}

static bool write_attacker(crowd_t *crowd, attacker_t *attacker) {
  size_t beginning_bytes = strlen(crowd->beginning);
  bool is_begun = attacker->begun == beginning_bytes;
  const char *from = is_begun ? crowd->text + attacker->at : crowd->beginning + attacker->begun;
  size_t left = is_begun ? crowd->length - attacker->at : beginning_bytes - attacker->begun;
  ssize_t length = send(attacker->fd, from, left, MSG_NOSIGNAL);
  if (length <= 0) return is_there(length);
  crowd->sum.sent += (uint64_t) length;
  if (is_begun)
    attacker->at = (attacker->at + (size_t) length) % crowd->length;
  else
    attacker->begun += (size_t) length;
  return true;
}

/* False: the handshake has ended. */
static bool shake_hands(const attacker_t *attacker) {
  int result = SSL_do_handshake(attacker->tls);
  if (result == 1) return false;
  int error = SSL_get_error(attacker->tls, result);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) bench_die("a TLS handshake", UV_EPROTO);
  return true;
}

static void visit_attacker(crowd_t *crowd, const struct epoll_event *event) {
  size_t index = (size_t) event->data.u64;
  attacker_t *attacker = &crowd->attackers[index];
  bool is_open = (event->events & (EPOLLERR | EPOLLHUP)) == 0;
  if (attacker->tls != NULL) {
    if (!is_open || !shake_hands(attacker)) replace_attacker(crowd, index);
    return;
  }
  if (is_open && (event->events & EPOLLIN) != 0) is_open = read_attacker(crowd, attacker);
  if (is_open && (event->events & EPOLLOUT) != 0) is_open = write_attacker(crowd, attacker);
  if (!is_open) replace_attacker(crowd, index);
}

/* ---- all of them ---- */

static void begin_attack(crowd_t *crowd, const request_t *request) {
  const kind_t *kind = &kinds[request->attack];
  crowd->request = *request;
  crowd->sum = (attack_sum_t){0};
  crowd->beginning = kind->beginning;
  if (kind->is_tls && (crowd->tls = SSL_CTX_new(TLS_client_method())) == NULL) bench_die("TLS", UV_ENOMEM);
  if (kind->unit != NULL)
    repeat_unit(crowd, kind->unit);
  else
    write_json_request(crowd);
  crowd->attackers = bench_alloc(request->count, sizeof crowd->attackers[0]);
  for (size_t i = 0; i < request->count; i++) open_attacker(crowd, i);
}

static void end_attack(crowd_t *crowd) {
  for (size_t i = 0; i < crowd->request.count; i++) {
    SSL_free(crowd->attackers[i].tls);
    (void) close(crowd->attackers[i].fd);
  }
  SSL_CTX_free(crowd->tls);
  crowd->tls = NULL;
  free(crowd->attackers);
  free(crowd->text);
  crowd->request.count = 0;
}

/* False: the channel has ended. */
static bool serve_request(crowd_t *crowd, int channel) {
  request_t request;
  if (!child_hear(channel, &request, sizeof request)) return false;
  if (request.count > 0)
    begin_attack(crowd, &request);
  else
    end_attack(crowd);
  child_tell(channel, &crowd->sum, sizeof crowd->sum);
  return true;
}

void attackers_serve(int channel, void *arg) {
  crowd_t crowd = {.epoll = bench_check(epoll_create1(EPOLL_CLOEXEC), "epoll")};
  struct epoll_event told = {.events = EPOLLIN, .data = {.u64 = UINT64_MAX}};
  struct epoll_event events[EVENTS];
  (void) arg;
  (void) bench_check(epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, channel, &told), "epoll_ctl");
  for (;;) {
    int count = bench_check(epoll_wait(crowd.epoll, events, EVENTS, -1), "epoll_wait");
    bool is_told = false;
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == UINT64_MAX)
        is_told = true;
      else
        visit_attacker(&crowd, &events[i]);
    }
    if (is_told && !serve_request(&crowd, channel)) return;
  }
}

static attack_sum_t ask(const child_t *child, const request_t *request) {
  attack_sum_t sum;
  child_tell(child->channel, request, sizeof *request);
  if (!child_hear(child->channel, &sum, sizeof sum)) bench_die("the attackers' process", UV_EOF);
  return sum;
}

void attackers_child_begin(child_t *child, attack_t attack, uint16_t port, uint64_t count, uint64_t first_address) {
  request_t request = {.attack = attack, .port = port, .count = count, .first_address = first_address};
  (void) ask(child, &request);
}

attack_sum_t attackers_child_end(child_t *child) {
  request_t request = {.count = 0};
  return ask(child, &request);
}
