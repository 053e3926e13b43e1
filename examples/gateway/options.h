/* SPDX-License-Identifier: MIT */
/*
 * options: what the command line asks for, complete and consistent.
 */
#ifndef GATEWAY_OPTIONS_H
#define GATEWAY_OPTIONS_H

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* What the process ends with. */
enum exit_code { EXIT_CODE_OK = 0, EXIT_CODE_RUNTIME = 1, EXIT_CODE_USAGE = 2, EXIT_CODE_BIND = 3 };

struct options {
  const char *tcp_text; /* as the user wrote it, for messages */
  struct sockaddr_storage tcp;
  uint64_t max_connections;
  uint32_t max_per_address;    /* 0: no limit */
  uint32_t accepts_per_second; /* 0: no limit */
  uint32_t threads;            /* with a hub each */

  const char *topic; /* the default topic */
  bool feeds_stdin;
  bool once; /* drain and exit at the end of the input */
  uint64_t wait_clients;
  uint64_t max_line; /* bytes, of standard input */
  uint32_t patience_ms;

  fluxbp_policy_t policy;
  uint64_t budget;       /* bytes, of the pool */
  uint64_t kernel_bytes; /* of all slow clients together; see fluxbp_hub_options_t.max_kernel_bytes */
  uint32_t drain_ms;
};

enum options_outcome { OPTIONS_RUN, OPTIONS_DONE /* help or version was printed */, OPTIONS_REFUSED };

/** Read the command line; what is wrong with it is told on standard error. Sets the log's level, too. */
enum options_outcome options_parse(struct options *options, int argc, char **argv);

#endif
