/* SPDX-License-Identifier: MIT */
/*
 * options: what the command line asks for, and what the exit codes promise.
 */
#ifndef LOADCLIENT_OPTIONS_H
#define LOADCLIENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* How a client behaves. The names for --mix are in options.c. */
enum client_class {
  CLIENT_HEALTHY, /* reads everything at once, and is checked */
  CLIENT_STALLED, /* never reads */
  CLIENT_CLASSES
};

/* What scripts rely on. An interrupted run ends with 128 + the signal's number, as in a shell. */
enum exit_code {
  EXIT_CODE_OK = 0,
  EXIT_CODE_RUNTIME = 1, /* a healthy client was disconnected or refused, or nothing came for too long */
  EXIT_CODE_USAGE = 2,
  EXIT_CODE_CONNECT = 3,
  EXIT_CODE_INTEGRITY = 98, /* a healthy client saw a line lost, twice, out of order or corrupt */
  EXIT_CODE_SIGNAL = 128
};

struct options {
  const char *target; /* as given, to be shown */
  struct sockaddr_storage address;
  uint32_t connections;
  uint32_t share[CLIENT_CLASSES]; /* how many of the connections each class has */
  uint64_t until;                 /* the number of the last line; 0: no end */
  const char *topic;              /* or NULL: the server's default one */
  uint64_t timeout_ms;
  uint32_t ramp_per_second; /* 0: as fast as possible */
  int stalled_rcvbuf_bytes; /* 0: the kernel's default */
  bool always_shows_progress;
};

/**
 * Fill in `options`, whose strings point into `argv`. Says on stderr what is wrong and what to do about it.
 *
 * @return -1 to go on, or the code to exit with: 0 after --help and --version, or EXIT_CODE_USAGE
 */
int options_parse(struct options *options, int argc, char **argv);

#endif
