/* SPDX-License-Identifier: MIT */
/*
 * options: the command line, and the exit codes.
 */
#ifndef LOADCLIENT_OPTIONS_H
#define LOADCLIENT_OPTIONS_H

#include "common/client_tls.h"
#include "mix.h"
#include "slo.h"
#include "target.h"

#define OPTIONS_SLOS 32
#define OPTIONS_PROCESSES 64 /* at most */

/* Scripts rely on these. An interrupted run ends with 128 + the signal's number, as in a shell. */
enum exit_code {
  EXIT_CODE_OK = 0,
  EXIT_CODE_RUNTIME = 1, /* a healthy client was disconnected or refused, or nothing came for too long */
  EXIT_CODE_USAGE = 2,
  EXIT_CODE_CONNECT = 3,
  EXIT_CODE_INTEGRITY = 98, /* a client saw a message lost, twice, out of order or corrupt that shouldn't have */
  EXIT_CODE_SLO = 99,
  EXIT_CODE_SIGNAL = 128
};

enum publish_pace {
  PUBLISH_AT_RATE,
  PUBLISH_AT_MAX, /* as fast as the server takes it */
  PUBLISH_LINES   /* of standard input, as they come */
};

struct options {
  struct target target;
  uint32_t connections;
  uint32_t processes;
  struct mix mix;
  uint64_t until;    /* the number of the last line; 0: no end */
  const char *topic; /* or NULL: the server's default one */
  const char *token; /* or NULL */
  struct client_tls tls;
  bool is_unchecked; /* count messages only */
  struct sources sources;
  uint64_t timeout_ns;
  uint64_t duration_ns;          /* 0: no end */
  uint64_t ramp_per_second;      /* 0: as fast as possible */
  uint64_t stalled_rcvbuf_bytes; /* 0: the kernel's default */

  bool publishes;
  struct target publish; /* without a text: none */
  enum publish_pace pace;
  double rate;       /* messages a second */
  bool takes_lines;  /* the messages' text is that of standard input */
  uint64_t messages; /* 0: no end */
  uint32_t publishers;
  struct sizes sizes;

  uint32_t slo_count;
  struct slo slos[OPTIONS_SLOS];
  const char *json_file; /* or NULL */
  const char *hgrm_file; /* or NULL */
  bool is_quiet;
};

/**
 * Fill in `options`, which are zeroed. Prints an error on standard error. To be called once.
 *
 * @return -1 to go on, or the code to exit with: 0 after --help and --version, or EXIT_CODE_USAGE
 */
int options_parse(struct options *options, int argc, char **argv);

#endif
