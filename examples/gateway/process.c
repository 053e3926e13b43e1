/* SPDX-License-Identifier: MIT */
/*
 * process: see the header.
 */
#include "process.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are not for clients: standard streams, the loop's own, the listeners, clients that are told that the
 * server is full, and some to spare; and those of each thread's loop. */
#define DESCRIPTORS_OF_OURS 48
#define DESCRIPTORS_OF_A_THREAD 8

bool process_fill_standard_descriptors(bool *stdin_is_open) {
  *stdin_is_open = fcntl(STDIN_FILENO, F_GETFD) != -1;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd) return false;
  return true;
}

/* Raises the limit of descriptors as far as is allowed. @return how many there may be */
static rlim_t raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024; /* what nearly every system allows */
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

bool process_limit_connections(struct options *options) {
  rlim_t descriptors = raise_descriptor_limit();
  rlim_t ours = DESCRIPTORS_OF_OURS + options->server.threads * DESCRIPTORS_OF_A_THREAD;
  if (options->http_text != NULL) ours += FLUXBP_SERVER_HTTP_RESERVE;
  if (descriptors <= ours) {
    fprintf(stderr, "gateway: a limit of %ju file descriptors is too low: raise it above %ju with ulimit -n\n",
            (uintmax_t) descriptors, (uintmax_t) ours);
    return false;
  }
  rlim_t room = descriptors - ours;
  if (room < options->server.max_connections) options->server.max_connections = (uint32_t) room;
  if (options->wait_clients <= options->server.max_connections) return true;
  fprintf(stderr,
          "gateway: --wait-clients %ju would wait for ever: %ju file descriptors have room for %ju clients; raise the "
          "limit with ulimit -n\n",
          (uintmax_t) options->wait_clients, (uintmax_t) descriptors, (uintmax_t) options->server.max_connections);
  return false;
}
