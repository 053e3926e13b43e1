/* SPDX-License-Identifier: MIT */
/*
 * process: see the header.
 */
#include "process.h"

#include "common/descriptors.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
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

bool process_limit_connections(struct options *options) {
  uint64_t descriptors = descriptors_raise_limit();
  uint64_t ours = DESCRIPTORS_OF_OURS + options->server.threads * DESCRIPTORS_OF_A_THREAD;
  if (options->http_text != NULL || options->http_tls_text != NULL) ours += FLUXBP_SERVER_HTTP_RESERVE;
  if (descriptors <= ours) {
    fprintf(stderr, "gateway: a limit of %ju file descriptors is too low: raise it above %ju with ulimit -n\n",
            (uintmax_t) descriptors, (uintmax_t) ours);
    return false;
  }
  uint64_t room = descriptors - ours;
  if (room < options->server.max_connections) options->server.max_connections = (uint32_t) room;
  if (options->wait_clients <= options->server.max_connections) return true;
  fprintf(stderr,
          "gateway: --wait-clients %ju would wait for ever: %ju file descriptors have room for %ju clients; raise the "
          "limit with ulimit -n\n",
          (uintmax_t) options->wait_clients, (uintmax_t) descriptors, (uintmax_t) options->server.max_connections);
  return false;
}
