/* SPDX-License-Identifier: MIT */
/*
 * netns: by unshare and setns, and by running ip and tc. A socket belongs to the namespace in which it was made, so a
 * visit to the client's is enough for connecting from there.
 */
#define _GNU_SOURCE /* setns, unshare */

#include "support/netns.h"

#include "support/socketpair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOME_ADDRESS "10.0.0.1"

static int home = -1;
static int router = -1;
static int links;

__attribute__((format(printf, 2, 3))) static int write_file(const char *path, const char *format, ...) {
  FILE *file = fopen(path, "we");
  if (file == NULL) return -1;
  va_list arguments;
  va_start(arguments, format);
  int len = vfprintf(file, format, arguments);
  va_end(arguments);
  return fclose(file) == 0 && len > 0 ? 0 : -1;
}

/* Who isn't root may be it in a user namespace of his own, where the system allows that. */
static int become_root(void) {
  unsigned user = geteuid();
  unsigned group = getegid();
  if (user == 0) return 0;
  int err = unshare(CLONE_NEWUSER);
  if (!err) err = write_file("/proc/self/setgroups", "deny");
  if (!err) err = write_file("/proc/self/uid_map", "0 %u 1", user);
  if (!err) err = write_file("/proc/self/gid_map", "0 %u 1", group);
  return err;
}

/* A namespace of the process's own; the process goes into it. */
static int enter_new(void) {
  if (unshare(CLONE_NEWNET) != 0) return -1;
  return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Run a command in a namespace. ip and tc may be where only root's PATH leads to. */
__attribute__((format(printf, 2, 3))) static int run(int where, const char *format, ...) {
  char command[512] = "PATH=$PATH:/usr/sbin:/sbin; ";
  size_t begun = strlen(command);
  va_list arguments;
  va_start(arguments, format);
  int len = vsnprintf(command + begun, sizeof command - begun, format, arguments);
  va_end(arguments);
  if (len < 0 || (size_t) len >= sizeof command - begun || setns(where, CLONE_NEWNET) != 0) return -1;
  int status = system(command);
  if (setns(home, CLONE_NEWNET) != 0) return -1;
  return status == 0 ? 0 : -1;
}

static int make_router(void) {
  router = enter_new();
  if (router < 0 || setns(home, CLONE_NEWNET) != 0) return -1;
  int err = run(home, "ip link add router type veth peer name home netns /proc/%d/fd/%d", (int) getpid(), router);
  if (!err) err = run(home, "ip address add " HOME_ADDRESS "/24 dev router && ip link set router up");
  if (!err) err = run(router, "ip address add 10.0.0.2/24 dev home && ip link set home up");
  if (!err) err = run(home, "ip route add 10.0.0.0/16 via 10.0.0.2");
  if (!err) err = run(router, "echo 1 >/proc/sys/net/ipv4/ip_forward");
  return err;
}

const char *netns_enter(void) {
  netns_link_t link;
  home = become_root() == 0 ? enter_new() : -1;
  if (home < 0) return strerror(errno);
  if (make_router() != 0 || netns_link_open(&link) != 0) return "ip can't make links in a network namespace";
  int err = netns_link_shape(&link, NETNS_SLOW);
  netns_link_close(&link);
  return err ? "tc has no token bucket filter (tbf)" : NULL;
}

int netns_link_open(netns_link_t *link) {
  link->number = ++links;
  link->client = enter_new();
  if (link->client < 0 || setns(home, CLONE_NEWNET) != 0) return -1;
  int n = link->number;
  int err = run(router, "ip link add client%d type veth peer name router netns /proc/%d/fd/%d", n, (int) getpid(),
                link->client);
  if (!err) err = run(router, "ip address add 10.0.%d.1/24 dev client%d && ip link set client%d up", n, n, n);
  if (!err) err = run(link->client, "ip address add 10.0.%d.2/24 dev router && ip link set router up", n);
  if (!err) err = run(link->client, "ip route add default via 10.0.%d.1", n);
  return err;
}

void netns_link_close(netns_link_t *link) {
  (void) close(link->client);
}

int netns_link_shape(const netns_link_t *link, const char *how) {
  return run(router, "tc qdisc replace dev client%d root tbf %s", link->number, how);
}

int netns_link_connect(const netns_link_t *link, int receive_bytes, int fds[2]) {
  struct in_addr address;
  if (inet_pton(AF_INET, HOME_ADDRESS, &address) != 1 || setns(link->client, CLONE_NEWNET) != 0) return -1;
  fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int err = setns(home, CLONE_NEWNET);
  if (fds[1] < 0) return -1;

  /* behind a link that is cut a polite end takes minutes, and the namespace stays for so long */
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  if (!err) err = setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  if (!err && receive_bytes != 0) err = setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  if (!err) err = socketpair_join(fds[1], address, &fds[0]);
  if (err)
    (void) close(fds[1]);
  else
    socketpair_unblock(fds);
  return err;
}
