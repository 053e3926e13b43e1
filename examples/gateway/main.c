/* SPDX-License-Identifier: MIT */
/*
 * main: prepares the process (signals, descriptors, limits) and runs the gateway.
 */
#include "gateway.h"

#include "common/log.h"
#include "server/permissions/tokens.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are not for clients: standard streams, the main loop's own, the listener, those who are told that the
 * server is full, and some to spare; and those of each thread's loop. */
#define DESCRIPTORS_OF_OURS 48
#define DESCRIPTORS_OF_A_THREAD 8

#define PROBLEM_BYTES 512

/* A descriptor 0, 1 or 2 that is closed would be given to a socket, and be written to as if it was the log. */
static bool fill_standard_descriptors(bool *stdin_is_open) {
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

static bool limit_connections(const struct options *options, size_t *max_connections) {
  rlim_t descriptors = raise_descriptor_limit();
  rlim_t ours = DESCRIPTORS_OF_OURS + options->threads * DESCRIPTORS_OF_A_THREAD;
  if (options->http_text != NULL) ours += HTTP_RESERVE;
  if (descriptors <= ours) {
    fprintf(stderr, "gateway: a limit of %ju file descriptors is too low: raise it above %ju with ulimit -n\n",
            (uintmax_t) descriptors, (uintmax_t) ours);
    return false;
  }
  rlim_t room = descriptors - ours;
  *max_connections = options->max_connections;
  if (room < *max_connections) *max_connections = (size_t) room;
  if (options->wait_clients > *max_connections) {
    fprintf(
        stderr,
        "gateway: --wait-clients %ju would wait for ever: %ju file descriptors have room for %zu clients; raise the "
        "limit with ulimit -n\n",
        (uintmax_t) options->wait_clients, (uintmax_t) descriptors, *max_connections);
    return false;
  }
  return true;
}

/* The options are right; are the files that they name? */
static enum exit_code check_files(const struct options *options) {
  char problem[PROBLEM_BYTES];
  if (options->tokens_path != NULL) {
    struct tokens *tokens = tokens_read(options->tokens_path, problem, sizeof problem);
    if (tokens == NULL) {
      fprintf(stderr, "gateway: --tokens %s\n", problem); /* which begins with the path */
      return EXIT_CODE_USAGE;
    }
    tokens_free(tokens);
  }
  puts("configuration is good");
  return EXIT_CODE_OK;
}

static enum exit_code run(const struct options *options, bool stdin_is_open) {
  static struct gateway gateway; /* with its buffers too large for some stacks */
  size_t max_connections;
  if (options->feeds_stdin && !stdin_is_open) {
    fputs("gateway: standard input is closed: give --stdin a file, a pipe or a terminal\n", stderr);
    return EXIT_CODE_RUNTIME;
  }
  if (!limit_connections(options, &max_connections)) return EXIT_CODE_RUNTIME;

  /* A write to a client that has gone must not end the process; libuv doesn't prevent it. */
  signal(SIGPIPE, SIG_IGN);
  return gateway_run(&gateway, options, max_connections);
}

int main(int argc, char **argv) {
  struct options options;
  bool stdin_is_open;

  if (!fill_standard_descriptors(&stdin_is_open)) return EXIT_CODE_RUNTIME; /* there is nowhere to say so */
  enum options_outcome outcome = options_parse(&options, argc, argv);
  if (outcome == OPTIONS_DONE) return EXIT_CODE_OK;
  if (outcome == OPTIONS_REFUSED) return EXIT_CODE_USAGE;
  enum exit_code exit_code = outcome == OPTIONS_CHECK ? check_files(&options) : run(&options, stdin_is_open);
  options_free(&options);
  return (int) exit_code;
}
