/* SPDX-License-Identifier: MIT */
/*
 * feed: publishes each line of an input, no faster than the server's clients take them.
 */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include "input.h"

#include <fluxbp/server.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct feed;

/** The input has ended, every line was published; `status` is 0, or the libuv error that reading ended with. */
typedef void (*feed_cb)(struct feed *feed, int status);

struct feed {
  uv_loop_t *loop;
  fluxbp_server_t *server;
  const char *topic;
  feed_cb on_end;
  void *user;
  bool is_open, is_started;
  bool has_begun; /* the input: its first line was taken */
  bool has_ended; /* the input; there may be a line left */
  int status;

  struct input input;
  uint32_t max_message; /* bytes */
  const char *rest;     /* of the piece that is being published */
  size_t rest_length;
  char *kept; /* the beginning of a line whose end is still to be read */
  size_t kept_length;
  bool skips;       /* to the end of a line that is too long */
  const char *line; /* to be published next, or NULL */
  size_t line_length;

  uv_idle_t next_slice; /* runs while there is more to publish than one iteration of the loop should */
  uv_timer_t retry;     /* of a line for which there was no room */

  uint64_t published;
  uint64_t skipped_long;
  uint64_t skipped_empty;
  uint64_t failed;
  uint64_t retries;
  uint64_t warned_ms; /* when the log was told last that there is no memory */
};

/** Server, topic, max_message, on_end and user were set. @return 0 or what input_open returns; reading begins with
 * feed_start */
int feed_open(struct feed *feed, uv_loop_t *loop, uv_file fd);

/** Begin to read. Calling it again does nothing. */
void feed_start(struct feed *feed);

/** Read and publish no more; on_end isn't called. May be called at any time, and again. */
void feed_close(struct feed *feed);

/** Free the memory, when the loop has ended. */
void feed_free(struct feed *feed);

#endif
